//! From what the server says to rows.

use std::time::Duration;

use serde_json::Value;

use crate::cmd::alerts::about;
use crate::cmd::sessions::server::plain;
use crate::cmd::words::short;

/// One row of a view.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// What it is called in the API.
    pub(super) id: String,
    pub(super) fields: Vec<String>,
    /// How bad it is: 0 is well.
    pub(super) badness: u8,
    /// Everything there is to say.
    pub(super) whole: Value,
}

pub(super) const LINKS: [&str; 7] =
    ["LINK", "STATE", "FOR", "RTT", "CHECKS", "BREAKER", "LAST ERROR"];
pub(super) const SESSIONS: [&str; 7] =
    ["SESSION", "USER", "ORGANISATION", "STATUS", "QUALITY", "RTT", "MISSED"];
pub(super) const ALERTS: [&str; 6] = ["SEVERITY", "STATE", "RULE", "ABOUT", "SINCE", "SUMMARY"];

fn text(from: &Value, path: &str) -> String {
    plain(from.pointer(path).and_then(Value::as_str).unwrap_or("-"))
}

fn span(micros: Option<u64>) -> String {
    micros.map_or_else(|| "-".into(), |micros| short(Duration::from_micros(micros)))
}

pub(super) fn link(link: &Value) -> Row {
    let state = text(link, "/state");
    let uptime = link.pointer("/stats/uptime_ms").and_then(Value::as_u64);
    let retry = link["next_retry_ms"].as_u64().map(|ms| ms * 1_000);
    let time = match (state.as_str(), retry) {
        ("CONNECTED", _) => span(uptime.map(|ms| ms * 1_000)),
        (_, Some(retry)) => format!("retry in {}", span(Some(retry))),
        (_, None) => "-".into(),
    };
    let badness = match state.as_str() {
        "FAILED" => 4,
        "RECONNECTING" => 3,
        "SUSPENDED" => 2,
        "CONNECTED" => 0,
        _ => 1,
    };
    Row {
        id: text(link, "/name"),
        fields: vec![
            text(link, "/name"),
            state,
            time,
            span(link.pointer("/rtt/smoothed_us").and_then(Value::as_u64)),
            text(link, "/stats/health_check_success_text"),
            text(link, "/breaker/state"),
            text(link, "/last_error/message"),
        ],
        badness,
        whole: link.clone(),
    }
}

pub(super) fn session(session: &Value) -> Row {
    let (status, quality) = (text(session, "/status"), text(session, "/quality"));
    let badness = match (status.as_str(), quality.as_str()) {
        ("FAILED", _) => 6,
        ("RECONNECTING", _) => 5,
        (_, "CRITICAL") => 4,
        ("SUSPENDED", _) => 3,
        (_, "POOR") => 2,
        ("DISCONNECTED", _) => 1,
        _ => 0,
    };
    let missed = session["missed_heartbeats"].as_u64().unwrap_or(0);
    Row {
        id: text(session, "/session"),
        fields: vec![
            text(session, "/session"),
            text(session, "/user"),
            text(session, "/organisation"),
            status,
            quality,
            span(session["latency_us"].as_u64()),
            missed.to_string(),
        ],
        badness,
        whole: session.clone(),
    }
}

pub(super) fn alert(alert: &Value) -> Row {
    let state = text(alert, "/state");
    let flags = [
        ("seen to", "acknowledged"),
        ("silenced", "silenced"),
        ("explained", "inhibited_by"),
        ("worked on", "maintenance"),
    ];
    let flag = flags.iter().find(|(_, field)| !alert[*field].is_null()).map(|(name, _)| *name);
    let severity = text(alert, "/severity");
    let fires = matches!(state.as_str(), "FIRING" | "KEEP");
    let level = match severity.as_str() {
        "CRITICAL" => 4,
        "HIGH" => 3,
        "MEDIUM" => 2,
        _ => 1,
    };
    let badness = match (fires, flag) {
        (true, None) => 10 + level,
        (true, Some(_)) => 5 + level,
        (false, _) => 0,
    };
    Row {
        id: text(alert, "/id"),
        fields: vec![
            severity,
            flag.map_or_else(|| state.clone(), |flag| format!("{state}, {flag}")),
            text(alert, "/rule"),
            plain(&about(&alert["labels"])),
            text(alert, "/since"),
            text(alert, "/summary"),
        ],
        badness,
        whole: alert.clone(),
    }
}
