//! What happened to sessions, from what is stored.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use mainstay::core::session::quality::{Factor, Quality};
use mainstay::core::session::status::{EndReason, LossReason};
use mainstay_registry::{Event, EventId, EventKind, SessionId};
use mainstay_store::{EventKey, Store, StoreError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::asked::{limit, moment};
use super::error::ApiError;
use super::sessions::{named, no_such};
use super::time::{millis, unix};
use super::words::QualityWord;
use crate::state::Shared;

/// Events of a page, unless fewer are asked for.
const PAGE: usize = 100;
/// Events of a page, at most.
const PAGE_MAX: usize = 1000;

/// Something that happened to a session, as the API shows it. What an event does not have is left
/// out.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct EventJson {
    event: &'static str,
    #[schemars(with = "String")]
    session: SessionId,
    generation: u64,
    /// Counted from 1 in each session.
    seq: u64,
    at: String,
    user: Option<Box<str>>,
    organisation: Box<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    within_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replay: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<QualityWord>")]
    from: Option<Quality>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<QualityWord>")]
    to: Option<Quality>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    factor: Option<Factor>,
}

/// Why a session has no connection, or is over.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum Reason {
    Loss(#[schemars(with = "String")] LossReason),
    End(#[schemars(with = "String")] EndReason),
}

/// What an event is called.
pub(crate) const fn name(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::Registered => "session.registered",
        EventKind::Suspended { .. } => "session.suspended",
        EventKind::Reconnecting { .. } => "session.reconnecting",
        EventKind::Resumed { .. } => "session.resumed",
        EventKind::TakenOver => "session.taken_over",
        EventKind::Suspected => "session.suspected",
        EventKind::Recovered => "session.recovered",
        EventKind::QualityChanged { .. } => "session.quality.changed",
        EventKind::MetadataChanged => "session.metadata.changed",
        EventKind::Gone { .. } => "session.gone",
    }
}

impl From<Event> for EventJson {
    fn from(event: Event) -> Self {
        let mut json = Self {
            event: name(&event.kind),
            session: event.session,
            generation: event.generation,
            seq: event.seq,
            at: unix(event.id.unix_ms),
            user: event.user,
            organisation: event.organisation,
            reason: None,
            attempt: None,
            within_ms: None,
            replay: None,
            from: None,
            to: None,
            factor: None,
        };
        match event.kind {
            EventKind::Suspended { reason } => json.reason = Some(Reason::Loss(reason)),
            EventKind::Gone { reason } => json.reason = Some(Reason::End(reason)),
            EventKind::Reconnecting { attempt, within } => {
                json.attempt = Some(attempt);
                json.within_ms = Some(millis(within));
            }
            EventKind::Resumed { replay } => json.replay = Some(replay),
            EventKind::QualityChanged { from, to, factor } => {
                (json.from, json.to, json.factor) = (Some(from), Some(to), Some(factor));
            }
            EventKind::Registered
            | EventKind::TakenOver
            | EventKind::Suspected
            | EventKind::Recovered
            | EventKind::MetadataChanged => {}
        }
        json
    }
}

/// Which part of a session's history.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct OfOne {
    /// From then on: RFC 3339, or milliseconds since 1970.
    from: Option<String>,
    /// Until then, exclusively.
    to: Option<String>,
    /// Only what has a higher `seq`.
    after: u64,
    limit: Option<usize>,
}

/// A part of a session's history, in the order of `seq`.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct OfOneJson {
    events: Vec<EventJson>,
    /// The `after` of the next page; none at the end.
    next: Option<u64>,
}

/// What happened to one session.
pub(super) async fn of_one(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Query(asked): Query<OfOne>,
) -> Result<Json<OfOneJson>, ApiError> {
    let session = named(&id)?;
    let from = moment("from", asked.from.as_deref(), 0)?;
    let to = moment("to", asked.to.as_deref(), u64::MAX)?;
    let (after, limit) = (asked.after, limit(asked.limit, PAGE, PAGE_MAX)?);
    // One more than asked for says whether there is more.
    let mut events =
        read(&shared, move |store| store.events_of(session, from..to, after, limit + 1)).await?;
    if events.is_empty() && shared.hub.record(session).is_none() {
        // History outlives its session: nothing of either means that there was none.
        let known = read(&shared, move |store| store.events_of(session, 0..u64::MAX, 0, 1)).await?;
        if known.is_empty() {
            return Err(no_such(session));
        }
    }
    let more = events.len() > limit;
    events.truncate(limit);
    let next = events.last().map(|event| event.seq).filter(|_| more);
    Ok(Json(OfOneJson { events: events.into_iter().map(EventJson::from).collect(), next }))
}

/// Which part of all history.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct OfAll {
    /// From then on: RFC 3339, or milliseconds since 1970.
    from: Option<String>,
    /// Until then, exclusively.
    to: Option<String>,
    /// The `next` of the page before.
    cursor: Option<String>,
    limit: Option<usize>,
}

/// A part of all history, in the order of time.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct OfAllJson {
    events: Vec<EventJson>,
    /// The `cursor` of the next page; none at the end.
    next: Option<String>,
}

/// What happened to all sessions.
pub(super) async fn of_all(
    State(shared): State<Arc<Shared>>,
    Query(asked): Query<OfAll>,
) -> Result<Json<OfAllJson>, ApiError> {
    let from = moment("from", asked.from.as_deref(), 0)?;
    let to = moment("to", asked.to.as_deref(), u64::MAX)?;
    let limit = limit(asked.limit, PAGE, PAGE_MAX)?;
    let after = match asked.cursor.as_deref() {
        None => None,
        Some(text) => {
            let none = || ApiError::BadRequest("`cursor` is none of ours".into());
            Some(key_of(text).ok_or_else(none)?)
        }
    };
    let mut events =
        read(&shared, move |store| store.events_between(from..to, after, limit + 1)).await?;
    let more = events.len() > limit;
    events.truncate(limit);
    let next = events.last().filter(|_| more).map(|event| text_of(EventKey::of(event)));
    Ok(Json(OfAllJson { events: events.into_iter().map(EventJson::from).collect(), next }))
}

/// Reads from the store where that may block: pages of a large file come from the disk.
pub(super) async fn read<T: Send + 'static>(
    shared: &Shared,
    ask: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, ApiError> {
    let store = shared.hub.store();
    match tokio::task::spawn_blocking(move || ask(&*store)).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(why)) => Err(ApiError::Storage(format!("what is stored cannot be read: {why}"))),
        Err(_) => Err(ApiError::Overloaded),
    }
}

fn text_of(key: EventKey) -> String {
    format!("{:016x}{:016x}{:032x}", key.id.unix_ms, key.id.nr, key.session.to_bits())
}

fn key_of(text: &str) -> Option<EventKey> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let number = |part: &str| u64::from_str_radix(part, 16).ok();
    let session = u128::from_str_radix(&text[32..], 16).ok()?;
    Some(EventKey {
        id: EventId { unix_ms: number(&text[..16])?, nr: number(&text[16..32])? },
        session: SessionId::from_bits(session),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;

    const KINDS: [EventKind; 10] = [
        EventKind::Registered,
        EventKind::Suspended { reason: LossReason::SlowConsumer },
        EventKind::Reconnecting { attempt: 2, within: Duration::from_millis(1500) },
        EventKind::Resumed { replay: true },
        EventKind::TakenOver,
        EventKind::Suspected,
        EventKind::Recovered,
        EventKind::QualityChanged { from: Quality::Good, to: Quality::Poor, factor: Factor::Rtt },
        EventKind::MetadataChanged,
        EventKind::Gone { reason: EndReason::Kicked },
    ];

    fn event(kind: EventKind) -> Event {
        Event {
            id: EventId { unix_ms: 784_111_777_250, nr: 3 },
            session: SessionId::from_bits(5),
            generation: 2,
            seq: 9,
            user: Some("kim".into()),
            organisation: "acme".into(),
            kind,
        }
    }

    #[test]
    fn every_event_has_the_name_it_is_stored_with() {
        for kind in KINDS {
            let stored = serde_json::to_value(kind).unwrap();
            assert_eq!(stored["event"], name(&kind));
        }
    }

    #[test]
    fn an_event_has_its_own_fields_and_no_others() {
        let fields = |kind| {
            let mut json = serde_json::to_value(EventJson::from(event(kind))).unwrap();
            let object = json.as_object_mut().unwrap();
            for name in ["event", "session", "generation", "seq", "user", "organisation", "at"] {
                assert!(object.remove(name).is_some(), "{name}");
            }
            json
        };
        let wanted: [Value; 10] = [
            json!({}),
            json!({"reason": "slow_consumer"}),
            json!({"attempt": 2, "within_ms": 1500}),
            json!({"replay": true}),
            json!({}),
            json!({}),
            json!({}),
            json!({"from": "GOOD", "to": "POOR", "factor": "rtt"}),
            json!({}),
            json!({"reason": "kicked"}),
        ];
        for (kind, wanted) in KINDS.into_iter().zip(wanted) {
            let found = fields(kind);
            assert_eq!(found, wanted, "{kind:?}");
        }
        let json = serde_json::to_value(EventJson::from(event(EventKind::Registered))).unwrap();
        assert_eq!(json["at"], "1994-11-06T08:49:37.250Z");
    }

    #[test]
    fn a_cursor_is_read_as_it_is_written() {
        for (unix_ms, nr, bits) in [(0, 0, 0), (u64::MAX, u64::MAX, u128::MAX), (1, 2, 3)] {
            let session = SessionId::from_bits(bits);
            let key = EventKey { id: EventId { unix_ms, nr }, session };
            assert_eq!(key_of(&text_of(key)), Some(key));
        }
        for wrong in ["", "0", &"g".repeat(64), &"0".repeat(63), &"é".repeat(32)] {
            assert_eq!(key_of(wrong), None, "{wrong}");
        }
    }
}
