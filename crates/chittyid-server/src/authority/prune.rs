use std::sync::mpsc::channel;
use std::time::Duration;

use mainstay_store::{Area, Change, StoreError};

use super::issuer::{Job, is_outdated};
use super::row::{ANSWERS, AUDIT, Answered, audit_time, read};
use super::{Authority, MintError};

/// Rows that are read at once.
const PIECE: usize = 512;

impl Authority {
    /// Drops answers and audit entries that are kept no longer; answers how many. Blocks.
    ///
    /// # Errors
    ///
    /// The store cannot be read or written. What was dropped before stays dropped.
    pub fn prune(&self) -> Result<usize, StoreError> {
        let now = self.now().unix_ms;
        let kept_for = self.config.idempotency_for;
        let old_answer = |_: &[u8], row: &[u8]| {
            read::<Answered>(ANSWERS, row).is_ok_and(|row| is_outdated(&row, now, kept_for))
        };
        let dropped = self.sweep(ANSWERS, false, old_answer, |keys| {
            let (dropped, answer) = channel();
            match self.issuer.ask(Job::Drop { keys, now, dropped }) {
                Ok(()) => answer.recv().unwrap_or(Err(StoreError::Closed)),
                // Minting comes first; there is a next time.
                Err(MintError::Busy) => Ok(0),
                Err(_) => Err(StoreError::Closed),
            }
        })?;
        let before = now.saturating_sub(millis(self.config.audit_for));
        let old_entry = |key: &[u8], _: &[u8]| audit_time(key).is_some_and(|at| at < before);
        // The oldest come first: behind one that stays, all do.
        let entries = self.sweep(AUDIT, true, old_entry, |keys| {
            let remove = |key: Vec<u8>| Change::RemoveValue { area: AUDIT, key: key.into() };
            let (count, changes) = (keys.len(), keys.into_iter().map(remove).collect());
            self.writer.submit_blocking(changes)?.wait().map(|()| count)
        })?;
        Ok(dropped + entries)
    }

    fn sweep(
        &self,
        area: Area,
        is_sorted: bool,
        is_old: impl Fn(&[u8], &[u8]) -> bool,
        drop: impl Fn(Vec<Vec<u8>>) -> Result<usize, StoreError>,
    ) -> Result<usize, StoreError> {
        let (mut dropped, mut after) = (0, None::<Vec<u8>>);
        loop {
            let rows = self.store.values(area, after.as_deref(), PIECE)?;
            let (read, last) = (rows.len(), rows.last().map(|(key, _)| key.clone()));
            let old = rows.into_iter().filter(|(key, row)| is_old(key, row));
            let old: Vec<Vec<u8>> = old.map(|(key, _)| key).collect();
            let found = old.len();
            if found > 0 {
                dropped += drop(old)?;
            }
            if read < PIECE || (is_sorted && found < read) {
                return Ok(dropped);
            }
            after = last;
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
