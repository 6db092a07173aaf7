use mainstay_registry::{EventId, SessionId};
use redb::{
    CommitError, ReadableTable, StorageError, Table, TableDefinition, TableError, TransactionError,
    WriteTransaction,
};

use crate::check::Known;
use crate::row::RowError;
use crate::store::EventKey;

pub(super) type Events = TableDefinition<'static, &'static [u8; 32], &'static [u8]>;

pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
pub(super) const SESSIONS: TableDefinition<'_, &[u8; 16], &[u8]> = TableDefinition::new("sessions");
pub(super) const EVENTS: Events = TableDefinition::new("events");
pub(super) const BY_SESSION: TableDefinition<'_, &[u8; 24], &[u8; 16]> =
    TableDefinition::new("events_by_session");
pub(super) const BY_POSITION: TableDefinition<'_, &[u8; 8], &[u8; 32]> =
    TableDefinition::new("events_by_position");
pub(super) const VALUES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("values");
pub(super) const SEQUENCES: TableDefinition<'_, &[u8], u64> = TableDefinition::new("sequences");
pub(super) const BEATS: TableDefinition<'_, &[u8; 4], &[u8]> = TableDefinition::new("checkpoints");

pub(super) const META_FORMAT: &str = "format";
pub(super) const META_CREATED: &str = "created_unix_ms";
pub(super) const META_POSITION: &str = "position";
pub(super) const META_HISTORY_BYTES: &str = "history_bytes";

/// Why something could not be read or written.
#[derive(Debug)]
pub(super) enum Fault {
    /// The database cannot; it must be opened again.
    Storage(StorageError),
    /// A row cannot be read.
    Row(RowError),
}

impl From<RowError> for Fault {
    fn from(error: RowError) -> Self {
        Self::Row(error)
    }
}

impl From<TableError> for Fault {
    fn from(error: TableError) -> Self {
        Self::Storage(if let TableError::Storage(error) = error {
            error
        } else {
            StorageError::Corrupted(error.to_string())
        })
    }
}

impl From<TransactionError> for Fault {
    fn from(error: TransactionError) -> Self {
        Self::Storage(if let TransactionError::Storage(error) = error {
            error
        } else {
            StorageError::Corrupted(error.to_string())
        })
    }
}

impl From<CommitError> for Fault {
    fn from(error: CommitError) -> Self {
        Self::Storage(if let CommitError::Storage(error) = error {
            error
        } else {
            StorageError::Corrupted(error.to_string())
        })
    }
}

/// All tables, open in one transaction that writes.
pub(super) struct Tables<'a> {
    pub(super) meta: Table<'a, &'static str, u64>,
    pub(super) sessions: Table<'a, &'static [u8; 16], &'static [u8]>,
    pub(super) events: Table<'a, &'static [u8; 32], &'static [u8]>,
    pub(super) by_session: Table<'a, &'static [u8; 24], &'static [u8; 16]>,
    pub(super) by_position: Table<'a, &'static [u8; 8], &'static [u8; 32]>,
    pub(super) values: Table<'a, &'static [u8], &'static [u8]>,
    pub(super) sequences: Table<'a, &'static [u8], u64>,
    pub(super) beats: Table<'a, &'static [u8; 4], &'static [u8]>,
    /// The position of the latest event.
    pub(super) position: u64,
    pub(super) history_bytes: u64,
}

impl<'a> Tables<'a> {
    pub(super) fn open(transaction: &'a WriteTransaction) -> Result<Self, Fault> {
        let meta = transaction.open_table(META)?;
        let number = |name| Ok::<_, StorageError>(meta.get(name)?.map_or(0, |row| row.value()));
        let (position, history_bytes) = (number(META_POSITION)?, number(META_HISTORY_BYTES)?);
        Ok(Self {
            meta,
            sessions: transaction.open_table(SESSIONS)?,
            events: transaction.open_table(EVENTS)?,
            by_session: transaction.open_table(BY_SESSION)?,
            by_position: transaction.open_table(BY_POSITION)?,
            values: transaction.open_table(VALUES)?,
            sequences: transaction.open_table(SEQUENCES)?,
            beats: transaction.open_table(BEATS)?,
            position,
            history_bytes,
        })
    }

    /// Writes the numbers that changed, and ends the work on the tables.
    pub(super) fn finish(mut self) -> Result<(), Fault> {
        drop(self.meta.insert(META_POSITION, self.position)?);
        drop(self.meta.insert(META_HISTORY_BYTES, self.history_bytes)?);
        Ok(())
    }
}

impl Known for Tables<'_> {
    type Error = Fault;

    fn has(&self, key: &[u8]) -> Result<bool, Fault> {
        Ok(self.values.get(key)?.is_some())
    }

    fn next(&self, key: &[u8]) -> Result<u64, Fault> {
        Ok(self.sequences.get(key)?.map_or(1, |row| row.value()))
    }
}

pub(super) fn session_key(session: SessionId) -> [u8; 16] {
    session.to_bits().to_be_bytes()
}

pub(super) fn event_key(key: EventKey) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(&id_bytes(key.id));
    bytes[16..].copy_from_slice(&session_key(key.session));
    bytes
}

pub(super) fn event_of_key(bytes: &[u8; 32]) -> EventKey {
    let (mut id, mut session) = ([0; 16], [0; 16]);
    id.copy_from_slice(&bytes[..16]);
    session.copy_from_slice(&bytes[16..]);
    EventKey { id: id_of(&id), session: SessionId::from_bits(u128::from_be_bytes(session)) }
}

pub(super) fn id_bytes(id: EventId) -> [u8; 16] {
    (u128::from(id.unix_ms) << 64 | u128::from(id.nr)).to_be_bytes()
}

#[expect(clippy::cast_possible_truncation, reason = "each half is taken")]
pub(super) fn id_of(bytes: &[u8; 16]) -> EventId {
    let bits = u128::from_be_bytes(*bytes);
    EventId { unix_ms: (bits >> 64) as u64, nr: bits as u64 }
}

pub(super) fn by_session_key(session: SessionId, seq: u64) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[..16].copy_from_slice(&session_key(session));
    bytes[16..].copy_from_slice(&seq.to_be_bytes());
    bytes
}

/// The position that stands before an event's row, and the row.
pub(super) fn split_event(value: &[u8]) -> Result<(u64, &[u8]), RowError> {
    let (position, row) = value.split_first_chunk().ok_or(RowError::Short)?;
    Ok((u64::from_be_bytes(*position), row))
}
