use alloc::format;
use alloc::string::String;
use core::time::Duration;

use super::machine::Link;
use super::state::{State, StateName};
use crate::config::Ratio;
use crate::measure::ewma::Rtt;
use crate::time::Instant;

/// What a link has counted, as of one moment.
///
/// The first nine are those of seed 000, where [`LinkStats::success_text`] gives the rate in the
/// seed's text form. Times are points on the driver's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LinkStats {
    /// Connections made, first ones and reconnections.
    pub total_connections: u64,
    /// Connections made after at least one redial.
    pub total_reconnections: u64,
    /// Connects that failed. A breaker's refusal is none.
    pub total_failures: u64,
    /// Probes that ended.
    pub total_health_checks: u64,
    /// Those that went well.
    pub successful_health_checks: u64,
    /// Those that did not.
    pub failed_health_checks: u64,
    /// Their share that went well; zero when there were none.
    pub health_check_success_rate: Ratio,
    /// Where the link stands.
    pub current_state: StateName,
    /// How long the connection has held; zero unless connected.
    pub uptime: Duration,
    /// Redials begun, whatever came of them.
    pub total_reconnect_attempts: u64,
    /// Redials begun since the link was last stable.
    pub reconnect_attempts: u32,
    /// Whether the connection holds.
    pub is_connected: bool,
    /// When a probe last ended.
    pub last_health_check: Option<Instant>,
    /// When a connection was last made.
    pub last_successful_connection: Option<Instant>,
    /// Round-trip times of probes.
    pub rtt: Rtt,
    /// Durations of real calls, as far as they were reported.
    pub calls: Rtt,
}

impl LinkStats {
    /// The health checks' success rate as seed 000 writes it: `"97.96%"`, and `"0%"` when there
    /// were none.
    ///
    /// ```
    /// use mainstay_core::link::LinkStats;
    ///
    /// let mut stats = LinkStats::default();
    /// assert_eq!(stats.success_text(), "0%");
    /// stats.total_health_checks = 245;
    /// stats.successful_health_checks = 240;
    /// assert_eq!(stats.success_text(), "97.96%");
    /// ```
    #[must_use]
    pub fn success_text(&self) -> String {
        if self.total_health_checks == 0 {
            return "0%".into();
        }
        let hundredths = u128::from(self.successful_health_checks) * 20_000;
        let total = u128::from(self.total_health_checks);
        let rounded = (hundredths + total) / (2 * total);
        format!("{}.{:02}%", rounded / 100, rounded % 100)
    }
}

impl Link {
    /// A copy of what it has counted.
    #[must_use]
    pub fn stats(&self, now: Instant) -> LinkStats {
        let counters = &self.counters;
        let since = match self.state {
            State::Connected { since, .. } => Some(since),
            State::Disconnected
            | State::Connecting { .. }
            | State::Reconnecting { .. }
            | State::Suspended { .. }
            | State::Failed { .. }
            | State::Closing { .. } => None,
        };
        let checks = counters.good_checks + counters.bad_checks;
        LinkStats {
            total_connections: u64::from(counters.connections),
            total_reconnections: u64::from(counters.reconnections),
            total_failures: counters.failures,
            total_health_checks: checks,
            successful_health_checks: counters.good_checks,
            failed_health_checks: counters.bad_checks,
            health_check_success_rate: Ratio::of(counters.good_checks, checks),
            current_state: self.state.name(),
            uptime: since.map_or(Duration::ZERO, |since| now.since(since)),
            total_reconnect_attempts: counters.attempts,
            reconnect_attempts: self.attempts,
            is_connected: since.is_some(),
            last_health_check: counters.last_check,
            last_successful_connection: counters.last_connection,
            rtt: counters.rtt,
            calls: counters.calls,
        }
    }
}

/// What a link counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counters {
    pub(super) connections: u32,
    pub(super) reconnections: u32,
    pub(super) attempts: u64,
    pub(super) failures: u64,
    pub(super) good_checks: u64,
    pub(super) bad_checks: u64,
    pub(super) last_check: Option<Instant>,
    pub(super) last_connection: Option<Instant>,
    pub(super) rtt: Rtt,
    pub(super) calls: Rtt,
}
