use std::time::Duration;

use super::{Matcher, NoData, RuleSpec, Signal, Statistic};
use crate::alert::Edge;

/// Durations that are not 0: at once.
pub(super) const MOMENT: f64 = 0.001;

const fn edge(enter: f64, exit: f64) -> Option<Edge> {
    Some(Edge { enter, exit })
}

const fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

fn matchers(names: &[&str]) -> Vec<Matcher> {
    names.iter().map(|name| Matcher((*name).to_owned())).collect()
}

/// The rules that hold where a file does not say otherwise.
///
/// | rule | LOW | MEDIUM | HIGH | CRITICAL | for | keep |
/// |---|---|---|---|---|---|---|
/// | `HIGH_LATENCY`, p95 of sessions in 5 min | | 500 / 400 ms | 1000 / 800 | 2000 / 1600 | 2 min | 5 min |
/// | `HIGH_ERROR_RATE`, broken connections in 10 min | | 2 / 1 % | 5 / 3 | 20 / 10 | 2 min | 5 min |
/// | `CALL_ERROR_RATE`, failed calls of a gate in 10 min | | 2 / 1 % | 5 / 3 | 20 / 10 | 2 min | 5 min |
/// | `LOW_CONNECTION_QUALITY`, EXCELLENT and GOOD | | 90 / 93 % | 75 / 80 | 50 / 60 | 3 min | 5 min |
/// | `HEALTH_CHECK_SUCCESS`, of a link in 10 min | | 95 / 97 % | | 90 / 95 | 2 min | 5 min |
/// | `LINK_LATENCY`, p95 of a link in 5 min | | 500 / 400 ms | 1000 / 800 | 2000 / 1600 | 2 min | 5 min |
/// | `CONNECTION_RECONNECTING` | 60 s | | | | 0 | 1 min |
/// | `CONNECTION_FAILED` | | | at once | | 0 | 1 min |
/// | `UPSTREAM_DOWN`, a required link | | | | 2 min | 0 | 1 min |
/// | `CIRCUIT_OPEN` | | | 1 min | 5 min | 0 | 1 min |
/// | `CIRCUIT_HALF_OPEN` | at once | | | | 0 | 1 min |
/// | `RECONNECT_STORM`, a minute, above three times what is usual | | 1 / 0.5 % | 5 / 3 | 20 / 10 | 1 min | 5 min |
/// | `SYSTEM_OVERLOAD` | processors alone | elevated | overloaded | for 5 min | 30 s | 2 min |
/// | `CERTIFICATE_EXPIRY`, days left | 30 / 31 | 14 / 15 | 7 / 8 | 1 / 2 | 0 | 1 min |
/// | `PUSH_MISSED`, overdue | | | at once | 1 h | 0 | 0 |
/// | `IDS_RUNNING_OUT`, left | | 20 / 21 % | 10 / 11 | 2 / 3 | 0 | 1 min |
/// | `SELF_OFFLINE` | | | | at once | 30 s | 1 min |
/// | `MASS_SUSPICION` | | | at once | | 0 | 1 min |
///
/// The first figure is where a severity begins, the second where it ends.
#[must_use]
pub fn defaults() -> Vec<RuleSpec> {
    let mut rules = sessions();
    rules.extend(peers());
    rules.extend(machine());
    rules
}

fn latency(id: &str, signal: Signal) -> RuleSpec {
    RuleSpec {
        medium: edge(500.0, 400.0),
        high: edge(1_000.0, 800.0),
        critical: edge(2_000.0, 1_600.0),
        ..RuleSpec::new(id, signal)
    }
}

fn errors(id: &str, signal: Signal) -> RuleSpec {
    RuleSpec {
        window: Duration::from_secs(600),
        medium: edge(0.02, 0.01),
        high: edge(0.05, 0.03),
        critical: edge(0.20, 0.10),
        ..RuleSpec::new(id, signal)
    }
}

fn sessions() -> Vec<RuleSpec> {
    let quality = RuleSpec {
        medium: edge(0.90, 0.93),
        high: edge(0.75, 0.80),
        critical: edge(0.50, 0.60),
        hold_for: seconds(180),
        ..RuleSpec::new("LOW_CONNECTION_QUALITY", Signal::SessionQuality)
    };
    let storm = RuleSpec {
        statistic: Some(Statistic::Storm),
        window: Duration::from_secs(60),
        medium: edge(0.01, 0.005),
        high: edge(0.05, 0.03),
        critical: edge(0.20, 0.10),
        hold_for: seconds(60),
        ..RuleSpec::new("RECONNECT_STORM", Signal::SessionReconnections)
    };
    let mass = RuleSpec {
        high: edge(0.5, 0.5),
        hold_for: seconds(0),
        keep_firing_for: seconds(60),
        inhibits: matchers(&["LOW_CONNECTION_QUALITY", "HIGH_ERROR_RATE"]),
        ..RuleSpec::new("MASS_SUSPICION", Signal::MassSuspicion)
    };
    vec![
        latency("HIGH_LATENCY", Signal::SessionLatency),
        errors("HIGH_ERROR_RATE", Signal::SessionErrors),
        quality,
        storm,
        mass,
    ]
}

fn peers() -> Vec<RuleSpec> {
    let now = |id, signal| RuleSpec {
        hold_for: seconds(0),
        keep_firing_for: seconds(60),
        ..RuleSpec::new(id, signal)
    };
    let checks = RuleSpec {
        window: Duration::from_secs(600),
        medium: edge(0.95, 0.97),
        critical: edge(0.90, 0.95),
        min_samples: Some(10),
        ..RuleSpec::new("HEALTH_CHECK_SUCCESS", Signal::LinkChecks)
    };
    let of_a_link = ["HEALTH_CHECK_SUCCESS", "LINK_LATENCY", "CONNECTION_RECONNECTING"];
    let failed = RuleSpec {
        high: edge(MOMENT, MOMENT),
        inhibits: matchers(&[&of_a_link[..], &["CIRCUIT_*", "CALL_*"]].concat()),
        ..now("CONNECTION_FAILED", Signal::LinkFailed)
    };
    let upstream = RuleSpec {
        critical: edge(120.0, MOMENT),
        inhibits: matchers(
            &[&of_a_link[..], &["CONNECTION_FAILED", "CIRCUIT_*", "CALL_*"]].concat(),
        ),
        ..now("UPSTREAM_DOWN", Signal::LinkRequiredDown)
    };
    let open = RuleSpec {
        high: edge(60.0, MOMENT),
        critical: edge(300.0, MOMENT),
        inhibits: matchers(&["CIRCUIT_HALF_OPEN", "CALL_ERROR_RATE"]),
        ..now("CIRCUIT_OPEN", Signal::GateOpen)
    };
    let certificate = RuleSpec {
        low: edge(30.0, 31.0),
        medium: edge(14.0, 15.0),
        high: edge(7.0, 8.0),
        critical: edge(1.0, 2.0),
        // It is known after the next handshake.
        no_data: NoData::Keep,
        ..now("CERTIFICATE_EXPIRY", Signal::LinkCertificate)
    };
    vec![
        checks,
        RuleSpec { min_samples: Some(10), ..latency("LINK_LATENCY", Signal::LinkLatency) },
        errors("CALL_ERROR_RATE", Signal::GateErrors),
        RuleSpec {
            low: edge(60.0, MOMENT),
            ..now("CONNECTION_RECONNECTING", Signal::LinkReconnecting)
        },
        failed,
        upstream,
        open,
        RuleSpec { low: edge(0.5, 0.5), ..now("CIRCUIT_HALF_OPEN", Signal::GateHalfOpen) },
        certificate,
    ]
}

fn machine() -> Vec<RuleSpec> {
    let overload = RuleSpec {
        low: edge(0.25, 0.25),
        medium: edge(0.75, 0.75),
        high: edge(1.5, 1.5),
        critical: edge(2.5, 2.5),
        hold_for: seconds(30),
        keep_firing_for: seconds(120),
        inhibits: matchers(&["HIGH_LATENCY", "LOW_CONNECTION_QUALITY", "LINK_LATENCY"]),
        ..RuleSpec::new("SYSTEM_OVERLOAD", Signal::SystemOverload)
    };
    let offline = RuleSpec {
        critical: edge(0.5, 0.5),
        hold_for: seconds(30),
        keep_firing_for: seconds(60),
        inhibits: matchers(&["*"]),
        ..RuleSpec::new("SELF_OFFLINE", Signal::SelfOffline)
    };
    let push = RuleSpec {
        high: edge(MOMENT, MOMENT),
        critical: edge(3_600.0, MOMENT),
        hold_for: seconds(0),
        keep_firing_for: seconds(0),
        ..RuleSpec::new("PUSH_MISSED", Signal::PushLate)
    };
    let ids = RuleSpec {
        medium: edge(0.20, 0.21),
        high: edge(0.10, 0.11),
        critical: edge(0.02, 0.03),
        hold_for: seconds(0),
        keep_firing_for: seconds(60),
        ..RuleSpec::new("IDS_RUNNING_OUT", Signal::IdsLeft)
    };
    vec![overload, offline, push, ids]
}
