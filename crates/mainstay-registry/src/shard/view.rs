use std::time::Duration;

use mainstay_core::detect::{OwnPause, phi};
use mainstay_core::session::status::Status;
use mainstay_core::time::Instant;

use super::{Shard, number};
use crate::clock::Tick;
use crate::counts::{Counts, CountsByName};
use crate::names::Names;
use crate::table::{BEATS, CHANGED, CONNECTED, Cold, Hot, SUSPECTED, WATCHED, WIDTH, Warm};
use crate::watch::{Bar, Bars};
use crate::{Checkpoint, Memory, Query, Record, SessionId, Silence};

/// Rows looked at in one search under the lock.
const ROWS: usize = 4_096;

impl Shard {
    /// Everything there is to say about the session in this slot.
    pub(super) fn record(&self, slot: usize) -> Record {
        let (hot, warm, cold) = (&self.hot[slot], &self.warm[slot], &self.cold[slot]);
        // What waits for the store is stored as what it then is.
        let status = cold.phase.status().unwrap_or(Status::Connected);
        let waits = match status {
            Status::Suspended | Status::Reconnecting => true,
            Status::Connected | Status::Disconnected | Status::Failed => false,
        };
        let named = |number: u32, of: &Names| Box::from(of.name(number));
        Record {
            session: cold.id(),
            generation: u64::from(hot.generation()),
            event_seq: u64::from(cold.seq),
            user: cold.user.checked_sub(1).map(|user| named(user, &self.users)),
            organisation: named(cold.organisation, &self.organisations),
            client_type: named(cold.client_type, &self.client_types),
            client_version: named(cold.client_version, &self.client_versions),
            status,
            ended: cold.ended,
            registered_at: cold.id().unix_ms(),
            connected_at: cold.connected_at,
            last_heartbeat: self.clock.tick_unix_ms(hot.seen).max(cold.connected_at),
            disconnected_at: Some(cold.disconnected_at).filter(|at| *at > 0),
            reconnect_attempts: u32::from(cold.attempts),
            max_reconnect_attempts: u32::from(cold.max_attempts),
            total_disconnections: cold.disconnections,
            missed_heartbeats: u32::from(hot.missed),
            quality: warm.grade.quality(),
            factor: warm.grade.factor(),
            latency: hot.smoothed.duration(),
            jitter: hot.jitter.duration(),
            latency_min: hot.min.duration(),
            losses: hot.losses,
            beats: warm.beats,
            heartbeat_interval: self.told(slot),
            grace: Duration::from_millis(u64::from(cold.grace_ms)),
            expires_at: waits.then(|| self.clock.tick_unix_ms(cold.until)),
            metadata: cold.metadata.clone().unwrap_or_default(),
        }
    }

    pub(crate) fn get(&self, session: SessionId) -> Option<Record> {
        let slot = self.find(session)?;
        self.cold[slot].phase.status().map(|_| self.record(slot))
    }

    /// How long a session has been silent; none when it has no connection.
    pub(crate) fn silence(
        &self,
        now: Instant,
        session: SessionId,
        pause: &OwnPause,
        held_until: Instant,
    ) -> Option<Silence> {
        let slot = self.find(session)?;
        if self.cold[slot].phase.status() != Some(Status::Connected) {
            return None;
        }
        let (suspect_at, dead_at) = self.deadlines(slot, pause);
        let (interval, [suspect, dead]) = (self.told(slot), self.patience(slot));
        let silent = now.since(self.silent_since(slot, pause));
        let asks = self.clock.instant(self.warm[slot].asks);
        Some(Silence {
            silent,
            interval,
            suspect_at: self.clock.unix_ms(suspect_at),
            dead_at: self.clock.unix_ms(dead_at.max(held_until)),
            asked_at: (!self.hot[slot].is(BEATS)).then(|| self.clock.unix_ms(asks)),
            suspected: self.hot[slot].is(SUSPECTED),
            held: now < held_until,
            phi: phi(silent, interval),
            phi_suspect: phi(suspect, interval),
            phi_dead: phi(dead, interval),
        })
    }

    /// The next sessions from slot `from` on that fit, and where to go on.
    pub(crate) fn search(
        &self,
        query: &Query,
        from: u32,
        limit: usize,
        into: &mut Vec<Record>,
    ) -> Option<u32> {
        let [user, organisation, client_type] = self.numbers(query)?;
        let listed = match (user, organisation) {
            (Some(user), _) => Some(self.users.slots(user)),
            (None, Some(organisation)) => Some(self.organisations.slots(organisation)),
            (None, None) => None,
        };
        let fits = |slot: usize| {
            let cold = &self.cold[slot];
            let status = cold.phase.status();
            status.is_some()
                && query.status.is_none_or(|wanted| status == Some(wanted))
                && query.quality.is_none_or(|q| self.warm[slot].grade.quality() == q)
                && user.is_none_or(|user| cold.user == user + 1)
                && organisation.is_none_or(|number| cold.organisation == number)
                && client_type.is_none_or(|number| cold.client_type == number)
                && query.session.is_none_or(|session| cold.id() == session)
        };
        let first = listed.map_or(from as usize, |slots| slots.partition_point(|s| *s < from));
        let end = listed.map_or(self.cold.len(), <[u32]>::len);
        for (looked, at) in (first..end).enumerate() {
            let slot = listed.map_or(at, |slots| slots[at] as usize);
            if looked == ROWS || into.len() >= limit {
                return Some(number(slot));
            }
            if fits(slot) {
                into.push(self.record(slot));
            }
        }
        None
    }

    /// The numbers of user, organisation and client type that are asked for; none at all when
    /// nobody here has one of them.
    fn numbers(&self, query: &Query) -> Option<[Option<u32>; 3]> {
        let number = |name: Option<&str>, names: &Names| match name {
            Some(name) => names.number(name).map(Some),
            None => Some(None),
        };
        Some([
            number(query.user.as_deref(), &self.users)?,
            number(query.organisation.as_deref(), &self.organisations)?,
            number(query.client_type.as_deref(), &self.client_types)?,
        ])
    }

    pub(crate) const fn counts(&self) -> &Counts {
        &self.counts
    }

    pub(crate) fn add_names(&self, organisations: &mut CountsByName, types: &mut CountsByName) {
        for (names, sums) in [(&self.organisations, organisations), (&self.client_types, types)] {
            for (name, held) in names.held() {
                *sums.entry(name.into()).or_default() += u64::from(held);
            }
        }
    }

    /// The beats of all sessions with a connection, if any has changed since the last time.
    pub(crate) fn checkpoint(&mut self, into: &mut Vec<Checkpoint>) {
        let mut changed = false;
        for hot in &mut self.hot {
            changed |= hot.is(CHANGED);
            hot.clear(CHANGED);
        }
        if !changed {
            return;
        }
        for (slot, hot) in self.hot.iter().enumerate() {
            let (warm, cold) = (&self.warm[slot], &self.cold[slot]);
            // What has no connection any more has its last beat in its row.
            if !hot.is(CONNECTED) || cold.phase.status().is_none() {
                continue;
            }
            into.push(Checkpoint {
                session: cold.id(),
                last_heartbeat: self.clock.tick_unix_ms(hot.seen).max(cold.connected_at),
                latency_us: hot.smoothed.us().unwrap_or(0),
                quality: warm.grade.quality(),
                missed: hot.missed,
            });
        }
    }

    /// Keeps the minutes of a session, or stops keeping them.
    pub(crate) fn watch(&mut self, session: SessionId, on: bool) -> bool {
        let Some(slot) = self.find(session) else { return false };
        let live = self.cold[slot].phase.status().is_some() && self.cold[slot].ended.is_none();
        if on && live {
            self.hot[slot].set(WATCHED);
            self.watched.entry(number(slot)).or_insert_with(Bars::new);
        } else {
            self.hot[slot].clear(WATCHED);
            self.watched.remove(&number(slot));
        }
        live
    }

    pub(crate) fn bars(&self, now: Instant, session: SessionId) -> Option<Vec<Bar>> {
        let slot = self.find(session)?;
        self.watched.get(&number(slot)).map(|bars| bars.list(self.clock.unix_ms(now)))
    }

    pub(crate) fn memory(&self) -> Memory {
        let names = [&self.users, &self.organisations, &self.client_types, &self.client_versions];
        let side = self.free.capacity() * 4 + self.ended.capacity() * 4;
        let displaced = self.displaced.capacity() * (size_of::<(u128, u32)>() + 1);
        Memory {
            sessions: self.counts.total(),
            a_session: WIDTH,
            columns: self.hot.capacity() * size_of::<Hot>()
                + self.warm.capacity() * size_of::<Warm>()
                + self.cold.capacity() * size_of::<Cold>()
                + self.deadline.capacity() * size_of::<Tick>(),
            index: names.iter().map(|names| names.bytes()).sum::<usize>() + side + displaced,
        }
    }
}
