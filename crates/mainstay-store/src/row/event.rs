use mainstay_registry::{Event, EventKind};

use super::{In, Out, RowError};
use crate::EventKey;

const VERSION: u8 = 1;

/// The row of an event. Its [`EventKey`] is the key.
#[must_use]
pub fn encode_event(event: &Event) -> Vec<u8> {
    let mut out = Out::versioned(VERSION);
    out.number(event.generation);
    out.number(event.seq);
    out.maybe(event.user.as_deref(), Out::text);
    out.text(&event.organisation);
    encode_kind(&mut out, event.kind);
    out.0
}

/// The event of a row and its key.
///
/// # Errors
///
/// [`RowError`] when nobody writes such a row.
pub fn decode_event(key: EventKey, row: &[u8]) -> Result<Event, RowError> {
    let mut row = In::versioned(row, VERSION)?;
    let event = Event {
        id: key.id,
        session: key.session,
        generation: row.number()?,
        seq: row.number()?,
        user: row.maybe(In::text)?,
        organisation: row.text()?,
        kind: decode_kind(&mut row)?,
    };
    row.end()?;
    Ok(event)
}

fn encode_kind(out: &mut Out, kind: EventKind) {
    match kind {
        EventKind::Registered => out.byte(0),
        EventKind::Suspended { reason } => {
            out.byte(1);
            out.code(reason);
        }
        EventKind::Reconnecting { attempt, within } => {
            out.byte(2);
            out.number(attempt.into());
            out.duration(within);
        }
        EventKind::Resumed { replay } => {
            out.byte(3);
            out.byte(replay.into());
        }
        EventKind::TakenOver => out.byte(4),
        EventKind::Suspected => out.byte(5),
        EventKind::Recovered => out.byte(6),
        EventKind::QualityChanged { from, to, factor } => {
            out.byte(7);
            out.code(from);
            out.code(to);
            out.code(factor);
        }
        EventKind::MetadataChanged => out.byte(8),
        EventKind::Gone { reason } => {
            out.byte(9);
            out.code(reason);
        }
    }
}

fn decode_kind(row: &mut In<'_>) -> Result<EventKind, RowError> {
    Ok(match row.byte()? {
        0 => EventKind::Registered,
        1 => EventKind::Suspended { reason: row.code()? },
        2 => EventKind::Reconnecting { attempt: row.number()?, within: row.duration()? },
        3 => EventKind::Resumed { replay: row.flag()? },
        4 => EventKind::TakenOver,
        5 => EventKind::Suspected,
        6 => EventKind::Recovered,
        7 => EventKind::QualityChanged { from: row.code()?, to: row.code()?, factor: row.code()? },
        8 => EventKind::MetadataChanged,
        9 => EventKind::Gone { reason: row.code()? },
        _ => return Err(RowError::Value),
    })
}
