//! What people do to a gate by hand, and what is kept of it over a restart.

use std::sync::atomic::Ordering;

use mainstay_core::config::ConfigError;
use mainstay_core::policy::breaker::{Breaker, BreakerSnapshot, Transition};
use mainstay_core::policy::gate as core;

use super::{Gate, Policies};
use crate::clock;

impl Gate {
    /// Rejects all calls until [`reset`](Self::reset) or [`disable`](Self::disable).
    pub fn force_open(&self) {
        self.by_hand(Breaker::force_open);
    }

    /// Rejects all calls until as many [`release`](Self::release)s as isolations have come.
    pub fn isolate(&self) {
        self.by_hand(Breaker::isolate);
    }

    /// Takes one isolation back.
    pub fn release(&self) {
        self.by_hand(Breaker::release);
    }

    /// Lets all calls through and watches none.
    pub fn disable(&self) {
        self.by_hand(Breaker::disable);
    }

    /// Watches calls again after [`disable`](Self::disable).
    pub fn enable(&self) {
        self.by_hand(Breaker::enable);
    }

    /// Closes the breaker with an empty window and forgets how often it opened.
    pub fn reset(&self) {
        self.by_hand(Breaker::reset);
    }

    /// The breaker's state, to be kept over a restart.
    #[must_use]
    pub fn snapshot(&self) -> Option<BreakerSnapshot> {
        self.shared.policies.load().gate.snapshot(clock::now())
    }

    /// Puts the breaker into a state kept before a restart. For a gate nobody uses yet.
    ///
    /// # Errors
    ///
    /// Never with the configuration the gate was made of.
    pub fn restore(&self, snapshot: &BreakerSnapshot) -> Result<(), ConfigError> {
        let (mut gate, meters) = core::Gate::new(&self.config())?;
        gate.restore(snapshot, clock::now())?;
        let version = self.shared.version.fetch_add(1, Ordering::AcqRel) + 1;
        self.shared.policies.store(Policies::new((gate, meters), version));
        Ok(())
    }

    fn by_hand(&self, act: fn(&Breaker) -> Option<Transition>) {
        let policies = self.shared.policies.load();
        if let Some(transition) = policies.gate.breaker().and_then(act) {
            self.announce(transition);
        }
    }
}
