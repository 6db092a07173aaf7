//! `docs/defaults.md` says what a client starts with, and what makes no sense names its field.

use std::collections::BTreeMap;
use std::time::Duration;

use chittyid_client::{
    ApiKey, BreakerConfig, CacheConfig, Client, ClientConfig, Profiles, RetryConfig, WatchConfig,
};
use serde_json::Value;

const SECTION: &str = "chittyid.client";

fn enter(code: &mut BTreeMap<String, String>, path: &str, value: &Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                enter(code, &format!("{path}.{name}"), value);
            }
        }
        Value::Null => drop(code.insert(path.to_owned(), "none".into())),
        Value::String(text) => drop(code.insert(path.to_owned(), text.clone())),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
            drop(code.insert(path.to_owned(), value.to_string()));
        }
    }
}

#[test]
fn the_page_says_how_a_client_starts() {
    let start = format!("| `{SECTION}.");
    let page: BTreeMap<String, String> = include_str!("../../../../docs/defaults.md")
        .lines()
        .filter(|line| line.starts_with(&start))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            (cells[0].trim_matches('`').to_owned(), cells[1].to_owned())
        })
        .collect();
    let config = ClientConfig::default();
    assert_eq!(config.api_key, None, "which is read, and never written");
    let mut code = BTreeMap::from([(format!("{SECTION}.api_key"), "none".to_owned())]);
    enter(&mut code, SECTION, &serde_json::to_value(config).unwrap());
    assert_eq!(page, code);
}

#[test]
fn what_is_left_out_has_its_default_and_durations_are_text() {
    let text = "base_url = \"http://ids\"\napi_key = \"k\"\naccepted = [\"canonical-03\"]\n\
                deadline = \"1m30s\"\nbatch_within = \"5ms\"\n[retry]\nattempts = 5\n";
    let read: ClientConfig = toml::from_str(text).unwrap();
    let expected = ClientConfig {
        api_key: Some(ApiKey::new("k").unwrap()),
        accepted: chittyid::Profile::Canonical03.into(),
        deadline: Duration::from_secs(90),
        batch_within: Some(Duration::from_millis(5)),
        retry: RetryConfig { attempts: 5, ..RetryConfig::default() },
        ..ClientConfig::new("http://ids")
    };
    assert_eq!(read, expected);
    let again: ClientConfig = toml::from_str(&toml::to_string(&expected).unwrap()).unwrap();
    assert_eq!(again, ClientConfig { api_key: None, ..expected }, "but for the key");
    assert!(toml::from_str::<ClientConfig>("timeout = 5").is_err());
    assert!(toml::from_str::<ClientConfig>("tiemout = \"5s\"").is_err());
    let error = toml::from_str::<ClientConfig>("[breaker]\nfailures = 5\nopen = \"x\"");
    assert!(error.is_err());
    for hidden in ["api_key = 733911", "api_key = \"73 3911\""] {
        let error = toml::from_str::<ClientConfig>(hidden).unwrap_err();
        assert!(!error.message().contains("3911"), "{}", error.message());
    }
}

#[test]
fn what_makes_no_sense_names_its_field_and_zero_is_no_default() {
    let zero = Duration::ZERO;
    let usual = ClientConfig::default;
    let (retry, breaker) = (RetryConfig::default(), BreakerConfig::default());
    let (cache, watch) = (CacheConfig::default(), WatchConfig::default());
    let second = Duration::from_secs(1);
    let wrong = [
        (ClientConfig { base_url: "id.chitty.cc".into(), ..usual() }, "base_url"),
        (ClientConfig { api_prefix: "v1".into(), ..usual() }, "api_prefix"),
        (ClientConfig { health_path: "health?x".into(), ..usual() }, "health_path"),
        (ClientConfig { accepted: Profiles::NONE, ..usual() }, "accepted"),
        (ClientConfig { connect_timeout: zero, ..usual() }, "connect_timeout"),
        (ClientConfig { timeout: zero, ..usual() }, "timeout"),
        (ClientConfig { deadline: zero, ..usual() }, "deadline"),
        (ClientConfig { body_max: 0, ..usual() }, "body_max"),
        (ClientConfig { mints_per_minute: Some(0), ..usual() }, "mints_per_minute"),
        (ClientConfig { batch_within: Some(zero), ..usual() }, "batch_within"),
        (ClientConfig { batch_max: 0, ..usual() }, "batch_max"),
        (ClientConfig { retry: RetryConfig { attempts: 0, ..retry }, ..usual() }, "retry.attempts"),
        (
            ClientConfig { retry: RetryConfig { longest_wait: zero, ..retry }, ..usual() },
            "retry.longest_wait",
        ),
        (
            ClientConfig { breaker: BreakerConfig { failures: 0, ..breaker }, ..usual() },
            "breaker.failures",
        ),
        (
            ClientConfig { breaker: BreakerConfig { window: zero, ..breaker }, ..usual() },
            "breaker.window",
        ),
        (
            ClientConfig { breaker: BreakerConfig { open: zero, ..breaker }, ..usual() },
            "breaker.open",
        ),
        (
            ClientConfig { breaker: BreakerConfig { probes: 17, ..breaker }, ..usual() },
            "breaker.probes",
        ),
        (ClientConfig { cache: CacheConfig { max_size: 0, ..cache }, ..usual() }, "cache.max_size"),
        (ClientConfig { cache: CacheConfig { ttl: zero, ..cache }, ..usual() }, "cache.ttl"),
        (
            ClientConfig { watch: WatchConfig { interval: second, ..watch }, ..usual() },
            "watch.timeout",
        ),
        (
            ClientConfig { watch: WatchConfig { attempts: Some(0), ..watch }, ..usual() },
            "watch.attempts",
        ),
    ];
    for (config, field) in wrong {
        assert_eq!(config.check().unwrap_err().field, field);
        assert_eq!(Client::new(config).unwrap_err().field, field);
    }
    usual().check().unwrap();
    usual().interop().chittyid_v2_2().check().unwrap();
    assert_eq!(usual().chittyid_v2_2().breaker.window, Duration::from_secs(10));
}
