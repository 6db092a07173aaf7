//! Everything at a glance: one status, one sentence, and what they are made of.

use serde::Serialize;

use crate::alert::Severity;
use crate::overload::Level;

/// How all of it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// Nothing that fires is worse than `LOW`.
    #[default]
    Healthy,
    /// A `MEDIUM` or `HIGH` alert fires and nobody has acknowledged it.
    Warning,
    /// A `CRITICAL` one does.
    Critical,
}

/// Sessions by status, and what it takes to hold them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sessions {
    /// All that are known.
    pub total: u64,
    /// With a connection.
    pub connected: u64,
    /// Without one, within their grace.
    pub suspended: u64,
    /// Expected back.
    pub reconnecting: u64,
    /// Over.
    pub disconnected: u64,
    /// Given up.
    pub failed: u64,
    /// `EXCELLENT` or `GOOD`.
    pub healthy: u64,
    /// `POOR` or `CRITICAL`.
    pub unhealthy: u64,
    /// Attempts to come back since they were last stable.
    pub total_reconnect_attempts: u64,
}

/// Sessions with a connection, by grade.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub struct Grades {
    /// How many.
    pub excellent: u64,
    /// How many.
    pub good: u64,
    /// How many.
    pub poor: u64,
    /// How many.
    pub critical: u64,
    /// Not measured yet.
    pub unknown: u64,
}

/// Links by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Links {
    /// All.
    pub total: u64,
    /// With a connection.
    pub connected: u64,
    /// Trying to come back.
    pub reconnecting: u64,
    /// Held back.
    pub suspended: u64,
    /// Given up.
    pub failed: u64,
}

/// Breakers by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Gates {
    /// Letting calls through.
    pub closed: u64,
    /// Not letting them through.
    pub open: u64,
    /// Letting trials through.
    pub half_open: u64,
}

/// Latencies of the last five minutes in milliseconds: of sessions, or of links where there are
/// none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct LatencyMs {
    /// Mean.
    pub mean: Option<f64>,
    /// Median.
    pub p50: Option<f64>,
    /// What 95 % do not exceed.
    pub p95: Option<f64>,
    /// What 99 % do not exceed.
    pub p99: Option<f64>,
    /// How many there were.
    pub samples: u64,
}

/// Where things go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Trends {
    /// `IMPROVING`, `STABLE`, `DEGRADING` or `UNKNOWN`.
    pub latency: &'static str,
    /// `GROWING`, `STABLE`, `DECLINING` or `UNKNOWN`.
    pub connections: &'static str,
    /// `IMPROVING`, `STABLE`, `WORSENING` or `UNKNOWN`.
    pub errors: &'static str,
}

impl Default for Trends {
    fn default() -> Self {
        Self { latency: "UNKNOWN", connections: "UNKNOWN", errors: "UNKNOWN" }
    }
}

/// What is to be expected; never a reason to alert.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Prediction {
    /// About how many minutes until latency is `HIGH`, if it goes on as it does.
    pub latency_minutes_to_threshold: Option<f64>,
}

/// This machine and this process.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct System {
    /// How far it is overloaded.
    pub level: Level,
    /// How much clients are spared, 0 to 7.
    pub stress: u8,
    /// What holds, in words.
    pub reasons: Vec<&'static str>,
    /// How late our own timers fire, 99th percentile of 10 s.
    pub lag_p99_ms: f64,
    /// Memory of this process.
    pub memory_bytes: Option<u64>,
    /// File descriptors of this process.
    pub fds: Option<u64>,
    /// How many it may have.
    pub fds_max: Option<u64>,
    /// Share of time that something waited for a processor.
    pub cpu_some_percent: Option<f64>,
    /// Share of time that something waited for memory.
    pub memory_some_percent: Option<f64>,
    /// Share of time that everything waited for disks.
    pub io_full_percent: Option<f64>,
    /// Load of the last minute.
    pub load1: Option<f64>,
    /// Load by processors, memory and reconnections, 0 to 1 and above, as seed 004 sums it up.
    pub load: Option<f64>,
    /// What cannot be known here.
    pub degraded: Vec<&'static str>,
}

/// Alerts by severity, those that fire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub struct BySeverity {
    /// How many.
    pub low: u64,
    /// How many.
    pub medium: u64,
    /// How many.
    pub high: u64,
    /// How many.
    pub critical: u64,
}

/// Alerts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Alerts {
    /// Those that fire.
    pub firing: u64,
    /// Those that will, if their condition goes on to hold.
    pub pending: u64,
    /// Those that fire and nobody sees to: not acknowledged, silenced, explained or worked on.
    pub unacknowledged: u64,
    /// Those that fire, by severity.
    pub by_severity: BySeverity,
}

/// Everything at a glance.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// How all of it is.
    pub status: Status,
    /// The same in one sentence.
    pub sentence: String,
    /// Sessions.
    pub sessions: Sessions,
    /// Sessions by grade.
    pub quality: Grades,
    /// Links.
    pub links: Links,
    /// Breakers.
    pub gates: Gates,
    /// Latencies of five minutes.
    pub latency_ms: LatencyMs,
    /// Share of what failed in ten minutes: connections of sessions, calls through gates, operations.
    pub error_rate: Option<f64>,
    /// Share of sessions that needed attempts to come back.
    pub reconnection_rate: Option<f64>,
    /// Reconnections of sessions and links a minute, in the last five.
    pub reconnections_per_minute: f64,
    /// Share of health checks that went well in ten minutes.
    pub health_check_success_rate: Option<f64>,
    /// Where things go.
    pub trends: Trends,
    /// What is to be expected.
    pub prediction: Prediction,
    /// This machine.
    pub system: System,
    /// Alerts.
    pub alerts: Alerts,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
}

impl BySeverity {
    pub(crate) const fn add(&mut self, severity: Severity) {
        match severity {
            Severity::Low => self.low += 1,
            Severity::Medium => self.medium += 1,
            Severity::High => self.high += 1,
            Severity::Critical => self.critical += 1,
        }
    }
}

impl Summary {
    /// Such as `42 connected · 3 degraded · 1 failed · 2 alerts, 1 unacknowledged`.
    pub(crate) fn say(&mut self) {
        let (sessions, links) = (&self.sessions, &self.links);
        let connected = sessions.connected + links.connected;
        let degraded = sessions.unhealthy + links.reconnecting + links.suspended;
        let failed = sessions.failed + links.failed;
        let mut parts = vec![format!("{connected} connected")];
        if degraded > 0 {
            parts.push(format!("{degraded} degraded"));
        }
        if failed > 0 {
            parts.push(format!("{failed} failed"));
        }
        parts.push(match (self.alerts.firing, self.alerts.unacknowledged) {
            (0, _) => "no alerts".to_owned(),
            (1, 0) => "1 alert, seen to".to_owned(),
            (1, _) => "1 alert, unacknowledged".to_owned(),
            (firing, 0) => format!("{firing} alerts, all seen to"),
            (firing, open) => format!("{firing} alerts, {open} unacknowledged"),
        });
        self.sentence = parts.join(" · ");
    }
}
