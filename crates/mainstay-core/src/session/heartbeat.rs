//! How often a session is asked whether it is there.
//!
//! A good connection is asked seldom, a bad one often, so that its end is found soon:
//!
//! | grade | `EXCELLENT` | `GOOD`, `UNKNOWN` | `POOR` | `CRITICAL` |
//! |---|---|---|---|---|
//! | target | 25 s | 20 s | 10 s | 5 s |
//!
//! * a miss halves the interval, down to `min`;
//! * 3 good beats in a row add 5 s, up to the target of the grade;
//! * a server under stress `s` (0 to 7) multiplies intervals and slack by `1 + s`. Asking bad
//!   connections more often while the *server* is what is slow would make it slower still: so the
//!   stress wins;
//! * at most 50 s, whatever happens: the shortest idle timers on the way are 60 s;
//! * each beat is drawn within ± 10 %, the first one within one whole interval.
//!
//! Additive increase and multiplicative decrease are TCP's, the stress is Lifeguard's.

use core::time::Duration;

use crate::bits::uniform;
use crate::config::{ConfigError, Ratio, in_range};
use crate::session::quality::Quality;
use crate::time::nanos;

/// How an interval comes to its target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Pace {
    /// Halved by a miss, longer step by step.
    #[default]
    Gradual,
    /// The target of the grade, at once (seed 004).
    AtOnce,
}

/// What a [`Heartbeat`] is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct HeartbeatConfig {
    /// Interval of an `EXCELLENT` connection. Default 25 s (engine.io, Centrifuge).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub excellent: Duration,
    /// Interval of a `GOOD` one, and until there is a grade. Default 20 s.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub good: Duration,
    /// Interval of a `POOR` one. Default 10 s.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub poor: Duration,
    /// Interval of a `CRITICAL` one. Default 5 s.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub critical: Duration,
    /// The shortest interval. 100 ms to `max`. Default 5 s.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub min: Duration,
    /// The longest interval without stress. Up to `hard_max`. Default 25 s.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub max: Duration,
    /// The longest interval under stress. Up to 10 min. Default 50 s: proxies drop connections that
    /// are idle for 60 s.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub hard_max: Duration,
    /// What good beats add. Default 5 s.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub step: Duration,
    /// Good beats in a row before the interval grows. 1 to 15. Default 3.
    pub step_after: u8,
    /// How the interval comes to its target. Default gradual.
    pub pace: Pace,
    /// Share by which each beat is drawn earlier or later. 0 to 0.5. Default 0.1.
    pub jitter: Ratio,
    /// Beats a second that all sessions together may cause. From 1. Default 2000, for one core.
    pub budget: u32,
}

impl Default for HeartbeatConfig {
    fn default() -> Self {
        Self {
            excellent: Duration::from_secs(25),
            good: Duration::from_secs(20),
            poor: Duration::from_secs(10),
            critical: Duration::from_secs(5),
            min: Duration::from_secs(5),
            max: Duration::from_secs(25),
            hard_max: Duration::from_secs(50),
            step: Duration::from_secs(5),
            step_after: 3,
            pace: Pace::Gradual,
            jitter: Ratio::percent(10),
            budget: 2_000,
        }
    }
}

impl HeartbeatConfig {
    /// Seed 004's: 30 s times 1.5, 1, 0.75 or 0.5, at once.
    #[must_use]
    pub fn axon() -> Self {
        Self {
            excellent: Duration::from_secs(45),
            good: Duration::from_secs(30),
            poor: Duration::from_millis(22_500),
            critical: Duration::from_secs(15),
            min: Duration::from_secs(15),
            max: Duration::from_secs(45),
            pace: Pace::AtOnce,
            ..Self::default()
        }
    }
}

/// A checked [`HeartbeatConfig`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    config: HeartbeatConfig,
}

/// How often one session is asked, in four bytes. Exact to 10 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Rhythm {
    /// Hundredths of a second.
    interval: u16,
    good: u8,
}

/// What happened to a beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Beat {
    /// It came.
    Came,
    /// It did not.
    Missed,
}

/// By how much intervals grow so that all sessions together stay within the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Stretch {
    /// Factor for `EXCELLENT` sessions; these give first. At least 1.
    pub excellent: Ratio,
    /// Factor for all others. At least 1.
    pub others: Ratio,
}

impl Default for Stretch {
    fn default() -> Self {
        Self { excellent: Ratio::ONE, others: Ratio::ONE }
    }
}

impl Stretch {
    /// The factor for a session of this grade.
    #[must_use]
    pub const fn of(self, quality: Quality) -> Ratio {
        match quality {
            Quality::Excellent => self.excellent,
            Quality::Unknown | Quality::Critical | Quality::Poor | Quality::Good => self.others,
        }
    }
}

impl Rhythm {
    /// The interval, before stress and stretch.
    #[must_use]
    pub const fn interval(self) -> Duration {
        Duration::from_millis(self.interval as u64 * 10)
    }
}

impl Heartbeat {
    /// Checks `config` once, so that no later call can fail.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field outside what its documentation allows.
    pub fn new(config: &HeartbeatConfig) -> Result<Self, ConfigError> {
        let longest = Duration::from_secs(600);
        in_range("hard_max", config.hard_max, Duration::from_millis(100), longest)?;
        in_range("max", config.max, Duration::from_millis(100), config.hard_max)?;
        in_range("min", config.min, Duration::from_millis(100), config.max)?;
        for (field, value) in [
            ("excellent", config.excellent),
            ("good", config.good),
            ("poor", config.poor),
            ("critical", config.critical),
        ] {
            in_range(field, value, config.min, config.max)?;
        }
        in_range("step", config.step, Duration::from_millis(10), config.max)?;
        in_range("step_after", config.step_after, 1, 15)?;
        in_range("jitter", config.jitter, Ratio::ZERO, Ratio::percent(50))?;
        in_range("budget", config.budget, 1, 1_000_000_000)?;
        Ok(Self { config: *config })
    }

    /// How often a new session is asked.
    #[must_use]
    pub fn start(&self) -> Rhythm {
        Rhythm { interval: hundredths(self.target(Quality::Unknown)), good: 0 }
    }

    /// How often it is asked after this beat, now that it is of this grade.
    #[must_use]
    pub fn next(&self, rhythm: Rhythm, beat: Beat, quality: Quality) -> Rhythm {
        let target = hundredths(self.target(quality));
        let (min, step) = (hundredths(self.config.min), hundredths(self.config.step));
        match (self.config.pace, beat) {
            (Pace::AtOnce, Beat::Came | Beat::Missed) => Rhythm { interval: target, good: 0 },
            (Pace::Gradual, Beat::Missed) => {
                Rhythm { interval: (rhythm.interval / 2).min(target).max(min), good: 0 }
            }
            (Pace::Gradual, Beat::Came) => {
                let good = rhythm.good + 1;
                if good < self.config.step_after {
                    return Rhythm { interval: rhythm.interval.min(target), good };
                }
                Rhythm { interval: rhythm.interval.saturating_add(step).min(target), good: 0 }
            }
        }
    }

    /// The interval in use: stretched, then times `1 + stress`, and never above the hard maximum.
    #[must_use]
    pub fn effective(&self, rhythm: Rhythm, stretch: Ratio, stress: u8) -> Duration {
        let stretched = stretch.max(Ratio::ONE).times(nanos(rhythm.interval()));
        let stressed = stretched.saturating_mul(1 + u64::from(stress.min(7)));
        let effective = Duration::from_nanos(stressed).min(self.config.hard_max);
        // What the peer is told is what is used: whole hundredths.
        Duration::from_millis(u64::from(hundredths(effective)) * 10)
    }

    /// `interval`, drawn earlier or later by the configured share.
    #[must_use]
    pub fn jittered(&self, interval: Duration, bits: u64) -> Duration {
        let middle = nanos(interval);
        let spread = self.config.jitter.times(middle);
        Duration::from_nanos(middle - spread + uniform(bits, spread * 2))
    }

    /// When the first beat is due: anywhere within one interval.
    #[must_use]
    pub fn first(&self, interval: Duration, bits: u64) -> Duration {
        Duration::from_nanos(uniform(bits, nanos(interval)))
    }

    /// By how much to stretch when sessions cause so many beats in 1000 seconds.
    ///
    /// `EXCELLENT` ones give first, up to the hard maximum; what that does not save, all others do.
    #[must_use]
    pub fn stretch(&self, excellent: u64, others: u64) -> Stretch {
        let budget = u64::from(self.config.budget) * 1_000;
        if excellent.saturating_add(others) <= budget {
            return Stretch::default();
        }
        let most = Ratio::of(nanos(self.config.hard_max), nanos(self.config.min));
        let left = budget.saturating_sub(others);
        let first = grown(excellent, left).min(most);
        let rest =
            budget.saturating_sub(excellent.saturating_mul(1_000_000) / u64::from(first.ppm()));
        Stretch { excellent: first, others: grown(others, rest).min(most) }
    }

    const fn target(&self, quality: Quality) -> Duration {
        match quality {
            Quality::Excellent => self.config.excellent,
            Quality::Good | Quality::Unknown => self.config.good,
            Quality::Poor => self.config.poor,
            Quality::Critical => self.config.critical,
        }
    }
}

/// The factor at least 1 that brings `rate` down to `allowed`.
fn grown(rate: u64, allowed: u64) -> Ratio {
    if rate <= allowed {
        return Ratio::ONE;
    }
    if allowed == 0 {
        return Ratio::from_ppm(u32::MAX);
    }
    // Rounded up, so that the budget holds.
    let ppm = (u128::from(rate) * 1_000_000).div_ceil(u128::from(allowed));
    Ratio::from_ppm(u32::try_from(ppm).unwrap_or(u32::MAX))
}

fn hundredths(interval: Duration) -> u16 {
    u16::try_from(interval.as_millis() / 10).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests;
