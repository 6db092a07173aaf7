//! Averages that forget: one number that follows a noisy one.
//!
//! An *exponentially weighted* average moves towards each sample by a fixed share `w` of the
//! distance: `average ← average + w × (sample − average)`. The last `1/w` samples carry about two
//! thirds of the weight. No history is kept.
//!
//! [`Rtt`] keeps two such averages, as TCP does (RFC 6298, section 2):
//!
//! | value | first sample `R` | every further sample |
//! |---|---|---|
//! | variation | `R / 2` | `¾ × variation + ¼ × abs(smoothed − R)` |
//! | smoothed | `R` | `⅞ × smoothed + ⅛ × R` |
//!
//! The time after which an answer is overdue is `smoothed + max(granularity, 4 × variation)`.
//! Everything is in whole nanoseconds; rounding costs less than 8 ns.

use core::time::Duration;

use crate::config::{ConfigError, Ratio, in_range};
use crate::time::nanos;

/// Smoothed round-trip time, its variation and the least one seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Rtt(Option<Averages>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Averages {
    smoothed: u64,
    variation: u64,
    min: u64,
    last: u64,
}

impl Rtt {
    /// Nothing measured yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(None)
    }

    /// Takes one round trip into account.
    pub fn record(&mut self, round_trip: Duration) {
        let sample = nanos(round_trip);
        self.0 = Some(match self.0 {
            None => Averages { smoothed: sample, variation: sample / 2, min: sample, last: sample },
            Some(Averages { smoothed, variation, min, .. }) => Averages {
                smoothed: blend(smoothed, sample, 3),
                variation: blend(variation, smoothed.abs_diff(sample), 2),
                min: min.min(sample),
                last: sample,
            },
        });
    }

    /// The smoothed round trip; none before the first sample.
    #[must_use]
    pub fn smoothed(&self) -> Option<Duration> {
        self.0.map(|a| Duration::from_nanos(a.smoothed))
    }

    /// By how much round trips differ from the smoothed one (mean deviation).
    #[must_use]
    pub fn variation(&self) -> Option<Duration> {
        self.0.map(|a| Duration::from_nanos(a.variation))
    }

    /// The shortest round trip ever recorded.
    #[must_use]
    pub fn min(&self) -> Option<Duration> {
        self.0.map(|a| Duration::from_nanos(a.min))
    }

    /// The latest round trip.
    #[must_use]
    pub fn last(&self) -> Option<Duration> {
        self.0.map(|a| Duration::from_nanos(a.last))
    }

    /// When an answer is overdue: smoothed + max(`granularity`, 4 × variation).
    #[must_use]
    pub fn timeout(&self, granularity: Duration) -> Option<Duration> {
        self.0.map(|a| {
            let slack = a.variation.saturating_mul(4).max(nanos(granularity));
            Duration::from_nanos(a.smoothed.saturating_add(slack))
        })
    }
}

/// `old` moved towards `sample` by a share of `1 / 2^shift`.
const fn blend(old: u64, sample: u64, shift: u32) -> u64 {
    (old - (old >> shift)).saturating_add(sample >> shift)
}

/// A plain exponentially weighted average of any non-negative number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Ewma {
    weight: Ratio,
    value: Option<u64>,
}

impl Ewma {
    /// An average that moves towards each sample by the share `weight`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `weight` is zero or above 1.
    pub fn new(weight: Ratio) -> Result<Self, ConfigError> {
        let weight = in_range("weight", weight, Ratio::from_ppm(1), Ratio::ONE)?;
        Ok(Self { weight, value: None })
    }

    /// Takes one sample into account; the first one is taken whole.
    ///
    /// A step is at least 1 while sample and average differ, so that an average never hangs a
    /// little beside a constant sample.
    pub fn record(&mut self, sample: u64) {
        let value = self.value.map_or(sample, |old| {
            let distance = old.abs_diff(sample);
            let step = self.weight.times(distance).max(1).min(distance);
            if sample > old { old + step } else { old - step }
        });
        self.value = Some(value);
    }

    /// The average; none before the first sample.
    #[must_use]
    pub const fn value(&self) -> Option<u64> {
        self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rtt(samples_ms: &[u64]) -> Rtt {
        let mut rtt = Rtt::new();
        for ms in samples_ms {
            rtt.record(Duration::from_millis(*ms));
        }
        rtt
    }

    #[test]
    fn the_first_round_trip_is_the_average_and_half_of_it_the_variation() {
        assert_eq!(Rtt::new().smoothed(), None);
        let first = rtt(&[100]);
        assert_eq!(first.smoothed(), Some(Duration::from_millis(100)));
        assert_eq!(first.variation(), Some(Duration::from_millis(50)));
        assert_eq!(first.timeout(Duration::ZERO), Some(Duration::from_millis(300)));
    }

    #[test]
    fn further_round_trips_follow_rfc_6298() {
        let second = rtt(&[100, 180]);
        assert_eq!(second.smoothed(), Some(Duration::from_millis(110)));
        assert_eq!(second.variation(), Some(Duration::from_micros(57_500)));
        assert_eq!(second.min(), Some(Duration::from_millis(100)));
        assert_eq!(second.last(), Some(Duration::from_millis(180)));
    }

    #[test]
    fn a_steady_link_is_given_the_granularity_as_slack() {
        let steady = rtt(&[100; 200]);
        let timeout = steady.timeout(Duration::from_millis(20)).unwrap();
        assert!(timeout.as_nanos().abs_diff(120_000_000) < 64, "{timeout:?}");
    }

    #[test]
    fn b28_a_weight_of_nothing_or_of_more_than_the_whole_is_refused() {
        assert_eq!(Ewma::new(Ratio::ZERO).unwrap_err().field, "weight");
        assert_eq!(Ewma::new(Ratio::percent(101)).unwrap_err().field, "weight");
    }

    proptest::proptest! {
        #[test]
        fn averages_stay_within_their_samples(
            samples in proptest::collection::vec(proptest::prelude::any::<u64>(), 1..50),
            ppm in 1..=1_000_000_u32,
        ) {
            let mut plain = Ewma::new(Ratio::from_ppm(ppm)).unwrap();
            let mut smooth = Rtt::new();
            for sample in &samples {
                plain.record(*sample);
                smooth.record(Duration::from_nanos(*sample));
            }
            let (low, high) = (*samples.iter().min().unwrap(), *samples.iter().max().unwrap());
            let value = plain.value().unwrap();
            proptest::prop_assert!(low <= value && value <= high);
            let smoothed = nanos(smooth.smoothed().unwrap());
            proptest::prop_assert!(low.saturating_sub(8) <= smoothed && smoothed <= high);
            proptest::prop_assert_eq!(smooth.min().unwrap(), Duration::from_nanos(low));
        }

        #[test]
        fn a_constant_sample_is_reached(start in 0..10_000_u64, target in 0..10_000_u64) {
            let mut plain = Ewma::new(Ratio::percent(1)).unwrap();
            plain.record(start);
            for _ in 0..2_000 {
                plain.record(target);
            }
            proptest::prop_assert_eq!(plain.value(), Some(target));
        }
    }
}
