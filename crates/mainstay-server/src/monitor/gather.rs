//! From sums of sessions to readings.

use std::time::Duration;

use mainstay::core::config::Ratio;
use mainstay::core::session::quality::Quality;
use mainstay::monitor::Collected;
use mainstay::monitor::engine::engine::{Reading, Value};
use mainstay::monitor::engine::rules::Signal;
use mainstay::monitor::engine::series::{Cell, Latencies};
use mainstay::monitor::engine::summary::{Grades, Sessions};
use mainstay_registry::{Counts, Measured};

use crate::session::Flow;

/// The group of all sessions.
const GROUP: &str = "sessions";

/// What the counters of sessions said last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Before(Option<Flow>);

impl Before {
    /// What happened since the last time; nothing the first time.
    fn since(&mut self, now: Flow) -> Flow {
        let before = self.0.replace(now).unwrap_or(now);
        Flow {
            began: now.began.saturating_sub(before.began),
            returned: now.returned.saturating_sub(before.returned),
            broke: now.broke.saturating_sub(before.broke),
            gave_up: now.gave_up.saturating_sub(before.gave_up),
        }
    }
}

/// Adds what is known of sessions. What links measured is not the latency of the summary where
/// sessions were measured.
pub(super) fn sessions(
    (counts, measured): (&Counts, &Measured),
    (flow, held): (Flow, bool),
    before: &mut Before,
    into: &mut Collected,
) {
    let flow = before.since(flow);
    let graded = |quality| counts.graded(quality);
    let healthy = graded(Quality::Excellent) + graded(Quality::Good);
    let unhealthy = graded(Quality::Poor) + graded(Quality::Critical);
    let findings = &mut into.findings;
    findings.sessions = Sessions {
        total: counts.total(),
        connected: counts.connected,
        suspended: counts.suspended,
        reconnecting: counts.reconnecting,
        disconnected: counts.disconnected,
        failed: counts.failed,
        healthy,
        unhealthy,
        total_reconnect_attempts: counts.reconnect_attempts,
    };
    findings.quality = Grades {
        excellent: graded(Quality::Excellent),
        good: graded(Quality::Good),
        poor: graded(Quality::Poor),
        critical: graded(Quality::Critical),
        unknown: graded(Quality::Unknown),
    };
    findings.attempts = share(counts.with_attempts, counts.live());
    let latencies = Latencies::from(&measured.latencies);
    let (failed, all) = (flow.broke, flow.began + flow.returned + flow.broke);
    let since = &mut findings.since;
    since.failed += failed;
    since.all += all;
    since.reconnections += flow.returned;
    if !latencies.buckets().is_empty() {
        (since.latencies, since.sum) = (latencies.clone(), measured.sum);
    }
    let latency = Value::Latency { latencies: latencies.clone(), sum: measured.sum };
    let standing = |part, whole| Value::Standing { part, whole };
    let beats = measured.came + measured.missed;
    #[expect(clippy::cast_precision_loss, reason = "there are not so many sessions")]
    let connected = counts.connected as f64;
    findings.readings.extend([
        Reading::new(Signal::SessionLatency, latency),
        Reading::new(Signal::SessionErrors, Value::Share { part: failed, whole: all }),
        Reading::new(Signal::SessionBeats, Value::Share { part: measured.missed, whole: beats }),
        Reading::new(Signal::SessionQuality, standing(healthy, healthy + unhealthy)),
        Reading::new(
            Signal::SessionReconnections,
            Value::Share { part: flow.returned + flow.gave_up, whole: counts.live() },
        ),
        Reading::new(Signal::SessionAttempts, standing(counts.with_attempts, counts.live())),
        Reading::new(Signal::SessionsConnected, Value::Gauge(connected)),
        Reading::new(Signal::MassSuspicion, Value::Gauge(f64::from(u8::from(held)))),
    ]);
    let mut cell =
        Cell { ok: all - failed, fail: failed, miss: measured.missed, ..Cell::default() };
    let max = measured.latencies.quantile(Ratio::ONE).unwrap_or_default();
    cell.measured(&latencies, measured.min.unwrap_or_default(), max, measured.sum);
    cell.stood_at(connected);
    into.cells.push((GROUP.to_owned(), cell));
}

/// The cell of this process: how late its timers fire.
pub(super) fn process(lag: Duration, into: &mut Collected) {
    let mut cell = Cell::default();
    cell.stood_at(lag.as_secs_f64() * 1_000.0);
    into.cells.push(("process".to_owned(), cell));
}

#[expect(clippy::cast_precision_loss, reason = "counts beyond 2⁵³ need no exact share")]
pub(super) fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use mainstay::monitor::engine::board::Board;
    use mainstay::monitor::engine::rules::RuleSet;

    use super::*;

    #[test]
    fn sums_of_sessions_make_the_figures_of_seed_004() {
        let counts = Counts {
            connected: 90,
            suspended: 6,
            reconnecting: 4,
            disconnected: 3,
            failed: 2,
            // Unknown, critical, poor, good, excellent.
            by_quality: [10, 2, 8, 20, 50],
            reconnect_attempts: 31,
            with_attempts: 20,
            ..Counts::default()
        };
        let mut measured = Measured { came: 95, missed: 5, ..Measured::default() };
        for millis in [10, 20, 30] {
            measured.latencies.record(Duration::from_millis(millis));
            measured.sum += Duration::from_millis(millis);
        }
        measured.min = Some(Duration::from_millis(10));
        let mut before = Before::default();
        let flow = |began, returned, broke| Flow { began, returned, broke, gave_up: 0 };
        let mut first = Collected::default();
        sessions(
            (&counts, &Measured::default()),
            (flow(500, 0, 50), false),
            &mut before,
            &mut first,
        );
        assert_eq!(first.findings.since.all, 0, "what was before is not new");
        let mut found = Collected::default();
        sessions((&counts, &measured), (flow(560, 10, 80), true), &mut before, &mut found);
        let (group, cell) = &found.cells[0];
        assert_eq!((group.as_str(), cell.ok, cell.fail, cell.miss), ("sessions", 70, 30, 5));
        assert_eq!((cell.min(), cell.level()), (Some(Duration::from_millis(10)), Some(90.0)));
        let held = found.findings.readings.iter().find(|one| one.signal == Signal::MassSuspicion);
        assert_eq!(held.unwrap().value, Value::Gauge(1.0));

        let mut board = Board::new(RuleSet::default()).unwrap();
        let now = mainstay::core::time::Instant::default();
        assert_eq!(board.cycle(now, 1_000, found.findings), []);
        let summary = board.summary(now, 1_000);
        assert_eq!((summary.sessions.total, summary.sessions.healthy), (105, 70));
        assert_eq!((summary.sessions.unhealthy, summary.quality.poor), (10, 8));
        assert_eq!((summary.error_rate, summary.reconnection_rate), (Some(0.3), Some(0.2)));
        assert_eq!(summary.latency_ms.mean, Some(20.0));
        let p99 = summary.latency_ms.p99.unwrap();
        assert!((30.0..31.5).contains(&p99), "{p99}");
        assert_eq!(summary.sessions.total_reconnect_attempts, 31);
        assert_eq!(summary.reconnections_per_minute, 2.0, "10 in five minutes");
    }
}
