//! Text that must not stand where it stands.

use super::source::Source;
use super::{Crate, Finding, Rules};

pub(super) fn check(rules: &Rules, sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| source.path != "xtask/tidy.toml") {
        let lines = (1..).zip(source.text.lines().zip(code_lines(source)));
        for (number, (text, code)) in lines {
            let place = || format!("{}:{number}", source.path);
            let paths = rules.banned_folders.iter().map(|folder| format!("/{folder}/"));
            for banned in paths.filter(|path| text.contains(path.as_str())) {
                findings
                    .push(Finding::new(place(), format!("`{banned}` is a path of one machine")));
            }
            for banned in rules.banned_code.iter().filter(|banned| has_word(code, banned)) {
                findings.push(Finding::new(place(), format!("`{banned}` does not land")));
            }
        }
        if let Some((_, rules_here)) = rules.of(source).filter(|_| source.is_rust()) {
            findings.extend(below_drivers(rules, rules_here, source));
            findings.extend(no_std(rules_here, source));
        }
    }
    findings
}

/// The code line by line, and nothing for files that are not Rust.
fn code_lines(source: &Source) -> impl Iterator<Item = &str> {
    source.code.lines().chain(std::iter::repeat(""))
}

/// Decisions and engines read no clock, draw nothing at random and do not sleep, tests included.
fn below_drivers(rules: &Rules, crate_rules: &Crate, source: &Source) -> Vec<Finding> {
    if crate_rules.floor > 1 {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (number, code) in (1..).zip(source.code.lines()) {
        let clock = code.contains("std::time") && has_word(code, "Instant");
        let clock = clock.then_some("std::time::Instant");
        let named = rules.banned_below_drivers.iter().map(String::as_str);
        for banned in named.filter(|name| has_word(code, name)).chain(clock) {
            let place = format!("{}:{number}", source.path);
            let what = format!("`{banned}` on floor {}: take it as a value", crate_rules.floor);
            findings.push(Finding::new(place, what));
        }
    }
    findings
}

fn no_std(crate_rules: &Crate, source: &Source) -> Vec<Finding> {
    if !crate_rules.no_std || source.path.contains("/tests/") || source.path.contains("/benches/") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    if source.path.ends_with("src/lib.rs") && !source.code.contains("#![no_std]") {
        findings.push(Finding::new(&source.path, "`#![no_std]` is missing"));
    }
    let mut before = "";
    for (number, code) in (1..).zip(source.code.lines().map(str::trim)) {
        if code.contains("extern crate std") && before != "#[cfg(test)]" {
            let place = format!("{}:{number}", source.path);
            findings.push(Finding::new(place, "`std` outside of `#[cfg(test)]`"));
        }
        before = code;
    }
    findings
}

/// Whether `code` contains `word`, not as a part of a longer name.
fn has_word(code: &str, word: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    let open_end = !word.ends_with(inside);
    code.match_indices(word).any(|(at, _)| {
        let after = &code[at + word.len()..];
        !code[..at].ends_with(inside) && (open_end || !after.starts_with(inside))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = r#"
        promises = []
        banned_names = []
        banned_code = ["dbg!"]
        banned_folders = ["machine"]
        banned_below_drivers = ["tokio", "sleep("]
        [crates.low]
        floor = 0
        no_std = true
        [crates.high]
        floor = 2
    "#;

    #[track_caller]
    fn check_one(path: &str, text: &str, places: &[&str]) {
        let rules: Rules = toml::from_str(RULES).unwrap();
        let findings = check(&rules, &[Source::new(path, text)]);
        assert_eq!(findings.iter().map(|f| f.place.as_str()).collect::<Vec<_>>(), places);
    }

    #[test]
    fn clocks_and_sleeps_stay_above_the_decisions() {
        let path = "crates/low/src/a.rs";
        check_one(path, "use tokio::x;\n// tokio\nasleep();\n", &["crates/low/src/a.rs:1"]);
        check_one(path, "use std::time::{Duration, Instant};\n", &["crates/low/src/a.rs:1"]);
        check_one("crates/low/tests/it/a.rs", "sleep(1);\n", &["crates/low/tests/it/a.rs:1"]);
        check_one("crates/high/src/a.rs", "tokio::sleep(1);\n", &[]);
    }

    #[test]
    fn leftovers_and_paths_of_one_machine_do_not_land() {
        check_one("a.rs", concat!("dbg", "!(1);\nmy_dbg", "!(1);\n"), &["a.rs:1"]);
        check_one("a.md", concat!("see /mach", "ine/x\n"), &["a.md:1"]);
    }

    #[test]
    fn a_core_without_std_says_so() {
        check_one("crates/low/src/lib.rs", "mod a;\n", &["crates/low/src/lib.rs"]);
        let tests_only = "#![no_std]\n#[cfg(test)]\nextern crate std;\n";
        check_one("crates/low/src/lib.rs", tests_only, &[]);
        let always = "#![no_std]\nextern crate std;\n";
        check_one("crates/low/src/lib.rs", always, &["crates/low/src/lib.rs:2"]);
    }
}
