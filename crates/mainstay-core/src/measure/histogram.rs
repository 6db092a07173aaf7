//! A distribution in fixed memory: log-linear buckets.
//!
//! Every power of two is cut into 32 equal buckets, so that a bucket is at most 1/32 (3.2 %) as
//! wide as the values in it, from a nanosecond to over an hour: 1 216 buckets of four bytes, 4.9
//! kB, whatever is recorded (the scheme of HdrHistogram). Values up to 63 ns have a bucket of their
//! own; values from 2⁴² ns (73 minutes) share the last bucket.
//!
//! Two histograms merge by adding their buckets: a quantile of the merged one is what a quantile of
//! all samples would be. [`Histogram::decay`] halves all counts, which is how a histogram forgets.

use alloc::boxed::Box;
use core::time::Duration;

use crate::config::Ratio;
use crate::time::nanos;

/// log₂ of the buckets per power of two.
const FINE: u32 = 5;
/// Values of this many bits or more share the last bucket.
const BITS: u32 = 42;
/// How many buckets there are.
pub const BUCKETS: usize = ((BITS - FINE + 1) as usize) << FINE;

/// Counts of durations by size.
#[derive(Clone, PartialEq, Eq)]
pub struct Histogram {
    counts: Box<[u32; BUCKETS]>,
    total: u64,
    max: u64,
}

/// One non-empty bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Bucket {
    /// Position, the same in every histogram.
    pub index: u16,
    /// The longest duration that falls into it.
    pub upper: Duration,
    /// How many did.
    pub count: u32,
}

impl Histogram {
    /// An empty histogram.
    #[must_use]
    pub fn new() -> Self {
        Self { counts: Box::new([0; BUCKETS]), total: 0, max: 0 }
    }

    /// Counts one duration. A bucket that is full (2³² − 1) counts no more.
    pub fn record(&mut self, value: Duration) {
        let value = nanos(value);
        self.add(index(value), 1);
        self.max = self.max.max(value);
    }

    /// How many durations were counted.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.total
    }

    /// The longest duration recorded; zero when there is none.
    #[must_use]
    pub const fn max(&self) -> Duration {
        Duration::from_nanos(self.max)
    }

    /// The least duration that the share `q` of all do not exceed; none when empty.
    ///
    /// Rounded up to the end of its bucket: never below the true one and at most 1/32 above.
    #[must_use]
    pub fn quantile(&self, q: Ratio) -> Option<Duration> {
        let rank = rank(q, self.total)?;
        let mut seen = 0_u64;
        for (index, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= rank {
                return Some(Duration::from_nanos(upper(index).min(self.max)));
            }
        }
        Some(self.max())
    }

    /// Adds everything `other` counted.
    pub fn merge(&mut self, other: &Self) {
        for (index, count) in other.counts.iter().enumerate() {
            self.add(index, *count);
        }
        self.max = self.max.max(other.max);
    }

    /// Adds `count` durations of the bucket at `index`, as [`Histogram::buckets`] gives it. An index
    /// beyond [`BUCKETS`] adds nothing.
    pub fn add_bucket(&mut self, index: u16, count: u32) {
        let index = usize::from(index);
        if count > 0 && index < BUCKETS {
            self.add(index, count);
            self.max = self.max.max(upper(index));
        }
    }

    /// Which bucket `value` falls into.
    #[must_use]
    pub fn bucket_of(value: Duration) -> u16 {
        u16::try_from(index(nanos(value))).unwrap_or(u16::MAX)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.counts.fill(0);
        (self.total, self.max) = (0, 0);
    }

    /// Halves the weight of every sample `times` times.
    ///
    /// What rounding leaves over in one bucket is passed on to the next, so that the total is
    /// halved and a long thin tail keeps its share; every quantile stays within one sample of its
    /// place.
    pub fn decay(&mut self, times: u32) {
        if times == 0 {
            return;
        }
        let halved = |sum: u64| sum.checked_shr(times).unwrap_or(0);
        let (mut before, mut last) = (0_u64, None);
        for (index, count) in self.counts.iter_mut().enumerate() {
            let up_to = before + u64::from(*count);
            let kept = halved(up_to) - halved(before);
            before = up_to;
            *count = u32::try_from(kept).unwrap_or(u32::MAX);
            if *count > 0 {
                last = Some(index);
            }
        }
        self.total = halved(before);
        self.max = last.map_or(0, |index| upper(index).min(self.max));
    }

    /// The buckets that are not empty, from short to long.
    pub fn buckets(&self) -> impl Iterator<Item = Bucket> + '_ {
        let filled = (0_u16..).zip(self.counts.iter()).filter(|(_, count)| **count > 0);
        filled.map(|(index, count)| Bucket {
            index,
            upper: Duration::from_nanos(upper(usize::from(index))),
            count: *count,
        })
    }

    fn add(&mut self, index: usize, more: u32) {
        if let Some(count) = self.counts.get_mut(index) {
            let grown = count.saturating_add(more);
            self.total += u64::from(grown - *count);
            *count = grown;
        }
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl core::fmt::Debug for Histogram {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Histogram")
            .field("total", &self.total)
            .field("max", &self.max())
            .finish_non_exhaustive()
    }
}

/// Which sample in ascending order the quantile `q` of `total` is, counted from 1.
fn rank(q: Ratio, total: u64) -> Option<u64> {
    if total == 0 {
        return None;
    }
    let scaled = u128::from(total) * u128::from(q.ppm());
    let rank = u64::try_from(scaled.div_ceil(1_000_000)).unwrap_or(total);
    Some(rank.clamp(1, total))
}

/// The bucket of `value`: its highest bit and the five bits behind it.
fn index(value: u64) -> usize {
    let value = value.min((1 << BITS) - 1);
    let coarse = (value | 1).ilog2().saturating_sub(FINE);
    let index = (u64::from(coarse) << FINE) + (value >> coarse);
    usize::try_from(index).unwrap_or(BUCKETS - 1)
}

/// The largest value of bucket `index`; the last one has no end.
fn upper(index: usize) -> u64 {
    if index >= BUCKETS - 1 {
        return u64::MAX;
    }
    let coarse = (index >> FINE).saturating_sub(1);
    let fine = (index - (coarse << FINE)) as u64;
    ((fine + 1) << coarse) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, prop_oneof, proptest};
    use std::vec::Vec;

    fn of(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::new();
        for value in values {
            histogram.record(Duration::from_nanos(*value));
        }
        histogram
    }

    #[test]
    fn an_empty_histogram_has_no_quantile() {
        assert_eq!(Histogram::new().quantile(Ratio::percent(95)), None);
    }

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        for bucket in 1..BUCKETS {
            let end = upper(bucket - 1);
            assert_eq!((index(end), index(end + 1)), (bucket - 1, bucket));
        }
        assert_eq!(index(u64::MAX), BUCKETS - 1);
        assert_eq!(upper(BUCKETS - 1), u64::MAX);
    }

    #[test]
    fn full_buckets_and_long_decays_end_at_their_bounds() {
        let mut histogram = of(&[5]);
        for _ in 0..40 {
            let twin = histogram.clone();
            histogram.merge(&twin);
        }
        assert_eq!(histogram.count(), u64::from(u32::MAX));
        histogram.decay(31);
        assert_eq!((histogram.count(), histogram.max().as_nanos()), (1, 5));
        histogram.decay(u32::MAX);
        assert_eq!(histogram, Histogram::new());
    }

    fn values() -> impl proptest::strategy::Strategy<Value = Vec<u64>> {
        let value = prop_oneof![0..200_u64, 0..1_u64 << 41, any::<u64>()];
        proptest::collection::vec(value, 1..200)
    }

    proptest! {
        #[test]
        fn a_quantile_is_at_most_a_32nd_above_the_sorted_sample(
            values in values(), ppm in 0..=1_000_000_u32,
        ) {
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let q = Ratio::from_ppm(ppm);
            let rank = usize::try_from(rank(q, sorted.len() as u64).unwrap()).unwrap();
            let exact = sorted[rank - 1];
            let found = nanos(of(&values).quantile(q).unwrap());
            prop_assert!(exact <= found, "{} < {}", found, exact);
            if exact < (1 << BITS) {
                let end = exact + exact / 32;
                prop_assert!(found <= end || found == *sorted.last().unwrap());
            }
        }

        #[test]
        fn buckets_put_together_again_give_the_same_quantiles(
            values in values(), ppm in 0..=1_000_000_u32,
        ) {
            let whole = of(&values);
            let mut again = Histogram::new();
            whole.buckets().for_each(|bucket| again.add_bucket(bucket.index, bucket.count));
            again.add_bucket(u16::MAX, 7);
            prop_assert_eq!(again.count(), whole.count());
            let q = Ratio::from_ppm(ppm);
            let (exact, found) = (whole.quantile(q).unwrap(), again.quantile(q).unwrap());
            prop_assert!(exact <= found, "the exact maximum is lost, its bucket is not");
            prop_assert_eq!(Histogram::bucket_of(exact), Histogram::bucket_of(found));
            again.clear();
            prop_assert_eq!(again, Histogram::new());
        }

        #[test]
        fn merging_is_recording_everything(first in values(), second in values()) {
            let mut merged = of(&first);
            merged.merge(&of(&second));
            let all: Vec<u64> = first.iter().chain(&second).copied().collect();
            prop_assert_eq!(merged, of(&all));
        }

        #[test]
        fn a_decay_halves_the_total_and_moves_no_quantile_by_more_than_a_sample(
            values in values(), times in 1..70_u32, ppm in 0..=1_000_000_u32,
        ) {
            let before = of(&values);
            let mut after = before.clone();
            after.decay(times);
            prop_assert_eq!(after.count(), before.count().checked_shr(times).unwrap_or(0));
            prop_assert_eq!(after.count(), after.buckets().map(|b| u64::from(b.count)).sum::<u64>());
            if after.count() > 1 {
                let share = 1_000_000 / after.count();
                let off = |ppm: u64| before.quantile(Ratio::from_ppm(ppm.min(1_000_000) as u32));
                let found = after.quantile(Ratio::from_ppm(ppm));
                prop_assert!(off(u64::from(ppm).saturating_sub(share)) <= found);
                prop_assert!(found <= off(u64::from(ppm) + share + 1));
            }
        }

        #[test]
        fn any_order_gives_the_same_histogram(values in values()) {
            let reversed: Vec<u64> = values.iter().rev().copied().collect();
            prop_assert_eq!(of(&values), of(&reversed));
        }
    }
}
