//! Whether a group of changes may be kept, the same for every store.

use std::collections::{BTreeMap, BTreeSet};

use crate::row::{KEY_MAX, ROW_MAX};
use crate::{Change, Conflict, StoreError};

/// What is known of keys before the group.
pub(crate) trait Known {
    /// What reading can fail with.
    type Error;

    /// Whether there is a value under this whole key.
    fn has(&self, key: &[u8]) -> Result<bool, Self::Error>;

    /// The next number of the sequence of this whole key.
    fn next(&self, key: &[u8]) -> Result<u64, Self::Error>;
}

/// Why `group` is refused, if it is; or what reading failed with.
pub(crate) fn check<K: Known>(
    group: &[Change],
    known: &K,
) -> Result<Result<(), StoreError>, K::Error> {
    let mut claimed = BTreeSet::new();
    let mut taken = BTreeMap::new();
    for change in group {
        if let Err(error) = sizes(change) {
            return Ok(Err(error));
        }
        match change {
            Change::Claim { area, key, .. } => {
                let whole = area.key(key);
                if known.has(&whole)? || !claimed.insert(whole) {
                    return Ok(Err(StoreError::Conflict(Conflict::Claimed { key: key.clone() })));
                }
            }
            Change::Take { area, key, number, limit } => {
                let whole = area.key(key);
                let next = match taken.get(&whole) {
                    Some(next) => *next,
                    None => known.next(&whole)?,
                };
                if let Err(conflict) = take(*number, next, *limit) {
                    return Ok(Err(StoreError::Conflict(conflict)));
                }
                taken.insert(whole, number + 1);
            }
            Change::PutSession(_)
            | Change::RemoveSession(_)
            | Change::AppendEvent(_)
            | Change::Checkpoints(_)
            | Change::PutValue { .. }
            | Change::RemoveValue { .. } => {}
        }
    }
    Ok(Ok(()))
}

fn take(number: u64, next: u64, limit: u64) -> Result<(), Conflict> {
    if next > limit || next == u64::MAX {
        Err(Conflict::Exhausted { limit })
    } else if number == next {
        Ok(())
    } else {
        Err(Conflict::Moved { number, next })
    }
}

fn sizes(change: &Change) -> Result<(), StoreError> {
    let (what, key, row) = match change {
        Change::PutSession(_) => ("a session", 0, change.bytes()),
        Change::AppendEvent(_) => ("an event", 0, change.bytes()),
        Change::PutValue { key, bytes, .. } | Change::Claim { key, bytes, .. } => {
            ("a value", key.len(), bytes.len())
        }
        Change::RemoveValue { key, .. } | Change::Take { key, .. } => ("a key", key.len(), 0),
        Change::RemoveSession(_) | Change::Checkpoints(_) => return Ok(()),
    };
    if key > KEY_MAX {
        return Err(StoreError::TooLarge { what: "a key", bytes: key, max: KEY_MAX });
    }
    if row > ROW_MAX {
        return Err(StoreError::TooLarge { what, bytes: row, max: ROW_MAX });
    }
    Ok(())
}
