use std::collections::BTreeMap;

use mainstay::core::policy::preset::PolicyConfig;
use toml::{Table, Value};

use super::file::File;
use super::place::Document;
use super::problem::Problems;
use super::{POLICIES_MAX, named};

/// The names of policies that need no table.
pub(super) const PRESETS: [&str; 5] =
    ["default", "chittyid_request", "chittyid_v2_2", "streamotter", "axon"];

/// The fields whose value is one of several variants: an override replaces the whole.
const VARIANTS: [&str; 3] = ["budget", "jitter", "window"];

/// The policies of the file, each put over its preset and checked.
pub(super) fn build(
    file: &File,
    document: &Document<'_>,
    problems: &mut Problems,
) -> BTreeMap<String, PolicyConfig> {
    let raw: Table = toml::from_str(document.text).unwrap_or_default();
    let tables = raw.get("policy").and_then(Value::as_table);
    let mut policies = BTreeMap::new();
    named::fit("policy", (file.policy.len(), POLICIES_MAX), document, problems);
    for (name, section) in &file.policy {
        let label = format!("policy.{name}");
        if !named::is_name(name) {
            problems.add(document.problem("policy", &label, named::NAME_ALLOWED.into()));
            continue;
        }
        let preset = section.preset.as_deref().unwrap_or("default");
        let Some(base) = PolicyConfig::preset(preset) else {
            let message = format!("is {preset:?}, allowed: {}", PRESETS.join(", "));
            let label = format!("{label}.preset");
            problems.add(document.problem(&label, &label, message));
            continue;
        };
        let table = tables.and_then(|tables| tables.get(name)).and_then(Value::as_table);
        match put_over(&base, table) {
            Ok(policy) => match policy.checked() {
                Ok(policy) => {
                    policies.insert(name.clone(), policy);
                }
                Err(error) => problems.add(document.refused(&label, &label, &error)),
            },
            Err(message) => problems.add(document.problem(&label, &label, message)),
        }
    }
    policies
}

fn put_over(base: &PolicyConfig, table: Option<&Table>) -> Result<PolicyConfig, String> {
    let mut merged = Table::try_from(base).map_err(|error| error.to_string())?;
    if let Some(table) = table {
        merge(&mut merged, table);
    }
    merged.remove("preset");
    merged.try_into().map_err(|error: toml::de::Error| error.message().to_owned())
}

fn merge(base: &mut Table, over: &Table) {
    for (key, value) in over {
        let replaces = VARIANTS.contains(&key.as_str());
        match (base.get_mut(key), value) {
            (Some(Value::Table(inner)), Value::Table(over)) if !replaces => merge(inner, over),
            // Switched on where it is on already: nothing to put over it.
            (Some(Value::Table(_)), Value::Boolean(true)) => {}
            (Some(_) | None, _) => {
                base.insert(key.clone(), value.clone());
            }
        }
    }
}
