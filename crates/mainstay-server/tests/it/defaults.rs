//! `docs/defaults.md` says how the server starts.

use std::collections::BTreeMap;

use mainstay_server::config::ApiConfig;
use serde_json::Value;

#[test]
fn the_page_says_how_much_may_be_asked_of_the_api() {
    let page = include_str!("../../../../docs/defaults.md");
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        (cells[0].trim_matches('`').trim_start_matches("api.").to_owned(), cells[1].to_owned())
    };
    let page: BTreeMap<String, String> =
        page.lines().filter(|line| line.starts_with("| `api.")).map(row).collect();
    let code = serde_json::to_value(ApiConfig::default()).unwrap();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let fields = code.as_object().unwrap().iter();
    let code: BTreeMap<_, _> = fields.map(|(name, value)| (name.clone(), text(value))).collect();
    assert_eq!(page, code);
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
