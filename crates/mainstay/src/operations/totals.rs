use std::time::Duration;

use mainstay_core::measure::histogram::Histogram;
use mainstay_core::policy::call::Verdict;

/// Operations that ended since somebody asked.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Those that worked.
    pub succeeded: u64,
    /// Those that did not. What was cancelled is neither.
    pub failed: u64,
    /// How long all of them took, waits included; none before the first.
    pub latencies: Option<Histogram>,
    /// All of it together.
    pub sum: Duration,
}

impl Totals {
    pub(super) fn ended(&mut self, verdict: Verdict, took: Duration) {
        match verdict {
            Verdict::Succeeded => self.succeeded += 1,
            Verdict::Final
            | Verdict::AttemptsExhausted
            | Verdict::DeadlineExceeded { .. }
            | Verdict::BudgetExhausted
            | Verdict::Rejected { .. } => self.failed += 1,
            Verdict::Cancelled => return,
        }
        self.latencies.get_or_insert_with(Histogram::new).record(took);
        self.sum = self.sum.saturating_add(took);
    }
}
