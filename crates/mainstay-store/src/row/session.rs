use mainstay_registry::{Record, SessionId};

use super::{In, Out, RowError};

const VERSION: u8 = 1;

/// The row of a session. Its name is the key.
#[must_use]
pub fn encode_record(record: &Record) -> Vec<u8> {
    let mut out = Out::versioned(VERSION);
    out.number(record.generation);
    out.number(record.event_seq);
    out.maybe(record.user.as_deref(), Out::text);
    out.text(&record.organisation);
    out.text(&record.client_type);
    out.text(&record.client_version);
    out.code(record.status);
    out.maybe(record.ended, Out::code);
    out.number(record.registered_at);
    out.number(record.connected_at);
    out.number(record.last_heartbeat);
    out.maybe(record.disconnected_at, Out::number);
    out.number(record.reconnect_attempts.into());
    out.number(record.max_reconnect_attempts.into());
    out.number(record.total_disconnections.into());
    out.number(record.missed_heartbeats.into());
    out.code(record.quality);
    out.code(record.factor);
    out.maybe(record.latency, Out::duration);
    out.maybe(record.jitter, Out::duration);
    out.maybe(record.latency_min, Out::duration);
    out.number(record.losses.into());
    out.byte(record.beats);
    out.duration(record.heartbeat_interval);
    out.duration(record.grace);
    out.maybe(record.expires_at, Out::number);
    out.text(&record.metadata);
    out.0
}

/// The session of a row and the name that was its key.
///
/// # Errors
///
/// [`RowError`] when nobody writes such a row.
pub fn decode_record(session: SessionId, row: &[u8]) -> Result<Record, RowError> {
    let mut row = In::versioned(row, VERSION)?;
    let record = Record {
        session,
        generation: row.number()?,
        event_seq: row.number()?,
        user: row.maybe(In::text)?,
        organisation: row.text()?,
        client_type: row.text()?,
        client_version: row.text()?,
        status: row.code()?,
        ended: row.maybe(In::code)?,
        registered_at: row.number()?,
        connected_at: row.number()?,
        last_heartbeat: row.number()?,
        disconnected_at: row.maybe(In::number)?,
        reconnect_attempts: row.number()?,
        max_reconnect_attempts: row.number()?,
        total_disconnections: row.number()?,
        missed_heartbeats: row.number()?,
        quality: row.code()?,
        factor: row.code()?,
        latency: row.maybe(In::duration)?,
        jitter: row.maybe(In::duration)?,
        latency_min: row.maybe(In::duration)?,
        losses: row.number()?,
        beats: row.byte()?,
        heartbeat_interval: row.duration()?,
        grace: row.duration()?,
        expires_at: row.maybe(In::number)?,
        metadata: row.text()?,
    };
    row.end()?;
    Ok(record)
}
