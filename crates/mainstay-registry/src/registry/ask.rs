use mainstay_core::time::Instant;

use super::{Registry, SHARDS, held, shard_of};
use crate::counts::{Counts, CountsByName};
use crate::watch::Bar;
use crate::{Checkpoint, Cursor, Measured, Memory, Page, Query, Record, SessionId, Silence};

/// Searches under a lock for one page, at most.
const SEARCHES: usize = 128;

impl Registry {
    /// Everything there is to say about a session; none when it is unknown.
    #[must_use]
    pub fn get(&self, session: SessionId) -> Option<Record> {
        held(&self.shards[session.shard()]).get(session)
    }

    /// How long a session has been silent, and when it is suspected and given up unless it is heard;
    /// none when it has no connection.
    #[must_use]
    pub fn silence(&self, now: Instant, session: SessionId) -> Option<Silence> {
        let (pause, held_until) = {
            let guards = held(&self.guards);
            (guards.pause, guards.held_until())
        };
        held(&self.shards[session.shard()]).silence(now, session, &pause, held_until)
    }

    /// The sessions that fit, from `cursor` on, at most `limit` of them.
    ///
    /// A user's sessions are in one shard, and by organisation there is an index; everything else
    /// looks at all sessions, a few thousand under each lock.
    #[must_use]
    pub fn find(&self, query: &Query, cursor: Cursor, limit: usize) -> Page {
        let mut page = Page::default();
        let shards = match (query.session, query.user.as_deref()) {
            (Some(session), _) => session.shard()..session.shard() + 1,
            (None, Some(user)) => shard_of(user)..shard_of(user) + 1,
            (None, None) => 0..SHARDS,
        };
        let mut at = cursor;
        if usize::from(at.shard) < shards.start {
            at = Cursor { shard: u8::try_from(shards.start).unwrap_or(0), slot: 0 };
        }
        for _ in 0..SEARCHES {
            if usize::from(at.shard) >= shards.end {
                return page;
            }
            if page.records.len() >= limit {
                break;
            }
            let shard = held(&self.shards[usize::from(at.shard)]);
            at = match shard.search(query, at.slot, limit, &mut page.records) {
                Some(slot) => Cursor { shard: at.shard, slot },
                None => Cursor { shard: at.shard + 1, slot: 0 },
            };
        }
        page.next = Some(at);
        page
    }

    /// How many sessions there are, and how they are: sums that every change keeps exact.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        for shard in &self.shards {
            sum.add(held(shard).counts());
        }
        sum
    }

    /// What beats said since this was last asked: 64 sums are put together and begun anew, however
    /// many sessions there are. One of those who ask gets it.
    #[must_use = "what is taken is gone"]
    pub fn take_measured(&self) -> Measured {
        let mut sum = Measured::default();
        for shard in &self.shards {
            held(shard).take_measured(&mut sum);
        }
        sum
    }

    /// How many sessions, by organisation and by client type. Sessions that wait for the store are
    /// among them.
    #[must_use]
    pub fn counts_by_name(&self) -> (CountsByName, CountsByName) {
        let (mut organisations, mut types) = (CountsByName::new(), CountsByName::new());
        for shard in &self.shards {
            held(shard).add_names(&mut organisations, &mut types);
        }
        (organisations, types)
    }

    /// The beats of all sessions with a connection in a shard, for the store: they take the place of
    /// what it has of that shard. Nothing when none of them has changed since the last time.
    pub fn checkpoint(&self, shard: usize, into: &mut Vec<Checkpoint>) {
        if let Some(shard) = self.shards.get(shard) {
            held(shard).checkpoint(into);
        }
    }

    /// Keeps the minutes of a session from now on, or stops keeping them. `false`: it is unknown or
    /// over.
    pub fn watch(&self, session: SessionId, on: bool) -> bool {
        held(&self.shards[session.shard()]).watch(session, on)
    }

    /// The last 60 minutes of a session, the oldest first; none when nobody watches it.
    #[must_use]
    pub fn bars(&self, now: Instant, session: SessionId) -> Option<Vec<Bar>> {
        held(&self.shards[session.shard()]).bars(now, session)
    }

    /// What the sessions take.
    #[must_use]
    pub fn memory(&self) -> Memory {
        let mut sum = Memory::default();
        for shard in &self.shards {
            let part = held(shard).memory();
            sum.sessions += part.sessions;
            sum.a_session = part.a_session;
            sum.columns += part.columns;
            sum.index += part.index;
        }
        sum
    }
}
