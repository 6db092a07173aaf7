//! `docs/defaults.md` says what the code does.

use std::collections::BTreeMap;

use mainstay_server::config::ApiConfig;
use mainstay_server::session::{LimitsConfig, Messages, RetryConfig};
use serde::Serialize;
use serde_json::Value;

type Defaults = BTreeMap<String, String>;

const OURS: [&str; 4] = ["api.", "sessions.limits.", "sessions.retry.", "sessions.messages"];

#[test]
fn the_page_of_defaults_says_what_the_server_does() {
    let page: Defaults = include_str!("../../../../docs/defaults.md")
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split(" | ");
            let path = cells.next()?.strip_suffix('`')?;
            let is_ours = OURS.iter().any(|start| path.starts_with(start));
            is_ours.then(|| Some((path.to_owned(), cells.next()?.to_owned())))?
        })
        .collect();
    let mut code = Defaults::new();
    enter(&mut code, "api", &ApiConfig::default());
    enter(&mut code, "sessions.limits", &LimitsConfig::default());
    enter(&mut code, "sessions.retry", &RetryConfig::default());
    let messages = serde_json::to_value(Messages::default()).unwrap();
    code.insert("sessions.messages".into(), messages.as_str().unwrap().into());
    assert_eq!(page, code);
}

fn enter(code: &mut Defaults, path: &str, config: &impl Serialize) {
    let Value::Object(fields) = serde_json::to_value(config).unwrap() else { panic!("no table") };
    for (name, value) in fields {
        let text = value.as_str().map_or_else(|| value.to_string(), String::from);
        code.insert(format!("{path}.{name}"), text);
    }
}

#[test]
fn limits_that_make_no_sense_name_their_field() {
    ApiConfig::default().check().unwrap();
    let usual = ApiConfig::default();
    let wrong = [
        (ApiConfig { rate: 0, ..usual }, "rate"),
        (ApiConfig { burst: 0, ..usual }, "burst"),
        (ApiConfig { failures: 0, ..usual }, "failures"),
        (ApiConfig { failures_burst: 0, ..usual }, "failures_burst"),
        (ApiConfig { audit_max: 0, ..usual }, "audit_max"),
        (ApiConfig { audit_age: std::time::Duration::ZERO, ..usual }, "audit_age"),
    ];
    for (config, field) in wrong {
        assert_eq!(config.check().unwrap_err().field, field);
    }
}
