use core::fmt;

use crate::time::Instant;

/// Which dial or probe an answer belongs to. Every dial and every probe gets a new one.
///
/// Only the answer of the newest dial, or of the newest probe, moves a link: a late one changes
/// nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct Generation(u32);

impl Generation {
    /// The generation with this number; machines count them from 1.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    pub(super) const fn next(self) -> Self {
        // Zero is nobody's.
        Self(if self.0 == u32::MAX { 1 } else { self.0 + 1 })
    }
}

/// Where a link stands, with what belongs to that state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum State {
    /// Nobody asked for a connection, or it was closed on request.
    #[default]
    Disconnected,
    /// The first connect is under way.
    Connecting {
        /// When it counts as failed.
        until: Instant,
    },
    /// The connection holds. The only healthy state.
    Connected {
        /// Since when.
        since: Instant,
        /// Whether it has held long enough for the attempts to start from one again.
        stable: bool,
    },
    /// The connection was lost, or the first connect failed: it is being dialled again.
    Reconnecting {
        /// Waiting for the next dial, or dialling.
        redial: Redial,
    },
    /// As above, but held back for a reason that the application should know.
    Suspended {
        /// Why.
        reason: SuspendReason,
        /// Whether and when it dials again by itself.
        redial: Redial,
    },
    /// It will not dial again by itself.
    Failed {
        /// Why.
        reason: FailReason,
    },
    /// A graceful close is under way.
    Closing {
        /// When the connection is dropped without ceremony.
        until: Instant,
    },
}

/// When a link that is down dials again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Redial {
    /// Not by itself.
    Never,
    /// At this time.
    At(Instant),
    /// It is dialling.
    Dialling {
        /// When the dial counts as failed.
        until: Instant,
    },
}

/// Why a link is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum SuspendReason {
    /// A breaker is open: no dial before it lets one through, and no attempt is used up.
    BreakerOpen,
    /// It has failed for long: it dials on, at the longest wait.
    LongOutage,
    /// The user paused it.
    Paused,
}

/// Why a link has given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum FailReason {
    /// The allowed redials are used up.
    AttemptsExhausted,
    /// The peer refused for good (HTTP 401, a bad certificate): dialling again cannot help.
    RefusedPermanently,
    /// The peer refused the credentials, and new ones too.
    CredentialsRefused,
    /// The two sides do not understand each other, again and again.
    ProtocolBroken,
}

/// The name of a state, in the seeds' spelling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "SCREAMING_SNAKE_CASE"))]
pub enum StateName {
    /// `DISCONNECTED`.
    #[default]
    Disconnected,
    /// `CONNECTING`.
    Connecting,
    /// `CONNECTED`.
    Connected,
    /// `RECONNECTING`.
    Reconnecting,
    /// `SUSPENDED`.
    Suspended,
    /// `FAILED`.
    Failed,
    /// `CLOSING`.
    Closing,
}

impl State {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> StateName {
        match self {
            Self::Disconnected => StateName::Disconnected,
            Self::Connecting { .. } => StateName::Connecting,
            Self::Connected { .. } => StateName::Connected,
            Self::Reconnecting { .. } => StateName::Reconnecting,
            Self::Suspended { .. } => StateName::Suspended,
            Self::Failed { .. } => StateName::Failed,
            Self::Closing { .. } => StateName::Closing,
        }
    }

    /// Whether a dial is under way.
    #[must_use]
    pub const fn is_dialling(self) -> bool {
        match self {
            Self::Connecting { .. }
            | Self::Reconnecting { redial: Redial::Dialling { .. } }
            | Self::Suspended { redial: Redial::Dialling { .. }, .. } => true,
            Self::Disconnected
            | Self::Connected { .. }
            | Self::Reconnecting { redial: Redial::Never | Redial::At(_) }
            | Self::Suspended { redial: Redial::Never | Redial::At(_), .. }
            | Self::Failed { .. }
            | Self::Closing { .. } => false,
        }
    }
}

impl StateName {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Disconnected,
        Self::Connecting,
        Self::Connected,
        Self::Reconnecting,
        Self::Suspended,
        Self::Failed,
        Self::Closing,
    ];

    /// The seeds' spelling, such as `RECONNECTING`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disconnected => "DISCONNECTED",
            Self::Connecting => "CONNECTING",
            Self::Connected => "CONNECTED",
            Self::Reconnecting => "RECONNECTING",
            Self::Suspended => "SUSPENDED",
            Self::Failed => "FAILED",
            Self::Closing => "CLOSING",
        }
    }

    /// Whether a link in this state is healthy: only a connected one is.
    #[must_use]
    pub const fn is_healthy(self) -> bool {
        matches!(self, Self::Connected)
    }

    /// The same as a WebSocket would say it.
    #[must_use]
    pub const fn ready(self) -> ReadyState {
        match self {
            Self::Connecting | Self::Reconnecting => ReadyState::Connecting,
            Self::Connected => ReadyState::Open,
            Self::Closing => ReadyState::Closing,
            Self::Disconnected | Self::Suspended | Self::Failed => ReadyState::Closed,
        }
    }
}

impl fmt::Display for StateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The ready state of a WebSocket (seed 003), with the numbers of the browser's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "SCREAMING_SNAKE_CASE"))]
#[repr(u8)]
pub enum ReadyState {
    /// A connection is being made, or made again.
    Connecting = 0,
    /// It holds.
    Open = 1,
    /// It is being closed.
    Closing = 2,
    /// There is none, and no dial is near.
    Closed = 3,
}

impl ReadyState {
    /// The seed's spelling, such as `OPEN`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "CONNECTING",
            Self::Open => "OPEN",
            Self::Closing => "CLOSING",
            Self::Closed => "CLOSED",
        }
    }
}

impl fmt::Display for ReadyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
