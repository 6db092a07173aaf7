//! `docs/defaults.md` says what the code does.

use std::collections::BTreeMap;

use mainstay_core::detect::DetectorConfig;
use mainstay_core::link::{CircuitConfig, EndpointsConfig, LinkConfig, OutboxConfig};
use mainstay_core::policy::adaptive_limit::{AdaptiveLimitConfig, Algorithm};
use mainstay_core::policy::budget::InFlightBudgetConfig;
use mainstay_core::policy::bulkhead::BulkheadConfig;
use mainstay_core::policy::hedge::HedgeConfig;
use mainstay_core::policy::preset::PolicyConfig;
use mainstay_core::policy::rate::RateConfig;
use mainstay_core::policy::throttle::ThrottleConfig;
use mainstay_core::session::heartbeat::HeartbeatConfig;
use mainstay_core::session::quality::QualityConfig;
use mainstay_core::session::stream::StreamConfig;
use serde::Serialize;
use serde_json::Value;

type Defaults = BTreeMap<String, String>;

#[test]
fn the_page_of_defaults_says_what_the_code_does() {
    let page = include_str!("../../../../docs/defaults.md");
    let code = code();
    let ours: Vec<&str> = code.keys().map(|path| section(path)).collect();
    let mut page = rows(page);
    page.retain(|path, _| ours.contains(&section(path)));
    let differing = |path: &&String| page.get(*path) != code.get(*path);
    let paths = page.keys().chain(code.keys()).filter(differing);
    let told: Vec<String> =
        paths.map(|p| format!("{p}: page {:?}, code {:?}", page.get(p), code.get(p))).collect();
    assert!(told.is_empty(), "docs/defaults.md differs from the code:\n{}", told.join("\n"));
}

/// What the code starts with, by path. A policy that is off is listed with its own defaults too.
fn code() -> Defaults {
    let mut found = Defaults::new();
    let whole = serde_json::to_value(PolicyConfig::default()).expect("a policy serialises");
    for (name, value) in whole.as_object().expect("a table") {
        flatten(&mut found, name, value);
    }
    enter(&mut found, "gate.budget.in_flight", &InFlightBudgetConfig::default());
    enter(&mut found, "gate.rate", &RateConfig::default());
    enter(&mut found, "gate.bulkhead", &BulkheadConfig::default());
    enter(&mut found, "gate.adaptive_limit", &AdaptiveLimitConfig::default());
    enter(&mut found, "gate.adaptive_limit.algorithm", &Algorithm::AIMD);
    enter(&mut found, "gate.throttle", &ThrottleConfig::default());
    enter(&mut found, "gate.hedge", &HedgeConfig::default());
    enter(&mut found, "link", &LinkConfig::default());
    enter(&mut found, "link.reconnect.circuit", &CircuitConfig::default());
    enter(&mut found, "endpoints", &EndpointsConfig::default());
    enter(&mut found, "outbox", &OutboxConfig::default());
    enter(&mut found, "tracked", &StreamConfig::default());
    enter(&mut found, "sessions.quality", &QualityConfig::default());
    enter(&mut found, "sessions.heartbeat", &HeartbeatConfig::default());
    enter(&mut found, "sessions.detector", &DetectorConfig::default());
    found
}

fn enter(found: &mut Defaults, path: &str, config: &impl Serialize) {
    flatten(found, path, &serde_json::to_value(config).expect("a configuration serialises"));
}

fn flatten(found: &mut Defaults, path: &str, value: &Value) {
    let text = match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                flatten(found, &format!("{path}.{name}"), value);
            }
            return;
        }
        Value::Null => "none".into(),
        Value::Bool(on) => if *on { "on" } else { "off" }.into(),
        Value::String(text) => text.clone(),
        Value::Number(number) => number.as_f64().expect("a number").to_string(),
        Value::Array(_) => value.to_string(),
    };
    found.insert(path.into(), text);
}

/// The rows of the page: path and default.
fn rows(page: &str) -> Defaults {
    let mut found = Defaults::new();
    for line in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [path, value, source, change] = cells.as_slice() else {
            panic!("four columns, not: {line}");
        };
        assert!(!source.is_empty() && !change.is_empty(), "a source and a reason: {line}");
        let twice = found.insert(path.trim_matches('`').into(), (*value).into());
        assert_eq!(twice, None, "one row each: {line}");
    }
    found
}

/// The configuration that a path belongs to; other crates check theirs.
fn section(path: &str) -> &str {
    let parts = if path.starts_with("sessions.") { 2 } else { 1 };
    path.match_indices('.').nth(parts - 1).map_or(path, |(at, _)| &path[..at])
}
