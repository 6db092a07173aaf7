use mainstay_store::{Area, Change, Store, StoreError, Writer};

use super::row::{ANSWERS, AUDIT, Answered, audit_time};
use crate::AuthorityConfig;

/// Rows that are read at once.
const PIECE: usize = 512;

/// Drops answers and audit entries that are too old; answers how many.
pub(super) fn prune(
    config: &AuthorityConfig,
    store: &dyn Store,
    writer: &Writer,
    now: u64,
) -> Result<usize, StoreError> {
    let before = |age: std::time::Duration| {
        now.saturating_sub(u64::try_from(age.as_millis()).unwrap_or(u64::MAX))
    };
    let (answers, audit) = (before(config.idempotency_for), before(config.audit_for));
    let old_answer = |_: &[u8], row: &[u8]| {
        serde_json::from_slice::<Answered>(row).is_ok_and(|answered| answered.at < answers)
    };
    let dropped = sweep(store, writer, ANSWERS, false, old_answer)?;
    let old_entry = |key: &[u8], _: &[u8]| audit_time(key).is_some_and(|at| at < audit);
    // The oldest come first: behind one that stays, all do.
    Ok(dropped + sweep(store, writer, AUDIT, true, old_entry)?)
}

fn sweep(
    store: &dyn Store,
    writer: &Writer,
    area: Area,
    is_sorted: bool,
    is_old: impl Fn(&[u8], &[u8]) -> bool,
) -> Result<usize, StoreError> {
    let (mut dropped, mut after) = (0, None::<Vec<u8>>);
    loop {
        let rows = store.values(area, after.as_deref(), PIECE)?;
        let old: Vec<Change> = rows
            .iter()
            .filter(|(key, row)| is_old(key, row))
            .map(|(key, _)| Change::RemoveValue { area, key: key.as_slice().into() })
            .collect();
        let (found, is_last) = (old.len(), rows.len() < PIECE);
        dropped += found;
        if found > 0 {
            writer.submit_blocking(old)?.wait()?;
        }
        if is_last || (is_sorted && found < rows.len()) {
            return Ok(dropped);
        }
        after = rows.into_iter().next_back().map(|(key, _)| key);
    }
}
