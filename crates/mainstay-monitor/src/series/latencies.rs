use std::time::Duration;

use mainstay_core::config::Ratio;
use mainstay_core::measure::histogram::Histogram;

/// A distribution of durations that holds only its non-empty buckets: those of
/// [`Histogram`], eight bytes each, at most 1 216 of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latencies {
    /// Bucket and count, in the order of buckets; no count is 0.
    buckets: Vec<(u16, u32)>,
}

impl Latencies {
    /// The buckets that are not empty, from short to long, with their counts.
    #[must_use]
    pub fn buckets(&self) -> &[(u16, u32)] {
        &self.buckets
    }

    /// How many durations were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| u64::from(*count)).sum()
    }

    /// Counts one duration.
    pub fn record(&mut self, value: Duration) {
        self.add(Histogram::bucket_of(value), 1);
    }

    /// Adds everything `other` counted.
    pub fn merge(&mut self, other: &Self) {
        if self.buckets.is_empty() {
            self.buckets.clone_from(&other.buckets);
            return;
        }
        for (index, count) in &other.buckets {
            self.add(*index, *count);
        }
    }

    /// Adds everything to a histogram, which answers quantiles.
    pub fn add_to(&self, histogram: &mut Histogram) {
        for (index, count) in &self.buckets {
            histogram.add_bucket(*index, *count);
        }
    }

    /// The least duration that the share `q` of all do not exceed, rounded up to the end of its
    /// bucket (at most 1/32 above); none when empty.
    #[must_use]
    pub fn quantile(&self, q: Ratio) -> Option<Duration> {
        let mut histogram = Histogram::new();
        self.add_to(&mut histogram);
        histogram.quantile(q)
    }

    pub(super) fn add(&mut self, index: u16, count: u32) {
        match self.buckets.binary_search_by_key(&index, |(index, _)| *index) {
            Ok(at) => {
                let known = &mut self.buckets[at].1;
                *known = known.saturating_add(count);
            }
            Err(at) => self.buckets.insert(at, (index, count)),
        }
    }
}

impl From<&Histogram> for Latencies {
    fn from(histogram: &Histogram) -> Self {
        Self { buckets: histogram.buckets().map(|bucket| (bucket.index, bucket.count)).collect() }
    }
}
