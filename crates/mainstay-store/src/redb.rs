//! One file of [redb](https://docs.rs/redb), `mainstay.redb`, in a folder.
//!
//! Tables, all with keys whose bytes sort as they are meant to, and times first, so that what is
//! written together lies together:
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | name | number: `format`, `created_unix_ms`, `position`, `history_bytes` |
//! | `sessions` | session (16) | [row](crate::row) |
//! | `events` | ms (8), nr (8), session (16) | position (8), row |
//! | `events_by_session` | session (16), seq (8) | ms (8), nr (8) |
//! | `events_by_position` | position (8) | key of the event (32) |
//! | `values` | area, a zero byte, key | bytes |
//! | `sequences` | area, a zero byte, key | next number |
//! | `checkpoints` | shard (2), nr (2) | [block](crate::row::beats) |
//!
//! Every commit keeps the allocator's state (*quick-repair*): after a kill the file is open again in
//! milliseconds, however large it is.

mod backend;
mod open;
mod read;
mod tables;
mod write;

use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use mainstay_registry::{Event, EventId, Record, SessionId};
use redb::{Database, DatabaseError, StorageError};

use crate::redb::tables::Fault;
use crate::row::beats::Beats;
use crate::store::{Dropped, EventKey, KeyValue, Position, Restored, Stats};
use crate::{Area, Beat, Change, Store, StoreConfig, StoreError};

/// The format that this version writes.
pub const FORMAT: u32 = 1;
/// The file in the folder.
pub const FILE: &str = "mainstay.redb";

/// A store in one file. It is open for one process at a time.
pub struct RedbStore {
    path: PathBuf,
    config: StoreConfig,
    /// None after it failed, until it is open again.
    database: RwLock<Option<Database>>,
    /// Locked for as long as the store lives, also while the database is opened again.
    _lock: open::Lock,
}

impl RedbStore {
    /// Opens the store in `folder`, which is made if it is missing (for this user alone).
    ///
    /// # Errors
    ///
    /// [`StoreError::Folder`], [`StoreError::NoSpace`], [`StoreError::InUse`],
    /// [`StoreError::Foreign`], [`StoreError::Damaged`], [`StoreError::Newer`] say what an operator
    /// can do; [`StoreError::Config`] that `config` makes no sense. A file that is refused is not
    /// touched.
    pub fn open(folder: &Path, config: &StoreConfig) -> Result<Self, StoreError> {
        config.check().map_err(StoreError::Config)?;
        let lock = open::lock(folder)?;
        let path = folder.join(FILE);
        open::create(&path, config)?;
        let database = open::database(&path, config)?;
        let store =
            Self { path, config: *config, database: RwLock::new(Some(database)), _lock: lock };
        store.run(|database| open::check_format(database, &store.path))??;
        Ok(store)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads all of the file and compares its checksums: some seconds for each gigabyte, while
    /// nothing else is read or written.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] when they differ, [`StoreError::Io`] while sessions are being read.
    pub fn verify(&self) -> Result<(), StoreError> {
        let mut held = self.database.write().unwrap_or_else(PoisonError::into_inner);
        let mut database = match held.take() {
            Some(database) => database,
            None => open::database(&self.path, &self.config)?,
        };
        let checked = catch_unwind(AssertUnwindSafe(|| database.check_integrity()));
        match checked {
            Ok(Ok(true)) => {
                *held = Some(database);
                Ok(())
            }
            Ok(Ok(false)) => {
                Err(StoreError::damaged(&self.path, "checksums differ; it was repaired as far"))
            }
            Ok(Err(DatabaseError::TransactionInProgress)) => {
                *held = Some(database);
                Err(StoreError::io(&self.path, std::io::ErrorKind::ResourceBusy.into()))
            }
            Ok(Err(error)) => Err(open::error(&self.path, error)),
            Err(_) => Err(StoreError::damaged(&self.path, "its pages contradict each other")),
        }
    }

    /// Runs `work` on the database. After a failure of the machine the database does nothing more
    /// until it is opened again, so it is: with the next call.
    fn run<T>(&self, work: impl FnOnce(&Database) -> Result<T, Fault>) -> Result<T, StoreError> {
        self.revive()?;
        let held = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let Some(database) = &*held else {
            return Err(StoreError::damaged(&self.path, "it could not be opened again"));
        };
        let done = catch_unwind(AssertUnwindSafe(|| work(database)));
        drop(held);
        let fault = match done {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(fault)) => fault,
            Err(_) => {
                self.give_up();
                return Err(StoreError::damaged(&self.path, "its pages contradict each other"));
            }
        };
        match fault {
            Fault::Row(error) => Err(StoreError::damaged(&self.path, error)),
            Fault::Storage(error) => {
                self.give_up();
                Err(open::storage_error(&self.path, error))
            }
        }
    }

    fn give_up(&self) {
        let mut held = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if catch_unwind(AssertUnwindSafe(|| drop(held.take()))).is_err() {
            tracing::warn!(path = %self.path.display(), "the store did not close in good order");
        }
    }

    fn revive(&self) -> Result<(), StoreError> {
        if self.database.read().unwrap_or_else(PoisonError::into_inner).is_some() {
            return Ok(());
        }
        let mut held = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if held.is_none() {
            *held = Some(open::database(&self.path, &self.config)?);
            tracing::info!(path = %self.path.display(), "the store is open again");
        }
        Ok(())
    }
}

impl fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbStore").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Store for RedbStore {
    fn commit_groups(
        &self,
        groups: &[&[Change]],
    ) -> Result<Vec<Result<(), StoreError>>, StoreError> {
        self.run(|database| write::commit(database, groups))
    }

    fn sessions(&self, each: &mut dyn FnMut(Record)) -> Result<Restored, StoreError> {
        let mut known = Vec::new();
        self.checkpoints(&mut |beat| known.push(beat))?;
        let beats = Beats::new(known);
        let reader = self.run(read::Reader::new)?;
        let mut restored = Restored::default();
        let mut after = None;
        loop {
            let page = self.run(|_| reader.sessions(after))?;
            let Some(last) = page.last else { return Ok(restored) };
            after = Some(last);
            restored.damaged += page.damaged;
            for mut record in page.records {
                restored.sessions += 1;
                restored.refreshed += u64::from(beats.refresh(&mut record));
                each(record);
            }
        }
    }

    fn session(&self, session: SessionId) -> Result<Option<Record>, StoreError> {
        self.run(|database| read::Reader::new(database)?.session(session))
    }

    fn events_of(
        &self,
        session: SessionId,
        times: Range<u64>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError> {
        self.run(|database| read::Reader::new(database)?.events_of(session, &times, after, limit))
    }

    fn events_between(
        &self,
        times: Range<u64>,
        after: Option<EventKey>,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError> {
        self.run(|database| read::Reader::new(database)?.events_between(&times, after, limit))
    }

    fn history(&self, after: Position, limit: usize) -> Result<Vec<(Position, Event)>, StoreError> {
        self.run(|database| read::Reader::new(database)?.history(after, limit))
    }

    fn last_event_id(&self) -> Result<Option<EventId>, StoreError> {
        self.run(|database| read::Reader::new(database)?.last_event_id())
    }

    fn value(&self, area: Area, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.run(|database| read::Reader::new(database)?.value(&area.key(key)))
    }

    fn values(
        &self,
        area: Area,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<KeyValue>, StoreError> {
        self.run(|database| read::Reader::new(database)?.values(area, after, limit))
    }

    fn next_number(&self, area: Area, key: &[u8]) -> Result<u64, StoreError> {
        self.run(|database| read::Reader::new(database)?.next_number(&area.key(key)))
    }

    fn checkpoints(&self, each: &mut dyn FnMut(Beat)) -> Result<(), StoreError> {
        let beats = self.run(|database| read::Reader::new(database)?.beats())?;
        beats.into_iter().for_each(each);
        Ok(())
    }

    fn stats(&self) -> Result<Stats, StoreError> {
        let bytes = std::fs::metadata(&self.path);
        let bytes = bytes.map_err(|error| StoreError::io(&self.path, error))?.len();
        self.run(|database| read::Reader::new(database)?.stats(bytes))
    }

    fn drop_events_before(&self, unix_ms: u64, events_max: usize) -> Result<Dropped, StoreError> {
        self.run(|database| write::drop_events(database, unix_ms, events_max))
    }
}

impl From<StorageError> for Fault {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}
