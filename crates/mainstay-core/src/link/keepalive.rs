//! Whether the peer is still there: probes, silence, and the sleep of the machine.
//!
//! A probe is due after a silence, not after a time: whatever was heard moves it back
//! ([`Input::Heard`](super::Input::Heard)). A driver tells of it only when a deadline is near, so
//! that a busy connection costs nothing. What is heard while a probe runs answers it, without a
//! round-trip time: a peer that is sending a large message is not dead because its pong waits
//! behind it.

use core::time::Duration;

use super::close::Wait;
use super::health::{Probe, Verdict};
use super::machine::{Link, later};
use super::state::{Redial, State, SuspendReason};
use super::step::{Action, Event, Step};
use crate::policy::outcome::Outcome;
use crate::time::Instant;

impl Link {
    pub(super) fn begin_probe(&mut self, now: Instant, step: &mut Step) {
        if matches!(self.health.probe, Probe::Running { .. }) {
            return;
        }
        self.newest = self.newest.next();
        let until = later(now, self.settings.timeout);
        self.health.probe = Probe::Running { generation: self.newest, until };
        step.action = Action::Probe { generation: self.newest, deadline: until };
    }

    pub(super) fn probe_finished(
        &mut self,
        now: Instant,
        outcome: Outcome,
        rtt: Option<Duration>,
        bits: u64,
        step: &mut Step,
    ) {
        self.health.probe = Probe::Idle;
        let good = match outcome {
            Outcome::Success => Some(true),
            Outcome::Refused
            | Outcome::Permanent
            | Outcome::Transient { .. }
            | Outcome::Elsewhere
            | Outcome::Throttled { .. } => Some(false),
            Outcome::Rejected { .. } | Outcome::Abandoned | Outcome::Mistake => None,
        };
        if let Some(good) = good {
            self.counters.last_check = Some(now);
            if good {
                self.counters.good_checks += 1;
                rtt.into_iter().for_each(|rtt| self.counters.rtt.record(rtt));
            } else {
                self.counters.bad_checks += 1;
            }
        }
        if !matches!(self.state, State::Connected { .. }) {
            return;
        }
        if let Some(good) = good {
            self.judge(now, good, outcome, bits, step);
        }
        if matches!(self.state, State::Connected { .. }) {
            self.health.plan(&self.settings, now);
        }
    }

    /// Counts one result of a connected link towards the verdict.
    pub(super) fn judge(
        &mut self,
        now: Instant,
        good: bool,
        outcome: Outcome,
        bits: u64,
        step: &mut Step,
    ) {
        match self.health.record(&self.settings, good) {
            Verdict::Steady => {}
            Verdict::Suspect => {
                step.tell(Event::Suspect);
                self.health.hasten(&self.settings, now);
            }
            Verdict::Restored => step.tell(Event::Restored),
            Verdict::Down(failures) => {
                step.action = Action::Abandon;
                step.tell(Event::Unhealthy { failures });
                self.schedule(now, Wait::hint(outcome.hint()), bits, step);
            }
        }
    }

    /// Takes into account that the peer was heard at `at`.
    pub(super) fn heard(&mut self, now: Instant, at: Instant, bits: u64, step: &mut Step) {
        if !matches!(self.state, State::Connected { .. }) {
            return;
        }
        match self.health.probe {
            Probe::Idle => {}
            Probe::Due(_) => self.health.postpone(&self.settings, at),
            Probe::Running { until, .. } => {
                let begun = until.as_nanos().saturating_sub(self.settings.timeout);
                if at.as_nanos() > begun {
                    self.probe_finished(now, Outcome::Success, None, bits, step);
                    self.health.postpone(&self.settings, at);
                }
            }
        }
    }

    /// The clock stood still: a connection may be dead without a word, and a wait has been long
    /// enough.
    pub(super) fn woke(&mut self, now: Instant, step: &mut Step) {
        match self.state {
            State::Connected { .. } => {
                step.tell(Event::Woke);
                self.begin_probe(now, step);
            }
            State::Reconnecting { redial: redial @ Redial::At(_) }
            | State::Suspended {
                reason: SuspendReason::LongOutage,
                redial: redial @ Redial::At(_),
            } => {
                step.tell(Event::Woke);
                self.hurry(now, redial, step);
            }
            State::Disconnected
            | State::Connecting { .. }
            | State::Reconnecting { redial: Redial::Never | Redial::Dialling { .. } }
            | State::Suspended {
                reason: SuspendReason::LongOutage,
                redial: Redial::Never | Redial::Dialling { .. },
            }
            | State::Suspended {
                reason: SuspendReason::BreakerOpen | SuspendReason::Paused, ..
            }
            | State::Failed { .. }
            | State::Closing { .. } => {}
        }
    }
}
