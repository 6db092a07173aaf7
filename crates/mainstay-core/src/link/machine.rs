use super::close::Reaction;
use super::config::{LinkConfig, Settings};
use super::health::{Health, Probe};
use super::state::{Generation, Redial, State, SuspendReason};
use super::stats::Counters;
use super::step::{Action, DeadlineReason, Event, Input, Step};
use crate::config::ConfigError;
use crate::policy::outcome::{Outcome, Sample};
use crate::time::Instant;
use core::time::Duration;

/// A connection you open that heals itself, as a value: inputs in, one action and some events out.
///
/// ```
/// use mainstay_core::link::{Action, Input, Link, LinkConfig, StateName};
/// use mainstay_core::policy::outcome::Outcome;
/// use mainstay_core::time::Instant;
///
/// let mut link = Link::new(&LinkConfig::default())?;
/// let now = Instant::from_millis(0);
/// let step = link.handle(now, Input::Connect, 0);
/// let Action::Dial { generation, .. } = step.action else { panic!("a dial") };
/// let _ = link.handle(now, Input::DialFinished { generation, outcome: Outcome::Success }, 0);
/// assert_eq!(link.state().name(), StateName::Connected);
/// # Ok::<(), mainstay_core::config::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Link {
    pub(super) settings: Settings,
    pub(super) state: State,
    pub(super) health: Health,
    pub(super) counters: Counters,
    pub(super) breaker: Breaker,
    /// Since when there has been no connection although one is wanted.
    pub(super) failing_since: Option<Instant>,
    /// The latest time it was told.
    pub(super) latest: Instant,
    /// The last wait, in nanoseconds.
    pub(super) previous: u64,
    /// Redials since the link was last stable.
    pub(super) attempts: u32,
    /// The newest generation handed out, of a dial or a probe.
    pub(super) newest: Generation,
    /// That of the newest dial.
    pub(super) dial: Generation,
    pub(super) redials: bool,
    /// Whether the credentials were refused since the link was last stable.
    pub(super) refreshed: bool,
    /// Broken protocols since then.
    pub(super) breaches: u8,
}

/// What a link knows of the breaker over its dials, its own or one that was reported.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Breaker {
    pub(super) until: Option<Instant>,
    pub(super) failures: u16,
    pub(super) half_open: bool,
}

impl Link {
    /// A disconnected link.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field that makes no sense.
    pub fn new(config: &LinkConfig) -> Result<Self, ConfigError> {
        Ok(Self {
            settings: Settings::new(config)?,
            state: State::Disconnected,
            health: Health::default(),
            counters: Counters::default(),
            breaker: Breaker::default(),
            failing_since: None,
            latest: Instant::from_nanos(0),
            previous: 0,
            attempts: 0,
            newest: Generation::default(),
            dial: Generation::default(),
            redials: config.reconnect.enabled,
            refreshed: false,
            breaches: 0,
        })
    }

    /// Takes another configuration without losing connection, attempts or statistics. Waits that
    /// run already end as planned; probes may come sooner.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field that makes no sense; nothing has changed then.
    pub fn reconfigure(&mut self, now: Instant, config: &LinkConfig) -> Result<Step, ConfigError> {
        self.settings = Settings::new(config)?;
        self.follow(now);
        if matches!(self.state, State::Connected { .. }) {
            self.health.hasten(&self.settings, now);
        }
        let enabled = config.reconnect.enabled;
        let input = if enabled { Input::EnableReconnection } else { Input::DisableReconnection };
        Ok(self.handle(now, input, 0))
    }

    /// Where it stands.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// The generation of the newest dial.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.dial
    }

    /// Whether a probe is under way.
    #[must_use]
    pub const fn is_probing(&self) -> bool {
        matches!(self.health.probe, Probe::Running { .. })
    }

    /// Tells it what happened; 64 random `bits` draw a wait if one begins.
    ///
    /// An input that does not fit the state, or an answer of an earlier generation, changes nothing
    /// and asks for nothing. Afterwards [`Link::deadline`] says when to come back.
    pub fn handle(&mut self, now: Instant, input: Input, bits: u64) -> Step {
        let mut step = Step::default();
        self.follow(now);
        match input {
            Input::Connect => self.connect(now, &mut step),
            Input::Disconnect => self.disconnect(now, &mut step),
            Input::CheckNow => self.check_now(now, &mut step),
            Input::Pause => self.pause(now, &mut step),
            Input::Resume => self.resume(now, &mut step),
            Input::Reset => self.reset(&mut step),
            Input::DialFinished { generation, outcome } => {
                if generation == self.dial && self.state.is_dialling() {
                    self.dial_finished(now, outcome, Reaction::of(outcome), bits, &mut step);
                }
            }
            Input::Ended { generation, outcome, reaction } => {
                if generation != self.dial {
                } else if self.state.is_dialling() {
                    self.dial_finished(now, outcome, reaction, bits, &mut step);
                } else {
                    self.lost(now, outcome, reaction, bits, &mut step);
                }
            }
            Input::Heard { generation, at } => {
                if generation == self.dial {
                    self.heard(now, at.min(now), bits, &mut step);
                }
            }
            Input::Woke => self.woke(now, &mut step),
            Input::DialDelayed { generation, until } => {
                if generation == self.dial {
                    self.delay_dial(until);
                }
            }
            Input::Migrate => self.migrate(now, &mut step),
            Input::Migrated { generation, outcome } => {
                if self.health.migration == generation && generation != Generation::default() {
                    self.migrated(now, generation, outcome, &mut step);
                } else if generation == self.dial && self.state.is_dialling() {
                    self.dial_finished(now, outcome, Reaction::of(outcome), bits, &mut step);
                }
            }
            Input::ProbeFinished { generation, outcome, rtt } => {
                if let Probe::Running { generation: running, .. } = self.health.probe
                    && running == generation
                {
                    self.probe_finished(now, outcome, Some(rtt), bits, &mut step);
                }
            }
            Input::CloseFinished { generation } => {
                if generation == self.dial && matches!(self.state, State::Closing { .. }) {
                    self.settle(&mut step);
                }
            }
            Input::Lost { generation, outcome } => {
                if generation == self.dial {
                    self.lost(now, outcome, Reaction::of(outcome), bits, &mut step);
                }
            }
            Input::Traffic { outcome, took } => self.traffic(now, outcome, took, bits, &mut step),
            Input::Timer => self.timer(now, bits, &mut step),
            Input::BreakerOpened { until } => self.breaker_opened(now, until, &mut step),
            Input::BreakerClosed => self.breaker_closed(now, bits, &mut step),
            Input::EnableReconnection => self.redials = true,
            Input::DisableReconnection => self.disable(&mut step),
        }
        step
    }

    /// When it wants [`Input::Timer`], and for what. None: only when something happens.
    ///
    /// One timer serves all: it is the earliest of what the link waits for.
    #[must_use]
    pub fn deadline(&self) -> Option<(Instant, DeadlineReason)> {
        let by_state = match self.state {
            State::Disconnected | State::Failed { .. } => None,
            State::Connecting { until } => Some((until, DeadlineReason::DialTimeout)),
            State::Connected { since, stable } => (!stable)
                .then(|| (later(since, self.settings.stable_after), DeadlineReason::Stable)),
            State::Reconnecting { redial } => self.redial_deadline(redial, None),
            State::Suspended { reason, redial } => self.redial_deadline(redial, Some(reason)),
            State::Closing { until } => Some((until, DeadlineReason::CloseTimeout)),
        };
        let by_probe = match self.health.probe {
            Probe::Idle => None,
            Probe::Due(at) => Some((at, DeadlineReason::Probe)),
            Probe::Running { until, .. } => Some((until, DeadlineReason::ProbeTimeout)),
        };
        by_state.into_iter().chain(by_probe).min()
    }

    fn connect(&mut self, now: Instant, step: &mut Step) {
        match self.state {
            State::Disconnected | State::Failed { .. } => self.start(now, step),
            State::Closing { .. } => {
                self.settle(step);
                self.start(now, step);
            }
            State::Connecting { .. } | State::Connected { .. } => {}
            State::Reconnecting { redial } => self.hurry(now, redial, step),
            State::Suspended { reason: SuspendReason::LongOutage, redial } => {
                self.hurry(now, redial, step);
            }
            State::Suspended { reason: SuspendReason::BreakerOpen, .. } => {}
            State::Suspended { reason: SuspendReason::Paused, .. } => self.start(now, step),
        }
    }

    fn disconnect(&mut self, now: Instant, step: &mut Step) {
        match self.state {
            State::Disconnected | State::Closing { .. } => {}
            State::Connected { .. } => {
                step.action = self.close_action(now);
                let until = later(now, self.settings.close_timeout);
                self.enter(State::Closing { until }, step);
            }
            State::Connecting { .. }
            | State::Reconnecting { .. }
            | State::Suspended { .. }
            | State::Failed { .. } => {
                step.action = Action::Abandon;
                self.settle(step);
            }
        }
    }

    fn check_now(&mut self, now: Instant, step: &mut Step) {
        match self.state {
            State::Disconnected
            | State::Connected { .. }
            | State::Failed { .. }
            | State::Suspended {
                reason: SuspendReason::BreakerOpen | SuspendReason::Paused, ..
            } => self.begin_probe(now, step),
            State::Reconnecting { redial }
            | State::Suspended { reason: SuspendReason::LongOutage, redial } => {
                self.hurry(now, redial, step);
            }
            State::Connecting { .. } | State::Closing { .. } => {}
        }
    }

    fn pause(&mut self, now: Instant, step: &mut Step) {
        match self.state {
            State::Disconnected
            | State::Failed { .. }
            | State::Closing { .. }
            | State::Suspended { reason: SuspendReason::Paused, .. } => return,
            State::Connected { .. } => step.action = self.close_action(now),
            State::Connecting { .. }
            | State::Reconnecting { .. }
            | State::Suspended {
                reason: SuspendReason::BreakerOpen | SuspendReason::LongOutage,
                ..
            } => step.action = Action::Abandon,
        }
        self.suspend(SuspendReason::Paused, Redial::Never, step);
    }

    fn resume(&mut self, now: Instant, step: &mut Step) {
        match self.state {
            State::Suspended { reason: SuspendReason::Paused, .. } => self.start(now, step),
            State::Suspended {
                reason: SuspendReason::BreakerOpen | SuspendReason::LongOutage,
                ..
            }
            | State::Disconnected
            | State::Connecting { .. }
            | State::Connected { .. }
            | State::Reconnecting { .. }
            | State::Failed { .. }
            | State::Closing { .. } => {}
        }
    }

    fn reset(&mut self, step: &mut Step) {
        step.action = Action::Abandon;
        match self.state {
            State::Disconnected => self.health = Health::default(),
            State::Connecting { .. }
            | State::Connected { .. }
            | State::Reconnecting { .. }
            | State::Suspended { .. }
            | State::Failed { .. }
            | State::Closing { .. } => self.settle(step),
        }
        self.counters = Counters::default();
        self.breaker = Breaker::default();
        self.forgive();
    }

    fn lost(
        &mut self,
        now: Instant,
        outcome: Outcome,
        reaction: Reaction,
        bits: u64,
        step: &mut Step,
    ) {
        match self.state {
            State::Connected { .. } => {}
            State::Closing { .. } => return self.settle(step),
            State::Disconnected
            | State::Connecting { .. }
            | State::Reconnecting { .. }
            | State::Suspended { .. }
            | State::Failed { .. } => return,
        }
        if self.promote(now, outcome, reaction, step) {
            return;
        }
        step.action = Action::Abandon;
        match outcome {
            Outcome::Success => self.settle(step),
            Outcome::Refused
            | Outcome::Permanent
            | Outcome::Mistake
            | Outcome::Transient { .. }
            | Outcome::Elsewhere
            | Outcome::Throttled { .. }
            | Outcome::Rejected { .. }
            | Outcome::Abandoned => self.react(now, outcome, reaction, bits, step),
        }
    }

    fn traffic(
        &mut self,
        now: Instant,
        outcome: Outcome,
        took: Duration,
        bits: u64,
        step: &mut Step,
    ) {
        let State::Connected { since, .. } = self.state else { return };
        if now.since(since) < took {
            return;
        }
        match outcome.sample() {
            Sample::Success => {
                self.counters.calls.record(took);
                self.judge(now, true, outcome, bits, step);
            }
            Sample::Failure => self.judge(now, false, outcome, bits, step),
            Sample::Throttled | Sample::Neutral => {}
        }
    }

    fn timer(&mut self, now: Instant, bits: u64, step: &mut Step) {
        let Some((at, reason)) = self.deadline() else { return };
        if at > now {
            return;
        }
        match reason {
            DeadlineReason::DialTimeout => {
                step.action = Action::Abandon;
                let reaction = Reaction::of(Outcome::TRANSIENT);
                self.dial_finished(now, Outcome::TRANSIENT, reaction, bits, step);
            }
            DeadlineReason::CloseTimeout => {
                step.action = Action::Abandon;
                self.settle(step);
            }
            DeadlineReason::ProbeTimeout => {
                self.probe_finished(now, Outcome::TRANSIENT, None, bits, step);
            }
            DeadlineReason::Redial => self.fire(now, step),
            DeadlineReason::BreakerTrial => {
                self.breaker.until = None;
                self.breaker.half_open = true;
                let closed = self.settings.closed_after_cooldown;
                step.tell(if closed { Event::BreakerClosed } else { Event::BreakerHalfOpen });
                self.fire(now, step);
            }
            DeadlineReason::LongOutage => {
                if let State::Reconnecting { redial } = self.state {
                    self.suspend(SuspendReason::LongOutage, redial, step);
                }
            }
            DeadlineReason::Stable => {
                if let State::Connected { stable, .. } = &mut self.state {
                    *stable = true;
                }
                // A peer that takes connections and drops them has not come back before this.
                self.forgive();
                step.tell(Event::Stable);
            }
            DeadlineReason::Probe => self.begin_probe(now, step),
        }
    }

    fn disable(&mut self, step: &mut Step) {
        self.redials = false;
        match self.state {
            State::Reconnecting { .. }
            | State::Suspended {
                reason: SuspendReason::BreakerOpen | SuspendReason::LongOutage,
                ..
            } => {
                step.action = Action::Abandon;
                self.settle(step);
            }
            State::Suspended { reason: SuspendReason::Paused, .. }
            | State::Disconnected
            | State::Connecting { .. }
            | State::Connected { .. }
            | State::Failed { .. }
            | State::Closing { .. } => {}
        }
    }
}

/// `at` moved `nanos` nanoseconds on.
pub(super) fn later(at: Instant, nanos: u64) -> Instant {
    Instant::from_nanos(at.as_nanos().saturating_add(nanos))
}
