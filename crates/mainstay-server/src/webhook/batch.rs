use mainstay_registry::Event;
use mainstay_store::Position;
use serde_json::json;

use super::WebhookSpec;
use crate::api::history::{EventJson, name as event_name};
use crate::api::time::unix;

/// Events that are told together.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    /// The same however often it is told.
    pub(super) id: String,
    pub(super) body: String,
    pub(super) events: usize,
}

/// What of the history is told at once; none when nothing of it is for this webhook.
pub(super) fn make(spec: &WebhookSpec, history: &[(Position, Event)]) -> Option<Batch> {
    let is_wanted = |event: &Event| {
        spec.events.is_empty() || spec.events.iter().any(|name| name == event_name(&event.kind))
    };
    let wanted: Vec<_> = history.iter().filter(|(_, event)| is_wanted(event)).collect();
    let ((first, _), (last, newest)) = (wanted.first()?, wanted.last()?);
    let events: Vec<EventJson> =
        wanted.iter().map(|(_, event)| EventJson::from(event.clone())).collect();
    let count = events.len();
    let body = json!({
        "type": "session.events",
        "timestamp": unix(newest.id.unix_ms),
        "data": { "events": events },
    });
    let id = format!("msg_{}_{}-{}", spec.name, first.0, last.0);
    Some(Batch { id, body: body.to_string(), events: count })
}

/// All names that a webhook may ask for.
pub(crate) const NAMES: [&str; 10] = [
    "session.registered",
    "session.suspended",
    "session.reconnecting",
    "session.resumed",
    "session.taken_over",
    "session.suspected",
    "session.recovered",
    "session.quality.changed",
    "session.metadata.changed",
    "session.gone",
];
