//! What happens to sessions, taken down in the order in which it happens.
//!
//! Whoever changes a session holds the journal meanwhile: so what follows from one change reaches
//! the writer before what follows from the next, and nobody takes down another's change.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mainstay_registry::{Effect, Event, EventKind, Registry, SHARDS, SessionId};
use mainstay_store::{Change, Refused, Store, StoreError, Ticket, Writer};
use tokio::sync::{mpsc, watch};

use super::tally::Tally;

/// Events that could not be stored and are held until they can be. What comes after is lost, and
/// said so.
const UNSAVED_MAX: usize = 100_000;

pub(crate) struct Journal {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) writer: Arc<Writer>,
    order: Mutex<Vec<Effect>>,
    /// Commits on their way, with what to do should they fail.
    written: mpsc::UnboundedSender<Written>,
    on_the_way: Mutex<Option<mpsc::UnboundedReceiver<Written>>>,
    /// Counts commits: whoever follows the history looks again.
    pub(crate) committed: watch::Sender<u64>,
    unsaved: Mutex<Unsaved>,
    pub(super) tally: Tally,
}

/// A batch on its way to the disk.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) ticket: Ticket,
    pub(super) sessions: Vec<SessionId>,
    pub(super) events: Vec<Event>,
}

#[derive(Debug, Default)]
struct Unsaved {
    sessions: HashSet<SessionId>,
    events: VecDeque<Event>,
    lost: u64,
}

/// Whether what was done is stored.
#[must_use]
#[derive(Debug)]
pub(crate) struct Stored(Result<Option<Ticket>, NotStored>);

/// Why something is not stored.
#[derive(Clone, Debug)]
pub(crate) enum NotStored {
    /// More waits for the disk than may: later.
    Busy,
    /// It could not be written.
    Failed(StoreError),
}

/// What is done when something cannot be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failing {
    /// It has happened all the same, and is stored later.
    Kept,
    /// It is taken back.
    Undone,
}

/// What is left to do once everything is taken down.
#[derive(Debug, Default)]
pub(super) struct Rest {
    pub(super) effects: Vec<Effect>,
    /// Sessions of which nothing follows.
    pub(super) gone: Vec<SessionId>,
}

impl Stored {
    /// Waits for it.
    pub(crate) async fn wait(self) -> Result<(), NotStored> {
        match self.0? {
            Some(ticket) => ticket.await.map_err(NotStored::Failed),
            None => Ok(()),
        }
    }
}

impl Journal {
    pub(crate) fn new(store: Arc<dyn Store>, writer: Arc<Writer>) -> Self {
        let (written, on_the_way) = mpsc::unbounded_channel();
        Self {
            store,
            writer,
            order: Mutex::default(),
            written,
            on_the_way: Mutex::new(Some(on_the_way)),
            committed: watch::Sender::new(0),
            unsaved: Mutex::default(),
            tally: Tally::default(),
        }
    }

    /// The commits on their way; for one reader.
    pub(super) fn take_on_the_way(&self) -> Option<mpsc::UnboundedReceiver<Written>> {
        self.on_the_way.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Does something to the registry, and takes down what follows from it in `shard`. Answers what
    /// is left to do about it.
    pub(super) fn write<T>(
        &self,
        registry: &Registry,
        shard: usize,
        act: impl FnOnce(&Registry) -> T,
    ) -> (T, Rest, Stored) {
        let mut effects = self.order();
        let done = act(registry);
        registry.drain(shard, &mut effects);
        let (rest, stored) = self.take_down(&mut effects, Failing::Kept);
        (done, rest, stored)
    }

    /// Takes down what waits, one shard after the other. Answers what is left to do about each.
    pub(super) fn take_all_down(&self, registry: &Registry) -> impl Iterator<Item = Rest> {
        let pending = registry.pending();
        let shards = (0..SHARDS).filter(move |shard| pending & (1 << shard) != 0);
        shards.map(|shard| self.write(registry, shard, |_| ()).1)
    }

    /// Lets a session in: the same, where the session and so the shard is known only afterwards, and
    /// what cannot be stored is undone.
    pub(super) fn write_first<T>(
        &self,
        registry: &Registry,
        act: impl FnOnce(&Registry) -> (T, Option<SessionId>),
    ) -> (T, Rest, Stored) {
        let mut effects = self.order();
        let (done, session) = act(registry);
        let Some(session) = session else { return (done, Rest::default(), Stored(Ok(None))) };
        registry.drain(session.shard(), &mut effects);
        // What others left behind in that shard has happened, whatever becomes of this one.
        let mut own: Vec<Effect> =
            effects.extract_if(.., |effect| is_of(effect, session)).collect();
        let (mut rest, _others) = self.take_down(&mut effects, Failing::Kept);
        let (more, stored) = self.take_down(&mut own, Failing::Undone);
        rest.effects.extend(more.effects);
        rest.gone.extend(more.gone);
        (done, rest, stored)
    }

    /// Gives the writer what is to be stored; answers what else is to be done.
    fn take_down(&self, effects: &mut Vec<Effect>, failing: Failing) -> (Rest, Stored) {
        let (mut changes, mut sessions, mut events) = (Vec::new(), Vec::new(), Vec::new());
        let mut rest = Rest::default();
        for effect in effects.drain(..) {
            let Effect::Store { session, record, remove, event, .. } = effect else {
                rest.effects.push(effect);
                continue;
            };
            if let Some(record) = record {
                changes.push(Change::PutSession(record));
                sessions.push(session);
            } else if remove {
                changes.push(Change::RemoveSession(session));
                sessions.push(session);
            }
            if let Some(event) = event {
                self.tally.happened(&event.kind);
                if matches!(event.kind, EventKind::Gone { .. }) {
                    rest.gone.push(session);
                }
                changes.push(Change::append_event(event.clone()));
                events.push(event);
            }
        }
        if changes.is_empty() {
            return (rest, Stored(Ok(None)));
        }
        if failing == Failing::Undone {
            sessions.clear();
            events.clear();
        }
        let stored = match self.writer.try_submit(changes) {
            Ok(ticket) => {
                let written = Written { ticket: ticket.clone(), sessions, events };
                // Without a receiver the server is gone, and the writer stores what it has.
                let _ended: Result<(), _> = self.written.send(written);
                Ok(Some(ticket))
            }
            Err(Refused::Full(_)) => {
                self.keep(sessions, events);
                Err(NotStored::Busy)
            }
            Err(Refused::Closed(_)) => Err(NotStored::Failed(StoreError::Closed)),
        };
        (rest, Stored(stored))
    }

    /// Holds what could not be stored.
    pub(super) fn keep(&self, sessions: Vec<SessionId>, events: Vec<Event>) {
        let mut unsaved = self.unsaved();
        unsaved.sessions.extend(sessions);
        for event in events {
            if unsaved.events.len() < UNSAVED_MAX {
                unsaved.events.push_back(event);
            } else {
                unsaved.lost += 1;
            }
        }
    }

    /// Tries again to store what could not be.
    pub(super) fn try_again(&self, registry: &Registry) {
        let _order = self.order();
        let Unsaved { sessions, events, lost } = std::mem::take(&mut *self.unsaved());
        if sessions.is_empty() && events.is_empty() {
            return;
        }
        if lost > 0 {
            tracing::error!(lost, "events were lost: nothing could be stored for too long");
        }
        let rows = sessions.iter().map(|session| match registry.get(*session) {
            Some(record) => Change::put_session(record),
            None => Change::RemoveSession(*session),
        });
        let rows = rows.chain(events.iter().cloned().map(Change::append_event)).collect();
        let (sessions, events) = (sessions.into_iter().collect(), events.into());
        match self.writer.try_submit(rows) {
            Ok(ticket) => {
                let written = Written { ticket, sessions, events };
                let _ended: Result<(), _> = self.written.send(written);
            }
            Err(Refused::Full(_) | Refused::Closed(_)) => self.keep(sessions, events),
        }
    }

    fn order(&self) -> MutexGuard<'_, Vec<Effect>> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unsaved(&self) -> MutexGuard<'_, Unsaved> {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("writer", &self.writer.stats()).finish_non_exhaustive()
    }
}

fn is_of(effect: &Effect, session: SessionId) -> bool {
    matches!(effect, Effect::Store { session: whose, .. } if *whose == session)
}

impl fmt::Display for NotStored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("more waits to be stored than may"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}
