//! Callers in line for a place in the bulkhead.
//!
//! [`mainstay_core::policy::bulkhead::Queue`] decides whose turn it is; here each waiter has a
//! channel on which it is woken, and leaves the line when it is dropped.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mainstay_core::config::ConfigError;
use mainstay_core::policy::bulkhead::{Queue, QueueFull, Ticket, Turn};
use mainstay_core::policy::gate::{GateConfig, RejectedBy, Rejection};
use mainstay_core::time::Instant;
use tokio::sync::oneshot;

use super::{Gate, Permit, moment};
use crate::clock;

/// The line of one gate.
#[derive(Debug)]
pub(super) struct Waiters {
    /// Whether there is a line: spares gates without one the lock.
    is_on: AtomicBool,
    line: Mutex<Option<Line>>,
}

#[derive(Debug)]
struct Line {
    queue: Queue,
    max_wait: std::time::Duration,
    woken: HashMap<Ticket, oneshot::Sender<()>>,
}

impl Waiters {
    pub(super) fn new(config: &GateConfig) -> Result<Self, ConfigError> {
        let line = line(config)?;
        Ok(Self { is_on: AtomicBool::new(line.is_some()), line: Mutex::new(line) })
    }

    pub(super) fn reload(&self, config: &GateConfig) -> Result<(), ConfigError> {
        let new = line(config)?;
        self.is_on.store(new.is_some(), Ordering::Release);
        // Those who wait are woken and ask again, under the new configuration.
        drop(std::mem::replace(&mut *self.lock(), new));
        Ok(())
    }

    pub(super) fn is_off(&self) -> bool {
        !self.is_on.load(Ordering::Acquire)
    }

    /// Wakes the next in line after a place became free.
    pub(super) fn wake_next(&self) {
        if self.is_off() {
            return;
        }
        let mut guard = self.lock();
        let Some(line) = guard.as_mut() else { return };
        loop {
            match line.queue.dequeue(clock::now()) {
                Turn::Nobody => return,
                Turn::Expired(ticket) => drop(line.woken.remove(&ticket)),
                Turn::Run(ticket) => {
                    let sender = line.woken.remove(&ticket);
                    if sender.is_some_and(|sender| sender.send(()).is_ok()) {
                        return;
                    }
                }
            }
        }
    }

    /// Gets in line unless it is empty and `first` may try at once.
    fn enqueue(&self, deadline: Instant) -> Result<(Ticket, oneshot::Receiver<()>), QueueFull> {
        let mut guard = self.lock();
        let line = guard.as_mut().ok_or(QueueFull)?;
        let ticket = line.queue.enqueue(clock::now(), deadline)?;
        let (sender, receiver) = oneshot::channel();
        line.woken.insert(ticket, sender);
        Ok((ticket, receiver))
    }

    fn leave(&self, ticket: Ticket) {
        if let Some(line) = self.lock().as_mut() {
            line.queue.leave(ticket);
            line.woken.remove(&ticket);
        }
    }

    fn is_empty(&self) -> bool {
        self.lock().as_ref().is_none_or(|line| line.queue.is_empty())
    }

    fn deadline(&self) -> Option<Instant> {
        self.lock().as_ref().map(|line| clock::now().after(line.max_wait))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Line>> {
        // A panic cannot happen between the two changes of a line; it is consistent.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn line(config: &GateConfig) -> Result<Option<Line>, ConfigError> {
    let Some(bulkhead) = config.bulkhead.filter(|bulkhead| bulkhead.max_queue > 0) else {
        return Ok(None);
    };
    let queue = Queue::new(&bulkhead).map_err(|error| error.within("bulkhead"))?;
    Ok(Some(Line { queue, max_wait: bulkhead.max_wait, woken: HashMap::new() }))
}

/// One place in the line, given up when dropped.
struct Place<'a> {
    waiters: &'a Waiters,
    ticket: Ticket,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waiters.leave(self.ticket);
    }
}

/// Asks, and waits in line while only a place in the bulkhead is missing.
pub(super) async fn admit(gate: &Gate) -> Result<Permit, Rejection> {
    let waiters = &gate.shared.waiters;
    let full = Rejection { by: RejectedBy::Bulkhead, retry_after: None };
    let Some(deadline) = waiters.deadline() else { return gate.admit() };
    let mut my_turn = waiters.is_empty();
    loop {
        if my_turn {
            match gate.admit_at(moment) {
                Err(rejection) if rejection.by == RejectedBy::Bulkhead => {}
                answer => return answer,
            }
        }
        let Ok((ticket, woken)) = waiters.enqueue(deadline) else { return Err(full) };
        let _place = Place { waiters, ticket };
        tokio::select! {
            biased;
            // An error means that the line was replaced: ask again.
            _ = woken => my_turn = true,
            () = clock::sleep_until(deadline) => return Err(full),
        }
    }
}
