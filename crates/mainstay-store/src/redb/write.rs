use mainstay_registry::Event;
use redb::{Database, ReadableTable, WriteTransaction};

use super::tables::{
    Fault, Tables, by_session_key, event_key, event_of_key, id_bytes, id_of, session_key,
    split_event,
};
use crate::check;
use crate::memory::EVENT_OVERHEAD;
use crate::row::{decode_event, encode_event, encode_record};
use crate::store::{Dropped, EventKey};
use crate::{Change, Packed, StoreError};

/// Keeps each group that may be kept, all in one commit.
pub(super) fn commit(
    database: &Database,
    groups: &[&[Change]],
) -> Result<Vec<Result<(), StoreError>>, Fault> {
    let transaction = begin(database)?;
    let mut tables = Tables::open(&transaction)?;
    let mut verdicts = Vec::with_capacity(groups.len());
    let mut changed = false;
    for group in groups {
        let verdict = check::check(group, &tables)?;
        if verdict.is_ok() {
            changed |= !group.is_empty();
            group.iter().try_for_each(|change| apply(&mut tables, change))?;
        }
        verdicts.push(verdict);
    }
    if changed {
        tables.finish()?;
        transaction.commit()?;
    } else {
        drop(tables);
        transaction.abort()?;
    }
    Ok(verdicts)
}

/// Drops up to `events_max` of the events before `unix_ms`, the oldest first.
pub(super) fn drop_events(
    database: &Database,
    unix_ms: u64,
    events_max: usize,
) -> Result<Dropped, Fault> {
    let transaction = begin(database)?;
    let mut tables = Tables::open(&transaction)?;
    let mut dropped = Dropped::default();
    loop {
        let oldest = tables.events.first()?.map(|(key, _)| event_of_key(key.value()));
        let Some(oldest) = oldest.filter(|key| key.id.unix_ms < unix_ms) else { break };
        dropped.more = dropped.events == events_max as u64;
        if dropped.more {
            break;
        }
        forget(&mut tables, oldest)?;
        dropped.events += 1;
    }
    tables.finish()?;
    if dropped.events == 0 {
        transaction.abort()?;
    } else {
        transaction.commit()?;
    }
    Ok(dropped)
}

/// A transaction whose commit keeps what a quick start after a kill needs.
pub(super) fn begin(database: &Database) -> Result<WriteTransaction, Fault> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    Ok(transaction)
}

fn apply(tables: &mut Tables<'_>, change: &Change) -> Result<(), Fault> {
    match change {
        Change::PutSession(record) => {
            let key = session_key(record.session);
            drop(tables.sessions.insert(&key, &*encode_record(record))?);
        }
        Change::RemoveSession(session) => drop(tables.sessions.remove(&session_key(*session))?),
        Change::AppendEvent(event) => append(tables, event)?,
        Change::Checkpoints(packed) => put_beats(tables, packed)?,
        Change::PutValue { area, key, bytes } | Change::Claim { area, key, bytes } => {
            drop(tables.values.insert(&*area.key(key), &**bytes)?);
        }
        Change::RemoveValue { area, key } => drop(tables.values.remove(&*area.key(key))?),
        Change::Take { area, key, number, .. } => {
            drop(tables.sequences.insert(&*area.key(key), number.saturating_add(1))?);
        }
    }
    Ok(())
}

fn append(tables: &mut Tables<'_>, event: &Event) -> Result<(), Fault> {
    let key = EventKey::of(event);
    let row = encode_event(event);
    let known = tables.events.get(&event_key(key))?.map(|value| value.value().to_vec());
    if let Some(value) = known {
        if split_event(&value)?.1 == row {
            return Ok(());
        }
        forget(tables, key)?;
    }
    let by_session = by_session_key(event.session, event.seq);
    let former = tables.by_session.get(&by_session)?.map(|id| id_of(id.value()));
    if let Some(id) = former {
        forget(tables, EventKey { id, session: event.session })?;
    }
    tables.position += 1;
    let position = tables.position.to_be_bytes();
    let value = [&position[..], &row].concat();
    let bytes = event_key(key);
    drop(tables.events.insert(&bytes, &*value)?);
    drop(tables.by_session.insert(&by_session, &id_bytes(event.id))?);
    drop(tables.by_position.insert(&position, &bytes)?);
    tables.history_bytes += EVENT_OVERHEAD + row.len() as u64;
    Ok(())
}

/// Drops one event with what points to it.
fn forget(tables: &mut Tables<'_>, key: EventKey) -> Result<(), Fault> {
    let Some(value) = tables.events.remove(&event_key(key))?.map(|row| row.value().to_vec()) else {
        return Ok(());
    };
    let (position, row) = split_event(&value)?;
    let cost = EVENT_OVERHEAD + row.len() as u64;
    tables.history_bytes = tables.history_bytes.saturating_sub(cost);
    drop(tables.by_position.remove(&position.to_be_bytes())?);
    // A row that cannot be read is dropped all the same; what pointed to it points to nothing.
    if let Ok(event) = decode_event(key, row) {
        drop(tables.by_session.remove(&by_session_key(event.session, event.seq))?);
    }
    Ok(())
}

fn put_beats(tables: &mut Tables<'_>, packed: &Packed) -> Result<(), Fault> {
    let key = |nr: u16| {
        let ([a, b], [c, d]) = (packed.shard().to_be_bytes(), nr.to_be_bytes());
        [a, b, c, d]
    };
    let mut next = 0_u32;
    for (nr, block) in packed.blocks() {
        drop(tables.beats.insert(&key(nr), block)?);
        next = u32::from(nr) + 1;
    }
    if let Ok(first) = u16::try_from(next) {
        tables.beats.retain_in::<&[u8; 4], _>(&key(first)..=&key(u16::MAX), |_, _| false)?;
    }
    Ok(())
}
