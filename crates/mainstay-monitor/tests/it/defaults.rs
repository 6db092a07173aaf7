//! `docs/defaults.md` says what the code does, and rules that make no sense are refused.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_core::config::Ratio;
use mainstay_monitor::alert::{Edge, Rule, RuleConfig, Side};
use mainstay_monitor::notify::DispatchConfig;
use serde_json::Value;

#[test]
fn the_page_of_defaults_says_what_a_rule_does() {
    let page: BTreeMap<String, String> = include_str!("../../../../docs/defaults.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter(|line| line.starts_with("monitor.") || line.starts_with("notify."))
        .map(|line| {
            let line = line.strip_prefix("monitor.").unwrap_or(line);
            let cells: Vec<&str> = line.trim_end_matches('|').split('|').map(str::trim).collect();
            let [path, value, source, change] = cells.as_slice() else {
                panic!("four columns, not: {line}");
            };
            assert!(!source.is_empty() && !change.is_empty(), "a source and a reason: {line}");
            (path.trim_matches('`').to_owned(), (*value).to_owned())
        })
        .collect();
    let Value::Object(fields) = serde_json::to_value(RuleConfig::default()).unwrap() else {
        panic!("a rule is a table");
    };
    let text = |value: Value| match value {
        Value::Null => "none".into(),
        Value::String(text) => text,
        Value::Number(number) => number.as_f64().unwrap().to_string(),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    let mut code: BTreeMap<_, _> =
        fields.into_iter().map(|(name, value)| (format!("rule.{name}"), text(value))).collect();
    let Value::Object(fields) = serde_json::to_value(DispatchConfig::default()).unwrap() else {
        panic!("so are the settings of notices");
    };
    code.extend(fields.into_iter().map(|(name, value)| (format!("notify.{name}"), text(value))));
    assert_eq!(page, code);
}

#[test]
fn a_rule_is_read_from_text_and_unknown_fields_are_refused() {
    let text = r#"{"side": "below", "high": {"enter": 0.9, "exit": 0.93}, "for": "3m"}"#;
    let read: RuleConfig = serde_json::from_str(text).unwrap();
    let expected = RuleConfig {
        side: Side::Below,
        high: Some(Edge { enter: 0.9, exit: 0.93 }),
        hold_for: Duration::from_secs(180),
        ..RuleConfig::default()
    };
    assert_eq!(read, expected);
    assert_eq!(Rule::new(&read).unwrap().config(), &expected);
    for wrong in [r#"{"four": "3m"}"#, r#"{"for": 3}"#, r#"{"high": {"enter": 0.9}}"#] {
        assert!(serde_json::from_str::<RuleConfig>(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn b28_a_rule_that_makes_no_sense_is_refused_by_field() {
    let edge = |enter, exit| Some(Edge { enter, exit });
    let ok = RuleConfig { high: edge(10.0, 8.0), ..RuleConfig::default() };
    assert!(Rule::new(&ok).is_ok());
    let below = RuleConfig { side: Side::Below, high: edge(8.0, 10.0), ..ok };
    assert!(Rule::new(&below).is_ok());
    let age = Duration::from_secs(366 * 86_400);
    let table = [
        ("high", RuleConfig::default()),
        ("high.enter", RuleConfig { high: edge(f64::NAN, 0.0), ..ok }),
        ("high.exit", RuleConfig { high: edge(0.0, f64::NAN), ..ok }),
        ("high.exit", RuleConfig { high: edge(8.0, 10.0), ..ok }),
        ("high.exit", RuleConfig { side: Side::Below, ..ok }),
        ("high.enter", RuleConfig { low: edge(10.0, 8.0), ..ok }),
        ("critical.enter", RuleConfig { critical: edge(9.0, 8.0), ..ok }),
        ("critical.exit", RuleConfig { critical: edge(20.0, 7.0), ..ok }),
        ("critical.enter", RuleConfig { critical: edge(9.0, 10.0), ..below }),
        ("min_samples", RuleConfig { min_samples: 0, ..ok }),
        ("for", RuleConfig { hold_for: age, ..ok }),
        ("keep_firing_for", RuleConfig { keep_firing_for: age, ..ok }),
        ("keep_resolved", RuleConfig { keep_resolved: age, ..ok }),
        ("outage_max", RuleConfig { outage_max: age, ..ok }),
        ("grace", RuleConfig { grace: age, ..ok }),
        ("flapping_start", RuleConfig { flapping_start: Ratio::ZERO, ..ok }),
        ("flapping_start", RuleConfig { flapping_start: Ratio::percent(101), ..ok }),
        ("flapping_stop", RuleConfig { flapping_stop: Ratio::percent(31), ..ok }),
    ];
    for (field, config) in table {
        assert_eq!(Rule::new(&config).unwrap_err().field, field);
    }
}
