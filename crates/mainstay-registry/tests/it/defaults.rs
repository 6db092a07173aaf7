//! `docs/defaults.md` says what the code does.

use std::collections::BTreeMap;

use mainstay_registry::{Origin, Registry, RegistryConfig};
use serde_json::Value;

type Defaults = BTreeMap<String, String>;

#[test]
fn the_page_of_defaults_says_what_a_registry_does() {
    let mut page = rows(include_str!("../../../../docs/defaults.md"));
    // The server's own stand in the same table of its file.
    let of_server = |path: &str| {
        let own = ["sessions.limits.", "sessions.retry.", "sessions.messages"];
        own.iter().any(|start| path.starts_with(start))
    };
    page.retain(|path, _| path.starts_with("sessions.") && !of_server(path));
    let mut code = Defaults::new();
    let config = serde_json::to_value(RegistryConfig::default()).expect("it serialises");
    flatten(&mut code, "sessions", &config);
    assert_eq!(page, code);
}

#[test]
fn b28_a_registry_that_makes_no_sense_is_refused_by_field() {
    let ok = RegistryConfig::default();
    let second = std::time::Duration::from_secs(1);
    let mut quality = ok;
    quality.quality.margin = 99;
    let table = [
        ("sessions_max", RegistryConfig { sessions_max: 0, ..ok }),
        ("sessions_per_user_max", RegistryConfig { sessions_per_user_max: Some(0), ..ok }),
        ("ended_max", RegistryConfig { ended_max: u32::MAX, ..ok }),
        ("keep_ended", RegistryConfig { keep_ended: second * 86_400 * 31, ..ok }),
        ("grace", RegistryConfig { grace: second / 2, ..ok }),
        ("rest_max", RegistryConfig { rest_max: second, ..ok }),
        ("reconnect_attempts", RegistryConfig { reconnect_attempts: 0, ..ok }),
        ("reset_after", RegistryConfig { reset_after: second * 86_400 * 366, ..ok }),
        ("quality.margin", quality),
    ];
    let origin = Origin { now: mainstay_core::time::Instant::default(), unix_ms: 0 };
    for (field, config) in table {
        assert_eq!(Registry::new(&config, origin).unwrap_err().field, field);
    }
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
