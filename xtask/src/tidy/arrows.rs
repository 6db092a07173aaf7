//! Which crate may use which: arrows point to a lower floor, and every dependency has a reason.

use std::collections::BTreeSet;
use std::path::Path;

use toml::{Table, Value};

use super::{Crate, Finding, Rules};
use crate::Failure;

const REASONS: &str = "docs/decisions/dependencies.md";

pub(super) fn check(root: &Path, rules: &Rules) -> Result<Vec<Finding>, Failure> {
    let mut findings = floors(rules);
    let reasons = reasons(&super::text(&root.join(REASONS))?);
    for folder in folders(root)? {
        let place = format!("{folder}/Cargo.toml");
        let manifest = super::manifest(&root.join(&place))?;
        let name = folder.trim_start_matches("crates/");
        let Some(crate_rules) = rules.crates.get(name) else {
            findings.push(Finding::new(place, format!("`{name}` has no row in xtask/tidy.toml")));
            continue;
        };
        findings.extend(dependencies(&place, rules, crate_rules, &manifest));
        for dependency in used(&manifest, "dependencies")
            .chain(used(&manifest, "build-dependencies"))
            .chain(used(&manifest, "dev-dependencies"))
            .filter(|used| !rules.crates.contains_key(used) && !reasons.contains(used))
        {
            let what = format!("`{dependency}` has no reason in {REASONS}");
            findings.push(Finding::new(&place, what));
        }
    }
    Ok(findings)
}

/// The table itself: arrows point down.
fn floors(rules: &Rules) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, crate_rules) in &rules.crates {
        for used in &crate_rules.ours {
            let lower = rules.crates.get(used).is_some_and(|other| other.floor < crate_rules.floor);
            if !lower {
                let what = format!("`{name}` may not use `{used}`: not on a lower floor");
                findings.push(Finding::new("xtask/tidy.toml", what));
            }
        }
    }
    findings
}

/// What the manifest uses and the table does not allow.
fn dependencies(place: &str, rules: &Rules, allowed: &Crate, manifest: &Table) -> Vec<Finding> {
    let mut findings = Vec::new();
    let normal = used(manifest, "dependencies").chain(used(manifest, "build-dependencies"));
    for name in normal {
        let ours = rules.crates.contains_key(&name);
        let list = if ours { &allowed.ours } else { &allowed.external };
        if !list.contains(&name) {
            let kind = if ours { "ours" } else { "external" };
            findings.push(Finding::new(place, format!("`{name}` is not in its `{kind}` list")));
        }
    }
    for name in used(manifest, "dev-dependencies") {
        let lists = [&allowed.dev, &allowed.ours, &allowed.external];
        if !lists.iter().any(|list| list.contains(&name)) {
            findings.push(Finding::new(place, format!("`{name}` is not in its `dev` list")));
        }
    }
    findings
}

/// The packages that `manifest` names under `kind`, for all targets.
fn used(manifest: &Table, kind: &str) -> impl Iterator<Item = String> {
    let for_targets = manifest.get("target").and_then(Value::as_table);
    let tables = for_targets.into_iter().flat_map(Table::values);
    let tables = tables.filter_map(|target| target.get(kind)).chain(manifest.get(kind));
    let mut names = BTreeSet::new();
    for (name, value) in tables.filter_map(Value::as_table).flatten() {
        let package = value.get("package").and_then(Value::as_str);
        names.insert(package.unwrap_or(name).to_string());
    }
    names.into_iter()
}

/// The folders of the workspace's crates.
fn folders(root: &Path) -> Result<Vec<String>, Failure> {
    let entries = std::fs::read_dir(root.join("crates"))
        .map_err(|error| Failure::Check(format!("crates/ cannot be listed: {error}")))?;
    let mut folders: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.path().join("Cargo.toml").is_file())
        .map(|entry| format!("crates/{}", entry.file_name().to_string_lossy()))
        .collect();
    folders.push("xtask".into());
    folders.sort();
    Ok(folders)
}

/// The names in rows such as `` | `serde` | why | `` that give a reason.
fn reasons(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        if let [name, .., reason] = cells.as_slice() {
            let name = name.strip_prefix('`').and_then(|name| name.strip_suffix('`'));
            if let (Some(name), false) = (name, reason.is_empty()) {
                names.insert(name.to_string());
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        let text = r#"
            promises = []
            banned_names = []
            banned_code = []
            banned_folders = []
            banned_below_drivers = []
            [crates.low]
            floor = 0
            [crates.high]
            floor = 2
            ours = ["low"]
            external = ["bytes"]
            dev = ["proptest"]
        "#;
        toml::from_str(text).unwrap()
    }

    #[track_caller]
    fn check_manifest(manifest: &str, findings: &[&str]) {
        let rules = rules();
        let manifest = manifest.parse().unwrap();
        let found = dependencies("m", &rules, &rules.crates["high"], &manifest);
        assert_eq!(found.into_iter().map(|f| f.what).collect::<Vec<_>>(), findings);
    }

    #[test]
    fn only_listed_dependencies_are_used() {
        check_manifest("[dependencies]\nlow = {}\nbytes = \"1\"", &[]);
        check_manifest("[dev-dependencies]\nproptest = \"1\"\nbytes = \"1\"", &[]);
        check_manifest(
            "[dependencies]\nproptest = \"1\"",
            &["`proptest` is not in its `external` list"],
        );
        check_manifest("[dependencies]\nhigh = {}", &["`high` is not in its `ours` list"]);
        check_manifest(
            "[target.'cfg(x)'.dependencies]\na = { package = \"loom\", version = \"1\" }",
            &["`loom` is not in its `external` list"],
        );
    }

    #[test]
    fn arrows_point_down() {
        let mut rules = rules();
        assert!(floors(&rules).is_empty());
        rules.crates.get_mut("low").unwrap().ours.push("high".into());
        assert_eq!(floors(&rules).len(), 1);
    }

    #[test]
    fn a_reason_must_say_something() {
        let names = reasons("| `a` | because |\n| `b` | |\nc");
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["a"]);
    }
}
