use std::time::Duration;

use mainstay_core::session::quality::Quality;
use mainstay_core::session::status::EndReason;

use crate::{Event, Key, Record, SessionId};

/// What to do, in the order in which it was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Effect {
    /// Keep this, in one batch: the event and what the session is after it.
    Store {
        /// Whose.
        session: SessionId,
        /// Which connection of the session.
        generation: u64,
        /// The row from now on, up to its latest event; none when it stays as it is, or when the
        /// effect right after this one brings it.
        record: Option<Box<Record>>,
        /// Whether the row is removed.
        remove: bool,
        /// What to add to the history.
        event: Option<Event>,
    },
    /// Ask this connection whether it is there.
    Ping(Key),
    /// Ask this one at once: it is suspected.
    Probe(Key),
    /// Tell this connection how often it is asked from now on.
    Announce {
        /// Whom.
        key: Key,
        /// How often it is asked.
        interval: Duration,
        /// How long after that it is given up.
        timeout: Duration,
        /// How good its connection is.
        quality: Quality,
    },
    /// Close this connection.
    Close {
        /// Which; a newer one of the same session stays.
        key: Key,
        /// What to say.
        reason: CloseReason,
    },
    /// Dial this peer, when it is one that a server can dial; otherwise it comes by itself.
    Reconnect {
        /// Whom.
        session: SessionId,
        /// Which attempt since it was last stable, counted from 1.
        attempt: u32,
        /// How long its place is reserved.
        within: Duration,
    },
    /// Tell whoever is on call.
    Alarm(Alarm),
}

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// Another connection of the same session took its place.
    Superseded,
    /// Nothing was heard of it for too long.
    Silent,
    /// The session rests: the client or an operator asked for it.
    Suspended,
    /// The session is expected back on another connection.
    Reconnect,
    /// The session is over.
    Ended(EndReason),
}

/// What is wrong with this server rather than with a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// Many sessions fell silent at once; nobody is given up for a while.
    MassSuspicion {
        /// How many were suspected in this sweep.
        suspected: u32,
        /// How many had a connection.
        connected: u32,
    },
    /// This process slept; nobody is given up for a while, and every deadline is later by this.
    OwnPause {
        /// How long.
        late: Duration,
    },
}
