//! When to ask a second time without waiting for the first answer.
//!
//! Most slow answers are bad luck: one queue, one pause, one lost packet. Asking again when an
//! answer is later than almost all others cuts the tail for a few per cent more load (Dean and
//! Barroso, *The Tail at Scale*, 2013). Only calls that may run twice are hedged.
//!
//! [`Hedging`] knows *when*: it keeps the distribution of one target's round trips and answers its
//! percentile as the delay. [`race::Race`] decides for one call what to do.
//!
//! # The losers count
//!
//! The attempt that loses is cancelled, so nobody knows how long it would have taken, only that it
//! took longer than until then. Leave it out, and only fast answers are remembered: the percentile
//! sinks, more is hedged, and it sinks further. So losers are recorded as *censored*, and the
//! percentile is that of the product-limit estimator (Kaplan and Meier, 1958). With `dᵢ` answers in
//! bucket `i` and `nᵢ` attempts, answered or censored, that lasted at least as long:
//!
//! ```text
//! S(t) = Π over i ≤ t of (1 − dᵢ / nᵢ)        delay = least t with S(t) ≤ 1 − percentile
//! ```
//!
//! If the rest are all censored before the percentile, the delay is the longest time known.
//!
//! # Guards
//!
//! No hedge before `min_samples` answers and `warm_up` since the first use; never sooner than
//! `min_delay`. Samples lose half of their weight every `half_life`. The delay is computed anew
//! after 5 % more samples, or a half-life, and not on every call.

use core::time::Duration;

use crate::config::{ConfigError, Ratio, duration_from, in_range};
use crate::measure::histogram::Histogram;
use crate::time::{Instant, nanos};

pub mod race;

/// What [`Hedging`] is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct HedgeConfig {
    /// Share of answers that come before a hedge is sent. 0.5 to 0.999. Default 0.95 (*The Tail at
    /// Scale*): at most 5 % more load.
    pub percentile: Ratio,
    /// Shortest delay. At least 1 ms (Finagle's). Default 10 ms: below that a hedge rarely
    /// overtakes.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub min_delay: Duration,
    /// Answers before the first hedge. At least 1. Default 100: the 95th percentile of fewer rests
    /// on fewer than five.
    pub min_samples: u32,
    /// Time from the first use to the first hedge. Default 10 s: cold caches and fresh connections
    /// are not what is normal.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub warm_up: Duration,
    /// Time in which a sample loses half of its weight. At least 1 s. Default 1 min.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub half_life: Duration,
    /// Hedges per call. 0 to 7. Default 1.
    pub max_hedges: u8,
}

impl Default for HedgeConfig {
    fn default() -> Self {
        Self {
            percentile: Ratio::percent(95),
            min_delay: Duration::from_millis(10),
            min_samples: 100,
            warm_up: Duration::from_secs(10),
            half_life: Duration::from_secs(60),
            max_hedges: 1,
        }
    }
}

/// What is known of one target's round trips, and when to hedge because of it.
#[derive(Clone, Debug)]
pub struct Hedging {
    config: HedgeConfig,
    answered: Histogram,
    censored: Histogram,
    first: Option<Instant>,
    /// When samples last lost half of their weight.
    halved: Instant,
    /// The percentile, and how many samples make it worth computing again.
    known: Option<(Duration, u64)>,
}

impl Hedging {
    /// Nothing known yet.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `percentile` is outside 0.5 to 0.999, `min_delay` is below 1 ms,
    /// `min_samples` is zero, `half_life` is below 1 s, a duration is longer than a year, or
    /// `max_hedges` is above 7.
    pub fn new(config: &HedgeConfig) -> Result<Self, ConfigError> {
        let (least, most) = (Ratio::percent(50), Ratio::from_ppm(999_000));
        in_range("percentile", config.percentile, least, most)?;
        duration_from("min_delay", config.min_delay, Duration::from_millis(1))?;
        in_range("min_samples", config.min_samples, 1, u32::MAX)?;
        duration_from("warm_up", config.warm_up, Duration::ZERO)?;
        duration_from("half_life", config.half_life, Duration::from_secs(1))?;
        in_range("max_hedges", config.max_hedges, 0, race::HEDGES_MAX)?;
        Ok(Self {
            config: *config,
            answered: Histogram::new(),
            censored: Histogram::new(),
            first: None,
            halved: Instant::default(),
            known: None,
        })
    }

    /// Counts an answered attempt. Failures say nothing about how long an answer takes.
    pub fn answered(&mut self, now: Instant, round_trip: Duration) {
        self.age(now);
        self.answered.record(round_trip);
    }

    /// Counts an attempt that was cancelled after `elapsed` without an answer.
    pub fn censored(&mut self, now: Instant, elapsed: Duration) {
        self.age(now);
        self.censored.record(elapsed);
    }

    /// How long to wait for an answer before hedging; none while too little is known.
    #[must_use]
    pub fn delay(&mut self, now: Instant) -> Option<Duration> {
        self.age(now);
        let warm = self.first.is_some_and(|first| now.since(first) >= self.config.warm_up);
        if !warm || self.answered.count() < u64::from(self.config.min_samples) {
            return None;
        }
        let samples = self.answered.count() + self.censored.count();
        let percentile = match self.known {
            Some((percentile, stale_at)) if samples < stale_at => percentile,
            Some(_) | None => {
                let percentile = self.percentile();
                self.known = Some((percentile, samples + samples / 20 + 1));
                percentile
            }
        };
        Some(percentile.max(self.config.min_delay))
    }

    /// How many hedges a call may have.
    #[must_use]
    pub const fn max_hedges(&self) -> u8 {
        self.config.max_hedges
    }

    /// Lets samples lose weight for the time that has passed; a clock set back starts a new
    /// half-life.
    fn age(&mut self, now: Instant) {
        let first = self.first.filter(|first| *first <= now);
        if first.is_none() || now < self.halved {
            self.first = Some(now);
            self.halved = now;
        }
        let half_life = nanos(self.config.half_life);
        let times = nanos(now.since(self.halved)) / half_life;
        if times > 0 {
            let times = u32::try_from(times).unwrap_or(u32::MAX);
            self.answered.decay(times);
            self.censored.decay(times);
            let into = nanos(now.since(self.halved)) % half_life;
            self.halved = Instant::from_nanos(now.as_nanos() - into);
            self.known = None;
        }
    }

    /// The product-limit estimate of the percentile, with `S` in parts of 2⁶².
    fn percentile(&self) -> Duration {
        const ONE: u64 = 1 << 62;
        let longest = self.answered.max().max(self.censored.max());
        let target = ONE - self.config.percentile.times(ONE);
        let mut at_risk = self.answered.count() + self.censored.count();
        let mut survivors = ONE;
        let mut censored = self.censored.buckets().peekable();
        for bucket in self.answered.buckets() {
            // Whoever was cancelled in an earlier bucket is no longer at risk in this one.
            while let Some(gone) = censored.next_if(|gone| gone.index < bucket.index) {
                at_risk -= u64::from(gone.count);
            }
            let answers = u64::from(bucket.count);
            let left = u128::from(survivors) * u128::from(at_risk - answers);
            survivors = u64::try_from(left / u128::from(at_risk)).unwrap_or(ONE);
            at_risk -= answers;
            if survivors <= target {
                return bucket.upper.min(longest);
            }
        }
        longest
    }
}

#[cfg(test)]
mod tests;
