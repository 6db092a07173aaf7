//! What is known of sessions, and of the store that keeps them.

use mainstay::core::session::quality::Quality;
use mainstay::core::session::status::Status;
use mainstay_registry::Counts;
use mainstay_store::WriterStats;

use super::{head, line};
use crate::session::Hub;

const STATUSES: [(Status, &str); 5] = [
    (Status::Connected, "connected"),
    (Status::Suspended, "suspended"),
    (Status::Reconnecting, "reconnecting"),
    (Status::Disconnected, "disconnected"),
    (Status::Failed, "failed"),
];

const QUALITIES: [(Quality, &str); 5] = [
    (Quality::Excellent, "excellent"),
    (Quality::Good, "good"),
    (Quality::Poor, "poor"),
    (Quality::Critical, "critical"),
    (Quality::Unknown, "unknown"),
];

/// Writes what the page says of sessions. All labels are of lists that never grow.
pub(crate) fn sessions(page: &mut String, hub: &Hub) {
    gauges(page, &hub.counts(), hub.connections());
    for (name, help, counts) in hub.tally().counts() {
        let name = format!("mainstay_sessions_{name}_total");
        head(page, &name, "counter", help);
        for (reason, count) in counts {
            match reason {
                Some(reason) => {
                    line(page, format_args!("{name}{{reason=\"{reason}\"}} {count}"));
                }
                None => line(page, format_args!("{name} {count}")),
            }
        }
    }
    store(page, &hub.writer_stats());
}

fn gauges(page: &mut String, counts: &Counts, connections: usize) {
    let name = "mainstay_sessions";
    head(page, name, "gauge", "Sessions that are known, by status.");
    for (status, text) in STATUSES {
        let count = counts.of(status);
        line(page, format_args!("{name}{{status=\"{text}\"}} {count}"));
    }
    let name = "mainstay_sessions_graded";
    head(page, name, "gauge", "Sessions with a connection, by its grade.");
    for (quality, text) in QUALITIES {
        let count = counts.graded(quality);
        line(page, format_args!("{name}{{quality=\"{text}\"}} {count}"));
    }
    one(page, "mainstay_sessions_connections", "gauge", "WebSockets of sessions.", &connections);
    let attempts = counts.reconnect_attempts;
    let help = "Windows that sessions used up since they were last stable.";
    one(page, "mainstay_sessions_reconnect_attempts", "gauge", help, &attempts);
    if let Some(latency) = counts.latency() {
        let help = "Mean of the smoothed round trips of sessions.";
        one(page, "mainstay_sessions_rtt_mean_seconds", "gauge", help, &latency.as_secs_f64());
    }
}

fn store(page: &mut String, stats: &WriterStats) {
    let WriterStats { queued_changes, queued_bytes, commits, changes, failures, failing } = stats;
    let failing = u8::from(failing.is_some());
    let text = "gauge";
    one(
        page,
        "mainstay_store_queued_changes",
        text,
        "Changes that wait to be kept.",
        queued_changes,
    );
    one(page, "mainstay_store_queued_bytes", text, "Bytes of them, about.", queued_bytes);
    one(page, "mainstay_store_failing", text, "1 when the last commit failed.", &failing);
    let text = "counter";
    one(page, "mainstay_store_commits_total", text, "Commits.", commits);
    one(page, "mainstay_store_changes_total", text, "Changes in them.", changes);
    one(page, "mainstay_store_failures_total", text, "Commits that failed.", failures);
}

pub(super) fn one(
    page: &mut String,
    name: &str,
    kind: &str,
    help: &str,
    value: &dyn std::fmt::Display,
) {
    head(page, name, kind, help);
    line(page, format_args!("{name} {value}"));
}
