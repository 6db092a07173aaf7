use std::collections::BTreeMap;

use mainstay_monitor::notify::{Condition, Told, What};
use serde_json::{Map, Value, json};

use super::letter::{Letter, severity};
use super::text;
use crate::api::time::unix;

/// How long it believes that an alert fires, in milliseconds: twice the usual time to a repeat.
const BELIEVED_MS: u64 = 8 * 3_600_000;

/// What its API, version 2, takes.
pub(super) fn alerts(letter: &Letter) -> Value {
    letter.notification.alerts.iter().map(|told| alert(letter, told)).collect()
}

fn alert(letter: &Letter, told: &Told) -> Value {
    let standing = &told.standing;
    // Its alerts are told apart by their labels: a severity among them would make one that rises two.
    let mut labels: BTreeMap<String, &str> =
        standing.labels.iter().map(|(name, value)| (label(name), value.as_str())).collect();
    labels.insert("alertname".into(), &standing.rule);
    if standing.status.condition() == Condition::NoData {
        labels.insert("condition".into(), "no_data");
    }
    let ends = match told.what {
        What::Resolved => letter.at_unix_ms,
        What::Fired
        | What::Rose { .. }
        | What::Fell { .. }
        | What::Flapping
        | What::Settled
        | What::Muted
        | What::Still => letter.at_unix_ms.saturating_add(BELIEVED_MS),
    };
    let mut notes = Map::from_iter([
        ("summary".to_owned(), Value::from(text::plain(&standing.summary))),
        ("severity".to_owned(), severity(standing.severity).into()),
    ]);
    if let Some(runbook) = &standing.runbook {
        notes.insert("runbook_url".into(), (&**runbook).into());
    }
    json!({
        "labels": labels,
        "annotations": notes,
        "startsAt": unix(standing.since_unix_ms.min(ends)),
        "endsAt": unix(ends),
    })
}

/// A label's name as it takes them.
fn label(name: &str) -> String {
    let fits = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
    let name: String = name.chars().map(fits).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}
