use std::time::Duration;

use mainstay_core::measure::histogram::Histogram;

/// Beats of all sessions since they were last taken.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Beats that came.
    pub came: u64,
    /// Beats that were due and did not.
    pub missed: u64,
    /// Round trips by size.
    pub latencies: Histogram,
    /// All of them together.
    pub sum: Duration,
    /// The shortest.
    pub min: Option<Duration>,
}

impl Measured {
    pub(crate) fn came(&mut self, rtt: Option<Duration>) {
        self.came += 1;
        if let Some(rtt) = rtt {
            self.latencies.record(rtt);
            self.sum = self.sum.saturating_add(rtt);
            self.min = Some(self.min.map_or(rtt, |min| min.min(rtt)));
        }
    }

    pub(crate) const fn missed(&mut self) {
        self.missed += 1;
    }

    /// Moves all of it into `sum`, and begins anew.
    pub(crate) fn move_to(&mut self, sum: &mut Self) {
        sum.came += std::mem::take(&mut self.came);
        sum.missed += std::mem::take(&mut self.missed);
        sum.sum = sum.sum.saturating_add(std::mem::take(&mut self.sum));
        sum.min = [sum.min, self.min.take()].into_iter().flatten().min();
        if self.latencies.count() > 0 {
            sum.latencies.merge(&self.latencies);
            self.latencies.clear();
        }
    }
}
