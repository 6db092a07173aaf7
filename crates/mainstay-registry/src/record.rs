use std::time::Duration;

use mainstay_core::session::quality::{Factor, Quality};
use mainstay_core::session::status::{EndReason, Status};
use serde::{Deserialize, Serialize};

use crate::SessionId;

/// Everything there is to say about a session: what queries answer and stores keep.
///
/// Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its public name.
    pub session: SessionId,
    /// Which connection of the session this is, counted from 1.
    pub generation: u64,
    /// The number of its latest event, counted from 1 in each session.
    pub event_seq: u64,
    /// Whose it is; none for the anonymous.
    pub user: Option<Box<str>>,
    /// The organisation it belongs to.
    pub organisation: Box<str>,
    /// Which program connected.
    pub client_type: Box<str>,
    /// The version of that program; empty when it did not say.
    pub client_version: Box<str>,
    /// Where it is in its life.
    pub status: Status,
    /// Why it is over, once it is.
    pub ended: Option<EndReason>,
    /// When it was registered: the time in its name.
    pub registered_at: u64,
    /// When its latest connection began.
    pub connected_at: u64,
    /// When something was heard of it last.
    pub last_heartbeat: u64,
    /// When it lost its latest connection; none while it has one.
    pub disconnected_at: Option<u64>,
    /// How often it was expected back since it was last stable.
    pub reconnect_attempts: u32,
    /// How often it may be.
    pub max_reconnect_attempts: u32,
    /// How many connections it lost in all.
    pub total_disconnections: u32,
    /// Beats that did not come, in a row.
    pub missed_heartbeats: u32,
    /// How good its connection is.
    pub quality: Quality,
    /// What weighs most in that.
    pub factor: Factor,
    /// The smoothed round trip; none before the first.
    pub latency: Option<Duration>,
    /// By how much round trips differ.
    pub jitter: Option<Duration>,
    /// The shortest round trip.
    pub latency_min: Option<Duration>,
    /// The latest 32 beats, the newest in the lowest bit; a set bit did not come.
    pub losses: u32,
    /// How many of those 32 there were yet.
    pub beats: u8,
    /// How often it is asked whether it is there.
    pub heartbeat_interval: Duration,
    /// How long it outlives its connection.
    pub grace: Duration,
    /// Until when it may come back; none while it has a connection or is over.
    pub expires_at: Option<u64>,
    /// A JSON object that the client said about itself; empty when it said none.
    pub metadata: Box<str>,
}

/// What changes with every beat and is kept only now and then, for all sessions at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Whose.
    pub session: SessionId,
    /// When something was heard of it last, in milliseconds since 1970.
    pub last_heartbeat: u64,
    /// The smoothed round trip in microseconds; 0 before the first.
    pub latency_us: u32,
    /// How good its connection is.
    pub quality: Quality,
    /// Beats that did not come, in a row.
    pub missed: u8,
}
