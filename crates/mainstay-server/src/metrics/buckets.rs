//! How many samples were at most so large, in memory that does not grow.

use std::sync::atomic::{AtomicU64, Ordering};

use metrics::HistogramFn;

/// Upper bounds of durations, in seconds: those that Prometheus' own clients have.
pub(crate) const SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Upper bounds of small numbers, such as attempts.
pub(crate) const NUMBERS: &[f64] = &[1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0];

/// Counts of samples.
#[derive(Debug)]
pub(crate) struct Buckets {
    bounds: &'static [f64],
    /// One more than there are bounds: the last has what is above all.
    counts: Box<[AtomicU64]>,
    /// Bits of an `f64`.
    sum: AtomicU64,
}

/// What buckets had at one moment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) bounds: &'static [f64],
    /// Of each bucket by itself.
    pub(crate) counts: Vec<u64>,
    pub(crate) sum: f64,
}

impl Buckets {
    pub(crate) fn new(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum: AtomicU64::new(0.0_f64.to_bits()) }
    }

    /// What there is by now.
    pub(crate) fn spread(&self) -> Spread {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let sum = f64::from_bits(self.sum.load(Ordering::Relaxed));
        Spread { bounds: self.bounds, counts, sum }
    }

    /// One sample. Sums only grow, so what is negative or no number is left out.
    pub(crate) fn observe(&self, value: f64) {
        if !value.is_finite() || value < 0.0 {
            return;
        }
        let place = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let add = |bits| Some((f64::from_bits(bits) + value).to_bits());
        // It never gives up, since there is always a sum.
        let _before = self.sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }
}

/// Durations in seconds.
impl Default for Buckets {
    fn default() -> Self {
        Self::new(SECONDS)
    }
}

impl HistogramFn for Buckets {
    fn record(&self, value: f64) {
        self.observe(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_in_the_first_bucket_that_is_not_below_it() {
        let buckets = Buckets::new(&[1.0, 2.0]);
        for value in [0.0, 1.0, 1.5, 2.0, 2.5, f64::NAN, -1.0, f64::INFINITY] {
            buckets.observe(value);
        }
        let spread = buckets.spread();
        assert_eq!((spread.counts, spread.sum), (vec![2, 2, 1], 7.0));
    }
}
