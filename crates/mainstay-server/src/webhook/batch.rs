use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use mainstay_registry::{Event, EventKind};
use mainstay_store::Position;
use serde_json::{Value, json};

use super::WebhookSpec;

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
        spec.events.is_empty() || spec.events.iter().any(|name| name == name_of(&event.kind))
    };
    let wanted: Vec<_> = history.iter().filter(|(_, event)| is_wanted(event)).collect();
    let ((first, _), (last, newest)) = (wanted.first()?, wanted.last()?);
    let events: Vec<Value> = wanted.iter().map(|(_, event)| as_json(event)).collect();
    let count = events.len();
    let body = json!({
        "type": "session.events",
        "timestamp": time(newest.id.unix_ms),
        "data": { "events": events },
    });
    let id = format!("msg_{}_{}-{}", spec.name, first.0, last.0);
    Some(Batch { id, body: body.to_string(), events: count })
}

/// An event as others read it.
fn as_json(event: &Event) -> Value {
    let mut json = serde_json::to_value(event).unwrap_or_default();
    if let Some(fields) = json.as_object_mut() {
        fields.remove("id");
        fields.insert("at".into(), time(event.id.unix_ms).into());
        // Durations are seconds and nanoseconds by themselves.
        if let EventKind::Reconnecting { within, .. } = event.kind {
            fields.remove("within");
            let ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
            fields.insert("within_ms".into(), ms.into());
        }
    }
    json
}

/// The dotted name of what happened.
pub(super) fn name_of(kind: &EventKind) -> &'static str {
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

fn time(unix_ms: u64) -> String {
    let at: SystemTime = UNIX_EPOCH + Duration::from_millis(unix_ms.min(1 << 47));
    Timestamp::try_from(at).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}
