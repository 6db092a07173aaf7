//! `docs/defaults.md` says what the code does.

use std::collections::BTreeMap;

use chittyid_server::AuthorityConfig;
use serde_json::Value;

#[test]
fn the_page_of_defaults_says_what_an_authority_does() {
    let start = "chittyid.authority.";
    let page: BTreeMap<String, String> = include_str!("../../../../docs/defaults.md")
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split(" | ");
            let path = cells.next()?.strip_suffix('`')?;
            path.starts_with(start).then(|| Some((path.to_owned(), cells.next()?.to_owned())))?
        })
        .collect();
    let config = serde_json::to_value(AuthorityConfig::default()).unwrap();
    let Value::Object(fields) = config else { panic!("no table") };
    let code: BTreeMap<String, String> = fields
        .into_iter()
        .map(|(name, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), String::from);
            (format!("{start}{name}"), text)
        })
        .collect();
    assert_eq!(page, code);
}
