//! What an application wants to send while a link is down.
//!
//! A queue without bounds turns an outage of the network into one of memory, and delivers an hour of
//! stale messages when the peer is back. An outbox is bounded three ways, by count, bytes and age,
//! and what happens at the bound is a choice that the sender is told about:
//!
//! | overflow | the newcomer | those before it |
//! |---|---|---|
//! | error | comes back, rejected | stay |
//! | wait | comes back; try again when there is room | stay |
//! | drop oldest | is taken | the oldest go, until it fits |
//! | drop newest | goes | stay |
//! | latest per key | takes the place in line of the one with its key; without one: error | the others stay |
//!
//! Order is kept: what was taken first leaves first. A message larger than the outbox is rejected
//! under every policy. Sequence numbers rise by one with every message taken and never repeat.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use crate::config::{ConfigError, duration_from, in_range};
use crate::time::Instant;

/// What an [`Outbox`] is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct OutboxConfig {
    /// Messages held. 0 (none: sending while down is an error) to a million. Default 1 000.
    pub messages: u32,
    /// Bytes held. 0 to 1 GiB. Default 1 MiB.
    pub bytes: u32,
    /// How long a message is worth sending. Default 60 s: the cap of the waits between redials.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration::option"))]
    pub age: Option<Duration>,
    /// What happens when there is no room. Default error.
    pub overflow: Overflow,
}

/// What happens when an outbox has no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Overflow {
    /// The newcomer is rejected.
    #[default]
    Error,
    /// The sender waits.
    Wait,
    /// The oldest make room.
    DropOldest,
    /// The newcomer is dropped.
    DropNewest,
    /// A message with the same key is replaced in its place, at any time; without one the newcomer
    /// is rejected when there is no room.
    LatestPerKey,
}

impl Default for OutboxConfig {
    fn default() -> Self {
        Self {
            messages: 1_000,
            bytes: 1 << 20,
            age: Some(Duration::from_secs(60)),
            overflow: Overflow::Error,
        }
    }
}

/// The number of a message: rises by one with every message taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct Seq(pub u64);

/// What became of a message given to an outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Put<M> {
    /// It is held, under this number. Those that made room for it, or that it replaced, are gone.
    Taken {
        /// Its number.
        seq: Seq,
        /// What went because of it, with its number.
        gone: Vec<(Seq, M)>,
    },
    /// It was dropped, as the policy says.
    Dropped(M),
    /// It does not fit: an error for the sender.
    Rejected(M),
    /// It does not fit now: wait for room.
    Wait(M),
}

#[derive(Clone, Debug)]
struct Held<M> {
    seq: Seq,
    message: M,
    bytes: u32,
    key: Option<u64>,
    since: Instant,
}

/// Messages that wait for a link.
#[derive(Clone, Debug)]
pub struct Outbox<M> {
    config: OutboxConfig,
    held: VecDeque<Held<M>>,
    bytes: u64,
    next: u64,
    /// Nothing held is older than this.
    oldest: Instant,
}

impl<M> Outbox<M> {
    /// An empty outbox.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field that makes no sense.
    pub fn new(config: &OutboxConfig) -> Result<Self, ConfigError> {
        in_range("messages", config.messages, 0, 1_000_000)?;
        in_range("bytes", config.bytes, 0, 1 << 30)?;
        let tick = Duration::from_millis(1);
        config.age.map(|age| duration_from("age", age, tick)).transpose()?;
        Ok(Self { config: *config, held: VecDeque::new(), bytes: 0, next: 1, oldest: Instant::MAX })
    }

    /// Gives a message of `bytes` bytes to the outbox. `key` matters under
    /// [`Overflow::LatestPerKey`] only.
    pub fn put(&mut self, now: Instant, message: M, bytes: u32, key: Option<u64>) -> Put<M> {
        if !self.could_hold(bytes) {
            return Put::Rejected(message);
        }
        let mut gone = if self.is_stale(now) { self.expire(now) } else { Vec::new() };
        if let Some(index) = self.same_key(key) {
            let others = self.bytes - u64::from(self.held[index].bytes);
            if others + u64::from(bytes) <= u64::from(self.config.bytes) {
                let seq = self.number();
                let new = Held { seq, message, bytes, key, since: now };
                self.bytes = others + u64::from(bytes);
                let old = core::mem::replace(&mut self.held[index], new);
                gone.push((old.seq, old.message));
                return Put::Taken { seq, gone };
            }
        }
        while !self.fits(bytes) {
            match self.config.overflow {
                Overflow::Error | Overflow::LatestPerKey => return Put::Rejected(message),
                Overflow::Wait => return Put::Wait(message),
                Overflow::DropNewest => return Put::Dropped(message),
                Overflow::DropOldest => gone.extend(self.take_first()),
            }
        }
        let seq = self.number();
        self.bytes += u64::from(bytes);
        self.oldest = self.oldest.min(now);
        self.held.push_back(Held { seq, message, bytes, key, since: now });
        Put::Taken { seq, gone }
    }

    /// The next message to send, with its number; what has become too old is passed over (see
    /// [`expire`](Self::expire) to hear of it).
    pub fn take(&mut self, now: Instant) -> Option<(Seq, M)> {
        while let Some(first) = self.held.front() {
            let old = self.is_old(first, now);
            let taken = self.take_first();
            if !old {
                return taken;
            }
        }
        None
    }

    /// Puts a message back that was taken and not sent: it is the next one again.
    pub fn put_back(&mut self, now: Instant, seq: Seq, message: M, bytes: u32) {
        self.bytes += u64::from(bytes);
        self.oldest = self.oldest.min(now);
        self.held.push_front(Held { seq, message, bytes, key: None, since: now });
    }

    /// Removes what has become too old, and answers it.
    pub fn expire(&mut self, now: Instant) -> Vec<(Seq, M)> {
        let mut gone = Vec::new();
        if !self.is_stale(now) {
            return gone;
        }
        // Replaced messages are younger than their place in line, so the whole line is looked at.
        self.oldest = Instant::MAX;
        let mut left = VecDeque::with_capacity(self.held.len());
        for held in core::mem::take(&mut self.held) {
            if self.is_old(&held, now) {
                self.bytes -= u64::from(held.bytes);
                gone.push((held.seq, held.message));
            } else {
                self.oldest = self.oldest.min(held.since);
                left.push_back(held);
            }
        }
        self.held = left;
        gone
    }

    /// When a message may become too old: call [`expire`](Self::expire) then. May be early, after
    /// the oldest has left.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let age = self.config.age?;
        (!self.held.is_empty()).then(|| self.oldest.after(age))
    }

    /// Empties the outbox, and answers what was in it, in order.
    pub fn clear(&mut self) -> Vec<(Seq, M)> {
        self.bytes = 0;
        self.held.drain(..).map(|held| (held.seq, held.message)).collect()
    }

    /// Whether a message of `bytes` bytes fits when nothing else is held.
    #[must_use]
    pub const fn could_hold(&self, bytes: u32) -> bool {
        self.config.messages > 0 && bytes <= self.config.bytes
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

    /// Whether something may be too old.
    #[inline]
    fn is_stale(&self, now: Instant) -> bool {
        let Some(age) = self.config.age else { return false };
        !self.held.is_empty() && now.since(self.oldest) >= age
    }

    fn number(&mut self) -> Seq {
        let seq = Seq(self.next);
        self.next += 1;
        seq
    }

    fn fits(&self, bytes: u32) -> bool {
        self.held.len() < self.config.messages as usize
            && self.bytes + u64::from(bytes) <= u64::from(self.config.bytes)
    }

    fn same_key(&self, key: Option<u64>) -> Option<usize> {
        let replaces = self.config.overflow == Overflow::LatestPerKey && key.is_some();
        if replaces { self.held.iter().position(|held| held.key == key) } else { None }
    }

    fn is_old(&self, held: &Held<M>, now: Instant) -> bool {
        self.config.age.is_some_and(|age| now.since(held.since) >= age)
    }

    fn take_first(&mut self) -> Option<(Seq, M)> {
        let held = self.held.pop_front()?;
        self.bytes -= u64::from(held.bytes);
        Some((held.seq, held.message))
    }
}

#[cfg(test)]
mod tests;
