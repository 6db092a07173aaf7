use std::time::Duration;

use mainstay_core::policy::call::Verdict;
use mainstay_core::policy::outcome::Outcome;
use mainstay_core::time::Instant;

use super::Failed;

/// Whoever wants to know every step of a call.
pub(crate) trait Observe<E> {
    /// When the call began, if attempts are to be timed.
    fn begun(&self) -> Option<Instant> {
        None
    }
    /// An attempt begins.
    fn attempt(&mut self, _number: u32) {}
    /// An attempt failed.
    fn failed(&mut self, _failed: &Failed<E>, _outcome: Outcome) {}
    /// The next attempt comes after `delay`, at `until`.
    fn waiting(&mut self, _delay: Duration, _until: Instant) {}
    /// The call is over; `now` when the clock was read for it anyway.
    fn done(&mut self, _verdict: Verdict, _attempt: u32, _now: Option<Instant>) {}
}

/// Nobody wants to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nobody;

impl<E> Observe<E> for Nobody {}
