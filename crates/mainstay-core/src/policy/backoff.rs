//! How long to wait before the next attempt.
//!
//! Retrying at once turns one failure into a storm; retrying in step turns it into waves. So a wait
//! grows with every attempt, and is drawn at random below a ceiling (Brooker, *Exponential Backoff
//! And Jitter*, AWS Architecture Blog, 2015).
//!
//! For attempt `n` (the wait before the first retry is `n` = 1) the *ceiling* is
//!
//! | strategy | ceiling |
//! |---|---|
//! | fixed | `base` |
//! | linear | `base + increment × (n − 1)` |
//! | exponential | `base × factorⁿ⁻¹` |
//! | decorrelated | `3 × previous wait`, never below `base` |
//! | adaptive | exponential, moved towards `cap` by the endpoint's [`Pressure`] |
//!
//! and never above `cap`. The jitter is drawn **below** the capped ceiling, so that waits stay
//! spread at the cap and none ever passes it.
//!
//! *Adaptive* moves along the logarithm: pressure 0 is the exponential ceiling, pressure 1 is `cap`,
//! and one half lies as many doublings from the one as from the other. A first attempt against an
//! endpoint known to be in trouble does therefore not start at `base`. With full jitter and no
//! pressure it equals exponential backoff with full jitter, draw by draw.

use core::time::Duration;

use crate::bits::uniform;
use crate::config::{ConfigError, Ratio, duration_from, in_range};
use crate::policy::pressure::Pressure;
use crate::time::nanos;

/// How the ceiling of the wait grows from attempt to attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Strategy {
    /// The same every time.
    Fixed,
    /// By the same amount every time.
    Linear,
    /// By the same factor every time.
    #[default]
    Exponential,
    /// Drawn between `base` and three times the previous wait. Its draw is its jitter.
    Decorrelated,
    /// Exponential, and sooner near the cap the more trouble the endpoint is known to be in.
    Adaptive,
}

/// How a wait is drawn below its ceiling `d`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Jitter {
    /// Exactly `d`.
    None,
    /// From `0..=d`: spreads best.
    #[default]
    Full,
    /// From `d/2..=d`: spreads, and never hammers.
    Equal,
    /// From `d(1−r)..=d(1+r)`, with `d` lowered to `cap/(1+r)` so that the cap holds and no pile
    /// forms at it.
    Ratio(Ratio),
}

/// What a [`Backoff`] is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct BackoffConfig {
    /// How the ceiling grows. Default exponential.
    pub strategy: Strategy,
    /// Ceiling of the first wait. Default 50 ms (AWS SDK retry rules of 2026).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub base: Duration,
    /// Ceiling of every wait. Default 20 s (AWS SDK retry rules of 2026).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub cap: Duration,
    /// Growth of exponential and adaptive ceilings. 1 to 100. Default 2.
    pub factor: Ratio,
    /// Growth of linear ceilings. Default: `base` (seeds 003 and 004).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration::option"))]
    pub increment: Option<Duration>,
    /// How the wait is drawn. Default full.
    pub jitter: Jitter,
}

impl Default for BackoffConfig {
    fn default() -> Self {
        Self {
            strategy: Strategy::Exponential,
            base: Duration::from_millis(50),
            cap: Duration::from_secs(20),
            factor: Ratio::percent(200),
            increment: None,
            jitter: Jitter::Full,
        }
    }
}

/// A checked [`BackoffConfig`]: a total function from attempt and bits to a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    strategy: Strategy,
    jitter: Jitter,
    base: u64,
    cap: u64,
    increment: u64,
    factor: Ratio,
}

impl Backoff {
    /// Checks `config` once, so that no later call can fail.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `base` is zero or above `cap`, `factor` is outside 1 to 100, or a
    /// jitter ratio is above 1.
    pub fn new(config: &BackoffConfig) -> Result<Self, ConfigError> {
        let base = duration_from("base", config.base, Duration::from_nanos(1))?;
        let cap = duration_from("cap", config.cap, base)?;
        in_range("factor", config.factor, Ratio::ONE, Ratio::percent(10_000))?;
        if let Jitter::Ratio(ratio) = config.jitter {
            in_range("jitter.ratio", ratio, Ratio::ZERO, Ratio::ONE)?;
        }
        let increment = config.increment.unwrap_or(base);
        duration_from("increment", increment, Duration::ZERO)?;
        Ok(Self {
            strategy: config.strategy,
            jitter: config.jitter,
            base: nanos(base),
            cap: nanos(cap),
            increment: nanos(increment),
            factor: config.factor,
        })
    }

    /// An exponential backoff spread by ± `jitter`, of parts that were checked elsewhere.
    pub(crate) const fn spread(base: u64, cap: u64, factor: Ratio, jitter: Ratio) -> Self {
        let (strategy, jitter) = (Strategy::Exponential, Jitter::Ratio(jitter));
        Self { strategy, jitter, base, cap, increment: 0, factor }
    }

    /// The wait before retry `attempt` (the first is 1; 0 counts as 1), drawn with 64 random `bits`.
    ///
    /// `previous` is the wait before the attempt that just failed (zero when there was none); only
    /// the decorrelated strategy looks at it. Only the adaptive strategy looks at `pressure`.
    #[must_use]
    pub fn delay(
        &self,
        attempt: u32,
        previous: Duration,
        pressure: Pressure,
        bits: u64,
    ) -> Duration {
        let attempt = attempt.max(1);
        let drawn = match self.strategy {
            Strategy::Fixed => self.draw(self.base, bits),
            Strategy::Linear => {
                let grown = self.increment.saturating_mul(u64::from(attempt - 1));
                self.draw(self.base.saturating_add(grown), bits)
            }
            Strategy::Exponential => self.draw(self.exponential(attempt), bits),
            Strategy::Adaptive => {
                self.draw(pressure.lift(self.exponential(attempt), self.cap), bits)
            }
            Strategy::Decorrelated => {
                let highest = nanos(previous).saturating_mul(3).clamp(self.base, self.cap);
                self.base + uniform(bits, highest - self.base)
            }
        };
        Duration::from_nanos(drawn)
    }

    /// Whether the waits grow with the endpoint's pressure.
    #[must_use]
    pub const fn is_adaptive(&self) -> bool {
        matches!(self.strategy, Strategy::Adaptive)
    }

    /// The ceiling of every wait.
    #[must_use]
    pub const fn cap(&self) -> Duration {
        Duration::from_nanos(self.cap)
    }

    /// Draws below `ceiling`, cap first.
    fn draw(&self, ceiling: u64, bits: u64) -> u64 {
        let capped = ceiling.min(self.cap);
        match self.jitter {
            Jitter::None => capped,
            Jitter::Full => uniform(bits, capped),
            Jitter::Equal => capped - capped / 2 + uniform(bits, capped / 2),
            Jitter::Ratio(ratio) => {
                let whole = u128::from(self.cap) * 1_000_000;
                let room = whole / u128::from(1_000_000 + ratio.ppm());
                let middle = capped.min(u64::try_from(room).unwrap_or(self.cap));
                let spread = ratio.times(middle);
                middle - spread + uniform(bits, spread.saturating_mul(2))
            }
        }
    }

    /// `base × factorⁿ⁻¹`, held at the cap; at most 64 steps, since a factor above 1 that doubles
    /// more slowly than that is multiplied by squaring.
    fn exponential(&self, attempt: u32) -> u64 {
        let mut exponent = attempt - 1;
        if self.factor == Ratio::percent(200) {
            let doubled = 1_u64.checked_shl(exponent).unwrap_or(u64::MAX);
            return self.base.saturating_mul(doubled).min(self.cap);
        }
        // Square and multiply in millionths. What saturates lies far above any cap.
        let mut value = u128::from(self.base) * 1_000_000;
        let mut power = u128::from(self.factor.ppm());
        let cap = u128::from(self.cap) * 1_000_000;
        while exponent > 0 && value < cap {
            if exponent & 1 == 1 {
                value = value.saturating_mul(power) / 1_000_000;
            }
            power = power.saturating_mul(power) / 1_000_000;
            exponent >>= 1;
        }
        u64::try_from(value.min(cap) / 1_000_000).unwrap_or(self.cap)
    }
}

#[cfg(test)]
mod tests;
