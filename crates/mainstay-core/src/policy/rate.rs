//! How many calls per time: the generic cell rate algorithm.
//!
//! A fixed window that counts to its limit lets twice the limit through around its boundary, and a
//! log of all calls costs memory per call. GCRA (ITU-T I.371) needs one number: the *theoretical
//! arrival time* `tat`, when the bucket would be full again if nobody came.
//!
//! ```text
//! interval = period / limit                    one call's worth of time, rounded up
//! after    = max(tat, now) + n × interval      the new tat
//! admitted when after − now ≤ burst × interval
//! earliest = after − burst × interval
//! ```
//!
//! In **any** half-open stretch of length `w`, wherever it begins, at most
//! `burst + ⌈w / interval⌉ − 1` calls are admitted; over one `period` that is `limit + burst − 1`.
//! With a burst of 1 no period anywhere sees more than `limit`.
//!
//! Whoever is told to wait should not just try again later, since all who wait would wake together
//! and the last to come could go first. [`RateLimit::reserve`] books the next free place instead:
//! places are handed out in order, each has its own time, and no newcomer is admitted before them.
//! The promise then holds for the booked times: a waiter that wakes late calls late.
//!
//! Shared by reference between threads; a limiter per clone would not limit (share it with an
//! `Arc`). One atomic word holds the state, another the quota, so that a reload keeps what was
//! used: use is counted in calls, and is carried over as calls. A call that races a reload is
//! judged by either quota.
//!
//! A clock that was set back by more than the longest possible wait would have to be waited for;
//! such a state is cut down to a full bucket's worth of use.

use core::time::Duration;

use crate::config::{ConfigError, duration_from, in_range};
use crate::sync::{AtomicU64, Ordering};
use crate::time::{Instant, nanos};

/// What a [`RateLimit`] is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct RateConfig {
    /// Calls per period, lasting. At least 1 per 18 minutes and at most 10⁹ per second. Default
    /// 100.
    pub limit: u32,
    /// Default 1 s.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub period: Duration,
    /// Calls admitted at once after a rest. 1 to 16 million. Default 10: a tenth of the limit, so
    /// that a burst stays within the tolerance of most servers' own limits. 1 is the strictest.
    pub burst: u32,
    /// The longest wait [`RateLimit::reserve`] ever books. Default 1 min.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub max_wait: Duration,
}

impl Default for RateConfig {
    fn default() -> Self {
        Self {
            limit: 100,
            period: Duration::from_secs(1),
            burst: 10,
            max_wait: Duration::from_secs(60),
        }
    }
}

/// A limit on calls per time, shared by all who call.
#[derive(Debug)]
pub struct RateLimit {
    tat: AtomicU64,
    /// Interval in nanoseconds (40 bits), burst (24 bits).
    quota: AtomicU64,
    max_wait: AtomicU64,
    /// The longest `max_wait` there ever was: how far ahead somebody may have booked.
    horizon: AtomicU64,
}

/// Why a call was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum NotAdmitted {
    /// Not before `at`, and only if nobody else comes.
    NotUntil {
        /// The earliest time.
        at: Instant,
    },
    /// More at once than the burst: never.
    TooLarge {
        /// The most that can be admitted at once.
        most: u32,
    },
}

impl core::fmt::Display for NotAdmitted {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NotUntil { .. } => f.write_str("the rate limit is reached"),
            Self::TooLarge { most } => write!(f, "more than the {most} admitted at once"),
        }
    }
}

impl core::error::Error for NotAdmitted {}

/// A booked place: call at [`Reservation::at`], or cancel.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[must_use = "call at its time, or cancel it"]
pub struct Reservation {
    at: Instant,
    /// The state this booking left behind.
    after: u64,
    cost: u64,
}

impl Reservation {
    /// When to call.
    #[must_use]
    pub const fn at(&self) -> Instant {
        self.at
    }
}

impl RateLimit {
    /// A limit nobody has used yet.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `limit` is zero or `period` is not between 1 ns and 18 minutes per
    /// call, `burst` is outside 1 to 16 million, or `max_wait` is longer than a year.
    pub fn new(config: &RateConfig) -> Result<Self, ConfigError> {
        let quota = Quota::new(config)?;
        Ok(Self {
            tat: AtomicU64::new(0),
            quota: AtomicU64::new(quota.pack()),
            max_wait: AtomicU64::new(nanos(config.max_wait)),
            horizon: AtomicU64::new(nanos(config.max_wait)),
        })
    }

    /// Admits `n` calls now, all or none. None at all (0) are always admitted.
    ///
    /// # Errors
    ///
    /// [`NotAdmitted`], with the earliest time or the most that can ever be admitted.
    pub fn admit(&self, now: Instant, n: u32) -> Result<(), NotAdmitted> {
        self.take(now, n, 0).map(|_| ())
    }

    /// Books a place for `n` calls behind all earlier ones, at most `max_wait` from now.
    ///
    /// # Errors
    ///
    /// [`NotAdmitted`] when the place would be later than `max_wait` (or the configuration's), or
    /// there can be none.
    pub fn reserve(
        &self,
        now: Instant,
        n: u32,
        max_wait: Duration,
    ) -> Result<Reservation, NotAdmitted> {
        let longest = nanos(max_wait).min(self.max_wait.load(Ordering::Relaxed));
        self.take(now, n, longest)
    }

    /// Gives a place back that will not be used. Answers whether it is free again: only when nobody
    /// booked behind it, since those behind already know their times.
    pub fn cancel(&self, reservation: Reservation) -> bool {
        let Reservation { after, cost, .. } = reservation;
        let before = after.saturating_sub(cost);
        let swap = (Ordering::AcqRel, Ordering::Relaxed);
        self.tat.compare_exchange(after, before, swap.0, swap.1).is_ok()
    }

    /// Changes the quota and keeps what was used and booked, counted in calls.
    ///
    /// What was used is at most the new burst. Places already booked keep their times.
    ///
    /// # Errors
    ///
    /// Those of [`RateLimit::new`]; nothing is changed then.
    pub fn reload(&self, now: Instant, config: &RateConfig) -> Result<(), ConfigError> {
        let new = Quota::new(config)?;
        let old = Quota::unpack(self.quota.swap(new.pack(), Ordering::AcqRel));
        self.max_wait.store(nanos(config.max_wait), Ordering::Relaxed);
        self.horizon.fetch_max(nanos(config.max_wait), Ordering::Relaxed);
        let now = now.as_nanos();
        let carry = |tat: u64| {
            let used = tat.saturating_sub(now);
            let in_bucket = used.min(old.capacity());
            let scaled = u128::from(in_bucket) * u128::from(new.interval);
            let carried = u64::try_from(scaled / u128::from(old.interval)).unwrap_or(u64::MAX);
            // Booked places keep their times, so what is behind the bucket stays as time.
            let booked = used - in_bucket;
            Some(now.saturating_add(carried.min(new.capacity())).saturating_add(booked))
        };
        let carried = self.tat.fetch_update(Ordering::AcqRel, Ordering::Acquire, carry);
        debug_assert!(carried.is_ok(), "the closure always answers");
        Ok(())
    }

    /// One step for both: books at most `longest` nanoseconds ahead.
    fn take(&self, now: Instant, n: u32, longest: u64) -> Result<Reservation, NotAdmitted> {
        let quota = Quota::unpack(self.quota.load(Ordering::Acquire));
        if n > quota.burst {
            return Err(NotAdmitted::TooLarge { most: quota.burst });
        }
        let cost = quota.interval.saturating_mul(u64::from(n));
        let mut tat = self.tat.load(Ordering::Acquire);
        if n == 0 {
            return Ok(Reservation { at: now, after: tat, cost: 0 });
        }
        loop {
            let sane = self.sane(tat, now, quota);
            let after = sane.max(now.as_nanos()).saturating_add(cost);
            let at = Instant::from_nanos(after.saturating_sub(quota.capacity())).max(now);
            if at.as_nanos() - now.as_nanos() > longest {
                return Err(NotAdmitted::NotUntil { at });
            }
            let swap = (Ordering::AcqRel, Ordering::Acquire);
            match self.tat.compare_exchange_weak(tat, after, swap.0, swap.1) {
                Ok(_) => return Ok(Reservation { at, after, cost }),
                Err(moved) => tat = moved,
            }
        }
    }

    /// `tat`, unless only a clock set back explains it. The second's grace is for threads that read
    /// the clock a little earlier than others.
    fn sane(&self, tat: u64, now: Instant, quota: Quota) -> u64 {
        let furthest = quota.capacity().saturating_add(self.horizon.load(Ordering::Relaxed));
        let grace = furthest.saturating_mul(2).saturating_add(1_000_000_000);
        if tat.saturating_sub(now.as_nanos()) > grace {
            now.as_nanos().saturating_add(quota.capacity())
        } else {
            tat
        }
    }
}

/// A quota that fits a word.
#[derive(Clone, Copy, Debug)]
struct Quota {
    interval: u64,
    burst: u32,
}

const BURST_BITS: u32 = 24;
const BURST_MAX: u32 = 1 << 23;
const INTERVAL_MAX: u64 = 1 << 40;

impl Quota {
    fn new(config: &RateConfig) -> Result<Self, ConfigError> {
        let limit = in_range("limit", config.limit, 1, 1_000_000_000)?;
        let longest = Duration::from_nanos((INTERVAL_MAX - 1).saturating_mul(u64::from(limit)));
        let shortest = Duration::from_nanos(u64::from(limit));
        in_range("period", config.period, shortest, longest)?;
        let burst = in_range("burst", config.burst, 1, BURST_MAX)?;
        duration_from("max_wait", config.max_wait, Duration::ZERO)?;
        Ok(Self { interval: nanos(config.period).div_ceil(u64::from(limit)), burst })
    }

    /// How much time's worth a rested bucket holds.
    const fn capacity(self) -> u64 {
        self.interval.saturating_mul(self.burst as u64)
    }

    const fn pack(self) -> u64 {
        (self.interval << BURST_BITS) | self.burst as u64
    }

    const fn unpack(word: u64) -> Self {
        Self { interval: word >> BURST_BITS, burst: (word & ((1 << BURST_BITS) - 1)) as u32 }
    }
}

#[cfg(test)]
mod tests;
