//! What a call holds of its gate while it lasts.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use mainstay_core::policy::budget::Deposit;
use mainstay_core::policy::gate::{Ended, Permit, Rejection};
use mainstay_core::policy::outcome::Outcome;
use mainstay_core::time::{Instant, Moment};

use super::Clock;
use super::spent::Extra;
use crate::gate::{Gate, Policies};

/// A call's place at its gate: the permit of the attempt under way, and its mention in the budget.
///
/// Like [`crate::gate::Permit`], but it borrows the gate and borrows the policies it knows: an attempt then
/// costs no reference counts.
pub(super) struct Guard<'a> {
    gate: &'a Gate,
    policies: Cow<'a, Arc<Policies>>,
    clock: Clock,
    deposit: Option<Deposit>,
    permit: Option<Permit>,
    begun: Option<Instant>,
}

impl<'a> Guard<'a> {
    pub(super) fn new(
        gate: &'a Gate,
        policies: Cow<'a, Arc<Policies>>,
        clock: Clock,
        now: Instant,
    ) -> Self {
        let deposit = policies.gate().budget().map(|budget| budget.deposit(now));
        Self { gate, policies, clock, deposit, permit: None, begun: None }
    }

    pub(super) const fn gate(&self) -> &'a Gate {
        self.gate
    }

    /// Whether there is a permit in hand.
    pub(super) const fn is_admitted(&self) -> bool {
        self.permit.is_some()
    }

    /// Asks for an attempt, under the policies in force now.
    pub(super) fn admit(&mut self, is_retry: bool) -> Result<(), Rejection> {
        if is_retry {
            self.follow_reload();
        }
        self.permit = Some(self.gate.admit_by(&self.policies, self.clock.moment)?);
        if self.policies.gate().is_timed() {
            self.begun = Some((self.clock.now)());
        }
        Ok(())
    }

    /// Like [`admit`](Self::admit), waiting in line for a place in the bulkhead, until `until` at
    /// most.
    pub(super) async fn admit_in_line(
        &mut self,
        is_retry: bool,
        until: Option<Instant>,
    ) -> Result<(), Rejection> {
        if !self.gate.has_line() {
            return self.admit(is_retry);
        }
        let (policies, permit, begun) = self.gate.admit_in_line_until(until).await?.into_parts();
        if !Arc::ptr_eq(&policies, self.policies.as_ref()) {
            self.follow(policies);
        }
        (self.permit, self.begun) = (permit, begun);
        Ok(())
    }

    fn follow_reload(&mut self) {
        let current = self.gate.policies();
        if !Arc::ptr_eq(&current, self.policies.as_ref()) {
            self.follow(current);
        }
    }

    /// Goes on under other policies: the call is counted by their budget from now on.
    fn follow(&mut self, policies: Arc<Policies>) {
        self.close();
        self.policies = Cow::Owned(policies);
        let now = (self.clock.now)();
        self.deposit = self.policies.gate().budget().map(|budget| budget.deposit(now));
    }

    /// Takes one extra attempt out of the budget. `Some(None)` when there is no budget to ask.
    pub(super) fn withdraw(&self, now: Instant) -> Option<Option<Extra>> {
        match self.policies.gate().budget() {
            None => Some(None),
            Some(budget) => Extra::withdraw(Arc::clone(budget), now).map(Some),
        }
    }

    /// When the attempt under way will count as slow, if slow calls are told apart.
    pub(super) fn slow_at(&self) -> Option<Instant> {
        Some(self.begun?.after(self.policies.gate().slow_threshold()?))
    }

    /// The attempt under way counts as slow now.
    pub(super) fn slow(&mut self) {
        if let Some(permit) = &mut self.permit {
            self.gate.slow_by(&self.policies, permit, self.clock.moment);
        }
    }

    /// Tells what came of the attempt; `at` is the clock, which may note its reading.
    pub(super) fn ended(&mut self, outcome: Outcome, timed_out: bool, at: impl Fn() -> Moment) {
        let Some(permit) = self.permit.take() else { return };
        let elapsed = self.begun.map_or(Duration::ZERO, |begun| at().now.since(begun));
        let ended = Ended { outcome, elapsed, timed_out };
        self.gate.give_back(&self.policies, permit, ended, at);
    }

    fn close(&mut self) {
        if let (Some(budget), Some(deposit)) = (self.policies.gate().budget(), self.deposit.take())
        {
            budget.close(deposit);
        }
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if self.permit.is_some() {
            let failed = std::thread::panicking();
            let outcome = if failed { Outcome::TRANSIENT } else { Outcome::Abandoned };
            self.ended(outcome, false, self.clock.moment);
        }
        self.close();
    }
}
