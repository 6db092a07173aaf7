//! What operators ask of sessions beside their ends.

use std::sync::Arc;
use std::time::Duration;

use mainstay::clock;
use mainstay::core::policy::backoff::Backoff;
use mainstay::core::policy::pressure::Pressure;
use mainstay::core::session::status::EndReason;
use mainstay_registry::{Bar, Refusal, Reserved, SessionId};
use mainstay_store::{Store, Writer, WriterStats};
use mainstay_wire::Bye;
use tokio::sync::watch;

use super::hub::{Hub, NotDone};
use super::metadata;
use super::tally::Tally;

/// Why metadata is not taken.
#[derive(Debug)]
pub(crate) enum NotDescribed {
    /// It is not within the limits; the text says how.
    Refused(String),
    /// It could not be done.
    NotDone(NotDone),
}

impl Hub {
    /// What is kept of sessions and their history. Its calls block.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        self.journal.store.clone()
    }

    /// What writes to that.
    pub(crate) fn writer(&self) -> &Writer {
        &self.journal.writer
    }

    /// What the writer does and has done.
    pub(crate) fn writer_stats(&self) -> WriterStats {
        self.journal.writer.stats()
    }

    /// How often what has happened.
    pub(crate) const fn tally(&self) -> &Tally {
        &self.journal.tally
    }

    /// Connections of sessions that are there.
    pub(crate) fn connections(&self) -> usize {
        self.presence.count()
    }

    /// Changes whenever there may be more history.
    pub(crate) fn committed(&self) -> watch::Receiver<u64> {
        self.journal.committed.subscribe()
    }

    /// A session's connection ends by an operator's word; the session may come back. `false`: it
    /// has none here.
    pub(crate) fn dismiss(&self, session: SessionId, bye: Bye) -> bool {
        let peer = self.peers.get(session);
        if let Some(peer) = &peer {
            peer.dismiss(bye);
        }
        peer.is_some()
    }

    /// A session ends by an operator's word, without waiting for it to be stored. `false`: it is
    /// unknown, or was over.
    pub(crate) fn end_now(&self, session: SessionId, reason: EndReason, bye: Bye) -> bool {
        if let Some(peer) = self.peers.get(session) {
            peer.end(bye);
        }
        self.act(session, |registry, now| registry.end(now, session, reason))
    }

    /// A session is expected back, window by window.
    pub(crate) async fn expect_back(
        &self,
        session: SessionId,
        backoff: &Backoff,
        pressure: Pressure,
        max_attempts: u16,
    ) -> Result<Reserved, NotDone> {
        let bits = clock::draw();
        let (reserved, stored) = self.journaled(session, |registry, now| {
            registry.expect_back(now, bits, session, backoff, pressure, max_attempts)
        });
        match reserved {
            Ok(reserved) => {
                stored.wait().await.map_err(NotDone::Store)?;
                Ok(reserved)
            }
            Err(Refusal::Gone(_)) => Err(NotDone::Gone),
            Err(_) => Err(NotDone::Unknown),
        }
    }

    /// A session says something else about itself, by an operator's word.
    pub(crate) async fn set_metadata(
        &self,
        session: SessionId,
        text: &str,
    ) -> Result<(), NotDescribed> {
        metadata::check(text, self.limits())
            .map_err(|why| NotDescribed::Refused(why.to_string()))?;
        let (done, stored) = self
            .journaled(session, |registry, now| registry.set_metadata(now, session, text.into()));
        if !done {
            let is_known = self.record(session).is_some();
            let why = if is_known { NotDone::Gone } else { NotDone::Unknown };
            return Err(NotDescribed::NotDone(why));
        }
        stored.wait().await.map_err(|why| NotDescribed::NotDone(NotDone::Store(why)))
    }

    /// Keeps the minutes of a session from now on, or stops. `false`: it is unknown or over.
    pub(crate) fn watch(&self, session: SessionId, on: bool) -> bool {
        self.registry.watch(session, on)
    }

    /// The last hour of a session that is watched.
    pub(crate) fn bars(&self, session: SessionId) -> Option<Vec<Bar>> {
        self.registry.bars(clock::now(), session)
    }

    /// Over how long many goodbyes are spread where nobody says it.
    pub(crate) const fn spread(&self) -> Duration {
        self.config.retry.drain
    }
}
