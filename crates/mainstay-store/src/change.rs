use std::fmt;

use mainstay_registry::{Event, Record, SessionId};

use crate::Packed;

/// One thing to keep, or not to keep any longer.
///
/// Changes of one batch are kept together or not at all. [`Change::Claim`] and [`Change::Take`]
/// have a condition: where it does not hold, their whole batch is refused and nothing of it kept.
/// Conditions are judged by what was kept before the batch, and by the batch's own earlier claims
/// and numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A session, in the place of what was known of it.
    PutSession(Box<Record>),
    /// A session that nobody needs to know any more. Its history stays.
    RemoveSession(SessionId),
    /// Something that happened. The same event again is the same event; another one with the same
    /// session and `seq` takes its place.
    AppendEvent(Box<Event>),
    /// The latest beats of one shard's sessions, in the place of what was kept of that shard.
    Checkpoints(Packed),
    /// Bytes under a key, in the place of what was there.
    PutValue {
        /// Whose key.
        area: Area,
        /// Up to [`KEY_MAX`](crate::row::KEY_MAX) bytes.
        key: Box<[u8]>,
        /// Up to [`ROW_MAX`](crate::row::ROW_MAX) bytes.
        bytes: Box<[u8]>,
    },
    /// Nothing under a key.
    RemoveValue {
        /// Whose key.
        area: Area,
        /// Which.
        key: Box<[u8]>,
    },
    /// Bytes under a key that must be free: a name that is given once.
    Claim {
        /// Whose key.
        area: Area,
        /// Up to [`KEY_MAX`](crate::row::KEY_MAX) bytes.
        key: Box<[u8]>,
        /// Up to [`ROW_MAX`](crate::row::ROW_MAX) bytes.
        bytes: Box<[u8]>,
    },
    /// The next number of a sequence, which must be `number`: it is given once. Sequences start at
    /// 1; [`Store::next_number`](crate::Store::next_number) says where one is.
    ///
    /// With a [`Change::Claim`] in the same batch, a name that is made of the number and the number
    /// are used up together, or neither.
    Take {
        /// Whose sequence.
        area: Area,
        /// Which.
        key: Box<[u8]>,
        /// The number to take.
        number: u64,
        /// The highest that may ever be taken.
        limit: u64,
    },
}

impl Change {
    /// A session to keep.
    #[must_use]
    pub fn put_session(record: Record) -> Self {
        Self::PutSession(Box::new(record))
    }

    /// An event to keep.
    #[must_use]
    pub fn append_event(event: Event) -> Self {
        Self::AppendEvent(Box::new(event))
    }

    /// Bytes to keep.
    #[must_use]
    pub fn put_value(area: Area, key: &[u8], bytes: &[u8]) -> Self {
        Self::PutValue { area, key: key.into(), bytes: bytes.into() }
    }

    /// Bytes to keep under a key that nobody has.
    #[must_use]
    pub fn claim(area: Area, key: &[u8], bytes: &[u8]) -> Self {
        Self::Claim { area, key: key.into(), bytes: bytes.into() }
    }

    /// About how many bytes it takes in memory and on disk; what a writer's queue is counted in.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let text = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
        match self {
            Self::PutSession(record) => {
                let Record { user, organisation, client_type, client_version, metadata, .. } =
                    &**record;
                let texts = [organisation, client_type, client_version, metadata];
                256 + text(user) + texts.map(|text| text.len()).iter().sum::<usize>()
            }
            Self::AppendEvent(event) => 192 + text(&event.user) + event.organisation.len(),
            Self::Checkpoints(packed) => 64 + packed.bytes(),
            Self::PutValue { key, bytes, .. } | Self::Claim { key, bytes, .. } => {
                64 + key.len() + bytes.len()
            }
            Self::RemoveValue { key, .. } | Self::Take { key, .. } => 64 + key.len(),
            Self::RemoveSession(_) => 64,
        }
    }
}

/// A name for values and sequences that belong together, so that nobody else's keys get in the way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Area(&'static str);

impl Area {
    /// The area of this name: 1 to 32 bytes without a zero byte. Make it a `const`.
    ///
    /// # Panics
    ///
    /// When the name is empty, longer, or has a zero byte; in a `const`, when it is compiled.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        assert!(!name.is_empty() && name.len() <= 32, "an area's name has 1 to 32 bytes");
        let mut at = 0;
        while at < name.len() {
            assert!(name.as_bytes()[at] != 0, "an area's name has no zero byte");
            at += 1;
        }
        Self(name)
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0
    }

    /// What stands before its keys on disk; with the key appended, the whole key.
    pub(crate) fn key(self, key: &[u8]) -> Vec<u8> {
        [self.0.as_bytes(), &[0], key].concat()
    }
}

impl fmt::Debug for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
