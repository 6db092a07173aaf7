use mainstay_monitor::alert::Severity;
use mainstay_monitor::notify::{Told, What};
use serde_json::{Value, json};

use super::letter::{Letter, fingerprint, severity};
use super::text;
use crate::api::time::unix;
use crate::config::Secret;

/// Characters of a summary that it takes.
const SUMMARY_MAX: usize = 1_024;

/// One event for each alert; a test is resolved at once.
pub(super) fn events(letter: &Letter, key: &Secret) -> Vec<Value> {
    let mut events: Vec<Value> =
        letter.notification.alerts.iter().map(|told| event(letter, told, key)).collect();
    if letter.test
        && let Some(first) = letter.notification.alerts.first()
    {
        let end = Told { what: What::Resolved, ..first.clone() };
        events.push(event(letter, &end, key));
    }
    events
}

fn event(letter: &Letter, told: &Told, key: &Secret) -> Value {
    let standing = &told.standing;
    let action = match told.what {
        What::Resolved => "resolve",
        What::Muted => "acknowledge",
        What::Fired
        | What::Rose { .. }
        | What::Fell { .. }
        | What::Flapping
        | What::Settled
        | What::Still => "trigger",
    };
    let dedup = if letter.test { letter.id.clone() } else { fingerprint(standing) };
    let mut event = json!({
        "routing_key": key.expose(),
        "event_action": action,
        "dedup_key": dedup,
    });
    if action != "trigger" {
        return event;
    }
    let level = match standing.severity {
        Severity::Low => "info",
        Severity::Medium => "warning",
        Severity::High => "error",
        Severity::Critical => "critical",
    };
    let summary: String = text::line(told).chars().take(SUMMARY_MAX).collect();
    event["payload"] = json!({
        "summary": summary,
        "source": standing.labels.get("link").map_or("mainstay", String::as_str),
        "severity": level,
        "timestamp": unix(standing.since_unix_ms),
        "component": &*standing.rule,
        "group": &*letter.notification.group,
        "class": severity(standing.severity),
        "custom_details": {
            "labels": &*standing.labels,
            "incident": standing.incident,
            "value": standing.value,
            "threshold": standing.threshold,
            "lasted": text::duration(told.lasted),
        },
    });
    event["client"] = "Mainstay".into();
    if let Some(runbook) = &standing.runbook
        && (runbook.starts_with("https://") || runbook.starts_with("http://"))
    {
        event["links"] = json!([{ "href": &**runbook, "text": "what to do" }]);
    }
    event
}
