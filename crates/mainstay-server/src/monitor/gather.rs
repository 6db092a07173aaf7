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
