use std::sync::Arc;

use mainstay_core::session::quality::Quality;
use serde::Serialize;

/// A session at a glance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SessionView {
    /// Its public name; none before the first `welcome`.
    pub session: Option<Arc<str>>,
    /// Which of its connections this is or was, as the server counts.
    pub generation: u64,
    /// Messages that are not acknowledged, and their bytes as frames.
    pub unacknowledged: u64,
    /// Their bytes.
    pub unacknowledged_bytes: u64,
    /// The longest frame that the server takes, in bytes.
    pub frame_max: usize,
    /// How good the server finds the connection; unknown until it says.
    pub quality: Quality,
}

/// What a session has carried, over all its connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SessionStats {
    /// Messages that got a number.
    pub sent: u64,
    /// Those that the server has processed.
    pub delivered: u64,
    /// Those of which nothing is known.
    pub unknown: u64,
    /// Those that the server does not take.
    pub refused: u64,
    /// Messages written again after a resume.
    pub replayed: u64,
    /// Numbered messages that came.
    pub received: u64,
    /// Those that had come before, and were dropped.
    pub duplicates: u64,
    /// Messages without a number that the application was too slow to take.
    pub missed: u64,
    /// Connections on which the session went on where it was.
    pub resumes: u64,
    /// Times it started anew.
    pub restarts: u64,
}
