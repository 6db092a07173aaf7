use std::time::Duration;

use super::Latencies;

/// What a stretch of time was like.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell {
    /// What went well.
    pub ok: u64,
    /// What did not.
    pub fail: u64,
    /// What was due and never came.
    pub miss: u64,
    /// Shortest duration in nanoseconds; meaningless without any.
    pub min_ns: u64,
    /// Longest duration in nanoseconds.
    pub max_ns: u64,
    /// All durations together, in nanoseconds.
    pub sum_ns: u64,
    /// Durations.
    pub latencies: Latencies,
    /// Sum of the values that a gauge had.
    pub level_sum: f64,
    /// How many values that were.
    pub levels: u64,
    /// Whether it was maintained on purpose at some time in it.
    pub maintenance: bool,
}

impl Cell {
    /// Something went well and took `took`.
    pub fn succeeded(&mut self, took: Duration) {
        self.ok += 1;
        self.took(took);
    }

    /// Something failed.
    pub const fn failed(&mut self) {
        self.fail += 1;
    }

    /// Something took `took`.
    pub fn took(&mut self, took: Duration) {
        let mut latencies = Latencies::default();
        latencies.record(took);
        self.measured(&latencies, took, took, took);
    }

    /// Durations that were counted elsewhere, the shortest and longest of them, and all together.
    pub fn measured(&mut self, latencies: &Latencies, min: Duration, max: Duration, sum: Duration) {
        if latencies.buckets().is_empty() {
            return;
        }
        let (min, max) = (nanos(min), nanos(max));
        let first = self.latencies.buckets().is_empty();
        self.min_ns = if first { min } else { self.min_ns.min(min) };
        self.max_ns = self.max_ns.max(max);
        self.sum_ns = self.sum_ns.saturating_add(nanos(sum));
        self.latencies.merge(latencies);
    }

    /// A gauge had this value.
    pub fn stood_at(&mut self, level: f64) {
        if level.is_finite() {
            self.level_sum = sum(self.level_sum, level);
            self.levels += 1;
        }
    }

    /// Durations that were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.latencies.count()
    }

    /// The mean of the durations.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        self.sum_ns.checked_div(self.count()).map(Duration::from_nanos)
    }

    /// The shortest duration.
    #[must_use]
    pub fn min(&self) -> Option<Duration> {
        (self.count() > 0).then(|| Duration::from_nanos(self.min_ns))
    }

    /// The longest duration.
    #[must_use]
    pub fn max(&self) -> Option<Duration> {
        (self.count() > 0).then(|| Duration::from_nanos(self.max_ns))
    }

    /// The mean of the gauge.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of cells are far below 2⁵³")]
    pub fn level(&self) -> Option<f64> {
        (self.levels > 0).then(|| self.level_sum / self.levels as f64)
    }

    /// Adds what another stretch of time was like. The order makes no difference.
    pub fn merge(&mut self, other: &Self) {
        self.ok = self.ok.saturating_add(other.ok);
        self.fail = self.fail.saturating_add(other.fail);
        self.miss = self.miss.saturating_add(other.miss);
        let nanos = Duration::from_nanos;
        self.measured(
            &other.latencies,
            nanos(other.min_ns),
            nanos(other.max_ns),
            nanos(other.sum_ns),
        );
        self.level_sum = sum(self.level_sum, other.level_sum);
        self.levels = self.levels.saturating_add(other.levels);
        self.maintenance |= other.maintenance;
    }
}

/// The sum, which stays a number that can be written.
const fn sum(one: f64, other: f64) -> f64 {
    (one + other).clamp(f64::MIN, f64::MAX)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
