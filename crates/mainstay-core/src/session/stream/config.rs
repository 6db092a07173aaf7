use core::time::Duration;

use crate::config::{ConfigError, duration_from, in_range};

/// What a [`Stream`](super::Stream), or a half of one, is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct StreamConfig {
    /// Unacknowledged messages held for a replay. 1 to 65536. Default 256: four times
    /// `ack_messages`, so that an ack on its way stops nobody.
    pub messages: u32,
    /// Bytes of unacknowledged messages held for a replay. 1 to 1 GiB. Default 64 KiB (SignalR and
    /// Socket.IO hold about 100 kB).
    pub bytes: u32,
    /// Messages processed after which an ack is due. 1 to `messages`. Default 64.
    pub ack_messages: u32,
    /// Bytes processed after which an ack is due. 1 to `bytes`. Default 32 KiB: half the window, so
    /// that a few large messages do not stop the peer until `ack_after`.
    pub ack_bytes: u32,
    /// How long after the first message processed an ack is due. Default 1 s (SignalR).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub ack_after: Duration,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            messages: 256,
            bytes: 64 << 10,
            ack_messages: 64,
            ack_bytes: 32 << 10,
            ack_after: Duration::from_secs(1),
        }
    }
}

impl StreamConfig {
    /// Checks every field.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        in_range("messages", self.messages, 1, 1 << 16)?;
        in_range("bytes", self.bytes, 1, 1 << 30)?;
        // The peer's window is taken to be like ours: an ack later than it is full comes too late.
        in_range("ack_messages", self.ack_messages, 1, self.messages)?;
        in_range("ack_bytes", self.ack_bytes, 1, self.bytes)?;
        duration_from("ack_after", self.ack_after, Duration::ZERO)?;
        Ok(())
    }
}
