//! How everything is right now, and what changes: rows by topic for whoever looks at a page.
//!
//! While anybody listens, one round every 250 ms gathers the rows of every topic, compares them with
//! those of the round before, and puts what changed into a ring as one delta. A listener takes from
//! the ring what it has not seen; one that is further behind than the ring reaches gets everything
//! anew. Nobody listens: nothing is gathered.

mod ring;
mod topics;
mod worst;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay::clock;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep_until};

use crate::state::Shared;
use ring::{Next, Ring};
use worst::Worst;

/// How far two rounds are apart: at most four deltas a second, however much changes.
const EVERY: Duration = Duration::from_millis(250);

/// What is told to listeners, and how many there are.
#[derive(Debug)]
pub(crate) struct Live {
    rounds: Mutex<Rounds>,
    worst: Mutex<Worst>,
    listeners: watch::Sender<usize>,
    /// The number of the last delta.
    told: watch::Sender<u64>,
}

#[derive(Debug)]
struct Rounds {
    ring: Ring,
    /// When the next round may be.
    next_at: Option<Instant>,
}

/// Something to tell a listener.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// `snapshot` or `delta`.
    pub(crate) event: &'static str,
    /// Where it stands: whoever comes back with it goes on behind it.
    pub(crate) id: String,
    /// JSON.
    pub(crate) data: Arc<str>,
}

impl Default for Live {
    fn default() -> Self {
        // Places of another process are none of ours.
        let ring = Ring::new(clock::draw());
        Self {
            rounds: Mutex::new(Rounds { ring, next_at: None }),
            worst: Mutex::default(),
            listeners: watch::Sender::new(0),
            told: watch::Sender::new(0),
        }
    }
}

impl Live {
    fn rounds(&self) -> MutexGuard<'_, Rounds> {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn worst(&self) -> MutexGuard<'_, Worst> {
        self.worst.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gathers all rows, unless that was done just now; answers when it may be done again.
    fn round(&self, shared: &Shared) -> Instant {
        let now = Instant::now();
        let mut rounds = self.rounds();
        if let Some(at) = rounds.next_at.filter(|at| now < *at) {
            return at;
        }
        let next_at = now + EVERY;
        rounds.next_at = Some(next_at);
        let told = rounds.ring.take(topics::gather(shared), &crate::api::now_text());
        drop(rounds);
        if let Some(number) = told {
            self.told.send_replace(number);
        }
        next_at
    }

    /// What comes after the place `seen`.
    fn after(&self, seen: Option<u64>) -> Next {
        self.rounds().ring.after(seen, &crate::api::now_text())
    }
}

/// Makes the rounds until the server stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut listeners = shared.live.listeners.subscribe();
    let mut stopping = shared.stopping.subscribe();
    loop {
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => return,
            heard = listeners.wait_for(|count| *count > 0) => if heard.is_err() { return },
        }
        let next_at = shared.live.round(&shared);
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => return,
            () = sleep_until(next_at) => {}
        }
    }
}

/// One listener.
pub(crate) struct Listener {
    seen: Option<u64>,
    told: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    listening: Listening,
    _place: OwnedSemaphorePermit,
}

/// Counts while it lives.
struct Listening(Arc<Shared>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.live.listeners.send_modify(|count| *count = count.saturating_sub(1));
    }
}

impl Listener {
    /// One that has seen everything up to the place `last`, if that is one of ours.
    pub(crate) fn new(
        shared: Arc<Shared>,
        place: OwnedSemaphorePermit,
        last: Option<&str>,
    ) -> Self {
        let live = &shared.live;
        live.listeners.send_modify(|count| *count += 1);
        // What it is told first is not older than a round.
        live.round(&shared);
        let seen = last.and_then(|last| live.rounds().ring.place(last));
        let (told, stopping) = (live.told.subscribe(), shared.stopping.subscribe());
        Self { seen, told, stopping, listening: Listening(shared), _place: place }
    }

    /// The next thing to tell; none when the server stops.
    pub(crate) async fn next(&mut self) -> Option<Told> {
        loop {
            if *self.stopping.borrow() {
                return None;
            }
            self.told.mark_unchanged();
            let (number, told) = match self.listening.0.live.after(self.seen) {
                Next::Tell(number, told) => (number, told),
                Next::Wait => {
                    tokio::select! {
                        biased;
                        _ = self.stopping.wait_for(|stopping| *stopping) => return None,
                        changed = self.told.changed() => changed.ok()?,
                    }
                    continue;
                }
            };
            self.seen = Some(number);
            return Some(told);
        }
    }
}
