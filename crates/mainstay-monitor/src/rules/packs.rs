use std::collections::BTreeMap;
use std::time::Duration;

use super::defaults::MOMENT;
use super::{Matcher, RuleSpec, Signal, Statistic};
use crate::alert::Edge;

/// The packs there are.
pub const PACKS: [&str; 2] = ["chittyid", "axon"];

/// The rules of a pack, with exactly the thresholds and severities of the systems they come from;
/// none of another name.
///
/// * `chittyid`: what seeds 000 and 002 alert about, for links, gates and caches whose name begins
///   with `chittyid`. Their WARNING is `MEDIUM`; their INFO is an event: it notifies nobody.
/// * `axon`: what seed 004 alerts about, for all sessions, with its thresholds and the severities
///   that its code makes of how far they are exceeded.
///
/// Each edge ends where it begins, nothing has to hold for a time, and one sample is enough, as
/// there: the default rules are better.
#[must_use]
pub fn pack(name: &str) -> Option<Vec<RuleSpec>> {
    match name {
        "chittyid" => Some(chittyid()),
        "axon" => Some(axon()),
        _ => None,
    }
}

const fn at(edge: f64) -> Option<Edge> {
    Some(Edge { enter: edge, exit: edge })
}

fn plain(id: &str, signal: Signal) -> RuleSpec {
    RuleSpec {
        min_samples: Some(1),
        hold_for: Some(Duration::ZERO),
        keep_firing_for: Some(Duration::from_secs(60)),
        ..RuleSpec::new(id, signal)
    }
}

fn chittyid() -> Vec<RuleSpec> {
    let ours = |id, signal: Signal| {
        let about = Matcher("chittyid*".into());
        let label = signal.info().label.map(str::to_owned);
        let matching: BTreeMap<_, _> = label.map(|label| (label, about)).into_iter().collect();
        RuleSpec { matching, ..plain(id, signal) }
    };
    vec![
        RuleSpec { critical: at(MOMENT), ..ours("CHITTYID_CONNECTION_FAILED", Signal::LinkFailed) },
        RuleSpec {
            critical: Some(Edge { enter: 300.0, exit: MOMENT }),
            ..ours("CHITTYID_CIRCUIT_OPEN", Signal::GateOpen)
        },
        RuleSpec { critical: at(0.05), ..ours("CHITTYID_ERROR_RATE", Signal::GateErrors) },
        RuleSpec {
            medium: at(0.95),
            critical: at(0.90),
            ..ours("CHITTYID_HEALTH_CHECKS", Signal::LinkChecks)
        },
        RuleSpec { medium: at(MOMENT), ..ours("CHITTYID_RECONNECTING", Signal::LinkReconnecting) },
        RuleSpec { medium: at(0.5), ..ours("CHITTYID_CIRCUIT_HALF_OPEN", Signal::GateHalfOpen) },
        RuleSpec { medium: at(0.50), ..ours("CHITTYID_CACHE_HIT_RATE", Signal::CacheHits) },
        RuleSpec { medium: at(500.0), ..ours("CHITTYID_LATENCY", Signal::LinkLatency) },
        RuleSpec {
            low: at(0.90),
            notify: false,
            ..ours("CHITTYID_CACHE_NEARLY_FULL", Signal::CacheFill)
        },
    ]
}

fn axon() -> Vec<RuleSpec> {
    let ladder = |rule: RuleSpec, edge: f64, factors: [f64; 3]| RuleSpec {
        low: at(edge),
        medium: at(edge * factors[0]),
        high: at(edge * factors[1]),
        critical: at(edge * factors[2]),
        keep_firing_for: Some(Duration::from_secs(60)),
        ..rule
    };
    let latency = RuleSpec {
        statistic: Some(Statistic::Mean),
        window: Duration::from_secs(30),
        ..plain("AXON_HIGH_LATENCY", Signal::SessionLatency)
    };
    let errors = plain("AXON_HIGH_ERROR_RATE", Signal::SessionErrors);
    let reconnections = RuleSpec {
        medium: at(0.2),
        ..plain("AXON_HIGH_RECONNECTION_RATE", Signal::SessionAttempts)
    };
    let quality = plain("AXON_LOW_CONNECTION_QUALITY", Signal::SessionQuality);
    let load = plain("AXON_SYSTEM_OVERLOAD", Signal::SystemLoad);
    vec![
        ladder(latency, 1_000.0, [1.2, 1.5, 2.0]),
        ladder(errors, 0.1, [1.25, 1.5, 2.0]),
        reconnections,
        ladder(quality, 0.8, [0.9, 0.8, 0.6]),
        ladder(load, 0.8, [1.1, 1.25, 1.5]),
    ]
}
