//! What a retry owes the budget, given back when the call is dropped.

use std::sync::Arc;

use mainstay_core::policy::budget::{Budget, Charge};
use mainstay_core::time::Instant;

/// One extra attempt: refunded when it was never sent.
#[derive(Debug)]
pub(super) struct Extra {
    budget: Arc<Budget>,
    charge: Option<Charge>,
    is_sent: bool,
}

impl Extra {
    /// Takes one extra attempt out of `budget`, if it has any.
    pub(super) fn withdraw(budget: Arc<Budget>, now: Instant) -> Option<Self> {
        let charge = Some(budget.withdraw(now).ok()?);
        Some(Self { budget, charge, is_sent: false })
    }

    pub(super) const fn sent(&mut self) {
        self.is_sent = true;
    }
}

impl Drop for Extra {
    fn drop(&mut self) {
        let Some(charge) = self.charge.take() else { return };
        if self.is_sent {
            self.budget.spend(charge);
        } else {
            self.budget.refund(charge);
        }
    }
}
