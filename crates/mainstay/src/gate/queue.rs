//! Callers in line for a place in the bulkhead.
//!
//! [`mainstay_core::policy::bulkhead::Queue`] decides whose turn it is; here each waiter has a
//! channel on which it is called, and leaves the line when it is dropped.
//!
//! Whoever was called and has not asked yet counts as if it had its place: nobody is called for the
//! same place, and no newcomer takes it. Every end of a place calls as many as there is room for, and
//! so does everyone who joins or leaves: no place stays free while somebody waits for it.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mainstay_core::config::ConfigError;
use mainstay_core::policy::bulkhead::{Queue, QueueFull, Ticket, Turn};
use mainstay_core::policy::gate::{GateConfig, RejectedBy, Rejection};
use mainstay_core::time::Instant;
use tokio::sync::oneshot;

use super::{Gate, Permit};
use crate::clock;

/// The line of one gate.
#[derive(Debug)]
pub(super) struct Waiters {
    /// Whether there is a line: spares gates without one the lock.
    is_on: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    line: Option<Line>,
    /// Which line it is: tickets of an earlier one mean nothing in it.
    epoch: u64,
}

/// Who waits under one configuration.
#[derive(Debug)]
pub(super) struct Line {
    queue: Queue,
    max_wait: std::time::Duration,
    woken: HashMap<Ticket, oneshot::Sender<()>>,
    /// Those whose turn has come and who have not asked yet, and until when they may.
    called: Vec<(Ticket, Instant)>,
}

impl Line {
    /// The line that `config` asks for, if it asks for one.
    pub(super) fn new(config: &GateConfig) -> Result<Option<Self>, ConfigError> {
        let Some(bulkhead) = config.bulkhead.filter(|bulkhead| bulkhead.max_queue > 0) else {
            return Ok(None);
        };
        let queue = Queue::new(&bulkhead).map_err(|error| error.within("bulkhead"))?;
        let (max_wait, woken) = (bulkhead.max_wait, HashMap::new());
        Ok(Some(Self { queue, max_wait, woken, called: Vec::new() }))
    }

    /// Calls as many as there is `room` for.
    fn call(&mut self, room: u32) {
        let now = clock::now();
        // Who does not come when it is called holds nobody up for longer than it would have waited.
        self.called.retain(|(_, until)| *until > now);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        while self.called.len() < room {
            match self.queue.dequeue(now) {
                Turn::Nobody => return,
                Turn::Expired(ticket) => drop(self.woken.remove(&ticket)),
                Turn::Run(ticket) => {
                    let sender = self.woken.remove(&ticket);
                    if sender.is_some_and(|sender| sender.send(()).is_ok()) {
                        self.called.push((ticket, now.after(self.max_wait)));
                    }
                }
            }
        }
    }
}

impl Waiters {
    pub(super) fn new(config: &GateConfig) -> Result<Self, ConfigError> {
        let line = Line::new(config)?;
        let is_on = AtomicBool::new(line.is_some());
        Ok(Self { is_on, state: Mutex::new(State { line, epoch: 0 }) })
    }

    /// Puts another line in force. Those who wait are woken and ask again.
    pub(super) fn replace(&self, line: Option<Line>) {
        let old = {
            let mut state = self.lock();
            self.is_on.store(line.is_some(), Ordering::Release);
            state.epoch += 1;
            std::mem::replace(&mut state.line, line)
        };
        // In order, so that they come back in order.
        let woken: BTreeMap<_, _> = old.into_iter().flat_map(|line| line.woken).collect();
        woken.into_values().for_each(drop);
    }

    pub(super) fn is_off(&self) -> bool {
        !self.is_on.load(Ordering::Acquire)
    }

    /// Calls those for whom there is room, after a place became free.
    pub(super) fn call(&self, gate: &Gate) {
        if self.is_off() {
            return;
        }
        if let Some(line) = self.lock().line.as_mut() {
            line.call(gate.room());
        }
    }

    /// Whether a newcomer may ask at once: nobody is before it.
    fn is_empty(&self) -> bool {
        let nobody = |line: &Line| line.queue.is_empty() && line.called.is_empty();
        self.lock().line.as_ref().is_none_or(nobody)
    }

    fn deadline(&self) -> Option<Instant> {
        self.lock().line.as_ref().map(|line| clock::now().after(line.max_wait))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic cannot happen between the two changes of a line; it is consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One place in the line, or the turn that came of it, given up when dropped.
struct Place<'a> {
    gate: &'a Gate,
    epoch: u64,
    ticket: Ticket,
}

impl<'a> Place<'a> {
    /// Gets in line at its end.
    fn take(gate: &'a Gate, deadline: Instant) -> Result<(Self, oneshot::Receiver<()>), QueueFull> {
        let mut state = gate.shared.waiters.lock();
        let epoch = state.epoch;
        let line = state.line.as_mut().ok_or(QueueFull)?;
        let ticket = line.queue.enqueue(clock::now(), deadline)?;
        let (sender, receiver) = oneshot::channel();
        line.woken.insert(ticket, sender);
        // A place may have become free after this caller was told that there is none.
        line.call(gate.room());
        Ok((Self { gate, epoch, ticket }, receiver))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.shared.waiters.lock();
        if state.epoch != self.epoch {
            return;
        }
        if let Some(line) = state.line.as_mut() {
            line.queue.leave(self.ticket);
            line.woken.remove(&self.ticket);
            line.called.retain(|(ticket, _)| *ticket != self.ticket);
            line.call(self.gate.room());
        }
    }
}

/// Asks, and waits in line while only a place in the bulkhead is missing, at most until `until`.
pub(super) async fn admit(gate: &Gate, until: Option<Instant>) -> Result<Permit, Rejection> {
    let waiters = &gate.shared.waiters;
    let Some(deadline) = waiters.deadline() else { return gate.admit() };
    let deadline = until.map_or(deadline, |until| until.min(deadline));
    let full = || {
        gate.count_rejected();
        Err(Rejection { by: RejectedBy::Bulkhead, retry_after: None })
    };
    let mut may_ask = waiters.is_empty();
    let mut place = None;
    loop {
        if may_ask {
            match gate.ask_at() {
                Ok(permit) => return Ok(permit),
                Err(rejection) if rejection.by == RejectedBy::Bulkhead => {}
                Err(rejection) => {
                    gate.count_rejected();
                    return Err(rejection);
                }
            }
        }
        drop(place.take());
        let Ok((mine, called)) = Place::take(gate, deadline) else { return full() };
        place = Some(mine);
        tokio::select! {
            biased;
            // An error means that the line was replaced: ask again.
            _ = called => may_ask = true,
            () = clock::sleep_until(deadline) => return full(),
        }
        if clock::now() >= deadline {
            return full();
        }
    }
}
