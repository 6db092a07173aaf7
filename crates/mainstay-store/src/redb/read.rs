use std::ops::Bound::{Excluded, Included, Unbounded};
use std::ops::Range;

use mainstay_registry::{Event, EventId, Record, SessionId};
use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata};

use super::tables::{
    BEATS, BY_POSITION, BY_SESSION, EVENTS, Fault, META, META_HISTORY_BYTES, META_POSITION,
    SEQUENCES, SESSIONS, VALUES, by_session_key, event_key, event_of_key, id_of, session_key,
    split_event,
};
use crate::row::{self, beats};
use crate::store::{EventKey, KeyValue, Position, Stats};
use crate::{Area, Beat};

/// Sessions read at a time.
const PAGE: usize = 4096;

/// The store as it was at one moment.
pub(super) struct Reader(ReadTransaction);

/// Some sessions in the order of their names.
#[derive(Default)]
pub(super) struct SessionPage {
    pub(super) records: Vec<Record>,
    pub(super) damaged: u64,
    /// The name of the last row, readable or not; none when there was no row.
    pub(super) last: Option<SessionId>,
}

impl Reader {
    pub(super) fn new(database: &Database) -> Result<Self, Fault> {
        Ok(Self(database.begin_read()?))
    }

    pub(super) fn sessions(&self, after: Option<SessionId>) -> Result<SessionPage, Fault> {
        let table = self.0.open_table(SESSIONS)?;
        let from = after.map(session_key);
        let range = (from.as_ref().map_or(Unbounded, Excluded), Unbounded);
        let mut page = SessionPage::default();
        for entry in table.range::<&[u8; 16]>(range)?.take(PAGE) {
            let (key, value) = entry?;
            let session = SessionId::from_bits(u128::from_be_bytes(*key.value()));
            page.last = Some(session);
            match row::decode_record(session, value.value()) {
                Ok(record) => page.records.push(record),
                Err(error) => {
                    tracing::warn!(%session, %error, "a session cannot be restored");
                    page.damaged += 1;
                }
            }
        }
        Ok(page)
    }

    pub(super) fn session(&self, session: SessionId) -> Result<Option<Record>, Fault> {
        let table = self.0.open_table(SESSIONS)?;
        let Some(row) = table.get(&session_key(session))? else { return Ok(None) };
        Ok(Some(row::decode_record(session, row.value())?))
    }

    pub(super) fn events_of(
        &self,
        session: SessionId,
        times: &Range<u64>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Event>, Fault> {
        let (index, events) = (self.0.open_table(BY_SESSION)?, self.0.open_table(EVENTS)?);
        let (from, to) = (by_session_key(session, after), by_session_key(session, u64::MAX));
        let mut found = Vec::new();
        for entry in index.range::<&[u8; 24]>((Excluded(&from), Included(&to)))? {
            if found.len() == limit {
                break;
            }
            let key = EventKey { id: id_of(entry?.1.value()), session };
            if !times.contains(&key.id.unix_ms) {
                continue;
            }
            if let Some(value) = events.get(&event_key(key))? {
                found.extend(event(key, value.value()));
            }
        }
        Ok(found)
    }

    pub(super) fn events_between(
        &self,
        times: &Range<u64>,
        after: Option<EventKey>,
        limit: usize,
    ) -> Result<Vec<Event>, Fault> {
        let start = EventKey {
            id: EventId { unix_ms: times.start, nr: 0 },
            session: SessionId::from_bits(0),
        };
        let from = match after.filter(|after| *after >= start) {
            Some(after) => Excluded(event_key(after)),
            None => Included(event_key(start)),
        };
        let mut found = Vec::new();
        let range = (from.as_ref(), Unbounded);
        for entry in self.0.open_table(EVENTS)?.range::<&[u8; 32]>(range)? {
            if found.len() == limit {
                break;
            }
            let (key, value) = entry?;
            let key = event_of_key(key.value());
            if key.id.unix_ms >= times.end {
                break;
            }
            found.extend(event(key, value.value()));
        }
        Ok(found)
    }

    pub(super) fn history(
        &self,
        after: Position,
        limit: usize,
    ) -> Result<Vec<(Position, Event)>, Fault> {
        let (index, events) = (self.0.open_table(BY_POSITION)?, self.0.open_table(EVENTS)?);
        let from = after.0.to_be_bytes();
        let mut found = Vec::new();
        for entry in index.range::<&[u8; 8]>((Excluded(&from), Unbounded))? {
            if found.len() == limit {
                break;
            }
            let (position, key) = entry?;
            let Some(value) = events.get(key.value())? else { continue };
            let position = Position(u64::from_be_bytes(*position.value()));
            let event = event(event_of_key(key.value()), value.value());
            found.extend(event.map(|event| (position, event)));
        }
        Ok(found)
    }

    pub(super) fn last_event_id(&self) -> Result<Option<EventId>, Fault> {
        let last = self.0.open_table(EVENTS)?;
        let last = last.last()?;
        Ok(last.map(|(key, _)| event_of_key(key.value()).id))
    }

    pub(super) fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.0.open_table(VALUES)?.get(key)?.map(|row| row.value().to_vec()))
    }

    pub(super) fn values(
        &self,
        area: Area,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<KeyValue>, Fault> {
        let prefix = area.key(&[]);
        let behind = after.map(|key| area.key(key));
        let from = behind.as_deref().map_or(Included(&prefix[..]), Excluded);
        let mut found = Vec::new();
        for entry in self.0.open_table(VALUES)?.range::<&[u8]>((from, Unbounded))?.take(limit) {
            let (key, value) = entry?;
            let Some(key) = key.value().strip_prefix(&prefix[..]) else { break };
            found.push((key.to_vec(), value.value().to_vec()));
        }
        Ok(found)
    }

    pub(super) fn next_number(&self, key: &[u8]) -> Result<u64, Fault> {
        Ok(self.0.open_table(SEQUENCES)?.get(key)?.map_or(1, |row| row.value()))
    }

    pub(super) fn beats(&self) -> Result<Vec<Beat>, Fault> {
        let mut found = Vec::new();
        for entry in self.0.open_table(BEATS)?.iter()? {
            let (_, block) = entry?;
            if let Err(error) = beats::unpack(block.value(), &mut |beat| found.push(beat)) {
                tracing::warn!(%error, "a block of checkpoints cannot be read");
            }
        }
        Ok(found)
    }

    pub(super) fn stats(&self, bytes: u64) -> Result<Stats, Fault> {
        let (meta, events) = (self.0.open_table(META)?, self.0.open_table(EVENTS)?);
        let number = |name| Ok::<_, Fault>(meta.get(name)?.map_or(0, |row| row.value()));
        let oldest = events.first()?.map(|(key, _)| event_of_key(key.value()).id.unix_ms);
        Ok(Stats {
            bytes,
            history_bytes: number(META_HISTORY_BYTES)?,
            sessions: self.0.open_table(SESSIONS)?.len()?,
            events: events.len()?,
            values: self.0.open_table(VALUES)?.len()?,
            oldest_event: oldest,
            position: Position(number(META_POSITION)?),
        })
    }
}

/// The event of a row. One that cannot be read is left out: whoever follows history goes on behind it.
fn event(key: EventKey, value: &[u8]) -> Option<Event> {
    let read = split_event(value).and_then(|(_, row)| row::decode_event(key, row));
    read.inspect_err(|error| tracing::warn!(?key, %error, "an event cannot be read")).ok()
}
