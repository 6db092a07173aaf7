use crate::{Dropped, Store, StoreConfig, StoreError};

const DAY_MS: u64 = 86_400_000;

/// Drops one step of what history keeps for too long, or too much of; a [`Writer`](crate::Writer)
/// does it between commits.
///
/// By age, whole days go (UTC), so that a day is there or not. By size, the oldest events go until
/// the rest fits: a busy server fills its share in less than a day.
///
/// A clock that leaps ahead makes everything too old: give it a time that is known to be right.
///
/// # Errors
///
/// The commit failed: nothing is dropped.
pub fn retain(
    store: &dyn Store,
    config: &StoreConfig,
    now_unix_ms: u64,
) -> Result<Dropped, StoreError> {
    let age = u64::try_from(config.history_age.as_millis()).unwrap_or(u64::MAX);
    let cut = now_unix_ms.saturating_sub(age) / DAY_MS * DAY_MS;
    let stats = store.stats()?;
    let large = stats.history_bytes > config.history_bytes;
    if !large && stats.oldest_event.is_none_or(|oldest| oldest >= cut) {
        return Ok(Dropped::default());
    }
    let dropped =
        store.drop_events_before(if large { u64::MAX } else { cut }, config.drop_events)?;
    Ok(Dropped { more: dropped.more && dropped.events > 0, ..dropped })
}
