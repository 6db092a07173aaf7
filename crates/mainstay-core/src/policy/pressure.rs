//! How much trouble an endpoint is known to be in, as one number from 0 to 1.
//!
//! Retries that start at the base delay treat a peer known to be down like one that just hiccuped.
//! Pressure is what all calls of one endpoint have learnt together, and adaptive backoff
//! ([`crate::policy::backoff::Strategy::Adaptive`]) waits accordingly.
//!
//! Pressure is the **largest** of four shares, so that the cause can be named:
//!
//! * *failures*: the share of failed attempts in the endpoint's window;
//! * *latency*: 0 at the baseline, 1 at [`LATENCY_FULL`] times the baseline, linear between;
//! * *hint*: the rest of the pause the server asked for, as a share of the cap;
//! * *load*: the scheduling lag of our own process, 1 at [`LAG_FULL`].

use core::time::Duration;

use crate::config::Ratio;
use crate::time::nanos;

/// Latency at which its share of pressure is full, as a multiple of the baseline.
pub const LATENCY_FULL: u32 = 4;

/// Scheduling lag at which its share of pressure is full.
///
/// 100 ms: a runtime that is this late can no longer keep a promise made to a person.
pub const LAG_FULL: Duration = Duration::from_millis(100);

/// How much trouble an endpoint is known to be in, from none to full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct Pressure(Ratio);

/// What pressure is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Sources {
    /// Share of failed attempts in the endpoint's window.
    pub failures: Ratio,
    /// Smoothed latency now; zero when unknown.
    pub latency: Duration,
    /// Latency of good times; zero when unknown.
    pub baseline: Duration,
    /// What is left of the pause the server asked for.
    pub hint: Duration,
    /// The longest wait of the backoff, against which the hint is measured.
    pub cap: Duration,
    /// How late our own timers fire.
    pub lag: Duration,
}

impl Pressure {
    /// No trouble known.
    pub const NONE: Self = Self(Ratio::ZERO);
    /// As much trouble as there can be.
    pub const FULL: Self = Self(Ratio::ONE);

    /// The pressure `share`, held at 1.
    #[must_use]
    pub fn new(share: Ratio) -> Self {
        Self(share.min(Ratio::ONE))
    }

    /// The largest share among `sources`.
    #[must_use]
    pub fn from_sources(sources: &Sources) -> Self {
        let baseline = nanos(sources.baseline);
        let over = nanos(sources.latency).saturating_sub(baseline);
        let room = baseline.saturating_mul(u64::from(LATENCY_FULL - 1));
        let latency = Ratio::of(over, room);
        let hint = Ratio::of(nanos(sources.hint), nanos(sources.cap));
        let load = Ratio::of(nanos(sources.lag), nanos(LAG_FULL));
        Self::new(sources.failures.max(latency).max(hint).max(load))
    }

    /// As a share from 0 to 1.
    #[must_use]
    pub const fn share(self) -> Ratio {
        self.0
    }

    /// Moves `low` towards `high` along the logarithm by this share.
    ///
    /// The logarithm is piecewise linear between powers of two (at most 6 % off the true one, and
    /// exact at both ends), so that the answer is the same on every platform.
    #[must_use]
    pub fn lift(self, low: u64, high: u64) -> u64 {
        if self.0 == Ratio::ZERO || low >= high {
            return low;
        }
        let (from, to) = (log2(low), log2(high));
        exp2(from + self.0.times(to - from)).clamp(low, high)
    }
}

/// log₂ of `value` (at least 1) with 32 fractional bits, linear between powers of two.
fn log2(value: u64) -> u64 {
    let value = value.max(1);
    let whole = u64::from(value.ilog2());
    let mantissa = value << (63 - whole) << 1;
    (whole << 32) | (mantissa >> 32)
}

/// The inverse of [`log2`], rounded down.
fn exp2(log: u64) -> u64 {
    let whole = log >> 32;
    let mantissa = (1_u128 << 32) | u128::from(log & 0xFFFF_FFFF);
    u64::try_from((mantissa << whole) >> 32).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_source_is_the_pressure() {
        let calm = Sources { cap: Duration::from_secs(20), ..Sources::default() };
        assert_eq!(Pressure::from_sources(&calm), Pressure::NONE);
        let failing = Sources { failures: Ratio::percent(30), ..calm };
        assert_eq!(Pressure::from_sources(&failing).share(), Ratio::percent(30));
        let slow = Sources {
            latency: Duration::from_millis(250),
            baseline: Duration::from_millis(100),
            ..failing
        };
        assert_eq!(Pressure::from_sources(&slow).share(), Ratio::percent(50));
        let hinted = Sources { hint: Duration::from_secs(15), ..slow };
        assert_eq!(Pressure::from_sources(&hinted).share(), Ratio::percent(75));
        let late = Sources { lag: Duration::from_secs(1), ..hinted };
        assert_eq!(Pressure::from_sources(&late), Pressure::FULL);
    }

    proptest::proptest! {
        #[test]
        fn a_lift_is_bounded_and_grows_with_pressure(
            low: u64, high: u64, small in 0..=1_000_000_u32, more in 0..=1_000_000_u32,
        ) {
            let (low, high) = (low.min(high), low.max(high));
            let lift = |ppm| Pressure::new(Ratio::from_ppm(ppm)).lift(low, high);
            let (first, second) = (lift(small.min(more)), lift(small.max(more)));
            proptest::prop_assert!(low <= first && first <= second && second <= high);
            proptest::prop_assert_eq!(lift(0), low);
        }
    }

    #[test]
    fn a_full_lift_reaches_the_top_of_a_power_of_two() {
        assert_eq!(Pressure::FULL.lift(1 << 10, 1 << 40), 1 << 40);
        assert_eq!(Pressure::new(Ratio::percent(50)).lift(1 << 10, 1 << 40), 1 << 25);
    }
}
