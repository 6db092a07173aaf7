//! How many calls at the same time a peer can take, found out by watching it.
//!
//! A fixed bound on concurrency is right on the day it was measured. But a peer shows where its
//! bound is: beyond it, calls queue up inside it and every call takes longer (Little's law). So the
//! limit is moved by what calls report, as TCP moves its window. [`AdaptiveLimit`] computes the
//! number; a [`Bulkhead`](crate::policy::bulkhead::Bulkhead) enforces it (`resize`).
//!
//! | algorithm | looks at | new limit |
//! |---|---|---|
//! | AIMD | drops | `limit + 1` per round; `limit × backoff` on a drop |
//! | Vegas | `queue = limit × (1 − base / rtt)` | `+ 6g` up to `g`, `+ g` below `3g`, `− g` above `6g` |
//! | Gradient2 | `gradient = tolerance × long / rtt` | `limit × gradient + queue`, smoothed |
//!
//! A *round* is `limit` calls; `g = max(1, ⌊log₁₀ limit⌋)`; the gradient is held within ½ and 1.
//!
//! `rtt` is the mean round trip of one *window* of calls, `base` the least window mean since the
//! last probe, `long` an average over about 600 windows. The formulas are those of Netflix
//! concurrency-limits, in integers: limits count in thousandths.
//!
//! What protects them from wrong conclusions:
//! * only calls that the peer answered are samples; a timeout or a plea for less is a *drop*,
//!   anything else (cancelled, rejected here, failed at once) is ignored. A window with a drop is
//!   not compared with anything: Vegas goes down by one step, Gradient2 towards half;
//! * a limit that was not used, in flight less than half of it, does not grow;
//! * a call begun before the last cut of AIMD cuts no second time: many losses of one moment are
//!   one;
//! * Vegas forgets `base` when it is 30 × limit windows old, so that neither a lucky nor a bad hour
//!   is taken for the peer's nature for ever; Gradient2 lowers `long` by 5 % for each window below
//!   half of it;
//! * a round trip of zero counts as one nanosecond.

use core::time::Duration;

use crate::config::{ConfigError, Ratio, duration_from, in_range};
use crate::policy::outcome::Outcome;
use crate::time::{Instant, nanos};

/// What an [`AdaptiveLimit`] is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct AdaptiveLimitConfig {
    /// How the limit is moved. Default Gradient2.
    pub algorithm: Algorithm,
    /// Limit to begin with. Default 20 (Netflix).
    pub initial: u32,
    /// Lowest limit, at least 1. Default 1: a peer that can take only one call is still served.
    pub min: u32,
    /// Highest limit, at most a million. Default 200 (Netflix).
    pub max: u32,
    /// How long a window of samples is at least; AIMD has none. Default 1 s (Netflix).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub window: Duration,
    /// How many samples a window has at least. 1 to 10 000. Default 10 (Netflix).
    pub window_samples: u32,
}

impl Default for AdaptiveLimitConfig {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::default(),
            initial: 20,
            min: 1,
            max: 200,
            window: Duration::from_secs(1),
            window_samples: 10,
        }
    }
}

/// How an adaptive limit is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Algorithm {
    /// Additive increase, multiplicative decrease.
    Aimd {
        /// What a drop leaves of the limit. 0.5 to 0.99. Netflix: 0.9.
        backoff: Ratio,
    },
    /// By the estimated queue inside the peer.
    Vegas,
    /// By the ratio of long-term to present round trips.
    Gradient2 {
        /// How much slower than long-term is still fine. 1 to 10. Netflix: 1.5.
        tolerance: Ratio,
        /// Share of the way to the new limit taken per window. Up to 1. Netflix: 0.2.
        smoothing: Ratio,
        /// Calls that may queue in the peer. Up to 1000. Netflix: 4.
        queue: u32,
    },
}

impl Algorithm {
    /// AIMD with Netflix's numbers.
    pub const AIMD: Self = Self::Aimd { backoff: Ratio::percent(90) };
    /// Gradient2 with Netflix's numbers.
    pub const GRADIENT2: Self =
        Self::Gradient2 { tolerance: Ratio::percent(150), smoothing: Ratio::percent(20), queue: 4 };
}

impl Default for Algorithm {
    fn default() -> Self {
        Self::GRADIENT2
    }
}

/// What a finished call says about the peer's capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Completion {
    /// It was answered; its round trip is a sample.
    Answered,
    /// It timed out or was pushed back: too much.
    Dropped,
    /// Nothing.
    Ignored,
}

impl Completion {
    /// What an outcome says. A timeout is an outcome like others, so say whether it was one.
    #[must_use]
    pub const fn of(outcome: Outcome, timed_out: bool) -> Self {
        match outcome {
            Outcome::Success | Outcome::Refused => Self::Answered,
            Outcome::Throttled { .. } => Self::Dropped,
            Outcome::Transient { .. } | Outcome::Permanent | Outcome::Elsewhere => {
                if timed_out {
                    Self::Dropped
                } else {
                    Self::Ignored
                }
            }
            Outcome::Rejected { .. } | Outcome::Abandoned | Outcome::Mistake => Self::Ignored,
        }
    }
}

/// One finished call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Finished {
    /// What it says.
    pub completion: Completion,
    /// How long it took.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub round_trip: Duration,
    /// How many calls were in flight when it began, itself included.
    pub in_flight: u32,
}

/// A limit on calls at the same time that follows the peer.
#[derive(Clone, Debug)]
pub struct AdaptiveLimit {
    config: AdaptiveLimitConfig,
    /// In thousandths.
    limit: u64,
    window: Window,
    baseline: Baseline,
    last_cut: Option<Instant>,
}

/// The samples since `begun`.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    begun: Option<Instant>,
    answered: u32,
    dropped: u32,
    /// Of the round trips of answered calls.
    sum: u64,
    in_flight: u32,
}

/// What round trips are compared with: the least one (Vegas) or a long average (Gradient2), and how
/// many windows went into it.
#[derive(Clone, Copy, Debug, Default)]
struct Baseline {
    nanos: u64,
    age: u64,
}

const MILLI: u64 = 1000;
/// Vegas forgets its baseline after this many times `limit` windows (Netflix: 30).
const PROBE_ROUNDS: u64 = 30;
/// Windows a long average remembers (Netflix: 600), and windows until it does (Netflix: 10).
const LONG_WINDOWS: u64 = 600;
const WARM_UP_WINDOWS: u64 = 10;

impl AdaptiveLimit {
    /// A limit that begins at `initial`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when not 1 ≤ `min` ≤ `initial` ≤ `max` ≤ 1 000 000, or a number is outside
    /// what its field allows.
    pub fn new(config: &AdaptiveLimitConfig) -> Result<Self, ConfigError> {
        in_range("max", config.max, 1, 1_000_000)?;
        in_range("min", config.min, 1, config.max)?;
        in_range("initial", config.initial, config.min, config.max)?;
        duration_from("window", config.window, Duration::ZERO)?;
        in_range("window_samples", config.window_samples, 1, 10_000)?;
        match config.algorithm {
            Algorithm::Aimd { backoff } => {
                let (least, most) = (Ratio::percent(50), Ratio::percent(99));
                in_range("algorithm.aimd.backoff", backoff, least, most)?;
            }
            Algorithm::Vegas => {}
            Algorithm::Gradient2 { tolerance, smoothing, queue } => {
                let most = Ratio::percent(1000);
                in_range("algorithm.gradient2.tolerance", tolerance, Ratio::ONE, most)?;
                let least = Ratio::from_ppm(1);
                in_range("algorithm.gradient2.smoothing", smoothing, least, Ratio::ONE)?;
                in_range("algorithm.gradient2.queue", queue, 0, 1000)?;
            }
        }
        Ok(Self {
            config: *config,
            limit: u64::from(config.initial) * MILLI,
            window: Window::default(),
            baseline: Baseline::default(),
            last_cut: None,
        })
    }

    /// The limit now.
    #[must_use]
    pub fn limit(&self) -> u32 {
        u32::try_from(self.limit / MILLI).unwrap_or(u32::MAX)
    }

    /// Takes a finished call into account and answers the limit that holds from now on.
    #[must_use]
    pub fn record(&mut self, now: Instant, call: Finished) -> u32 {
        let dropped = match call.completion {
            Completion::Answered => false,
            Completion::Dropped => true,
            Completion::Ignored => return self.limit(),
        };
        let round_trip = nanos(call.round_trip).max(1);
        match self.config.algorithm {
            Algorithm::Aimd { backoff } => self.aimd(now, call, dropped, backoff),
            Algorithm::Vegas | Algorithm::Gradient2 { .. } => {
                self.window.add(now, round_trip, call.in_flight, dropped);
                self.close_window(now);
            }
        }
        self.limit()
    }

    fn aimd(&mut self, now: Instant, call: Finished, dropped: bool, backoff: Ratio) {
        if dropped {
            // A cut later than now is the trace of a clock set back.
            let cut = self.last_cut.filter(|cut| *cut <= now);
            let begun = now.as_nanos().saturating_sub(nanos(call.round_trip));
            if cut.is_none_or(|cut| cut.as_nanos() <= begun) {
                self.last_cut = Some(now);
                self.set(backoff.times(self.limit));
            }
        } else if self.is_used(call.in_flight) {
            self.set(self.limit + (MILLI * MILLI / self.limit).max(1));
        }
    }

    fn close_window(&mut self, now: Instant) {
        let Window { begun, answered, dropped, sum, in_flight } = self.window;
        let open = begun.is_some_and(|begun| now.since(begun) < self.config.window);
        if open || answered.saturating_add(dropped) < self.config.window_samples {
            return;
        }
        self.window = Window::default();
        // Without an answer there is no mean, but there are drops then.
        let mean = sum.checked_div(u64::from(answered)).unwrap_or(0).max(1);
        match self.config.algorithm {
            Algorithm::Aimd { .. } => {}
            Algorithm::Vegas if dropped > 0 => self.set(self.limit.saturating_sub(self.step())),
            Algorithm::Vegas => self.vegas(mean, in_flight),
            Algorithm::Gradient2 { tolerance, smoothing, queue } => {
                let target = if dropped > 0 {
                    self.limit / 2
                } else {
                    self.gradient2(mean, in_flight, tolerance, queue)
                };
                let step = smoothing.times(self.limit.abs_diff(target));
                self.set(if target > self.limit { self.limit + step } else { self.limit - step });
            }
        }
    }

    /// The step of Vegas: max(1, ⌊log₁₀ limit⌋).
    fn step(&self) -> u64 {
        MILLI * u64::from((self.limit / MILLI).max(1).ilog10()).max(1)
    }

    fn vegas(&mut self, mean: u64, in_flight: u32) {
        let step = self.step();
        self.baseline.age = self.baseline.age.saturating_add(1);
        let probe = self.baseline.age >= PROBE_ROUNDS * (self.limit / MILLI);
        if self.baseline.nanos == 0 || probe || mean < self.baseline.nanos {
            self.baseline = Baseline { nanos: mean, age: 0 };
        } else if self.is_used(in_flight) {
            // limit × (1 − base / rtt)
            let queue = Ratio::of(mean - self.baseline.nanos, mean).times(self.limit);
            if queue <= step {
                self.set(self.limit + 6 * step);
            } else if queue < 3 * step {
                self.set(self.limit + step);
            } else if queue > 6 * step {
                self.set(self.limit.saturating_sub(step));
            }
        }
    }

    /// The limit to move towards.
    fn gradient2(&mut self, mean: u64, in_flight: u32, tolerance: Ratio, queue: u32) -> u64 {
        let long = &mut self.baseline;
        long.age = long.age.saturating_add(1);
        // The first windows count alike, later ones as 2 in 601 (an average over 600).
        let share = if long.age <= WARM_UP_WINDOWS {
            Ratio::of(1, long.age)
        } else {
            Ratio::of(2, LONG_WINDOWS + 1)
        };
        let step = share.times(long.nanos.abs_diff(mean));
        long.nanos = if mean > long.nanos { long.nanos + step } else { long.nanos - step };
        if long.nanos / 2 > mean {
            long.nanos = long.nanos / 100 * 95;
        }
        let gradient = Ratio::of(tolerance.times(long.nanos), mean);
        let gradient = gradient.clamp(Ratio::percent(50), Ratio::ONE);
        let target = gradient.times(self.limit) + u64::from(queue) * MILLI;
        if self.is_used(in_flight) { target } else { target.min(self.limit) }
    }

    /// Whether at least half of the limit was in use: only then does a success say that more would
    /// do.
    fn is_used(&self, in_flight: u32) -> bool {
        u64::from(in_flight) * 2 * MILLI >= self.limit
    }

    fn set(&mut self, limit: u64) {
        let bounds = (u64::from(self.config.min) * MILLI, u64::from(self.config.max) * MILLI);
        self.limit = limit.clamp(bounds.0, bounds.1);
    }
}

impl Window {
    fn add(&mut self, now: Instant, round_trip: u64, in_flight: u32, dropped: bool) {
        // A window that begins later than now is the trace of a clock set back.
        let begun = self.begun.filter(|begun| *begun <= now);
        self.begun = Some(begun.unwrap_or(now));
        self.in_flight = self.in_flight.max(in_flight);
        if dropped {
            self.dropped = self.dropped.saturating_add(1);
        } else {
            self.answered = self.answered.saturating_add(1);
            self.sum = self.sum.saturating_add(round_trip);
        }
    }
}

#[cfg(test)]
mod tests;
