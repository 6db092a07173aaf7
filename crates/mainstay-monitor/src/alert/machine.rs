//! The machine of one alert.

use std::mem;
use std::time::Duration;

use mainstay_core::time::Instant;
use serde::{Deserialize, Serialize};

use super::flags::{Acknowledgement, Silence};
use super::flapping::Flapping;
use super::rule::{Observation, Rule, Severity, Verdict};
use super::span::Span;

/// Since when each level has held, the mildest first.
pub(super) type Reached = [Option<Span>; 4];

/// What happens to an alert.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The rule was evaluated.
    Observed(Observation),
    /// Somebody sees to it. Of another incident than the present one, it changes nothing.
    Acknowledge {
        /// The number in [`Effect::Fired`].
        incident: u64,
        /// Who, with what note, until when.
        by: Acknowledgement,
    },
    /// Nobody sees to it after all.
    Withdraw,
    /// It shall not be heard.
    Silence(Silence),
    /// It shall be heard again.
    Lift,
}

/// What is to be told, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It fires: an incident begins.
    Fired {
        /// Its number; counts from 1, over restarts.
        incident: u64,
        /// How bad it is.
        severity: Severity,
    },
    /// It has become worse or better while firing.
    SeverityChanged {
        /// The incident's number.
        incident: u64,
        /// What it was.
        from: Severity,
        /// What it is.
        to: Severity,
    },
    /// It is over. Told for every incident, whatever the flags say.
    Resolved {
        /// The incident's number.
        incident: u64,
        /// How bad it was in the end.
        severity: Severity,
        /// How long it fired, outages of ours included.
        lasted: Duration,
    },
    /// Somebody sees to it.
    Acknowledged {
        /// The incident's number.
        incident: u64,
        /// Who, with what note, until when.
        by: Acknowledgement,
    },
    /// Nobody sees to it any more.
    AcknowledgementEnded(Ended),
    /// It shall not be heard.
    Silenced(Silence),
    /// It is heard again.
    SilenceEnded(Ended),
    /// Its level changes too often for each change to be told.
    FlappingBegan,
    /// It has settled.
    FlappingEnded,
    /// There is no data to judge by, and was none in the evaluations before.
    NoDataBegan,
    /// There is data again.
    NoDataEnded,
}

/// Why a flag was taken down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Somebody asked for it.
    Withdrawn,
    /// Its time was over.
    Expired,
    /// It has become worse than what was seen to.
    SeverityRose,
    /// The alert is over.
    Resolved,
}

/// Where an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// Nothing is the matter.
    Inactive,
    /// The condition holds, not yet for long enough.
    Pending,
    /// It is told.
    Firing,
    /// The condition is clear, not yet for long enough.
    Keep,
    /// It is over and still known.
    Resolved,
}

/// The state with its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inner {
    Inactive,
    Pending { reached: Reached },
    Firing { severity: Severity, since: Span, reached: Reached },
    Keep { severity: Severity, since: Span, clear: Span },
    Resolved { severity: Severity, at: Span },
}

/// What an input means.
enum Event {
    Holds(Severity),
    Clear,
    Unclear,
    Missing,
    GivenUp,
    Acknowledge { incident: u64, by: Acknowledgement },
    Withdraw,
    Silence(Silence),
    Lift,
}

/// One alert: a rule, applied to one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    pub(super) inner: Inner,
    /// How often it has fired.
    pub(super) incident: u64,
    pub(super) acknowledgement: Option<Acknowledgement>,
    pub(super) silence: Option<Silence>,
    pub(super) flapping: Flapping,
    /// Evaluations without data, in a row.
    pub(super) missing: u32,
    pub(super) no_data: bool,
}

impl Default for Alert {
    fn default() -> Self {
        Self::new()
    }
}

impl Alert {
    /// An alert about which nothing is known: [`State::Inactive`].
    #[must_use]
    pub fn new() -> Self {
        Self {
            inner: Inner::Inactive,
            incident: 0,
            acknowledgement: None,
            silence: None,
            flapping: Flapping::default(),
            missing: 0,
            no_data: false,
        }
    }

    /// Where it is.
    #[must_use]
    pub const fn state(&self) -> State {
        match self.inner {
            Inner::Inactive => State::Inactive,
            Inner::Pending { .. } => State::Pending,
            Inner::Firing { .. } => State::Firing,
            Inner::Keep { .. } => State::Keep,
            Inner::Resolved { .. } => State::Resolved,
        }
    }

    /// How bad the incident is, or was while it is still known.
    #[must_use]
    pub const fn severity(&self) -> Option<Severity> {
        match self.inner {
            Inner::Inactive | Inner::Pending { .. } => None,
            Inner::Firing { severity, .. }
            | Inner::Keep { severity, .. }
            | Inner::Resolved { severity, .. } => Some(severity),
        }
    }

    /// The number of the latest incident; 0 before the first.
    #[must_use]
    pub const fn incident(&self) -> u64 {
        self.incident
    }

    /// How long it has been firing.
    #[must_use]
    pub fn firing_for(&self, now: Instant) -> Option<Duration> {
        match self.inner {
            Inner::Firing { since, .. } | Inner::Keep { since, .. } => Some(since.elapsed(now)),
            Inner::Inactive | Inner::Pending { .. } | Inner::Resolved { .. } => None,
        }
    }

    /// Who sees to it.
    #[must_use]
    pub const fn acknowledgement(&self) -> Option<&Acknowledgement> {
        self.acknowledgement.as_ref()
    }

    /// Whether, and how long, it shall not be heard.
    #[must_use]
    pub const fn silence(&self) -> Option<Silence> {
        self.silence
    }

    /// Whether its level changes too often for each change to be told.
    #[must_use]
    pub const fn is_flapping(&self) -> bool {
        self.flapping.on
    }

    /// Whether there is no data to judge by.
    #[must_use]
    pub const fn has_no_data(&self) -> bool {
        self.no_data
    }

    /// Takes what happened under `rule`, and answers what is to be told.
    ///
    /// What times do is done when it is next called; every evaluation does.
    #[must_use = "each effect is given out once"]
    pub fn handle(&mut self, now: Instant, rule: &Rule, input: Input) -> Vec<Effect> {
        let mut told = Vec::new();
        self.expire(now, rule, &mut told);
        let event = self.understand(rule, input, &mut told);
        let inner = self.inner;
        self.inner = match (inner, event) {
            (Inner::Inactive | Inner::Resolved { .. }, Event::Holds(level)) => {
                self.pend(now, rule, held([None; 4], level, now), &mut told)
            }
            (Inner::Pending { reached }, Event::Holds(level)) => {
                self.pend(now, rule, held(reached, level, now), &mut told)
            }
            (Inner::Pending { .. }, Event::Clear | Event::GivenUp) => Inner::Inactive,
            (Inner::Firing { severity, since, reached }, Event::Holds(level)) => {
                let reached = held(reached, level, now);
                self.burn(now, rule, (severity, level), since, reached, &mut told)
            }
            (Inner::Keep { severity, since, .. }, Event::Holds(level)) => {
                let reached = held([None; 4], level, now);
                self.burn(now, rule, (severity, level), since, reached, &mut told)
            }
            (Inner::Firing { severity, since, .. }, Event::Clear) => {
                self.keep(now, rule, severity, since, Span::new(now), &mut told)
            }
            (Inner::Keep { severity, since, clear }, Event::Clear) => {
                self.keep(now, rule, severity, since, clear.seen(now), &mut told)
            }
            (Inner::Inactive | Inner::Resolved { .. }, Event::Clear | Event::GivenUp)
            | (Inner::Firing { .. } | Inner::Keep { .. }, Event::GivenUp)
            | (
                Inner::Inactive
                | Inner::Pending { .. }
                | Inner::Firing { .. }
                | Inner::Keep { .. }
                | Inner::Resolved { .. },
                Event::Unclear | Event::Missing,
            ) => inner,
            (Inner::Firing { .. } | Inner::Keep { .. }, Event::Acknowledge { incident, by }) => {
                self.acknowledge(incident, by, &mut told);
                inner
            }
            (
                Inner::Inactive | Inner::Pending { .. } | Inner::Resolved { .. },
                Event::Acknowledge { .. },
            ) => inner,
            (
                Inner::Inactive
                | Inner::Pending { .. }
                | Inner::Firing { .. }
                | Inner::Keep { .. }
                | Inner::Resolved { .. },
                flag @ (Event::Withdraw | Event::Silence(_) | Event::Lift),
            ) => {
                self.flag(&flag, &mut told);
                inner
            }
        };
        told
    }

    /// Takes down what is over.
    fn expire(&mut self, now: Instant, rule: &Rule, told: &mut Vec<Effect>) {
        let until = self.acknowledgement.as_ref().and_then(|by| by.until);
        if until.is_some_and(|until| now >= until) {
            self.end_acknowledgement(Ended::Expired, told);
        }
        if let Some(Silence::Until(until)) = self.silence
            && now >= until
        {
            self.end_silence(Ended::Expired, told);
        }
        if let Inner::Resolved { severity, at } = self.inner {
            let at = at.seen(now);
            let over = at.elapsed(now) >= rule.config().keep_resolved;
            self.inner = if over { Inner::Inactive } else { Inner::Resolved { severity, at } };
        }
    }

    /// Makes an event of `input`, and counts what is counted of observations.
    fn understand(&mut self, rule: &Rule, input: Input, told: &mut Vec<Effect>) -> Event {
        let seen = match input {
            Input::Observed(seen) => seen,
            Input::Acknowledge { incident, by } => return Event::Acknowledge { incident, by },
            Input::Withdraw => return Event::Withdraw,
            Input::Silence(silence) => return Event::Silence(silence),
            Input::Lift => return Event::Lift,
        };
        let verdict = rule.judge(self.level(), seen);
        if verdict == Verdict::Missing {
            self.missing = self.missing.saturating_add(1);
            if self.missing <= rule.config().no_data_after {
                return Event::Missing;
            }
            if !mem::replace(&mut self.no_data, true) {
                told.push(Effect::NoDataBegan);
            }
            return Event::GivenUp;
        }
        self.missing = 0;
        if mem::take(&mut self.no_data) {
            told.push(Effect::NoDataEnded);
        }
        let (event, level) = match verdict {
            Verdict::Holds(level) => (Event::Holds(level), Some(level)),
            Verdict::Clear => (Event::Clear, None),
            Verdict::Unclear | Verdict::Missing => return Event::Unclear,
        };
        let config = rule.config();
        match self.flapping.push(level, config.flapping_start, config.flapping_stop) {
            Some(true) => told.push(Effect::FlappingBegan),
            Some(false) => told.push(Effect::FlappingEnded),
            None => {}
        }
        event
    }

    /// The level that holds.
    fn level(&self) -> Option<Severity> {
        match self.inner {
            Inner::Pending { reached } | Inner::Firing { reached, .. } => {
                let held = Severity::ALL.into_iter().zip(reached).rev();
                held.into_iter().find_map(|(severity, since)| since.map(|_| severity))
            }
            Inner::Inactive | Inner::Keep { .. } | Inner::Resolved { .. } => None,
        }
    }

    fn pend(
        &mut self,
        now: Instant,
        rule: &Rule,
        reached: Reached,
        told: &mut Vec<Effect>,
    ) -> Inner {
        let Some(severity) = proven(&reached, rule, now) else {
            return Inner::Pending { reached };
        };
        self.incident = self.incident.saturating_add(1);
        told.push(Effect::Fired { incident: self.incident, severity });
        Inner::Firing { severity, since: Span::new(now), reached }
    }

    /// Goes on firing; the severity falls to the level at once, and rises when that has held.
    fn burn(
        &mut self,
        now: Instant,
        rule: &Rule,
        (from, level): (Severity, Severity),
        since: Span,
        reached: Reached,
        told: &mut Vec<Effect>,
    ) -> Inner {
        let risen = proven(&reached, rule, now).map_or(from, |proven| proven.max(from));
        let to = risen.min(level);
        if to != from {
            told.push(Effect::SeverityChanged { incident: self.incident, from, to });
        }
        if to > from {
            self.end_acknowledgement(Ended::SeverityRose, told);
        }
        Inner::Firing { severity: to, since: since.seen(now), reached }
    }

    fn keep(
        &mut self,
        now: Instant,
        rule: &Rule,
        severity: Severity,
        since: Span,
        clear: Span,
        told: &mut Vec<Effect>,
    ) -> Inner {
        if clear.elapsed(now) < rule.config().keep_firing_for {
            return Inner::Keep { severity, since: since.seen(now), clear };
        }
        let (incident, lasted) = (self.incident, since.elapsed(now));
        told.push(Effect::Resolved { incident, severity, lasted });
        self.end_acknowledgement(Ended::Resolved, told);
        if self.silence == Some(Silence::UntilResolved) {
            self.end_silence(Ended::Resolved, told);
        }
        Inner::Resolved { severity, at: Span::new(now) }
    }

    fn acknowledge(&mut self, incident: u64, by: Acknowledgement, told: &mut Vec<Effect>) {
        if incident == self.incident {
            let by = by.bounded();
            self.acknowledgement = Some(by.clone());
            told.push(Effect::Acknowledged { incident, by });
        }
    }

    fn flag(&mut self, event: &Event, told: &mut Vec<Effect>) {
        match event {
            Event::Withdraw => self.end_acknowledgement(Ended::Withdrawn, told),
            Event::Lift => self.end_silence(Ended::Withdrawn, told),
            Event::Silence(silence) => {
                self.silence = Some(*silence);
                told.push(Effect::Silenced(*silence));
            }
            Event::Holds(_)
            | Event::Clear
            | Event::Unclear
            | Event::Missing
            | Event::GivenUp
            | Event::Acknowledge { .. } => {}
        }
    }

    fn end_acknowledgement(&mut self, why: Ended, told: &mut Vec<Effect>) {
        if self.acknowledgement.take().is_some() {
            told.push(Effect::AcknowledgementEnded(why));
        }
    }

    fn end_silence(&mut self, why: Ended, told: &mut Vec<Effect>) {
        if self.silence.take().is_some() {
            told.push(Effect::SilenceEnded(why));
        }
    }
}

/// The same with `level` and all milder ones held since now at the latest, and no worse one.
fn held(reached: Reached, level: Severity, now: Instant) -> Reached {
    let mut next = [None; 4];
    for ((severity, since), next) in Severity::ALL.into_iter().zip(reached).zip(&mut next) {
        if severity <= level {
            *next = Some(since.map_or_else(|| Span::new(now), |since| since.seen(now)));
        }
    }
    next
}

/// The worst level that has held for long enough.
fn proven(reached: &Reached, rule: &Rule, now: Instant) -> Option<Severity> {
    let long = |since: &Span| since.elapsed(now) >= rule.config().hold_for;
    let mut held = Severity::ALL.into_iter().zip(reached).rev();
    held.find_map(|(severity, since)| since.filter(|since| long(since)).map(|_| severity))
}
