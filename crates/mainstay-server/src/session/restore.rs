//! What a server that starts makes of what is stored.

use mainstay::core::time::Instant;
use mainstay_registry::{Effect, Registry, SHARDS, SessionId};
use mainstay_store::{Change, Store, StoreError, Writer};

use super::hub::SessionsError;

/// Sessions that are restored before what follows from it is handed to the writer.
const STEP: usize = 4096;

/// Gives the registry what the store has kept, and the store what follows from it: sessions that had
/// a connection have lost it.
pub(super) fn restore(
    registry: &Registry,
    store: &dyn Store,
    writer: &Writer,
    now: Instant,
) -> Result<(), SessionsError> {
    // History goes on after everything that is kept, even when the calendar was set back.
    if let Some(last) = store.last_event_id()? {
        registry.go_on_after(last);
    }
    let mut over = Vec::new();
    let mut failed = None;
    let mut count = 0_usize;
    let restored = store.sessions(&mut |record| {
        if record.ended.is_some() {
            over.push(record.session);
        }
        let _known: bool = registry.restore(now, record);
        count += 1;
        if count.is_multiple_of(STEP)
            && let Err(error) = hand_over(registry, writer)
        {
            failed = Some(error);
        }
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    hand_over(registry, writer)?;
    forget(&over, writer)?;
    if restored.sessions > 0 || restored.damaged > 0 {
        let (sessions, damaged) = (restored.sessions, restored.damaged);
        tracing::info!(sessions, damaged, over = over.len(), "sessions were restored");
    }
    Ok(())
}

/// Hands what was decided to the writer, and waits while it has as much as it may.
fn hand_over(registry: &Registry, writer: &Writer) -> Result<(), StoreError> {
    let pending = registry.pending();
    let mut effects = Vec::new();
    for shard in (0..SHARDS).filter(|shard| pending & (1 << shard) != 0) {
        registry.drain(shard, &mut effects);
        let changes: Vec<Change> = effects.drain(..).flat_map(changes).collect();
        if !changes.is_empty() {
            drop(writer.submit_blocking(changes)?);
        }
    }
    Ok(())
}

fn changes(effect: Effect) -> impl Iterator<Item = Change> {
    let (row, event) = match effect {
        Effect::Store { record, event, .. } => {
            (record.map(Change::PutSession), event.map(Change::append_event))
        }
        // Nobody is connected yet.
        Effect::Ping(_)
        | Effect::Probe(_)
        | Effect::Announce { .. }
        | Effect::Close { .. }
        | Effect::Reconnect { .. }
        | Effect::Alarm(_) => (None, None),
    };
    row.into_iter().chain(event)
}

/// Sessions that were over are in the history; nobody asks for their rows any more.
fn forget(over: &[SessionId], writer: &Writer) -> Result<(), StoreError> {
    for some in over.chunks(STEP) {
        let changes = some.iter().copied().map(Change::RemoveSession).collect();
        drop(writer.submit_blocking(changes)?);
    }
    Ok(())
}
