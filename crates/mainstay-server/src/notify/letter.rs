//! A notice on its way.

use mainstay_monitor::alert::Severity;
use mainstay_monitor::notify::{Condition, Notification, Standing, Status, Told, What};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::text;
use crate::api::time::unix;

/// A notice on its way: the same however often it is sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Letter {
    /// By which receivers know that they have it already.
    pub(super) id: String,
    /// When it was due, in milliseconds since 1970.
    pub(super) at_unix_ms: u64,
    pub(super) notification: Notification,
    /// Whether somebody only wants to see that it comes.
    #[serde(default)]
    pub(super) test: bool,
}

impl Letter {
    pub(super) fn new(notification: Notification, at_unix_ms: u64) -> Self {
        let id = format!("ntf_{}", notification.number);
        Self { id, at_unix_ms, notification, test: false }
    }

    /// One that says that it is a test.
    pub(super) fn test(receiver: &str, at_unix_ms: u64) -> Self {
        let standing = Standing {
            id: 0,
            rule: "TEST".into(),
            labels: std::sync::Arc::default(),
            incident: at_unix_ms,
            severity: Severity::Low,
            status: Status::Firing,
            muted: false,
            flapping: false,
            since_unix_ms: at_unix_ms,
            summary: format!("this is a test of the receiver {receiver}; nothing is wrong").into(),
            value: None,
            threshold: None,
            runbook: None,
        };
        let told = Told { what: What::Fired, standing, lasted: std::time::Duration::ZERO };
        let notification = Notification {
            number: at_unix_ms,
            thread: at_unix_ms,
            receiver: receiver.into(),
            group: "test".into(),
            alerts: vec![told],
        };
        Self { id: format!("ntf_test_{at_unix_ms}"), at_unix_ms, notification, test: true }
    }

    /// The id of the first notice of the same matter.
    pub(super) fn thread(&self) -> String {
        format!("ntf_{}", self.notification.thread)
    }

    /// Everything there is to say.
    pub(super) fn json(&self) -> Value {
        let alerts: Vec<Value> = self.notification.alerts.iter().map(alert).collect();
        json!({
            "type": if self.test { "alerts.test" } else { "alerts" },
            "id": self.id,
            "timestamp": unix(self.at_unix_ms),
            "receiver": &*self.notification.receiver,
            "group": &*self.notification.group,
            "thread": self.thread(),
            "repeat": self.notification.is_repeat(),
            "title": text::title(self),
            "alerts": alerts,
        })
    }
}

/// What names an alert to a receiver that keeps it open until it is resolved.
pub(super) fn fingerprint(standing: &Standing) -> String {
    match standing.status.condition() {
        Condition::Holds => format!("{:016x}", standing.id),
        Condition::NoData => format!("{:016x}-no-data", standing.id),
    }
}

/// A severity as it is written.
pub(super) const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Low => "LOW",
        Severity::Medium => "MEDIUM",
        Severity::High => "HIGH",
        Severity::Critical => "CRITICAL",
    }
}

fn alert(told: &Told) -> Value {
    let Told { what, standing, lasted } = told;
    let (kind, was) = match what {
        What::Fired => ("fired", None),
        What::Rose { from } => ("rose", Some(severity(*from))),
        What::Fell { from } => ("fell", Some(severity(*from))),
        What::Flapping => ("flapping", None),
        What::Settled => ("settled", None),
        What::Resolved => ("resolved", None),
        What::Muted => ("muted", None),
        What::Still => ("still", None),
    };
    json!({
        "id": format!("{:016x}", standing.id),
        "what": kind,
        "severity_before": was,
        "rule": &*standing.rule,
        "severity": severity(standing.severity),
        "labels": &*standing.labels,
        "incident": standing.incident,
        "no_data": standing.status.condition() == Condition::NoData,
        "flapping": standing.flapping,
        "summary": &*standing.summary,
        "value": standing.value,
        "threshold": standing.threshold,
        "runbook": standing.runbook.as_deref(),
        "since": unix(standing.since_unix_ms),
        "lasted_ms": u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX),
        "text": text::line(told),
    })
}
