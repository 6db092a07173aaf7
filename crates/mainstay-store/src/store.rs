use std::fmt;
use std::ops::Range;

use mainstay_registry::{Event, EventId, Record, SessionId};

use crate::{Area, Beat, Change, StoreError};

/// What keeps sessions, their history and values. Its calls block; none panics.
pub trait Store: fmt::Debug + Send + Sync {
    /// Keeps each group of changes, all groups in one commit. The answer says for each group
    /// whether it was kept or refused; a refused one leaves no trace and does not touch the others.
    /// Groups are kept in their order.
    ///
    /// # Errors
    ///
    /// The commit failed: no group is kept.
    fn commit_groups(
        &self,
        groups: &[&[Change]],
    ) -> Result<Vec<Result<(), StoreError>>, StoreError>;

    /// Keeps all of `batch`, or nothing of it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] and [`StoreError::TooLarge`] for what the caller did, others for
    /// what the machine did. Nothing of the batch is kept.
    fn commit(&self, batch: &[Change]) -> Result<(), StoreError> {
        self.commit_groups(&[batch])?.pop().unwrap_or(Ok(()))
    }

    /// Gives every session to `each`, in the order of their names, with its latest checkpoint
    /// merged in. A row that cannot be read is left out, counted and logged.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    fn sessions(&self, each: &mut dyn FnMut(Record)) -> Result<Restored, StoreError>;

    /// One session, as it was last put: without checkpoints.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or the row is damaged.
    fn session(&self, session: SessionId) -> Result<Option<Record>, StoreError>;

    /// What happened to `session` from `times.start` to before `times.end` (milliseconds since
    /// 1970), in the order of `seq`: up to `limit` events with a higher one than `after`.
    ///
    /// As in all history, a row that cannot be read is left out and logged.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    fn events_of(
        &self,
        session: SessionId,
        times: Range<u64>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError>;

    /// What happened from `times.start` to before `times.end` (milliseconds since 1970), in the
    /// order of time: up to `limit` events that come behind `after`.
    ///
    /// Whoever waits for new events takes [`Store::history`]: an event may come with a time before
    /// one that is known.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    fn events_between(
        &self,
        times: Range<u64>,
        after: Option<EventKey>,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError>;

    /// What was kept after `after`, in the order of commits: up to `limit` events. Whoever goes on
    /// from the last [`Position`] misses nothing, whatever clocks do.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    fn history(&self, after: Position, limit: usize) -> Result<Vec<(Position, Event)>, StoreError>;

    /// The latest event of all by time.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    fn last_event_id(&self) -> Result<Option<EventId>, StoreError>;

    /// What is kept under a key.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    fn value(&self, area: Area, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Keys of an area with their values, in the order of keys: up to `limit`, behind `after`.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    fn values(
        &self,
        area: Area,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<KeyValue>, StoreError>;

    /// The number that [`Change::Take`] takes next; 1 in a sequence that nobody has used.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    fn next_number(&self, area: Area, key: &[u8]) -> Result<u64, StoreError>;

    /// Gives every checkpoint to `each`, in no order. Which session one belongs to says
    /// [`Beat::is_of`].
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    fn checkpoints(&self, each: &mut dyn FnMut(Beat)) -> Result<(), StoreError>;

    /// How much is kept.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    fn stats(&self) -> Result<Stats, StoreError>;

    /// Drops up to `events_max` of the events before `unix_ms`, the oldest first, in one commit.
    ///
    /// # Errors
    ///
    /// The commit failed: nothing is dropped.
    fn drop_events_before(&self, unix_ms: u64, events_max: usize) -> Result<Dropped, StoreError>;
}

/// The place of an event in the order of time; a cursor of [`Store::events_between`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventKey {
    /// When, and which of that millisecond.
    pub id: EventId,
    /// Whose.
    pub session: SessionId,
}

impl EventKey {
    /// That of `event`.
    #[must_use]
    pub const fn of(event: &Event) -> Self {
        Self { id: event.id, session: event.session }
    }
}

/// The place of an event in the order of commits; a cursor of [`Store::history`]. The default is
/// before all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

/// What came of reading all sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Sessions that were given out.
    pub sessions: u64,
    /// Of those, sessions whose checkpoint was later than their row.
    pub refreshed: u64,
    /// Rows that could not be read.
    pub damaged: u64,
}

/// How much a store keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes of the file; of memory, about, where there is none.
    pub bytes: u64,
    /// Bytes of the history's rows and their indexes. The file has more: pages are not full, and
    /// free ones are used again.
    pub history_bytes: u64,
    /// Sessions.
    pub sessions: u64,
    /// Events.
    pub events: u64,
    /// Values, in all areas.
    pub values: u64,
    /// When the oldest event happened, in milliseconds since 1970.
    pub oldest_event: Option<u64>,
    /// The place of the event that was kept last.
    pub position: Position,
}

/// A key of an area, and the value under it.
pub type KeyValue = (Vec<u8>, Vec<u8>);

/// What was dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Events.
    pub events: u64,
    /// Whether there are more to drop.
    pub more: bool,
}
