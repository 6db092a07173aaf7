use std::time::Duration;

use mainstay_core::session::quality::{Factor, Quality};
use mainstay_core::session::status::{EndReason, LossReason};
use serde::{Deserialize, Serialize};

use crate::SessionId;

/// Something that happened to a session.
///
/// A consumer that keeps the last `seq` of each session can drop what it is told twice and what
/// comes late.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Where it stands in the history of all sessions.
    pub id: EventId,
    /// Whose it is.
    pub session: SessionId,
    /// Which connection of the session it was.
    pub generation: u64,
    /// Counted from 1 in each session, without a gap.
    pub seq: u64,
    /// Whose session it is; none for the anonymous.
    pub user: Option<Box<str>>,
    /// The organisation it belongs to.
    pub organisation: Box<str>,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// The place of an event in the history: when it happened, and which of that millisecond it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventId {
    /// Milliseconds since 1970.
    pub unix_ms: u64,
    /// Tells events of the same millisecond apart. Ordered within a shard of the registry only.
    pub nr: u64,
}

/// What happened to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all_fields = "snake_case")]
pub enum EventKind {
    /// It began.
    #[serde(rename = "session.registered")]
    Registered,
    /// It has no connection any more, and may come back.
    #[serde(rename = "session.suspended")]
    Suspended {
        /// Why.
        reason: LossReason,
    },
    /// It is expected back.
    #[serde(rename = "session.reconnecting")]
    Reconnecting {
        /// Which attempt since it was last stable, counted from 1.
        attempt: u32,
        /// How long from now it is expected.
        within: Duration,
    },
    /// It has a connection again.
    #[serde(rename = "session.resumed")]
    Resumed {
        /// Whether its messages go on where they stopped.
        replay: bool,
    },
    /// Another connection took the place of one that was still there.
    #[serde(rename = "session.taken_over")]
    TakenOver,
    /// Nothing was heard of it for longer than usual.
    #[serde(rename = "session.suspected")]
    Suspected,
    /// It was heard again.
    #[serde(rename = "session.recovered")]
    Recovered,
    /// Its grade changed.
    #[serde(rename = "session.quality.changed")]
    QualityChanged {
        /// What it was.
        from: Quality,
        /// What it is.
        to: Quality,
        /// What weighs most in it.
        factor: Factor,
    },
    /// What it says about itself changed.
    #[serde(rename = "session.metadata.changed")]
    MetadataChanged,
    /// It is over; nothing of it follows. This is told once for every session.
    #[serde(rename = "session.gone")]
    Gone {
        /// Why.
        reason: EndReason,
    },
}
