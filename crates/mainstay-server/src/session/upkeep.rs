//! What is done about sessions as time passes.

use std::sync::Arc;
use std::time::Duration;

use mainstay::clock;
use mainstay_registry::SHARDS;
use mainstay_store::{Change, Packed};
use mainstay_wire::{Bye, CloseCode, Retry};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::greet::millis;
use super::hub::{Hub, unix_ms};
use super::journal::Written;
use super::restore;

/// How often deadlines are looked at.
const SWEEP: Duration = Duration::from_millis(200);
/// How often the latest beats are kept.
const CHECKPOINT: Duration = Duration::from_secs(30);
/// How often what could not be stored is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// Events that are told without letting others have their turn.
const TOLD_AT_ONCE: usize = 256;
/// How often old history is dropped.
const RETAIN: Duration = Duration::from_secs(600);
/// Goodbyes are said in steps this long.
const DRAIN_STEP: Duration = Duration::from_millis(50);

/// The tasks that go on as long as the server does. Dropped, they end.
#[derive(Debug)]
pub(crate) struct Upkeep(JoinSet<()>);

impl Upkeep {
    pub(crate) fn start(hub: &Arc<Hub>) -> Self {
        let mut tasks = JoinSet::new();
        tasks.spawn(every(SWEEP, hub.clone(), Hub::sweep));
        tasks.spawn(tell_restored(hub.clone()));
        tasks.spawn(every(CHECKPOINT, hub.clone(), Hub::checkpoint));
        tasks.spawn(every(TRY_AGAIN, hub.clone(), |hub| hub.journal.try_again(&hub.registry)));
        tasks.spawn(every(RETAIN, hub.clone(), |hub| hub.journal.writer.retain(unix_ms())));
        if hub.handler().wants_events() {
            tasks.spawn(tell(hub.clone()));
        }
        if let Some(written) = hub.journal.take_on_the_way() {
            tasks.spawn(follow(hub.clone(), written));
        }
        Self(tasks)
    }

    /// Ends them.
    pub(crate) async fn stop(mut self) {
        self.0.shutdown().await;
    }
}

async fn every(period: Duration, hub: Arc<Hub>, act: impl Fn(&Hub) + Send) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        act(&hub);
    }
}

/// Tells the history of sessions that lost their connection with a restart, some with each sweep;
/// the sweep after it takes down what this leaves.
async fn tell_restored(hub: Arc<Hub>) {
    let mut ticks = interval(SWEEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if !restore::tell(&hub.registry, &hub.journal.writer, clock::now()) {
            return;
        }
    }
}

/// Tells the application what happened from now on, once it is stored.
async fn tell(hub: Arc<Hub>) {
    let mut committed = hub.journal.committed.subscribe();
    let store = hub.journal.store.clone();
    let mut position = match store.stats() {
        Ok(stats) => stats.position,
        Err(error) => {
            tracing::error!(%error, "the history cannot be read: nobody is told of events");
            return;
        }
    };
    loop {
        match store.history(position, TOLD_AT_ONCE) {
            Ok(events) if events.is_empty() => {
                if committed.changed().await.is_err() {
                    return;
                }
            }
            Ok(events) => {
                for (at, event) in events {
                    position = at;
                    hub.handler().event(&Arc::new(event));
                }
                tokio::task::yield_now().await;
            }
            Err(error) => {
                tracing::warn!(%error, "the history cannot be read");
                sleep(TRY_AGAIN).await;
            }
        }
    }
}

/// Sees what became of each commit, in their order.
async fn follow(hub: Arc<Hub>, mut written: mpsc::UnboundedReceiver<Written>) {
    while let Some(Written { ticket, sessions, events }) = written.recv().await {
        match ticket.await {
            Ok(()) => hub.journal.committed.send_modify(|count| *count += 1),
            Err(error) => {
                tracing::error!(%error, "what happened to sessions could not be stored yet");
                hub.journal.keep(sessions, events);
            }
        }
    }
}

impl Hub {
    /// Looks at every deadline.
    pub(super) fn sweep(&self) {
        let (now, bits) = (clock::now(), clock::draw());
        self.hold(self.registry.sweep(now, bits).held);
        for rest in self.journal.take_all_down(&self.registry) {
            self.perform(rest);
        }
    }

    /// Keeps the latest beats.
    pub(super) fn checkpoint(&self) {
        for shard in 0..SHARDS {
            let mut checkpoints = Vec::new();
            self.registry.checkpoint(shard, &mut checkpoints);
            if checkpoints.is_empty() {
                continue;
            }
            let number = u16::try_from(shard).unwrap_or(u16::MAX);
            let packed = Packed::new(number, checkpoints);
            // Should there be no room now, there will be in half a minute.
            drop(self.journal.writer.try_submit(vec![Change::Checkpoints(packed)]));
        }
    }

    /// Sends every client away, a few at a time so that they do not come back all at once, within
    /// about `window`.
    pub(crate) async fn drain(&self, window: Duration) {
        self.drains();
        let peers = self.peers.all();
        let steps = (window.as_millis() / DRAIN_STEP.as_millis()).max(1);
        let chunk = peers.len().div_ceil(usize::try_from(steps).unwrap_or(usize::MAX)).max(1);
        let base = self.retry();
        for (step, peers) in peers.chunks(chunk).enumerate() {
            if step > 0 {
                sleep(DRAIN_STEP).await;
            }
            // Whoever is sent away later has less to wait: all come back spread over the same time.
            let gone = DRAIN_STEP.saturating_mul(u32::try_from(step).unwrap_or(u32::MAX));
            let after_ms = base.after_ms + millis(window.saturating_sub(gone));
            let retry = Some(Retry { after_ms, jitter_ms: base.jitter_ms });
            let code = CloseCode::SHUTTING_DOWN;
            for peer in peers {
                peer.dismiss(Bye { code: code.code, reason: code.name.into(), retry });
            }
        }
    }

    /// Stores everything that is left, and closes the store.
    pub(crate) async fn close(self: Arc<Self>) {
        // Nobody sweeps any more.
        for rest in self.journal.take_all_down(&self.registry) {
            self.perform(rest);
        }
        self.checkpoint();
        // Once the writer has nothing else to do, there is room for what it had none for before.
        let flushed = self.journal.writer.flush().await;
        self.journal.try_again(&self.registry);
        let flushed = flushed.and(self.journal.writer.flush().await);
        if let Err(error) = flushed {
            tracing::error!(%error, "not everything could be stored");
        }
        // It waits for the writer's thread.
        let closed = tokio::task::spawn_blocking(move || self.journal.writer.close()).await;
        if let Err(error) = closed {
            tracing::error!(%error, "the store was not closed in good order");
        }
    }
}

#[cfg(test)]
mod tests {
    use arc_swap::ArcSwap;
    use mainstay_registry::{Event, EventId, EventKind, SessionId};
    use mainstay_store::{MemoryStore, Position, Store};

    use super::*;
    use crate::config::{Config, Environment, Flags};
    use crate::session::Standalone;

    #[tokio::test]
    async fn what_there_was_no_room_for_is_stored_before_the_end() {
        let config = Config::parse("", None, &Flags::default(), &Environment::new()).unwrap();
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let auth = Arc::new(ArcSwap::from_pointee(crate::state::auth(&config)));
        let handler = Arc::new(Standalone::new(config.sessions.messages));
        let (sessions, kept) = (&config.sessions, &config.store.config);
        let hub = Arc::new(Hub::open(sessions, store.clone(), kept, auth, handler).unwrap());
        let event = Event {
            id: EventId { unix_ms: 1, nr: 0 },
            session: SessionId::from_bits(7),
            generation: 1,
            seq: 1,
            user: None,
            organisation: "acme".into(),
            kind: EventKind::Suspected,
        };
        hub.journal.keep(Vec::new(), vec![event.clone()]);
        hub.close().await;
        let told = store.history(Position(0), 10).unwrap();
        assert_eq!(told.into_iter().map(|(_, event)| event).collect::<Vec<_>>(), [event]);
    }
}
