//! What is known of sessions, and of the store that keeps them.

use mainstay::core::session::quality::Quality;
use mainstay::core::session::status::Status;
use mainstay_registry::Counts;
use mainstay_store::WriterStats;

use super::page::{Kind, Page};
use super::{size, whole};
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
pub(super) fn sessions(page: &mut Page, hub: &Hub) {
    gauges(page, &hub.counts(), hub.connections());
    for (name, help, counts) in hub.tally().counts() {
        let name = format!("mainstay_sessions_{name}_total");
        let mut family = page.family(&name, Kind::Counter, help);
        for (reason, count) in counts {
            match reason {
                Some(reason) => family.sample(&[("reason", reason)], whole(count)),
                None => family.sample(&[], whole(count)),
            }
        }
    }
    page.family("mainstay_sessions_rtt_seconds", Kind::Histogram, "Round trips of sessions.")
        .spread(&[], &hub.tally().round_trips());
    store(page, &hub.writer_stats());
}

fn gauges(page: &mut Page, counts: &Counts, connections: usize) {
    let mut family =
        page.family("mainstay_sessions", Kind::Gauge, "Sessions that are known, by status.");
    for (status, text) in STATUSES {
        family.sample(&[("status", text)], whole(counts.of(status)));
    }
    let help = "Sessions with a connection, by its grade.";
    let mut family = page.family("mainstay_sessions_graded", Kind::Gauge, help);
    for (quality, text) in QUALITIES {
        family.sample(&[("quality", text)], whole(counts.graded(quality)));
    }
    let help = "WebSockets of sessions.";
    page.one("mainstay_sessions_connections", Kind::Gauge, help, size(connections));
    let help = "Windows that sessions used up since they were last stable.";
    let attempts = whole(counts.reconnect_attempts);
    page.one("mainstay_sessions_reconnect_attempts", Kind::Gauge, help, attempts);
    if let Some(latency) = counts.latency() {
        let help = "Mean of the smoothed round trips of sessions.";
        let latency = latency.as_secs_f64();
        page.one("mainstay_sessions_rtt_mean_seconds", Kind::Gauge, help, latency);
    }
}

fn store(page: &mut Page, stats: &WriterStats) {
    let WriterStats { queued_changes, queued_bytes, commits, changes, failures, failing } = stats;
    let failing = f64::from(u8::from(failing.is_some()));
    let help = "Changes that wait to be kept.";
    page.one("mainstay_store_queued_changes", Kind::Gauge, help, size(*queued_changes));
    let help = "Bytes of them, about.";
    page.one("mainstay_store_queued_bytes", Kind::Gauge, help, size(*queued_bytes));
    let help = "1 when the last commit failed.";
    page.one("mainstay_store_failing", Kind::Gauge, help, failing);
    for (name, help, count) in [
        ("mainstay_store_commits_total", "Commits.", commits),
        ("mainstay_store_changes_total", "Changes in them.", changes),
        ("mainstay_store_failures_total", "Commits that failed.", failures),
    ] {
        page.one(name, Kind::Counter, help, whole(*count));
    }
}
