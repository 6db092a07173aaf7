//! What a server that starts makes of what is stored.

use mainstay::core::time::Instant;
use mainstay_registry::{Registry, SessionId};
use mainstay_store::{Change, Store, StoreError, Writer};

use super::hub::SessionsError;

/// Sessions of which the store is told at a time.
const STEP: usize = 4096;
/// Changes that wait to be written, above which restored sessions wait with what is to be told of
/// them: those who come first.
const BUSY: usize = 8_192;

/// Gives the registry what the store has kept. Sessions that had a connection have lost it; the
/// history is told so [as there is room](tell).
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
    let known = store.stats()?.sessions;
    registry.make_room(usize::try_from(known).unwrap_or(usize::MAX));
    let mut over = Vec::new();
    let restored = store.sessions(&mut |record| {
        if record.ended.is_some() {
            over.push(record.session);
        }
        let _known: bool = registry.restore(now, record);
    })?;
    forget(&over, writer)?;
    if restored.sessions > 0 || restored.damaged > 0 {
        let (sessions, damaged) = (restored.sessions, restored.damaged);
        tracing::info!(sessions, damaged, over = over.len(), "sessions were restored");
    }
    Ok(())
}

/// Has the registry tell of some more restored sessions, unless the writer has enough to do; answers
/// whether there are any left.
pub(super) fn tell(registry: &Registry, writer: &Writer, now: Instant) -> bool {
    writer.stats().queued_changes > BUSY || registry.tell_restored(now, STEP) > 0
}

/// Sessions that were over are in the history; nobody asks for their rows any more.
fn forget(over: &[SessionId], writer: &Writer) -> Result<(), StoreError> {
    for some in over.chunks(STEP) {
        let changes = some.iter().copied().map(Change::RemoveSession).collect();
        drop(writer.submit_blocking(changes)?);
    }
    Ok(())
}
