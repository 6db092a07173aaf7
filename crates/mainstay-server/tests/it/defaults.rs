//! `docs/defaults.md` says what the code does.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_server::config::Environment;
use mainstay_server::config::{ApiConfig, OtlpSpec};
use mainstay_server::core::config::duration;
use mainstay_server::session::{LimitsConfig, Messages, RetryConfig};
use serde::Serialize;
use serde_json::Value;

use crate::running::config_in;

type Defaults = BTreeMap<String, String>;

const OURS: [&str; 11] = [
    "otlp.",
    "push.",
    "connectivity.",
    "receiver.",
    "watchdog.",
    "webhook.",
    "auth.",
    "api.",
    "sessions.limits.",
    "sessions.retry.",
    "sessions.messages",
];

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
    enter_sections(&mut code);
    enter_otlp(&mut code);
    assert_eq!(page, code);
}

/// What sections start with that say no more than they must.
fn enter_sections(code: &mut Defaults) {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let environment =
        Environment::from([("HOOK".into(), secret.into()), ("JWT".into(), "x".repeat(32))]);
    let text = "[auth.jwt]\nsecret_env = \"JWT\"\n\
                [[webhook]]\nname = \"a\"\nurl = \"http://127.0.0.1\"\nsecret_env = \"HOOK\"\n\
                [[receiver]]\nname = \"a\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1\"\n\
                secret_env = \"HOOK\"\n[watchdog]\nurl = \"http://127.0.0.1\"\n\
                [[push]]\nname = \"a\"\nevery = \"1h\"\ntoken_env = \"JWT\"\n";
    let config = config_in(text, &environment);
    let (hook, receiver) = (&config.webhooks[0], &config.receivers[0]);
    let severity = serde_json::to_value(receiver.route.min_severity).unwrap();
    let connectivity = &config.monitor.connectivity;
    assert!(connectivity.targets.is_empty());
    let watchdog = config.watchdog.as_ref().unwrap();
    let leeway = Duration::from_secs(config.auth.jwt.leeway_secs);
    for (path, value) in [
        ("webhook.batch_max", hook.batch_max.to_string()),
        ("webhook.batch_within", duration::text(hook.batch_within)),
        ("webhook.give_up_after", duration::text(hook.give_up_after)),
        ("receiver.min_severity", severity.as_str().unwrap().into()),
        ("receiver.after", duration::text(receiver.route.after)),
        ("receiver.resolved", receiver.route.resolved.to_string()),
        ("receiver.timeout", duration::text(receiver.timeout)),
        ("receiver.give_up_after", duration::text(receiver.give_up_after)),
        ("push.grace", duration::text(config.pushes[0].grace)),
        ("connectivity.targets", "none".into()),
        ("connectivity.timeout", duration::text(connectivity.timeout)),
        ("watchdog.interval", duration::text(watchdog.interval)),
        ("auth.anonymous_clients", config.auth.anonymous_clients.to_string()),
        ("auth.jwt.leeway", duration::text(leeway)),
    ] {
        code.insert(path.into(), value);
    }
}

/// Of a section that only names its collector.
fn enter_otlp(code: &mut Defaults) {
    let otlp = OtlpSpec::new("http://127.0.0.1:4318");
    assert!(otlp.headers.is_empty() && otlp.roots.is_none());
    for (path, value) in [
        ("otlp.traces", otlp.traces.to_string()),
        ("otlp.metrics", otlp.metrics.to_string()),
        ("otlp.interval", duration::text(otlp.interval)),
        ("otlp.timeout", duration::text(otlp.timeout)),
        ("otlp.sample", otlp.sample.to_string()),
        ("otlp.service_name", otlp.service_name),
        ("otlp.queue_max", otlp.queue_max.to_string()),
        ("otlp.batch_max", otlp.batch_max.to_string()),
        ("otlp.batch_within", duration::text(otlp.batch_within)),
    ] {
        code.insert(path.into(), value);
    }
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
        (ApiConfig { audit_age: Duration::ZERO, ..usual }, "audit_age"),
    ];
    for (config, field) in wrong {
        assert_eq!(config.check().unwrap_err().field, field);
    }
}
