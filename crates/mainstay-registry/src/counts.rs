use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_core::session::quality::Quality;
use mainstay_core::session::status::Status;

/// How many sessions there are, and how they are.
///
/// Taken and given at every change, under the lock of the change; nothing is estimated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sessions with a connection.
    pub connected: u64,
    /// Sessions without one whose grace runs.
    pub suspended: u64,
    /// Sessions that are expected back.
    pub reconnecting: u64,
    /// Sessions that are over and still known.
    pub disconnected: u64,
    /// Sessions that used up their attempts and are still known.
    pub failed: u64,
    /// Grades of the sessions with a connection: unknown, critical, poor, good, excellent.
    pub by_quality: [u64; 5],
    /// Attempts to come back since they were last stable, of all sessions that are not over.
    pub reconnect_attempts: u64,
    /// Sessions that are not over and needed such an attempt.
    pub with_attempts: u64,
    /// Sessions with a connection and a round trip.
    pub measured: u64,
    /// Their smoothed round trips together, in microseconds.
    pub latency_us: u64,
}

impl Counts {
    /// All that are known.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.live() + self.disconnected + self.failed
    }

    /// Those that are not over.
    #[must_use]
    pub const fn live(&self) -> u64 {
        self.connected + self.suspended + self.reconnecting
    }

    /// The sessions of this status.
    #[must_use]
    pub const fn of(&self, status: Status) -> u64 {
        match status {
            Status::Connected => self.connected,
            Status::Suspended => self.suspended,
            Status::Reconnecting => self.reconnecting,
            Status::Disconnected => self.disconnected,
            Status::Failed => self.failed,
        }
    }

    /// The sessions with a connection of this grade.
    #[must_use]
    pub const fn graded(&self, quality: Quality) -> u64 {
        self.by_quality[quality as usize]
    }

    /// The mean of the smoothed round trips; none before the first.
    #[must_use]
    pub fn latency(&self) -> Option<Duration> {
        self.latency_us.checked_div(self.measured).map(Duration::from_micros)
    }

    pub(crate) const fn status_mut(&mut self, status: Status) -> &mut u64 {
        match status {
            Status::Connected => &mut self.connected,
            Status::Suspended => &mut self.suspended,
            Status::Reconnecting => &mut self.reconnecting,
            Status::Disconnected => &mut self.disconnected,
            Status::Failed => &mut self.failed,
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.connected, other.connected),
            (&mut self.suspended, other.suspended),
            (&mut self.reconnecting, other.reconnecting),
            (&mut self.disconnected, other.disconnected),
            (&mut self.failed, other.failed),
            (&mut self.reconnect_attempts, other.reconnect_attempts),
            (&mut self.with_attempts, other.with_attempts),
            (&mut self.measured, other.measured),
            (&mut self.latency_us, other.latency_us),
        ];
        for (sum, part) in pairs {
            *sum += part;
        }
        for (sum, part) in self.by_quality.iter_mut().zip(other.by_quality) {
            *sum += part;
        }
    }
}

/// How many sessions, by a name they share; those that are over and still known are among them.
pub type CountsByName = BTreeMap<Box<str>, u64>;
