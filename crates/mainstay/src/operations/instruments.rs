use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mainstay_core::policy::call::Verdict;
use metrics::{Counter, Histogram, counter, histogram};

use super::Totals;

/// Instruments made once: looking one up by name costs more than a whole call.
///
/// Labelled by how an operation ended and by nothing else, since names of operations are not
/// bounded. They go to the recorder that is installed when the operations are made.
pub(super) struct Instruments {
    verdicts: [Counter; VERDICTS.len()],
    seconds: Histogram,
    attempts: Histogram,
    /// Whether anybody ever asked for totals: until then nobody pays for them.
    asked: AtomicBool,
    /// What has ended since somebody asked.
    totals: Mutex<Totals>,
}

const VERDICTS: [&str; 7] = [
    "succeeded",
    "final",
    "attempts_exhausted",
    "deadline_exceeded",
    "budget_exhausted",
    "rejected",
    "cancelled",
];

impl Instruments {
    pub(super) fn new() -> Self {
        let verdict = |verdict| counter!("mainstay_operations_total", "verdict" => verdict);
        Self {
            verdicts: VERDICTS.map(verdict),
            seconds: histogram!("mainstay_operation_seconds"),
            attempts: histogram!("mainstay_operation_attempts"),
            asked: AtomicBool::new(false),
            totals: Mutex::default(),
        }
    }

    pub(super) fn ended(&self, verdict: Verdict, seconds: f64, attempts: u32) {
        let index = match verdict {
            Verdict::Succeeded => 0,
            Verdict::Final => 1,
            Verdict::AttemptsExhausted => 2,
            Verdict::DeadlineExceeded { .. } => 3,
            Verdict::BudgetExhausted => 4,
            Verdict::Rejected { .. } => 5,
            Verdict::Cancelled => 6,
        };
        self.verdicts[index].increment(1);
        self.seconds.record(seconds);
        self.attempts.record(f64::from(attempts));
        if self.asked.load(Ordering::Relaxed) {
            self.totals().ended(verdict, Duration::try_from_secs_f64(seconds).unwrap_or_default());
        }
    }
}

impl Instruments {
    /// What has ended since this was last asked.
    pub(super) fn take(&self) -> Totals {
        self.asked.store(true, Ordering::Relaxed);
        std::mem::take(&mut *self.totals())
    }

    fn totals(&self) -> std::sync::MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Instruments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instruments").finish_non_exhaustive()
    }
}
