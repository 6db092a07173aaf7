//! What is kept of a session, in columns: what every beat touches stands together, and apart from
//! what only a query reads.

use mainstay_core::session::heartbeat::Rhythm;
use mainstay_core::session::quality::{Grade, Reconnects};
use mainstay_core::session::status::{EndReason, LossReason, Status};

use crate::SessionId;
use crate::clock::Tick;
use crate::packed::Packed;

/// Touched by every frame. 32 bytes: two to a cache line.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hot {
    /// Name and generation; zero in a free slot.
    pub(crate) check: u128,
    pub(crate) seen: Tick,
    pub(crate) losses: u32,
    pub(crate) smoothed: Packed,
    pub(crate) jitter: Packed,
    pub(crate) min: Packed,
    pub(crate) missed: u8,
    pub(crate) flags: u8,
}

/// It has a connection.
pub(crate) const CONNECTED: u8 = 1;
/// It was silent for longer than usual.
pub(crate) const SUSPECTED: u8 = 1 << 1;
/// It was asked and has not answered yet.
pub(crate) const ASKED: u8 = 1 << 2;
/// It was heard on its latest connection.
pub(crate) const HEARD: u8 = 1 << 3;
/// It was heard since the last checkpoint.
pub(crate) const CHANGED: u8 = 1 << 4;
/// Somebody looks at its minutes.
pub(crate) const WATCHED: u8 = 1 << 5;
/// It is not in the slot that its name tells.
pub(crate) const DISPLACED: u8 = 1 << 6;
/// It beats by itself, and has no socket.
pub(crate) const BEATS: u8 = 1 << 7;

impl Hot {
    pub(crate) const fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub(crate) const fn set(&mut self, flags: u8) {
        self.flags |= flags;
    }

    pub(crate) const fn clear(&mut self, flags: u8) {
        self.flags &= !flags;
    }

    pub(crate) const fn generation(&self) -> u32 {
        (self.check >> 32 & 0xFFFF_FFFF) as u32
    }
}

/// Touched by beats that say something about quality. 32 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Warm {
    /// When it is asked next; or, when it beats by itself, when the next miss counts.
    pub(crate) asks: Tick,
    /// The interval it was told, in hundredths of a second.
    pub(crate) told: u16,
    pub(crate) last: Packed,
    pub(crate) variation: Packed,
    pub(crate) beats: u8,
    pub(crate) rhythm: Rhythm,
    pub(crate) grade: Grade,
    pub(crate) reconnects: Reconnects,
}

impl Warm {
    pub(crate) fn new(rhythm: Rhythm) -> Self {
        Self {
            asks: 0,
            told: 0,
            last: Packed::NONE,
            variation: Packed::NONE,
            beats: 0,
            rhythm,
            grade: Grade::default(),
            reconnects: Reconnects::NONE,
        }
    }
}

/// Where a slot is in a session's life; [`Status`], and what is not to be seen yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No session.
    Free,
    /// Waits until the store has it.
    Registering,
    Connected,
    Suspended,
    Reconnecting,
    Disconnected,
    Failed,
}

impl Phase {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 7] = [
        Self::Free,
        Self::Registering,
        Self::Connected,
        Self::Suspended,
        Self::Reconnecting,
        Self::Disconnected,
        Self::Failed,
    ];

    /// What queries see; none of what they do not.
    pub(crate) const fn status(self) -> Option<Status> {
        match self {
            Self::Free | Self::Registering => None,
            Self::Connected => Some(Status::Connected),
            Self::Suspended => Some(Status::Suspended),
            Self::Reconnecting => Some(Status::Reconnecting),
            Self::Disconnected => Some(Status::Disconnected),
            Self::Failed => Some(Status::Failed),
        }
    }
}

/// Touched by what happens seldom, and by queries.
#[derive(Clone, Debug)]
pub(crate) struct Cold {
    /// In two halves: whole, it would have every row aligned to sixteen bytes.
    id: [u64; 2],
    pub(crate) metadata: Option<Box<str>>,
    pub(crate) connected_at: u64,
    /// 0 while it has a connection.
    pub(crate) disconnected_at: u64,
    /// Numbers of names; the user's is 0 for the anonymous.
    pub(crate) user: u32,
    pub(crate) organisation: u32,
    pub(crate) client_type: u32,
    pub(crate) client_version: u32,
    pub(crate) seq: u32,
    pub(crate) disconnections: u32,
    pub(crate) grace_ms: u32,
    /// End of its grace or of its reserved window.
    pub(crate) until: Tick,
    pub(crate) attempts: u16,
    pub(crate) max_attempts: u16,
    pub(crate) phase: Phase,
    pub(crate) ended: Option<EndReason>,
    pub(crate) loss: LossReason,
    /// How many generations before the latest its client may still have, while that was not heard.
    pub(crate) unheard: u8,
}

impl Cold {
    pub(crate) const fn free() -> Self {
        Self {
            id: [0; 2],
            metadata: None,
            connected_at: 0,
            disconnected_at: 0,
            user: 0,
            organisation: 0,
            client_type: 0,
            client_version: 0,
            seq: 0,
            disconnections: 0,
            grace_ms: 0,
            until: 0,
            attempts: 0,
            max_attempts: 0,
            phase: Phase::Free,
            ended: None,
            loss: LossReason::Lost,
            unheard: 0,
        }
    }
}

impl Cold {
    pub(crate) const fn id(&self) -> SessionId {
        let [high, low] = self.id;
        SessionId::from_bits((high as u128) << 64 | low as u128)
    }

    pub(crate) const fn name(&mut self, id: SessionId) {
        let bits = id.to_bits();
        self.id = [(bits >> 64) as u64, ((bits << 64) >> 64) as u64];
    }
}

/// Bytes that a session takes in the columns, names and metadata aside.
pub(crate) const WIDTH: usize =
    size_of::<Hot>() + size_of::<Warm>() + size_of::<Cold>() + size_of::<Tick>();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_takes_at_most_160_bytes_in_all_columns() {
        const { assert!(size_of::<Hot>() == 32 && size_of::<Warm>() == 32) };
        const { assert!(WIDTH <= 160) };
        assert_eq!(WIDTH, 32 + 32 + 88 + 4);
    }
}
