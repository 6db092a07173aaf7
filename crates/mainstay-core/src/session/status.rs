//! Where a session is in its life.

/// Where a session is in its life.
///
/// The text forms are seed 004's.
///
/// ```text
///  Connected ⇄ Suspended ⇄ Reconnecting      Suspended: no socket, grace running
///      │           │            │            Reconnecting: a resume is under way or reserved
///      └───────────┴────────────┴──> Disconnected (bye, kicked, grace over, …)
///                               └──> Failed       (reconnect attempts exhausted)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "SCREAMING_SNAKE_CASE"))]
pub enum Status {
    /// A socket is there and answers.
    Connected,
    /// No socket, or the client asked for a rest; it may come back until its grace is over.
    Suspended,
    /// It is expected back: a resume is under way, or a window is reserved for it.
    Reconnecting,
    /// It is over.
    Disconnected,
    /// It is over, because every attempt to come back failed.
    Failed,
}

/// Why a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum EndReason {
    /// The client said so.
    Bye,
    /// It did not come back within its grace.
    Expired,
    /// An operator ended it.
    Kicked,
    /// Another session of the same client took its place.
    Superseded,
    /// Its credentials are not valid any more.
    Unauthorised,
    /// It used up its attempts to come back.
    Exhausted,
}

/// Why a session has no socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum LossReason {
    /// The socket ended without a word.
    Lost,
    /// Nothing was heard for too long.
    Silent,
    /// The client asked for a rest.
    Asked,
    /// An operator asked for it.
    Operator,
    /// It read more slowly than it was sent to.
    SlowConsumer,
    /// It broke the protocol or its limits.
    Misbehaved,
    /// The server it was on stopped.
    Restarted,
}
