use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;

use super::{Seq, StreamConfig};
use crate::config::ConfigError;

/// Places that an emptied window keeps; more are given back, since most streams are quiet.
const PLACES_KEPT: usize = 8;

/// The half of a tracked stream that sends: numbers messages and holds them until they are
/// acknowledged.
#[derive(Clone, Debug)]
pub struct Outgoing<M> {
    messages_max: u32,
    bytes_max: u32,
    /// The last number acknowledged; the first one held is the next.
    acknowledged: u64,
    bytes: u64,
    held: VecDeque<Held<M>>,
}

#[derive(Clone, Debug)]
struct Held<M> {
    message: M,
    bytes: u32,
}

/// What became of a message that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[must_use]
pub enum Push<M> {
    /// It is held under this number: send it, now and at every replay.
    Held(Seq),
    /// The window is full: here it is back, wait for an ack.
    Full(M),
    /// It is larger than the whole window: here it is back, it will never fit.
    TooLarge(M),
}

/// What to do on a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[must_use]
pub enum Resume {
    /// Send all of [`Outgoing::unacknowledged`] again, before anything else.
    Replay {
        /// How many there are.
        messages: usize,
    },
    /// Send none: the gap cannot be filled. Both ends start anew.
    Restart(Refusal),
}

/// Why a gap cannot be filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Refusal {
    /// The peer counts in another numbering.
    OtherEpoch,
    /// The peer has more than was ever sent: this end lost its memory.
    Ahead,
    /// The peer has less than it acknowledged: it lost its memory, and the messages are gone here.
    Behind,
}

/// The peer acknowledged a message that was never sent: it is broken. Close the connection, and
/// do not resume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct NeverSent {
    /// What was acknowledged.
    pub acknowledged: Seq,
    /// The last message sent.
    pub sent: Seq,
}

impl fmt::Display for NeverSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { acknowledged, sent } = self;
        write!(
            f,
            "the peer acknowledged message {}, the last one sent is {}",
            acknowledged.0, sent.0
        )
    }
}

impl core::error::Error for NeverSent {}

impl<M> Outgoing<M> {
    /// An empty window; the next message gets number 1.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field that makes no sense.
    pub fn new(config: &StreamConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let StreamConfig { messages: messages_max, bytes: bytes_max, .. } = *config;
        Ok(Self { messages_max, bytes_max, acknowledged: 0, bytes: 0, held: VecDeque::new() })
    }

    /// Takes a message of `bytes` bytes into the window and numbers it.
    pub fn push(&mut self, message: M, bytes: u32) -> Push<M> {
        if bytes > self.bytes_max {
            return Push::TooLarge(message);
        }
        if !self.has_room(bytes) {
            return Push::Full(message);
        }
        self.bytes += u64::from(bytes);
        self.held.push_back(Held { message, bytes });
        Push::Held(self.last_sent())
    }

    /// Whether a message of `bytes` bytes fits now.
    #[must_use]
    pub fn has_room(&self, bytes: u32) -> bool {
        self.held.len() < self.messages_max as usize
            && self.bytes + u64::from(bytes) <= u64::from(self.bytes_max)
    }

    /// The peer has processed everything up to `seq`. Answers how many messages that frees; an ack
    /// that says nothing new frees none.
    ///
    /// # Errors
    ///
    /// [`NeverSent`] when there is no such message; nothing is freed then.
    pub fn acknowledge(&mut self, seq: Seq) -> Result<usize, NeverSent> {
        let sent = self.last_sent();
        if seq > sent {
            return Err(NeverSent { acknowledged: seq, sent });
        }
        Ok(self.free(seq))
    }

    /// A new connection, on which the peer said that it has processed everything up to `seq`.
    ///
    /// A restart changes nothing: call [`reset`](Self::reset) when both ends know.
    pub fn resume(&mut self, seq: Seq) -> Resume {
        if seq > self.last_sent() {
            return Resume::Restart(Refusal::Ahead);
        }
        if seq < self.last_acknowledged() {
            return Resume::Restart(Refusal::Behind);
        }
        self.free(seq);
        Resume::Replay { messages: self.held.len() }
    }

    /// What the peer has not acknowledged, in order.
    pub fn unacknowledged(&self) -> impl Iterator<Item = (Seq, &M)> {
        (self.acknowledged + 1..).zip(&self.held).map(|(seq, held)| (Seq(seq), &held.message))
    }

    /// The message `seq`, while it is held; a driver that sends one at a time walks with this.
    #[must_use]
    pub fn message(&self, seq: Seq) -> Option<&M> {
        let index = seq.0.checked_sub(self.acknowledged)?.checked_sub(1)?;
        self.held.get(usize::try_from(index).ok()?).map(|held| &held.message)
    }

    /// Numbers start from 1 again. Answers what was not acknowledged, with the old numbers: whether
    /// the peer has it is unknown.
    #[must_use = "somebody waits to hear what became of these messages"]
    pub fn reset(&mut self) -> Vec<(Seq, M)> {
        let held = core::mem::take(&mut self.held);
        let numbers = self.acknowledged + 1..;
        (self.acknowledged, self.bytes) = (0, 0);
        numbers.zip(held).map(|(seq, held)| (Seq(seq), held.message)).collect()
    }

    /// The last message that got a number.
    #[must_use]
    pub fn last_sent(&self) -> Seq {
        Seq(self.acknowledged + self.held.len() as u64)
    }

    /// The last message that the peer has acknowledged.
    #[must_use]
    pub const fn last_acknowledged(&self) -> Seq {
        Seq(self.acknowledged)
    }

    /// Messages held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Bytes held.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Forgets everything up to `seq`.
    fn free(&mut self, seq: Seq) -> usize {
        let mut freed = 0;
        while self.acknowledged < seq.0 {
            let Some(held) = self.held.pop_front() else { break };
            self.bytes -= u64::from(held.bytes);
            self.acknowledged += 1;
            freed += 1;
        }
        if self.held.is_empty() {
            self.held.shrink_to(PLACES_KEPT);
        }
        freed
    }

    /// Places that memory is held for.
    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.held.capacity()
    }
}
