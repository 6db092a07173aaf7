//! Every promise has a test whose name, or the comment above it, carries its id.

use std::collections::BTreeSet;

use super::source::Source;
use super::{Finding, Rules};

pub(super) fn check(rules: &Rules, sources: &[Source]) -> Vec<Finding> {
    let kept: BTreeSet<String> =
        sources.iter().filter(|source| source.path.starts_with("crates/")).flat_map(ids).collect();
    let promised = rules.promises.iter().flat_map(|range| spread(range));
    let missing: Vec<String> = promised.filter(|id| !kept.contains(id)).collect();
    if missing.is_empty() {
        return Vec::new();
    }
    let what = format!("no test carries {} in its name or comment", missing.join(" "));
    vec![Finding::new("promises", what)]
}

/// `B01-B03` as `B01`, `B02`, `B03`.
fn spread(range: &str) -> Vec<String> {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let number = |id: &str| id.get(1..).and_then(|digits| digits.parse().ok()).unwrap_or(0_u32);
    let letter = &first[..1];
    (number(first)..=number(last)).map(|n| format!("{letter}{n:02}")).collect()
}

/// A test, and the attributes and comments right above it.
pub(super) struct Test<'a> {
    pub(super) name: &'a str,
    head: Vec<&'a str>,
}

/// The tests of `source`.
pub(super) fn tests(source: &Source) -> Vec<Test<'_>> {
    let text: Vec<&str> = source.text.lines().map(str::trim).collect();
    let mut found = Vec::new();
    for (number, line) in source.code.lines().map(str::trim).enumerate() {
        let Some(name) = function_name(line) else { continue };
        let above = text[..number].iter().rev();
        let head: Vec<&str> =
            above.copied().take_while(|l| l.starts_with("#[") || l.starts_with("//")).collect();
        if head.iter().any(|line| line.starts_with("#[") && is_test(line)) {
            found.push(Test { name, head });
        }
    }
    found
}

/// The ids that the tests of `source` carry.
fn ids(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for test in tests(source) {
        found.extend(test.name.split('_').filter_map(id));
        let comments = test.head.iter().filter(|line| line.starts_with("//"));
        found.extend(comments.flat_map(|line| line.split([' ', ':', ','])).filter_map(id));
    }
    found
}

fn is_test(attribute: &str) -> bool {
    let name = attribute.trim_start_matches("#[").split([']', '(']).next().unwrap_or("");
    name == "test" || name.ends_with("::test")
}

fn function_name(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("fn ")?;
    let modifiers = before.split_whitespace().all(|word| ["pub", "async", "const"].contains(&word));
    modifiers.then(|| after.split(['(', '<']).next().unwrap_or(after))
}

/// `word` in capitals if it has the form of an id.
fn id(word: &str) -> Option<String> {
    let bytes = word.as_bytes();
    let fits = bytes.len() == 3
        && bytes[0].is_ascii_alphabetic()
        && bytes[1..].iter().all(u8::is_ascii_digit);
    fits.then(|| word.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_spread() {
        assert_eq!(spread("B09-B11"), ["B09", "B10", "B11"]);
        assert_eq!(spread("F01"), ["F01"]);
    }

    #[test]
    fn ids_stand_in_names_of_tests_and_in_comments_right_above() {
        let text = "// R09 far away\n\n#[test]\nfn b01_b02_it_works() {}\n\
                    // R01 R02: at once.\n#[tokio::test(start_paused = true)]\nasync fn all() {}\n\
                    fn b04_no_test() {}\n#[cfg(test)]\nfn b05_neither() {}\n";
        let found = ids(&Source::new("crates/a/src/a.rs", text));
        assert_eq!(found, ["B01", "B02", "R01", "R02"]);
    }
}
