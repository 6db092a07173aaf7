use std::time::Duration;

use mainstay_core::policy::call::Verdict;
use mainstay_core::policy::outcome::Outcome;
use mainstay_core::time::Instant;

use super::Failed;

/// Whoever wants to know every step of a call.
pub(crate) trait Observe<E> {
    /// Whether attempts are to be timed.
    fn wants_time(&self) -> bool {
        true
    }
    /// An attempt begins.
    fn attempt(&mut self, _number: u32) {}
    /// An attempt failed.
    fn failed(&mut self, _failed: &Failed<E>, _outcome: Outcome) {}
    /// The next attempt comes after `delay`, at `until`.
    fn waiting(&mut self, _delay: Duration, _until: Instant) {}
    /// The call is over.
    fn done(&mut self, _verdict: Verdict, _attempt: u32) {}
}

/// Nobody wants to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nobody;

impl<E> Observe<E> for Nobody {
    fn wants_time(&self) -> bool {
        false
    }
}
