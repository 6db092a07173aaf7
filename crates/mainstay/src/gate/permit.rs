use std::sync::Arc;
use std::time::Duration;

use mainstay_core::policy::gate::{Ended, Permit as CorePermit};
use mainstay_core::policy::outcome::Outcome;
use mainstay_core::time::{Instant, Moment};

use super::{Gate, Policies};

/// Leave to make one call through a [`Gate`].
///
/// Dropped without [`record`](Self::record) the call is *abandoned*, which is neutral; dropped by a
/// panic it has failed. It owns its gate and may be moved into a task: a place in the bulkhead then
/// stays taken for as long as the work runs, not only for as long as somebody waits for it.
#[derive(Debug)]
#[must_use = "a permit dropped at once is a call abandoned"]
pub struct Permit {
    gate: Gate,
    policies: Arc<Policies>,
    permit: Option<CorePermit>,
    begun: Option<Instant>,
    at: fn() -> Moment,
}

impl Permit {
    pub(super) fn new(
        gate: Gate,
        policies: Arc<Policies>,
        permit: CorePermit,
        at: fn() -> Moment,
    ) -> Self {
        let begun = policies.gate.is_timed().then(|| at().now);
        Self { gate, policies, permit: Some(permit), begun, at }
    }

    /// Whether the call is a probe of a half-open breaker.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.permit.as_ref().is_some_and(CorePermit::is_probe)
    }

    /// When the call will count as slow, if slow calls are told apart.
    #[must_use]
    pub fn slow_at(&self) -> Option<Instant> {
        Some(self.begun?.after(self.policies.gate.slow_threshold()?))
    }

    /// Tells that the call is still in flight at [`slow_at`](Self::slow_at): it counts as slow now.
    pub fn slow(&mut self) {
        if let Some(permit) = &mut self.permit {
            self.gate.slow_by(&self.policies, permit, self.at);
        }
    }

    /// Tells what came of the call.
    pub fn record(self, outcome: Outcome) {
        self.end(outcome, false);
    }

    /// Tells that the call was given up at its timeout.
    pub fn timed_out(self) {
        self.end(Outcome::TRANSIENT, true);
    }

    pub(crate) fn end(mut self, outcome: Outcome, timed_out: bool) {
        self.give_back(outcome, timed_out);
    }

    /// The parts, for who keeps them without this guard.
    pub(crate) fn into_parts(mut self) -> (Arc<Policies>, Option<CorePermit>, Option<Instant>) {
        (Arc::clone(&self.policies), self.permit.take(), self.begun)
    }

    fn give_back(&mut self, outcome: Outcome, timed_out: bool) {
        let Some(permit) = self.permit.take() else { return };
        let elapsed = self.begun.map_or(Duration::ZERO, |begun| (self.at)().now.since(begun));
        let ended = Ended { outcome, elapsed, timed_out };
        self.gate.give_back(&self.policies, permit, ended, self.at);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        self.give_back(if failed { Outcome::TRANSIENT } else { Outcome::Abandoned }, false);
    }
}
