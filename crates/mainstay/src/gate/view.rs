use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainstay_core::policy::breaker::BreakerView;
use serde::Serialize;

use super::Gate;
use crate::clock;

/// What a gate looks like at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct GateView {
    /// Its name.
    pub name: Arc<str>,
    /// Its breaker, when it has one.
    pub breaker: Option<BreakerView>,
    /// What is left of the pause a server asked for, in milliseconds.
    pub held_ms: Option<u64>,
    /// After how long a call may go at the earliest, in milliseconds; absent when one may go now.
    pub retry_after_ms: Option<u64>,
    /// Calls in flight and how many may be, where something bounds them.
    pub in_flight: Option<(u32, u32)>,
    /// Extra attempts that the budget would grant now.
    pub budget: Option<u64>,
    /// Calls admitted and ended since the gate was made.
    pub admitted: u64,
    /// Calls rejected by a policy.
    pub rejected: u64,
    /// Admitted calls whose outcome spoke for the peer's health.
    pub succeeded: u64,
    /// Admitted calls whose outcome spoke against it.
    pub failed: u64,
    /// Admitted calls whose caller went away, and other neutral ones.
    pub abandoned: u64,
}

impl Gate {
    /// What the gate looks like now.
    #[must_use]
    pub fn view(&self) -> GateView {
        let (policies, now) = (self.shared.policies.load(), clock::now());
        let breaker = policies.gate.view(now);
        let held = policies.gate.held_for(now);
        let open = breaker.and_then(|view| view.remaining).filter(|left| !left.is_zero());
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = &self.shared.counts;
        let (succeeded, failed) = (read(&counts.succeeded), read(&counts.failed));
        let abandoned = read(&counts.abandoned);
        GateView {
            name: Arc::clone(&self.shared.name),
            breaker,
            held_ms: held.map(millis),
            retry_after_ms: held.max(open).map(millis),
            in_flight: policies.gate.in_flight(),
            budget: policies.gate.budget().map(|budget| budget.available(now)),
            admitted: succeeded + failed + abandoned,
            rejected: read(&counts.rejected),
            succeeded,
            failed,
            abandoned,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
