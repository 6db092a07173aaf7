//! What a link's handles and its task share: the machine, and what is to be done and told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::SystemTime;

use mainstay_core::link::{
    Action, Event as What, Input, Link as Machine, LinkView, StateName, Step,
};
use mainstay_core::policy::outcome::Outcome;
use mainstay_core::time::Instant;
use tokio::sync::{broadcast, watch};

use super::event::LinkEvent;
use super::handle::ConnectError;
use super::listener::Listeners;
use super::log;
use crate::clock;
use crate::event::{Events, Kind};

/// Events that wait to be told. One task tells them, so that everyone sees the same order; a link
/// whose task is held up by a listener for that long loses the newest.
const OUTBOX_MAX: usize = 1024;

/// Events a subscriber may lag behind.
pub(super) const SUBSCRIBERS_LAG: usize = 128;

/// A result that several callers wait for.
pub(super) type Flight<T> = watch::Sender<Option<T>>;

pub(super) struct Desk {
    pub(super) name: Arc<str>,
    pub(super) target: Arc<str>,
    listeners: OnceLock<Arc<Listeners>>,
    pub(super) subscribers: OnceLock<broadcast::Sender<Arc<LinkEvent>>>,
    watchers: OnceLock<watch::Sender<LinkView>>,
    bus: Option<Events>,
    book: Mutex<Book>,
}

/// What only one may look at at a time.
pub(super) struct Book {
    pub(super) machine: Machine,
    /// To be done with the connection, by the task: dial, close or abandon.
    pub(super) line: Action,
    /// To be done beside it: probe.
    pub(super) probe: Action,
    /// To be done beside it: migrate.
    pub(super) standby: Action,
    pub(super) stopping: bool,
    pub(super) ended: bool,
    pub(super) connecting: Option<Flight<Result<(), ConnectError>>>,
    pub(super) checking: Option<Flight<bool>>,
    pub(super) leaving: Option<Flight<()>>,
    /// Who is to be woken: the task, while it sleeps.
    sleeper: Option<Waker>,
    called: bool,
    /// The state that the transport was told last.
    known: StateName,
    outbox: VecDeque<Note>,
}

/// What is to be told, in order.
enum Note {
    Event { what: What, at: SystemTime, now: Instant, generation: u32, error: Option<Arc<str>> },
    Connect(Flight<Result<(), ConnectError>>, Result<(), ConnectError>),
    Check(Flight<bool>, bool),
    Left(Flight<()>),
}

impl Desk {
    pub(super) fn new(
        name: Arc<str>,
        target: Arc<str>,
        machine: Machine,
        bus: Option<Events>,
    ) -> Self {
        let book = Book {
            machine,
            line: Action::Nothing,
            probe: Action::Nothing,
            standby: Action::Nothing,
            stopping: false,
            ended: false,
            connecting: None,
            checking: None,
            leaving: None,
            sleeper: None,
            called: false,
            known: StateName::Disconnected,
            outbox: VecDeque::new(),
        };
        Self {
            name,
            target,
            listeners: OnceLock::new(),
            subscribers: OnceLock::new(),
            watchers: OnceLock::new(),
            bus,
            book: Mutex::new(book),
        }
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the machine an input and wakes the task if there is something for it.
    pub(super) fn give(&self, input: Input) {
        if self.book().give(input) {
            self.call();
        }
    }

    /// The listeners; there is no list before the first asks.
    pub(super) fn listeners(&self) -> &Arc<Listeners> {
        self.listeners.get_or_init(Arc::default)
    }

    /// Nothing will be told any more.
    pub(super) fn forget_listeners(&self) {
        self.listeners.get().into_iter().for_each(|listeners| listeners.clear());
    }

    /// Wakes the task.
    pub(super) fn call(&self) {
        let sleeper = {
            let mut book = self.book();
            book.called = true;
            book.sleeper.take()
        };
        if let Some(sleeper) = sleeper {
            sleeper.wake();
        }
    }

    /// Ready when the task has been called since the last time.
    pub(super) fn poll_called(&self, context: &Context<'_>) -> Poll<()> {
        let mut book = self.book();
        if std::mem::take(&mut book.called) {
            return Poll::Ready(());
        }
        match &book.sleeper {
            Some(sleeper) if sleeper.will_wake(context.waker()) => {}
            Some(_) | None => book.sleeper = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// Tells everything that waits to be told. Holds no lock while it does.
    pub(super) fn tell(&self) {
        loop {
            let Some(note) = self.book().outbox.pop_front() else { return };
            match note {
                Note::Event { what, at, now, generation, error } => {
                    let wait = match what {
                        What::Reconnecting { delay, .. } => Some(delay),
                        What::Suspended { until, .. } => until.map(|until| until.since(now)),
                        What::BreakerOpened { until } => Some(until.since(now)),
                        What::StateChanged { .. }
                        | What::Connected
                        | What::Reconnected { .. }
                        | What::Stable
                        | What::Disconnected
                        | What::ReconnectAttempt { .. }
                        | What::Suspect
                        | What::Restored
                        | What::Unhealthy { .. }
                        | What::Error { .. }
                        | What::AttemptsExhausted { .. }
                        | What::BreakerHalfOpen
                        | What::BreakerClosed
                        | What::Woke
                        | What::Migrated
                        | What::MigrationFailed { .. } => None,
                    };
                    let (link, target) = (self.name.clone(), self.target.clone());
                    self.spread(LinkEvent { what, at, link, target, generation, error, wait });
                }
                Note::Connect(flight, result) => drop(flight.send_replace(Some(result))),
                Note::Check(flight, good) => drop(flight.send_replace(Some(good))),
                Note::Left(flight) => drop(flight.send_replace(Some(()))),
            }
            if let Some(watchers) = self.watchers.get() {
                self.show(watchers);
            }
        }
    }

    /// The state as it changes, from now on.
    pub(super) fn watch(&self) -> watch::Receiver<LinkView> {
        let view = || watch::Sender::new(self.book().machine.view());
        let watchers = self.watchers.get_or_init(view);
        // It may have changed before the task could know of the watchers.
        self.show(watchers);
        watchers.subscribe()
    }

    /// Shows the present state. It is read while nobody else can show one: an older one could
    /// otherwise take the place of a newer one, and stay.
    fn show(&self, watchers: &watch::Sender<LinkView>) {
        watchers.send_if_modified(|shown| {
            let view = self.book().machine.view();
            std::mem::replace(shown, view) != view
        });
    }

    fn spread(&self, event: LinkEvent) {
        log::write(&event);
        if let Some(listeners) = self.listeners.get() {
            listeners.call(&event);
        }
        if let Some(bus) = &self.bus {
            bus.send(|| Kind::Link(event.clone()));
        }
        if let Some(subscribers) = self.subscribers.get() {
            // Nobody may be left to listen by now, which is fine.
            drop(subscribers.send(Arc::new(event)));
        }
    }
}

impl Book {
    /// Whether the task has something to do.
    pub(super) fn give(&mut self, input: Input) -> bool {
        self.give_with(input, None)
    }

    /// The same with the error that led to it.
    pub(super) fn give_with(&mut self, input: Input, error: Option<Arc<str>>) -> bool {
        if self.ended {
            return false;
        }
        let now = clock::now();
        let before = self.machine.deadline();
        let (checks, good) = self.checks(now);
        let step = self.machine.handle(now, input, clock::draw());
        let told = self.absorb(now, &step, error.as_ref());
        let (checks_now, good_now) = self.checks(now);
        if checks_now > checks {
            self.settle_check(good_now > good);
        } else if !self.machine.is_probing() && !self.machine.state().is_dialling() {
            self.settle_check(self.machine.view().healthy);
        }
        told || self.machine.deadline() != before
    }

    /// What is to be done, which then is not to be done again: the connection's own first.
    pub(super) fn take_actions(&mut self) -> [Action; 3] {
        let slots = [&mut self.line, &mut self.probe, &mut self.standby];
        slots.map(std::mem::take)
    }

    /// The state, if the transport does not know it yet.
    pub(super) fn take_news(&mut self) -> Option<StateName> {
        let state = self.machine.state().name();
        let known = std::mem::replace(&mut self.known, state);
        (known != state).then_some(state)
    }

    /// Whether something is to be done.
    pub(super) fn is_asked(&self) -> bool {
        [self.line, self.probe, self.standby].iter().any(|action| *action != Action::Nothing)
    }

    /// Takes over what a step asks for and tells.
    pub(super) fn absorb(&mut self, now: Instant, step: &Step, cause: Option<&Arc<str>>) -> bool {
        match step.action {
            Action::Nothing => {}
            Action::Probe { .. } => self.probe = step.action,
            Action::Migrate { .. } => self.standby = step.action,
            Action::Dial { .. } | Action::Close { .. } | Action::Abandon => {
                self.line = step.action;
                (self.probe, self.standby) = (Action::Nothing, Action::Nothing);
            }
        }
        let generation = self.machine.generation().number();
        let at = SystemTime::now();
        let mut told = step.action != Action::Nothing;
        for what in step.events() {
            told = true;
            let error = match what {
                What::Error { .. }
                | What::Unhealthy { .. }
                | What::Suspect
                | What::MigrationFailed { .. } => cause.cloned(),
                What::StateChanged { .. }
                | What::Connected
                | What::Reconnected { .. }
                | What::Stable
                | What::Disconnected
                | What::Reconnecting { .. }
                | What::ReconnectAttempt { .. }
                | What::Restored
                | What::AttemptsExhausted { .. }
                | What::Suspended { .. }
                | What::BreakerOpened { .. }
                | What::BreakerHalfOpen
                | What::BreakerClosed
                | What::Woke
                | What::Migrated => None,
            };
            self.note(Note::Event { what, at, now, generation, error });
        }
        self.settle_connect(step, cause);
        if step.events().any(|what| what == What::Disconnected)
            && let Some(flight) = self.leaving.take()
        {
            self.note(Note::Left(flight));
        }
        told
    }

    fn note(&mut self, note: Note) {
        let optional = matches!(note, Note::Event { .. });
        if !optional || self.outbox.len() < OUTBOX_MAX {
            self.outbox.push_back(note);
        }
    }

    /// Answers those who wait for a connection, once the dial they wait for has ended.
    fn settle_connect(&mut self, step: &Step, cause: Option<&Arc<str>>) {
        if self.connecting.is_none() {
            return;
        }
        let view = self.machine.view();
        let mut failed = None;
        for event in step.events() {
            if let What::Error { outcome, terminal } = event {
                failed = Some((outcome, terminal));
            }
        }
        let result = if view.healthy {
            Ok(())
        } else if let Some((outcome, terminal)) = failed {
            Err(ConnectError::Failed { outcome, terminal, error: cause.cloned() })
        } else if self.machine.state().is_dialling() {
            return;
        } else if let Some(reason) = view.suspended {
            Err(ConnectError::Suspended { reason })
        } else {
            Err(ConnectError::Cancelled)
        };
        if let Some(flight) = self.connecting.take() {
            self.note(Note::Connect(flight, result));
        }
    }

    fn settle_check(&mut self, good: bool) {
        if let Some(flight) = self.checking.take() {
            self.note(Note::Check(flight, good));
        }
    }

    fn checks(&self, now: Instant) -> (u64, u64) {
        if self.checking.is_none() {
            return (0, 0);
        }
        let stats = self.machine.stats(now);
        (stats.total_health_checks, stats.successful_health_checks)
    }

    /// Whether nothing is left to tell.
    pub(super) fn is_quiet(&self) -> bool {
        self.outbox.is_empty()
    }

    /// The task is gone: nobody may wait any longer.
    ///
    /// It may have panicked, or its runtime gone: then the connection is gone as well, and that is
    /// left to be told.
    pub(super) fn end(&mut self) {
        let generation = self.machine.generation();
        for input in [Input::Disconnect, Input::CloseFinished { generation }] {
            self.give(input);
        }
        self.ended = true;
        (self.connecting, self.checking, self.leaving) = (None, None, None);
    }

    /// What a real call that ended now says.
    pub(super) fn traffic(&mut self, outcome: Outcome, took: core::time::Duration) -> bool {
        self.give(Input::Traffic { outcome, took })
    }
}
