//! How many calls may run at the same time, and who may wait for a place.
//!
//! A slow peer turns into a full process: every caller waits in it and holds memory, sockets and
//! threads. A bulkhead lets `max` calls run and turns the others away, or lets `max_queue` of them
//! wait, each until its own deadline.
//!
//! [`Bulkhead`] counts. It is shared by reference between threads; its state is one atomic word. A
//! [`Slot`] cannot be copied, so it is released at most once, and it carries the generation it was
//! given out in: after [`Bulkhead::clear`] the slots of before change nothing. The slot belongs to
//! the **work**, not to the one who waits for it: work that outlives its caller's patience keeps
//! it.
//!
//! [`Queue`] decides who is next. It is a plain first-in, first-out line for one owner (a driver
//! keeps it under a lock):
//!
//! ```text
//!            enqueue                  dequeue, deadline ahead
//!  caller ───────────▶ waiting ─────────────────────────────▶ Run
//!            │            │  └── dequeue, deadline passed ────▶ Expired
//!            ▼ full       └───── leave (dropped) ────────────▶ gone at once
//!         refused
//! ```
//!
//! A driver that releases a slot while somebody waits dequeues first, and passes the slot on. A
//! newcomer joins the queue while it is not empty, and does not go before it.

use alloc::collections::VecDeque;
use core::time::Duration;

use crate::config::{ConfigError, duration_from, in_range};
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use crate::time::Instant;

/// What a [`Bulkhead`] and its [`Queue`] are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct BulkheadConfig {
    /// Calls at the same time. At least 1. Default 25 (resilience4j).
    pub max: u32,
    /// Calls that may wait. 0 to 100 000. Default 0: full means no, at once (resilience4j's wait of
    /// zero), since a queue in front of a slow peer mostly adds delay.
    pub max_queue: u32,
    /// The longest wait. Default 1 s.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub max_wait: Duration,
}

impl Default for BulkheadConfig {
    fn default() -> Self {
        Self { max: 25, max_queue: 0, max_wait: Duration::from_secs(1) }
    }
}

/// A bound on calls at the same time, shared by all who call.
#[derive(Debug)]
pub struct Bulkhead {
    /// Generation (high half), slots in use (low half).
    word: AtomicU64,
    max: AtomicU32,
}

/// The right to run one call.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[must_use = "release it when the work is over"]
pub struct Slot {
    generation: u32,
}

/// All slots are in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Full {
    /// How many there are.
    pub max: u32,
}

impl core::fmt::Display for Full {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "all {} places are taken", self.max)
    }
}

impl core::error::Error for Full {}

impl Bulkhead {
    /// A bulkhead with all slots free.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `max` is zero, `max_queue` is above 100 000 or `max_wait` is longer
    /// than a year.
    pub fn new(config: &BulkheadConfig) -> Result<Self, ConfigError> {
        check(config)?;
        Ok(Self { word: AtomicU64::new(0), max: AtomicU32::new(config.max) })
    }

    /// Takes a slot.
    ///
    /// # Errors
    ///
    /// [`Full`] when all are in use.
    pub fn try_acquire(&self) -> Result<Slot, Full> {
        let max = self.max.load(Ordering::Relaxed);
        let take = |word: u64| (in_use(word) < max).then(|| word + 1);
        let taken = self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, take);
        match taken {
            Ok(word) => Ok(Slot { generation: generation(word) }),
            Err(_) => Err(Full { max }),
        }
    }

    /// Gives a slot back. Answers whether it counted: not when it is older than the last
    /// [`Bulkhead::clear`].
    pub fn release(&self, slot: Slot) -> bool {
        let Slot { generation: given } = slot;
        let free = |word: u64| (generation(word) == given && in_use(word) > 0).then(|| word - 1);
        self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, free).is_ok()
    }

    /// How many slots are in use.
    #[must_use]
    pub fn in_use(&self) -> u32 {
        in_use(self.word.load(Ordering::Acquire))
    }

    /// How many slots there are.
    #[must_use]
    pub fn max(&self) -> u32 {
        self.max.load(Ordering::Relaxed)
    }

    /// Changes how many slots there are (at least 1). Slots above a lower number stay in use until
    /// they are released; meanwhile none is given out.
    pub fn resize(&self, max: u32) {
        self.max.store(max.max(1), Ordering::Relaxed);
    }

    /// Frees all slots; those given out before no longer count when they come back.
    pub fn clear(&self) {
        let next = |word: u64| Some(u64::from(generation(word).wrapping_add(1)) << 32);
        let cleared = self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
        debug_assert!(cleared.is_ok(), "the closure always answers");
    }
}

fn check(config: &BulkheadConfig) -> Result<(), ConfigError> {
    in_range("max", config.max, 1, u32::MAX)?;
    in_range("max_queue", config.max_queue, 0, 100_000)?;
    duration_from("max_wait", config.max_wait, Duration::ZERO)?;
    Ok(())
}

fn generation(word: u64) -> u32 {
    u32::try_from(word >> 32).unwrap_or(0)
}

fn in_use(word: u64) -> u32 {
    u32::try_from(word & u64::from(u32::MAX)).unwrap_or(0)
}

/// Who waits for a slot, in order.
#[derive(Clone, Debug)]
pub struct Queue {
    max: usize,
    max_wait: Duration,
    next: u64,
    waiting: VecDeque<Waiter>,
}

#[derive(Clone, Copy, Debug)]
struct Waiter {
    ticket: Ticket,
    deadline: Instant,
}

/// A place in the queue. Later places compare greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct Ticket(u64);

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[must_use = "the waiter is no longer in the queue"]
pub enum Turn {
    /// Give the slot to this one.
    Run(Ticket),
    /// This one waited too long: tell it so, and ask for the next.
    Expired(Ticket),
    /// Nobody waits.
    Nobody,
}

/// As many wait as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct QueueFull;

impl core::fmt::Display for QueueFull {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the queue is full")
    }
}

impl core::error::Error for QueueFull {}

impl Queue {
    /// An empty queue.
    ///
    /// # Errors
    ///
    /// Those of [`Bulkhead::new`].
    pub fn new(config: &BulkheadConfig) -> Result<Self, ConfigError> {
        check(config)?;
        Ok(Self {
            max: usize::try_from(config.max_queue).unwrap_or(0),
            max_wait: config.max_wait,
            next: 0,
            waiting: VecDeque::new(),
        })
    }

    /// Waits at the end of the line, until `deadline` or the longest wait, whichever is sooner.
    ///
    /// # Errors
    ///
    /// [`QueueFull`] when as many wait as may.
    pub fn enqueue(&mut self, now: Instant, deadline: Instant) -> Result<Ticket, QueueFull> {
        if self.waiting.len() >= self.max {
            return Err(QueueFull);
        }
        let ticket = Ticket(self.next);
        self.next += 1;
        let deadline = deadline.min(now.after(self.max_wait));
        self.waiting.push_back(Waiter { ticket, deadline });
        Ok(ticket)
    }

    /// Takes the first out of the line. Its deadline is judged here, when it would run.
    pub fn dequeue(&mut self, now: Instant) -> Turn {
        match self.waiting.pop_front() {
            None => Turn::Nobody,
            Some(Waiter { ticket, deadline }) if deadline <= now => Turn::Expired(ticket),
            Some(Waiter { ticket, .. }) => Turn::Run(ticket),
        }
    }

    /// Takes a waiter out that no longer waits. Answers whether it was still there: when not, its
    /// turn has come, and what it was given must be given back.
    pub fn leave(&mut self, ticket: Ticket) -> bool {
        let place = self.waiting.binary_search_by_key(&ticket, |waiter| waiter.ticket);
        place.is_ok_and(|index| self.waiting.remove(index).is_some())
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// When the first deadline passes; none when nobody waits.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.waiting.iter().map(|waiter| waiter.deadline).min()
    }
}

#[cfg(test)]
mod tests;
