//! What came of it, for people and for programs.

use std::time::Duration;

use serde_json::{Value, json};

use super::process::{Process, Use};
use super::soak::{Soak, Trend};
use super::tally::{Latencies, Snapshot};
use crate::cmd::words::short;

const KIB: f64 = 1024.0;
const MIB: f64 = 1024.0 * 1024.0;

/// A whole run.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) url: String,
    pub(super) connections: u64,
    pub(super) processes: u64,
    /// Clients with a welcome, at most.
    pub(super) peak: i64,
    pub(super) took: Duration,
    /// Whether it went on for as long as it was to.
    pub(super) whole: bool,
    pub(super) counts: Snapshot,
    pub(super) server: Option<Watched>,
    pub(super) soak: Option<Soak>,
}

/// The server's process before, and when most clients were there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watched {
    pub(super) process: Process,
    pub(super) before: Use,
    pub(super) after: Use,
    pub(super) peak: u64,
    /// Memory when the last client had begun.
    pub(super) full: Option<u64>,
}

impl Watched {
    /// Looks again.
    pub(super) fn look(&mut self) -> Option<Use> {
        let used = self.process.used()?;
        self.peak = self.peak.max(used.resident);
        self.after = used;
        Some(used)
    }

    fn each(&self, connections: i64) -> Option<f64> {
        let grown = self.full?.saturating_sub(self.before.resident);
        (connections > 0).then(|| grown as f64 / connections as f64)
    }

    fn cores(&self) -> f64 {
        let cpu = self.after.cpu.saturating_sub(self.before.cpu);
        let wall = self.after.at.duration_since(self.before.at);
        cpu.as_secs_f64() / wall.as_secs_f64().max(1e-3)
    }
}

impl Report {
    /// What must not be, in the order of how bad it is.
    pub(super) fn faults(&self) -> Vec<String> {
        let counts = &self.counts;
        let mut faults = counts.examples.clone();
        let more = counts.wrong.saturating_sub(counts.examples.len() as u64);
        if more > 0 {
            faults.push(format!("and {more} more like these"));
        }
        if counts.unacknowledged > 0 {
            faults.push(format!("{} messages were not acknowledged", counts.unacknowledged));
        }
        if counts.echoes() && counts.missing > 0 {
            faults.push(format!("{} messages did not come back", counts.missing));
        }
        if counts.failed > 0 {
            faults.push(format!("{} clients could not stay", counts.failed));
        }
        if faults.is_empty() && !counts.is_exact() {
            faults.push("the counts do not add up".into());
        }
        if let Some(trend) = self.trend().filter(Trend::grows) {
            let (grown, over) = (trend.growth / MIB, short(trend.over));
            faults.push(format!("the server grew by {grown:.1} MiB in {over}"));
        }
        faults
    }

    fn trend(&self) -> Option<Trend> {
        self.soak.as_ref().and_then(Soak::trend)
    }

    /// Lines for people.
    pub(super) fn text(&self) -> Vec<String> {
        let Snapshot { sessions, dropped, lost, replayed, restarted, .. } = self.counts;
        let mut lines = vec![
            format!(
                "{} of {} clients connected, {} at the same time, in {}",
                self.counts.begun.saturating_sub(self.counts.failed),
                self.connections,
                self.peak,
                short(self.took)
            ),
            format!(
                "{sessions} sessions; {dropped} connections dropped on purpose, {lost} lost; \
                 {replayed} resumed with replay, {restarted} without"
            ),
        ];
        lines.extend(self.messages());
        lines.extend(table(&[
            ("connect", &self.counts.connect),
            ("round trip", &self.counts.round_trip),
            ("over a break", &self.counts.over_break),
        ]));
        lines.extend(self.watched());
        lines.extend(self.drift());
        let errors = self.counts.errors.iter();
        lines.extend(errors.map(|(what, count)| format!("error: {what}: {count}")));
        let faults = self.faults();
        if faults.is_empty() {
            lines.push(self.verdict().into());
        }
        lines.extend(faults.iter().map(|fault| format!("NOT OK: {fault}")));
        lines
    }

    fn messages(&self) -> Vec<String> {
        let Snapshot { sent, acknowledged, unknown, echoed, echo_unknown, duplicates, .. } =
            self.counts;
        if sent == 0 {
            return vec!["no messages".into()];
        }
        let mut lines =
            vec![format!("{sent} messages: {acknowledged} acknowledged, {unknown} unknown")];
        if self.counts.echoes() {
            lines.push(format!(
                "{echoed} came back, {echo_unknown} unknown; {duplicates} came twice and were \
                 dropped by their number"
            ));
        } else {
            let how = "nothing came back: for round trips, start the server with \
                       `[sessions] messages = \"echo\"`";
            lines.push(how.into());
        }
        lines
    }

    fn verdict(&self) -> &'static str {
        match (self.counts.sent, self.counts.echoes(), self.counts.unknown) {
            (0, ..) => "ok",
            (_, true, 0) => "ok: every message was acknowledged once, and back once and in order",
            (_, true, _) => {
                "ok: every message was acknowledged and back once and in order, or told as unknown"
            }
            (_, false, 0) => "ok: every message was acknowledged once",
            (_, false, _) => "ok: every message was acknowledged once, or told as unknown",
        }
    }

    fn watched(&self) -> Vec<String> {
        let Some(watched) = &self.server else {
            return vec!["the server's process cannot be seen: see --server-pid".into()];
        };
        let each = watched.each(self.peak).map_or(String::new(), |each| {
            format!(", {:.1} KiB more for each connection", each / KIB)
        });
        vec![format!(
            "server {}: {:.1} MiB at most{each}; {:.2} cores, {} descriptors in the end",
            watched.process.pid,
            watched.peak as f64 / MIB,
            watched.cores(),
            watched.after.descriptors
        )]
    }

    fn drift(&self) -> Vec<String> {
        if self.soak.is_none() {
            return Vec::new();
        }
        let Some(trend) = self.trend() else {
            return vec!["drift: too little was seen to say".into()];
        };
        let mut lines = vec![format!(
            "drift of memory over {}: {:+.2} MiB around {:.1} MiB, {:+.2} MiB an hour",
            short(trend.over),
            trend.growth / MIB,
            trend.mean / MIB,
            trend.per_hour() / MIB
        )];
        if let Some((first, last)) = trend.slow {
            let (first, last) = (short(first), short(last));
            lines.push(format!(
                "drift of the slow round trips (p99): {first} at first, {last} last"
            ));
        }
        lines
    }

    /// One object for programs.
    pub(super) fn json(&self) -> Value {
        let counts = &self.counts;
        let faults = self.faults();
        json!({
            "event": "load.report", "ok": faults.is_empty(), "faults": faults, "url": self.url,
            "connections": self.connections, "processes": self.processes,
            "took_s": self.took.as_secs_f64(), "whole": self.whole, "peak": self.peak,
            "begun": counts.begun, "failed": counts.failed, "sessions": counts.sessions,
            "dropped": counts.dropped, "lost": counts.lost, "resumed_with_replay": counts.replayed,
            "resumed_without_replay": counts.restarted, "sent": counts.sent,
            "acknowledged": counts.acknowledged, "unknown": counts.unknown,
            "echoes": counts.echoes(), "echoed": counts.echoed,
            "echo_unknown": counts.echo_unknown, "duplicates": counts.duplicates,
            "connect": counts.connect.json(), "round_trip": counts.round_trip.json(),
            "over_a_break": counts.over_break.json(), "errors": counts.errors,
            "server": self.server.map(|server| json!({
                "pid": server.process.pid, "rss_before_bytes": server.before.resident,
                "rss_full_bytes": server.full, "rss_peak_bytes": server.peak,
                "bytes_each": server.each(self.peak), "cores": server.cores(),
            })),
            "soak": self.soak.as_ref().map(Soak::json),
            "drift": self.trend().map(|trend| json!({
                "bytes": trend.growth, "mean_bytes": trend.mean, "over_s": trend.over.as_secs_f64(),
                "bytes_an_hour": trend.per_hour(),
            })),
        })
    }
}

/// Percentiles, a line for each distribution that is not empty.
fn table(rows: &[(&str, &Latencies)]) -> Vec<String> {
    let row = |name: &str, cells: [String; 6]| {
        let [count, half, nine, most, nearly, max] = cells;
        format!("{name:<14}{count:>10}{half:>10}{nine:>10}{most:>10}{nearly:>10}{max:>10}")
    };
    let head = ["count", "p50", "p90", "p99", "p99.9", "max"].map(String::from);
    let shown = |value: Option<Duration>| value.map_or_else(|| "-".into(), short);
    let filled: Vec<String> = rows
        .iter()
        .filter(|(_, all)| all.count() > 0)
        .map(|(name, all)| {
            let [half, nine, most, nearly] = all.percentiles().map(shown);
            row(name, [all.count().to_string(), half, nine, most, nearly, shown(all.max())])
        })
        .collect();
    if filled.is_empty() { filled } else { [vec![row("", head)], filled].concat() }
}

/// How it goes, in a line.
pub(super) fn progress(at: Duration, now: &Snapshot, before: &Snapshot, since: Duration) -> String {
    let per_sec =
        |now: u64, before: u64| now.saturating_sub(before) as f64 / since.as_secs_f64().max(1e-3);
    let recent = now.round_trip.since(&before.round_trip);
    let [half, _, slow, _] = recent.percentiles();
    let trip = half.zip(slow).map_or(String::new(), |(half, slow)| {
        format!(", round trip {} (p99 {})", short(half), short(slow))
    });
    let errors: u64 = now.errors.values().sum();
    format!(
        "{:>5}  {} open of {} begun, {:.0} messages/s{trip}, {} resumed, {errors} errors",
        short(at),
        now.open,
        now.begun,
        per_sec(now.acknowledged, before.acknowledged),
        now.replayed + now.restarted
    )
}

/// The same for programs.
pub(super) fn progress_json(at: Duration, now: &Snapshot, used: Option<Use>) -> Value {
    json!({
        "event": "load.progress", "at_s": at.as_secs_f64(), "open": now.open, "begun": now.begun,
        "sent": now.sent, "acknowledged": now.acknowledged, "echoed": now.echoed,
        "unknown": now.unknown, "resumed_with_replay": now.replayed,
        "resumed_without_replay": now.restarted, "errors": now.errors.values().sum::<u64>(),
        "server_rss_bytes": used.map(|used| used.resident),
    })
}
