//! The rules that no compiler checks.
//!
//! What is allowed stands in `xtask/tidy.toml`; this code only compares. Every rule is a function
//! from the sources to what is wrong with them.

mod arrows;
mod promises;
mod seeds;
mod sizes;
mod source;
mod words;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Deserialize;

use crate::Failure;
use source::Source;

pub(crate) const HELP: &str = "\
Checks the rules that no compiler checks: arrows between crates, allowed dependencies and their
reasons, sizes of files and functions, names, banned text, no clock and no randomness below the
drivers, that every promise has a test, and that every test that docs/seeds.md names exists. What
is allowed stands in xtask/tidy.toml.

usage: cargo xtask tidy

exit code: 0 tidy, 1 not
";

/// What `xtask/tidy.toml` says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    /// Ranges of promise ids, such as `B01-B31`.
    promises: Vec<String>,
    /// Names that say nothing.
    banned_names: Vec<String>,
    /// Text that no Rust source contains.
    banned_code: Vec<String>,
    /// Text that no file contains.
    banned_folders: Vec<String>,
    /// Names that no decision or engine mentions.
    banned_below_drivers: Vec<String>,
    /// Files that may have up to 800 lines, with the reason.
    #[serde(default)]
    long_files: BTreeMap<String, String>,
    crates: BTreeMap<String, Crate>,
}

/// What one crate may use.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Crate {
    floor: u32,
    /// Whether it promises to do without std.
    #[serde(default)]
    no_std: bool,
    #[serde(default)]
    ours: Vec<String>,
    #[serde(default)]
    external: Vec<String>,
    /// What only its tests use, ours and others'.
    #[serde(default)]
    dev: Vec<String>,
}

/// Something that is not tidy.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    place: String,
    what: String,
}

impl Finding {
    fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { place: place.into(), what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// Checks the repository at `root` and prints what is wrong.
pub(crate) fn run(root: &Path) -> Result<(), Failure> {
    let (findings, files) = check(root)?;
    if findings.is_empty() {
        println!("tidy: {files} files, nothing to say");
        return Ok(());
    }
    for finding in &findings {
        println!("{finding}");
    }
    Err(Failure::Check(format!("{} findings in {files} files", findings.len())))
}

/// What is wrong, and how many files were looked at.
fn check(root: &Path) -> Result<(Vec<Finding>, usize), Failure> {
    let rules: Rules = toml::from_str(&text(&root.join("xtask/tidy.toml"))?)
        .map_err(|error| Failure::Check(format!("xtask/tidy.toml: {error}")))?;
    let sources = source::all(root)?;
    let mut findings = arrows::check(root, &rules)?;
    findings.extend(sizes::check(&rules, &sources));
    findings.extend(words::check(&rules, &sources));
    findings.extend(promises::check(&rules, &sources));
    findings.extend(seeds::check(&sources));
    findings.sort();
    Ok((findings, sources.len()))
}

/// A Cargo manifest.
pub(crate) fn manifest(path: &Path) -> Result<toml::Table, Failure> {
    text(path)?
        .parse()
        .map_err(|error| Failure::Check(format!("{} is no manifest: {error}", path.display())))
}

fn text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::Check(format!("{} cannot be read: {error}", path.display())))
}

impl Rules {
    /// The rules of the crate that `source` belongs to, and its name.
    fn of<'a>(&'a self, source: &'a Source) -> Option<(&'a str, &'a Crate)> {
        let name = source.path.strip_prefix("crates/")?.split('/').next()?;
        Some((name, self.crates.get(name)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_repository_is_tidy() {
        let (findings, files) = check(&crate::root()).expect("the rules can be read");
        assert!(files > 10);
        let told: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert!(findings.is_empty(), "{}", told.join("\n"));
    }
}
