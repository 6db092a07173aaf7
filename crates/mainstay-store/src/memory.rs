use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mainstay_registry::{Event, EventId, Record, SessionId};

use crate::check::{self, Known};
use crate::row::beats::{self, Beats};
use crate::row::encode_event;
use crate::store::{Dropped, EventKey, KeyValue, Position, Restored, Stats};
use crate::{Area, Beat, Change, Store, StoreError};

/// Keys and index entries of one event, in bytes, as the file has them.
pub(crate) const EVENT_OVERHEAD: u64 = 32 + 8 + 40 + 40;

/// A store that keeps nothing past the process: for tests, and for servers that need not remember.
///
/// Its history is bounded as any other's, by [`retain`](crate::retain()).
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    sessions: BTreeMap<SessionId, Record>,
    events: BTreeMap<EventKey, (Position, Event)>,
    by_session: BTreeMap<(SessionId, u64), EventId>,
    log: BTreeMap<Position, EventKey>,
    values: BTreeMap<Vec<u8>, Box<[u8]>>,
    sequences: BTreeMap<Vec<u8>, u64>,
    beats: BTreeMap<(u16, u16), Box<[u8]>>,
    position: Position,
    history_bytes: u64,
}

impl MemoryStore {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known for State {
    type Error = Infallible;

    fn has(&self, key: &[u8]) -> Result<bool, Infallible> {
        Ok(self.values.contains_key(key))
    }

    fn next(&self, key: &[u8]) -> Result<u64, Infallible> {
        Ok(self.sequences.get(key).copied().unwrap_or(1))
    }
}

impl State {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::PutSession(record) => {
                self.sessions.insert(record.session, Record::clone(record));
            }
            Change::RemoveSession(session) => {
                self.sessions.remove(session);
            }
            Change::AppendEvent(event) => self.append(event),
            Change::Checkpoints(packed) => {
                let shard = packed.shard();
                self.beats.retain(|(of, _), _| *of != shard);
                let blocks = packed.blocks();
                self.beats.extend(blocks.map(|(nr, block)| ((shard, nr), block.into())));
            }
            Change::PutValue { area, key, bytes } | Change::Claim { area, key, bytes } => {
                self.values.insert(area.key(key), bytes.clone());
            }
            Change::RemoveValue { area, key } => {
                self.values.remove(&area.key(key));
            }
            Change::Take { area, key, number, .. } => {
                self.sequences.insert(area.key(key), number.saturating_add(1));
            }
        }
    }

    fn append(&mut self, event: &Event) {
        let key = EventKey::of(event);
        if self.events.get(&key).is_some_and(|(_, known)| known == event) {
            return;
        }
        self.forget(&key);
        if let Some(id) = self.by_session.get(&(event.session, event.seq)).copied() {
            self.forget(&EventKey { id, session: event.session });
        }
        self.position.0 += 1;
        self.by_session.insert((event.session, event.seq), event.id);
        self.log.insert(self.position, key);
        self.history_bytes += cost(event);
        self.events.insert(key, (self.position, event.clone()));
    }

    fn forget(&mut self, key: &EventKey) {
        if let Some((position, event)) = self.events.remove(key) {
            self.log.remove(&position);
            self.by_session.remove(&(event.session, event.seq));
            self.history_bytes = self.history_bytes.saturating_sub(cost(&event));
        }
    }
}

fn cost(event: &Event) -> u64 {
    EVENT_OVERHEAD + encode_event(event).len() as u64
}

impl Store for MemoryStore {
    fn commit_groups(
        &self,
        groups: &[&[Change]],
    ) -> Result<Vec<Result<(), StoreError>>, StoreError> {
        let mut state = self.state();
        let keep = |group: &&[Change]| {
            let Ok(verdict) = check::check(group, &*state);
            if verdict.is_ok() {
                group.iter().for_each(|change| state.apply(change));
            }
            verdict
        };
        Ok(groups.iter().map(keep).collect())
    }

    fn sessions(&self, each: &mut dyn FnMut(Record)) -> Result<Restored, StoreError> {
        let mut known = Vec::new();
        self.checkpoints(&mut |beat| known.push(beat))?;
        let beats = Beats::new(known);
        let mut restored = Restored::default();
        let records: Vec<Record> = self.state().sessions.values().cloned().collect();
        for mut record in records {
            restored.sessions += 1;
            restored.refreshed += u64::from(beats.refresh(&mut record));
            each(record);
        }
        Ok(restored)
    }

    fn session(&self, session: SessionId) -> Result<Option<Record>, StoreError> {
        Ok(self.state().sessions.get(&session).cloned())
    }

    fn events_of(
        &self,
        session: SessionId,
        times: Range<u64>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError> {
        let state = self.state();
        let range = (Excluded((session, after)), Included((session, u64::MAX)));
        let keys = state.by_session.range(range).map(|(_, id)| EventKey { id: *id, session });
        let events = keys.filter(|key| times.contains(&key.id.unix_ms));
        let events = events.filter_map(|key| state.events.get(&key));
        Ok(events.take(limit).map(|(_, event)| event.clone()).collect())
    }

    fn events_between(
        &self,
        times: Range<u64>,
        after: Option<EventKey>,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError> {
        let state = self.state();
        let range = (after.map_or(Unbounded, Excluded), Unbounded);
        let events = state.events.range(range).filter(|(key, _)| times.start <= key.id.unix_ms);
        let events = events.take_while(|(key, _)| key.id.unix_ms < times.end);
        Ok(events.take(limit).map(|(_, (_, event))| event.clone()).collect())
    }

    fn history(&self, after: Position, limit: usize) -> Result<Vec<(Position, Event)>, StoreError> {
        let state = self.state();
        let keys = state.log.range((Excluded(after), Unbounded));
        let events = keys.filter_map(|(_, key)| state.events.get(key));
        Ok(events.take(limit).cloned().collect())
    }

    fn last_event_id(&self) -> Result<Option<EventId>, StoreError> {
        Ok(self.state().events.last_key_value().map(|(key, _)| key.id))
    }

    fn value(&self, area: Area, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.state().values.get(&area.key(key)).map(|bytes| bytes.to_vec()))
    }

    fn values(
        &self,
        area: Area,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<KeyValue>, StoreError> {
        let state = self.state();
        let prefix = area.key(&[]);
        let from = after.map_or_else(|| Included(prefix.clone()), |key| Excluded(area.key(key)));
        let values = state.values.range((from, Unbounded)).map_while(|(key, bytes)| {
            key.strip_prefix(&prefix[..]).map(|key| (key.to_vec(), bytes.to_vec()))
        });
        Ok(values.take(limit).collect())
    }

    fn next_number(&self, area: Area, key: &[u8]) -> Result<u64, StoreError> {
        let Ok(next) = self.state().next(&area.key(key));
        Ok(next)
    }

    fn checkpoints(&self, each: &mut dyn FnMut(Beat)) -> Result<(), StoreError> {
        let blocks: Vec<Box<[u8]>> = self.state().beats.values().cloned().collect();
        for block in blocks {
            if let Err(error) = beats::unpack(&block, each) {
                tracing::error!(%error, "a checkpoint that this process packed cannot be read");
            }
        }
        Ok(())
    }

    fn stats(&self) -> Result<Stats, StoreError> {
        let state = self.state();
        let sessions = state.sessions.len() as u64;
        let values = state.values.iter().map(|(key, value)| (key.len() + value.len()) as u64);
        let values: u64 = values.sum();
        Ok(Stats {
            bytes: state.history_bytes + values + sessions * 256,
            history_bytes: state.history_bytes,
            sessions,
            events: state.events.len() as u64,
            values: state.values.len() as u64,
            oldest_event: state.events.first_key_value().map(|(key, _)| key.id.unix_ms),
            position: state.position,
        })
    }

    fn drop_events_before(&self, unix_ms: u64, events_max: usize) -> Result<Dropped, StoreError> {
        let mut state = self.state();
        let old = |state: &State| {
            state
                .events
                .first_key_value()
                .map(|(key, _)| *key)
                .filter(|key| key.id.unix_ms < unix_ms)
        };
        let mut events = 0;
        while events < events_max as u64 {
            let Some(key) = old(&state) else { break };
            state.forget(&key);
            events += 1;
        }
        Ok(Dropped { events, more: old(&state).is_some() })
    }
}
