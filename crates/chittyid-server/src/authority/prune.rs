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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::UNIX_EPOCH;

    use mainstay_store::{MemoryStore, Store, StoreConfig, Writer};

    use super::*;
    use crate::{AuthorityConfig, Caller, Request};

    #[tokio::test]
    async fn an_answer_that_is_given_anew_meanwhile_is_not_dropped() {
        let secs = Arc::new(AtomicU64::new(1_800_000_000));
        let clock = secs.clone();
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let writer = Arc::new(Writer::start(store.clone(), &StoreConfig::default()).unwrap());
        let clock =
            Arc::new(move || UNIX_EPOCH + Duration::from_secs(clock.load(Ordering::SeqCst)));
        let config = AuthorityConfig::default();
        let too_old = config.idempotency_for.as_secs() + 1;
        let authority = Authority::with_clock(config, store.clone(), writer, clock).unwrap();
        let ann = Caller { name: "ann".into(), key: None, address: None, is_admin: false };
        let mint = |key| {
            let order = vec![Request { entity: "PEO".into(), ..Request::default() }];
            authority.mint(order, false, &ann, Some(key))
        };
        drop((mint("one").await.unwrap(), mint("two").await.unwrap()));
        // Both are found to be too old; then one of the keys is shown again.
        secs.fetch_add(too_old, Ordering::SeqCst);
        let found = store.values(ANSWERS, None, 9).unwrap();
        let keys: Vec<Vec<u8>> = found.into_iter().map(|(key, _)| key).collect();
        let now = authority.now().unix_ms;
        let new = mint("one").await.unwrap();
        let (dropped, answer) = channel();
        authority.issuer.ask(Job::Drop { keys, now, dropped }).unwrap();
        assert_eq!(answer.recv().unwrap().unwrap(), 1);
        let again = mint("one").await.unwrap();
        assert_eq!((&again.minted, again.repeated), (&new.minted, true));
    }
}
