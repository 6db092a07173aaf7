//! `docs/defaults.md` says how a store works.

use std::collections::BTreeMap;

use mainstay_store::StoreConfig;
use serde_json::Value;

#[test]
fn the_page_says_how_a_store_starts() {
    let page = include_str!("../../../../docs/defaults.md");
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        (cells[0].trim_matches('`').trim_start_matches("store.").to_owned(), cells[1].to_owned())
    };
    let page: BTreeMap<String, String> =
        page.lines().filter(|line| line.starts_with("| `store.")).map(row).collect();
    let code = serde_json::to_value(StoreConfig::default()).unwrap();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let fields = code.as_object().unwrap().iter();
    let code: BTreeMap<_, _> = fields.map(|(name, value)| (name.clone(), text(value))).collect();
    assert_eq!(page, code);
}

#[test]
fn a_configuration_that_makes_no_sense_names_its_field() {
    StoreConfig::default().check().unwrap();
    let wrong = [
        (StoreConfig { cache_bytes: 0, ..StoreConfig::default() }, "cache_bytes"),
        (StoreConfig { queue_changes: 0, ..StoreConfig::default() }, "queue_changes"),
        (StoreConfig { queue_bytes: 0, ..StoreConfig::default() }, "queue_bytes"),
        (StoreConfig { commit_changes: 0, ..StoreConfig::default() }, "commit_changes"),
        (
            StoreConfig { history_age: std::time::Duration::ZERO, ..StoreConfig::default() },
            "history_age",
        ),
        (StoreConfig { history_bytes: 0, ..StoreConfig::default() }, "history_bytes"),
        (StoreConfig { drop_events: 0, ..StoreConfig::default() }, "drop_events"),
    ];
    for (config, field) in wrong {
        assert_eq!(config.check().unwrap_err().field, field);
    }
}
