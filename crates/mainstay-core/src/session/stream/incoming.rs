use core::time::Duration;

use super::{Seq, StreamConfig};
use crate::config::ConfigError;
use crate::time::Instant;

/// The half of a tracked stream that receives: tells the next message from a duplicate and from a
/// gap, and knows when an ack is due.
#[derive(Clone, Debug)]
pub struct Incoming {
    ack_messages: u32,
    ack_bytes: u32,
    ack_after: Duration,
    received: u64,
    processed: u64,
    acknowledged: u64,
    /// Bytes processed since the last ack.
    bytes: u64,
    /// When the first one was processed that the last ack does not cover.
    since: Option<Instant>,
}

/// What to do with a message that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[must_use]
pub enum Received {
    /// Hand it to the application, then say so with [`Incoming::processed`].
    Deliver,
    /// It was here before: drop it.
    Duplicate,
    /// Something is missing before it, or it has number 0, which no message has: drop it and close
    /// the connection.
    Gap {
        /// The number that would have been the next.
        expected: Seq,
    },
}

impl Incoming {
    /// A half that has received nothing yet.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field that makes no sense.
    pub fn new(config: &StreamConfig) -> Result<Self, ConfigError> {
        Self::after(config, Seq(0))
    }

    /// A half whose application has processed everything up to `seq`: after a crash, with the
    /// number that was kept in durable storage together with the effects of the messages.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field that makes no sense.
    pub fn after(config: &StreamConfig, seq: Seq) -> Result<Self, ConfigError> {
        config.check()?;
        let StreamConfig { ack_messages, ack_bytes, ack_after, .. } = *config;
        let (bytes, since) = (0, None);
        let Seq(processed) = seq;
        let (received, acknowledged) = (processed, processed);
        Ok(Self {
            ack_messages,
            ack_bytes,
            ack_after,
            received,
            processed,
            acknowledged,
            bytes,
            since,
        })
    }

    /// Message `seq` arrived.
    pub fn received(&mut self, now: Instant, seq: Seq) -> Received {
        let expected = Seq(self.received.saturating_add(1));
        if seq == Seq(0) || seq > expected {
            return Received::Gap { expected };
        }
        if seq.0 <= self.received {
            // Whoever sends again what was processed has not heard of it.
            if seq.0 <= self.processed {
                self.since.get_or_insert(now);
            }
            return Received::Duplicate;
        }
        self.received = seq.0;
        Received::Deliver
    }

    /// The application has taken everything up to `seq`; what it took since the last call has
    /// `bytes` bytes. Only this is acknowledged. What never arrived cannot have been taken and does
    /// not count.
    pub fn processed(&mut self, now: Instant, seq: Seq, bytes: u32) {
        let processed = seq.0.min(self.received);
        if processed <= self.processed {
            return;
        }
        self.processed = processed;
        self.bytes = self.bytes.saturating_add(u64::from(bytes));
        self.since.get_or_insert(now);
    }

    /// The number to acknowledge, if an ack is due. It counts as sent: should it be lost with the
    /// connection, the position told at the next resume takes its place.
    pub fn take_ack(&mut self, now: Instant) -> Option<Seq> {
        let is_late = self.deadline().is_some_and(|due| due <= now);
        if is_late || self.is_due_by_amount() { self.flush_ack() } else { None }
    }

    /// The number to acknowledge, if there is anything to say: before a close, or along with
    /// another frame.
    pub const fn flush_ack(&mut self) -> Option<Seq> {
        if self.since.is_none() {
            return None;
        }
        self.since = None;
        self.bytes = 0;
        self.acknowledged = self.processed;
        Some(Seq(self.processed))
    }

    /// When an ack is due; a time in the past when it is due at once. Without a connection there is
    /// nobody to tell: look again after the resume.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let since = self.since?;
        Some(if self.is_due_by_amount() { since } else { since.after(self.ack_after) })
    }

    /// The last message that the application has processed.
    #[must_use]
    pub const fn last_processed(&self) -> Seq {
        Seq(self.processed)
    }

    /// The last message that arrived.
    #[must_use]
    pub const fn last_received(&self) -> Seq {
        Seq(self.received)
    }

    /// Numbers start from 1 again.
    pub const fn reset(&mut self) {
        (self.received, self.processed, self.acknowledged) = (0, 0, 0);
        (self.bytes, self.since) = (0, None);
    }

    fn is_due_by_amount(&self) -> bool {
        let messages = self.processed - self.acknowledged;
        messages >= u64::from(self.ack_messages) || self.bytes >= u64::from(self.ack_bytes)
    }
}
