//! Another connection in place of one that still serves: make before break.

use super::close::{Reaction, Wait};
use super::health::Health;
use super::machine::{Link, later};
use super::state::{FailReason, Generation, Redial, State};
use super::step::{Action, Event, Step};
use crate::policy::outcome::{Outcome, Sample};
use crate::time::Instant;

impl Link {
    pub(super) fn migrate(&mut self, now: Instant, step: &mut Step) {
        if !matches!(self.state, State::Connected { .. })
            || self.health.migration != Generation::default()
        {
            return;
        }
        self.newest = self.newest.next();
        self.health.migration = self.newest;
        let deadline = later(now, self.settings.dial_timeout);
        step.action = Action::Migrate { generation: self.newest, deadline };
    }

    /// The second dial ended. While one connection serves, a failure of another is no reason to
    /// give that one up; credentials that were refused will be refused at the next redial too.
    pub(super) fn migrated(
        &mut self,
        now: Instant,
        generation: Generation,
        outcome: Outcome,
        step: &mut Step,
    ) {
        self.health.migration = Generation::default();
        if outcome != Outcome::Success {
            return step.tell(Event::MigrationFailed { outcome });
        }
        self.dial = generation;
        self.counters.connections = self.counters.connections.saturating_add(1);
        self.counters.last_connection = Some(now);
        self.health = Health::new(&self.settings, now);
        self.state = State::Connected { since: now, stable: self.settings.stable_after == 0 };
        step.tell(Event::Migrated);
    }

    /// The connection that served is gone while another is being made: that one is the redial, and
    /// need not be begun again. A peer may well let go of the old one as soon as it hears of the new.
    ///
    /// Says no where there is none, or where the ending asks for something else than a redial.
    pub(super) fn promote(
        &mut self,
        now: Instant,
        outcome: Outcome,
        reaction: Reaction,
        step: &mut Step,
    ) -> bool {
        let successor = self.health.migration;
        let redials = matches!(reaction, Reaction::Redial { .. }) && outcome != Outcome::Success;
        if successor == Generation::default() || !redials || self.is_last() {
            return false;
        }
        step.tell(Event::Error { outcome, terminal: false });
        self.failing_since.get_or_insert(now);
        self.dial = successor;
        self.attempts = self.attempts.saturating_add(1);
        self.counters.attempts += 1;
        let until = later(now, self.settings.dial_timeout);
        self.enter(State::Reconnecting { redial: Redial::Dialling { until } }, step);
        step.tell(Event::ReconnectAttempt { attempt: self.attempts });
        true
    }

    /// A dial that waits for its turn begins then.
    pub(super) fn delay_dial(&mut self, turn: Instant) {
        let later = later(turn, self.settings.dial_timeout);
        match &mut self.state {
            State::Connecting { until }
            | State::Reconnecting { redial: Redial::Dialling { until } }
            | State::Suspended { redial: Redial::Dialling { until }, .. } => *until = later,
            State::Disconnected
            | State::Connected { .. }
            | State::Reconnecting { redial: Redial::Never | Redial::At(_) }
            | State::Suspended { redial: Redial::Never | Redial::At(_), .. }
            | State::Failed { .. }
            | State::Closing { .. } => {}
        }
    }

    /// Does what an ending asks for: redials after a wait, or gives up.
    pub(super) fn react(
        &mut self,
        now: Instant,
        outcome: Outcome,
        reaction: Reaction,
        bits: u64,
        step: &mut Step,
    ) {
        let usual = Wait::Usual;
        let wait = match reaction {
            Reaction::Stop => {
                step.tell(Event::Error { outcome, terminal: false });
                return self.settle(step);
            }
            Reaction::Redial { at_least } => Ok(at_least),
            Reaction::RedialFew { limit, .. } => {
                self.breaches = self.breaches.saturating_add(1);
                if u32::from(self.breaches) > limit {
                    Err(FailReason::ProtocolBroken)
                } else {
                    Ok(usual)
                }
            }
            Reaction::PingLess => {
                self.settings.ping_less();
                Ok(usual)
            }
            Reaction::Refresh if self.refreshed => Err(FailReason::CredentialsRefused),
            Reaction::Refresh => {
                self.refreshed = true;
                Ok(usual)
            }
            Reaction::Fail => Err(FailReason::RefusedPermanently),
        };
        match wait {
            Ok(wait) => {
                step.tell(Event::Error { outcome, terminal: self.is_last() });
                let bad = matches!(outcome.sample(), Sample::Failure | Sample::Throttled);
                if self.state.is_dialling() && bad {
                    self.trip(now, step);
                }
                self.schedule(now, wait, bits, step);
            }
            Err(reason) => {
                step.tell(Event::Error { outcome, terminal: true });
                self.fail(reason, step);
            }
        }
    }

    /// The past is forgiven: the link is stable, or begins anew.
    pub(super) fn forgive(&mut self) {
        (self.attempts, self.previous, self.failing_since) = (0, 0, None);
        (self.refreshed, self.breaches) = (false, 0);
    }
}
