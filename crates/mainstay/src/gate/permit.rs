use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mainstay_core::policy::gate::{Ended, Permit as CorePermit};
use mainstay_core::policy::outcome::{Outcome, Sample};
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
            let transition = self.policies.gate.slow_in_flight(permit, self.at);
            if let Some(transition) = transition {
                self.gate.announce(transition);
            }
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

    fn give_back(&mut self, outcome: Outcome, timed_out: bool) {
        let Some(mut permit) = self.permit.take() else { return };
        let elapsed = self.begun.map_or(Duration::ZERO, |begun| (self.at)().now.since(begun));
        let ended = Ended { outcome, elapsed, timed_out };
        let shared = &self.gate.shared;
        let current = shared.policies.load();
        if !Arc::ptr_eq(&current, &self.policies) {
            // Reloaded meanwhile: the place goes back to where it came from.
            permit = self.policies.gate.release_place(permit);
        }
        let transition = {
            let mut meters = current.lend();
            current.gate.record(meters.as_deref_mut(), permit, ended, self.at)
        };
        let count = match outcome.sample() {
            Sample::Success => &shared.counts.succeeded,
            Sample::Failure | Sample::Throttled => &shared.counts.failed,
            Sample::Neutral => &shared.counts.abandoned,
        };
        count.fetch_add(1, Ordering::Relaxed);
        if let Some(transition) = transition {
            self.gate.announce(transition);
        }
        shared.waiters.wake_next();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        self.give_back(if failed { Outcome::TRANSIENT } else { Outcome::Abandoned }, false);
    }
}
