use std::fmt;
use std::time::Duration;

use mainstay_core::session::quality::Quality;
use mainstay_core::session::status::EndReason;

use crate::SessionId;

/// What a client says when it registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Whose session it is; none for the anonymous.
    pub user: Option<Box<str>>,
    /// The organisation it belongs to.
    pub organisation: Box<str>,
    /// Which program connects.
    pub client_type: Box<str>,
    /// The version of that program; empty when it does not say.
    pub client_version: Box<str>,
    /// A JSON object about itself; empty when it says none. Its length is checked by the caller.
    pub metadata: Box<str>,
    /// Who asks whom.
    pub beats: Beats,
}

/// Who asks whom whether it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Beats {
    /// The server pings: there is a socket.
    Server,
    /// The client beats by itself, over HTTP for instance: there is no socket.
    Client,
}

/// One connection of one session: what its task holds and shows with every frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub(crate) session: SessionId,
    pub(crate) generation: u32,
    pub(crate) slot: u32,
}

impl Key {
    /// Whose connection it is.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// Which connection of the session it is, counted from 1.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation as u64
    }
}

/// How often a session is asked, or beats by itself, and when it is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Between beats.
    pub interval: Duration,
    /// How long after an expected beat it is given up.
    pub timeout: Duration,
}

/// A connection was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Admitted {
    /// What to show from now on.
    pub key: Key,
    /// How often it is asked.
    pub heartbeat: Interval,
    /// How long the session outlives this connection.
    pub grace: Duration,
    /// Whether another connection gave way.
    pub takeover: bool,
}

/// What a client that beat by itself is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    /// How good its connection is.
    pub quality: Quality,
    /// Until the next beat.
    pub interval: Duration,
    /// How long after an expected beat it is given up.
    pub timeout: Duration,
    /// How many beats in a row were missing before this one.
    pub missed: u32,
}

/// A place was reserved for a session that is expected back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// Which attempt since it was last stable, counted from 1.
    pub attempt: u32,
    /// How long the place is reserved.
    pub within: Duration,
}

/// Why a connection was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// No such session: the client registers anew.
    Unknown,
    /// It is over: the client registers anew.
    Gone(EndReason),
    /// A newer connection exists, so this one gives way.
    Stale,
    /// This server holds as many sessions as it may: the client tries again later, or elsewhere.
    Full,
    /// This user has as many sessions as one may have: the user ends one.
    TooManyOfUser,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "no such session",
            Self::Gone(_) => "the session is over",
            Self::Stale => "a newer connection of the session exists",
            Self::Full => "this server holds as many sessions as it may",
            Self::TooManyOfUser => "this user has as many sessions as one may have",
        })
    }
}

impl std::error::Error for Refusal {}
