//! The one scheduler: every dial begins here, and every wait for one.

use super::close::{Reaction, Wait};
use super::health::Health;
use super::machine::{Breaker, Link, later};
use super::state::{FailReason, Redial, State, SuspendReason};
use super::step::{Action, DeadlineReason, Event, Step};
use crate::bits::{self, uniform};
use crate::policy::outcome::Outcome;
use crate::policy::pressure::Pressure;
use crate::time::{Instant, nanos};
use core::time::Duration;

impl Link {
    /// The first connect.
    pub(super) fn start(&mut self, now: Instant, step: &mut Step) {
        self.forgive();
        if let Some(until) = self.breaker.until
            && until > now
        {
            return self.suspend(SuspendReason::BreakerOpen, Redial::At(until), step);
        }
        let until = self.dial_action(now, step);
        self.enter(State::Connecting { until }, step);
    }

    /// A redial, due or wanted.
    pub(super) fn fire(&mut self, now: Instant, step: &mut Step) {
        self.attempts = self.attempts.saturating_add(1);
        self.counters.attempts += 1;
        let until = self.dial_action(now, step);
        let redial = Redial::Dialling { until };
        let reason = SuspendReason::LongOutage;
        if self.state.suspended() == Some(reason) {
            self.enter(State::Suspended { reason, redial }, step);
        } else {
            self.enter(State::Reconnecting { redial }, step);
        }
        step.tell(Event::ReconnectAttempt { attempt: self.attempts });
    }

    /// Cuts a wait short.
    pub(super) fn hurry(&mut self, now: Instant, redial: Redial, step: &mut Step) {
        match redial {
            Redial::At(_) => self.fire(now, step),
            Redial::Never | Redial::Dialling { .. } => {}
        }
    }

    pub(super) fn dial_finished(
        &mut self,
        now: Instant,
        outcome: Outcome,
        reaction: Reaction,
        bits: u64,
        step: &mut Step,
    ) {
        match outcome {
            Outcome::Success => self.connected(now, step),
            Outcome::Refused | Outcome::Permanent | Outcome::Mistake => {
                self.counters.failures += 1;
                self.react(now, outcome, reaction, bits, step);
            }
            Outcome::Transient { .. } | Outcome::Elsewhere | Outcome::Throttled { .. } => {
                self.counters.failures += 1;
                self.react(now, outcome, reaction, bits, step);
            }
            Outcome::Rejected { retry_after } => {
                self.refund();
                let wait = retry_after.unwrap_or_else(|| self.draw(bits));
                self.breaker_opened(now, now.after(wait), step);
                self.schedule(now, Wait::Usual, bits, step);
            }
            Outcome::Abandoned => {
                self.refund();
                self.schedule(now, Wait::Usual, bits, step);
            }
        }
    }

    /// Plans the next redial, unless there is to be none.
    ///
    /// The wait is the drawn one, or what the ending asks for if that is longer and within its cap.
    pub(super) fn schedule(&mut self, now: Instant, wait: Wait, bits: u64, step: &mut Step) {
        self.health = Health::default();
        if !self.redials {
            return self.settle(step);
        }
        if self.is_last() {
            self.fail(FailReason::AttemptsExhausted, step);
            return step.tell(Event::AttemptsExhausted { attempts: self.attempts });
        }
        let since = *self.failing_since.get_or_insert(now);
        if let Some(until) = self.breaker.until
            && until > now
        {
            return self.suspend(SuspendReason::BreakerOpen, Redial::At(until), step);
        }
        let long = nanos(now.since(since)) >= self.settings.suspend_after;
        let drawn = if long { self.slow(bits) } else { self.draw(bits) };
        let cap = Duration::from_nanos(self.settings.hint_cap);
        let delay = wait.at_least(drawn, cap, bits::bits(bits, 1, 0));
        self.previous = nanos(delay);
        let next_at = now.after(delay);
        let redial = Redial::At(next_at);
        if !long {
            self.enter(State::Reconnecting { redial }, step);
        } else if self.state.suspended() == Some(SuspendReason::LongOutage) {
            self.state = State::Suspended { reason: SuspendReason::LongOutage, redial };
        } else {
            self.suspend(SuspendReason::LongOutage, redial, step);
        }
        let attempt = self.attempts.saturating_add(1);
        step.tell(Event::Reconnecting { attempt, delay, next_at });
    }

    pub(super) fn breaker_opened(&mut self, now: Instant, until: Instant, step: &mut Step) {
        if until <= now {
            return;
        }
        if self.breaker.until.is_none() {
            step.tell(Event::BreakerOpened { until });
        }
        self.breaker.until = Some(until);
        self.breaker.half_open = false;
        match self.state {
            State::Reconnecting { redial: Redial::At(at) }
            | State::Suspended { reason: SuspendReason::LongOutage, redial: Redial::At(at) } => {
                self.suspend(SuspendReason::BreakerOpen, Redial::At(at.max(until)), step);
            }
            State::Suspended { reason: SuspendReason::BreakerOpen, .. } => {
                let redial = Redial::At(until);
                self.state = State::Suspended { reason: SuspendReason::BreakerOpen, redial };
            }
            State::Reconnecting { redial: Redial::Never | Redial::Dialling { .. } }
            | State::Suspended {
                reason: SuspendReason::LongOutage,
                redial: Redial::Never | Redial::Dialling { .. },
            }
            | State::Suspended { reason: SuspendReason::Paused, .. }
            | State::Disconnected
            | State::Connecting { .. }
            | State::Connected { .. }
            | State::Failed { .. }
            | State::Closing { .. } => {}
        }
    }

    /// Many links may share that breaker: the redial is drawn, so that they do not come at once.
    pub(super) fn breaker_closed(&mut self, now: Instant, bits: u64, step: &mut Step) {
        if self.breaker.until.is_none() && !self.breaker.half_open {
            return;
        }
        self.breaker = Breaker::default();
        step.tell(Event::BreakerClosed);
        if self.state.suspended() == Some(SuspendReason::BreakerOpen) {
            self.schedule(now, Wait::Usual, bits, step);
        }
    }

    pub(super) fn redial_deadline(
        &self,
        redial: Redial,
        reason: Option<SuspendReason>,
    ) -> Option<(Instant, DeadlineReason)> {
        let at = match redial {
            Redial::Never => return None,
            Redial::Dialling { until } => return Some((until, DeadlineReason::DialTimeout)),
            Redial::At(at) => at,
        };
        match reason {
            Some(SuspendReason::BreakerOpen) => Some((at, DeadlineReason::BreakerTrial)),
            Some(SuspendReason::LongOutage | SuspendReason::Paused) => {
                Some((at, DeadlineReason::Redial))
            }
            None => {
                let long = self.failing_since.map(|t| later(t, self.settings.suspend_after));
                let long = long.map(|at| (at, DeadlineReason::LongOutage));
                long.into_iter().chain([(at, DeadlineReason::Redial)]).min()
            }
        }
    }

    /// Whether no redial may follow.
    pub(super) const fn is_last(&self) -> bool {
        let limit = self.settings.attempts;
        !self.redials || (limit != u32::MAX && self.attempts >= limit)
    }

    pub(super) fn close_action(&self, now: Instant) -> Action {
        let deadline = later(now, self.settings.close_timeout);
        Action::Close { generation: self.dial, deadline }
    }

    /// Gives up until the user connects again.
    pub(super) fn fail(&mut self, reason: FailReason, step: &mut Step) {
        self.health = Health::default();
        self.enter(State::Failed { reason }, step);
    }

    /// Ends in `Disconnected`, and says so.
    pub(super) fn settle(&mut self, step: &mut Step) {
        self.health = Health::default();
        self.enter(State::Disconnected, step);
        step.tell(Event::Disconnected);
    }

    pub(super) fn suspend(&mut self, reason: SuspendReason, redial: Redial, step: &mut Step) {
        self.health = Health::default();
        self.enter(State::Suspended { reason, redial }, step);
        let until = match redial {
            Redial::At(at) => Some(at),
            Redial::Never | Redial::Dialling { .. } => None,
        };
        step.tell(Event::Suspended { reason, until });
    }

    pub(super) fn enter(&mut self, state: State, step: &mut Step) {
        let (from, to) = (self.state.name(), state.name());
        self.state = state;
        if !matches!(state, State::Connected { .. }) {
            self.health = Health::default();
        }
        if from != to {
            step.tell(Event::StateChanged { from, to });
        }
    }

    fn connected(&mut self, now: Instant, step: &mut Step) {
        let again = !matches!(self.state, State::Connecting { .. });
        self.counters.connections = self.counters.connections.saturating_add(1);
        self.counters.last_connection = Some(now);
        let stable = self.settings.stable_after == 0;
        self.health = Health::new(&self.settings, now);
        self.enter(State::Connected { since: now, stable }, step);
        step.tell(Event::Connected);
        if again {
            self.counters.reconnections = self.counters.reconnections.saturating_add(1);
            step.tell(Event::Reconnected { attempts: self.attempts });
        }
        if stable {
            self.forgive();
        }
        let told = self.breaker.half_open && self.settings.closed_after_cooldown;
        if (self.breaker.half_open || self.breaker.until.is_some()) && !told {
            step.tell(Event::BreakerClosed);
        }
        self.breaker = Breaker::default();
    }

    /// Counts a failed dial towards the link's own breaker.
    pub(super) fn trip(&mut self, now: Instant, step: &mut Step) {
        self.breaker.half_open = false;
        if self.settings.threshold == 0 {
            return;
        }
        self.breaker.failures = self.breaker.failures.saturating_add(1);
        // Only a success clears the count, so that a failed trial opens it again at once.
        if self.breaker.failures >= self.settings.threshold {
            let until = later(now, self.settings.cooldown);
            self.breaker.until = Some(until);
            step.tell(Event::BreakerOpened { until });
        }
    }

    /// The dial that was just refused by a policy of ours was none.
    fn refund(&mut self) {
        if !matches!(self.state, State::Connecting { .. }) {
            self.attempts = self.attempts.saturating_sub(1);
            self.counters.attempts = self.counters.attempts.saturating_sub(1);
        }
    }

    fn draw(&self, bits: u64) -> Duration {
        let attempt = self.attempts.saturating_add(1);
        let previous = Duration::from_nanos(self.previous);
        self.settings.backoff.delay(attempt, previous, Pressure::NONE, bits)
    }

    /// The wait of a long outage: the longest one, or its upper half where waits are drawn.
    fn slow(&self, bits: u64) -> Duration {
        let cap = nanos(self.settings.backoff.cap());
        let spread = if self.settings.jittered { cap / 2 } else { 0 };
        Duration::from_nanos(cap - uniform(bits, spread))
    }

    fn dial_action(&mut self, now: Instant, step: &mut Step) -> Instant {
        self.newest = self.newest.next();
        self.dial = self.newest;
        let deadline = later(now, self.settings.dial_timeout);
        step.action = Action::Dial { generation: self.dial, deadline };
        deadline
    }
}

impl State {
    pub(super) const fn suspended(self) -> Option<SuspendReason> {
        match self {
            Self::Suspended { reason, .. } => Some(reason),
            Self::Disconnected
            | Self::Connecting { .. }
            | Self::Connected { .. }
            | Self::Reconnecting { .. }
            | Self::Failed { .. }
            | Self::Closing { .. } => None,
        }
    }
}
