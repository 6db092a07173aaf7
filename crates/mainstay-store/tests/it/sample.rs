//! Sessions and events to keep.

use std::time::Duration;

use mainstay_core::session::quality::{Factor, Quality};
use mainstay_core::session::status::Status;
use mainstay_registry::{Checkpoint, Event, EventId, EventKind, Record, SessionId};

/// 2026-11-20, in milliseconds since 1970.
pub(crate) const DAY: u64 = 20_777 * 86_400_000;

/// The name given at `unix_ms`, told apart by `nr`.
pub(crate) fn name(unix_ms: u64, nr: u64) -> SessionId {
    let bits = (u128::from(unix_ms) << 80) | (7 << 76) | (2 << 62) | u128::from(nr);
    SessionId::from_bits(bits)
}

/// A session as a server would register it.
pub(crate) fn record(session: SessionId) -> Record {
    let at = session.unix_ms();
    Record {
        session,
        generation: 1,
        event_seq: 1,
        user: Some("u-81724".into()),
        organisation: "acme".into(),
        client_type: "agent".into(),
        client_version: "1.4.0".into(),
        status: Status::Connected,
        ended: None,
        registered_at: at,
        connected_at: at,
        last_heartbeat: at,
        disconnected_at: None,
        reconnect_attempts: 0,
        max_reconnect_attempts: 10,
        total_disconnections: 0,
        missed_heartbeats: 0,
        quality: Quality::Unknown,
        factor: Factor::None,
        latency: None,
        jitter: None,
        latency_min: None,
        losses: 0,
        beats: 0,
        heartbeat_interval: Duration::from_secs(25),
        grace: Duration::from_secs(120),
        expires_at: None,
        metadata: r#"{"region":"eu"}"#.into(),
    }
}

/// What happened to `session` as its `seq`th.
pub(crate) fn event(session: SessionId, unix_ms: u64, seq: u64) -> Event {
    Event {
        id: EventId { unix_ms, nr: seq },
        session,
        generation: 1,
        seq,
        user: Some("u-81724".into()),
        organisation: "acme".into(),
        kind: EventKind::Registered,
    }
}

/// A beat of `session`, `after_ms` after its name was given.
pub(crate) fn checkpoint(session: SessionId, after_ms: u64) -> Checkpoint {
    Checkpoint {
        session,
        last_heartbeat: session.unix_ms() + after_ms,
        latency_us: 12_345,
        quality: Quality::Good,
        missed: 1,
    }
}
