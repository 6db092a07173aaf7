//! Every test that the map of the seeds names exists.

use std::collections::BTreeSet;

use super::Finding;
use super::promises::tests;
use super::source::Source;

const MAP: &str = "docs/seeds.md";

pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let crates = sources.iter().filter(|source| source.path.starts_with("crates/"));
    let known: BTreeSet<&str> = crates.flat_map(tests).map(|test| test.name).collect();
    let Some(map) = sources.iter().find(|source| source.path == MAP) else {
        return vec![Finding::new(MAP, "is missing")];
    };
    let is_known = |name: &str| match name.strip_suffix('…') {
        Some(start) => known.range(start..).next().is_some_and(|first| first.starts_with(start)),
        None => known.contains(name),
    };
    let missing = named(&map.text).into_iter().filter(|(_, name)| !is_known(name));
    missing
        .map(|(line, name)| Finding::new(format!("{MAP}:{line}"), format!("no test is `{name}`")))
        .collect()
}

/// The tests that the last column of tables names, if its title is *test*, with their lines.
fn named(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut is_about_tests = false;
    let mut in_table = false;
    for (number, line) in text.lines().enumerate() {
        let Some(row) = line.strip_prefix('|').and_then(|line| line.trim_end().strip_suffix('|'))
        else {
            in_table = false;
            continue;
        };
        let last = row.rsplit(" | ").next().unwrap_or(row).trim();
        if !in_table {
            (in_table, is_about_tests) = (true, last == "test");
        } else if is_about_tests {
            // Every second part stands between backquotes.
            let quoted = last.split('`').skip(1).step_by(2);
            found.extend(quoted.filter(|name| is_name(name)).map(|name| (number + 1, name)));
        }
    }
    found
}

/// Whether it reads as the name of a test or, with an ellipsis, as the start of one.
fn is_name(text: &str) -> bool {
    let name = text.strip_suffix('…').unwrap_or(text);
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.contains('_') && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_the_last_column_of_tables_about_tests() {
        let text = "| seed | here | test |\n|---|---|---|\n| `a_b` | `c_d` | x `e_f`, `g_…` |\n\
                    | a | b | `cargo xtask` |\n\n| seed | here |\n|---|---|\n| a | `h_i` |\n";
        assert_eq!(named(text), [(3, "e_f"), (3, "g_…")]);
    }

    #[test]
    fn a_name_that_no_test_has_is_told_with_its_line() {
        let rust = "#[test]\nfn a_name() {}\nfn no_test() {}\n";
        let map =
            "| seed | test |\n|---|---|\n| 1 | `a_name`, `a_n…` |\n| 2 | `no_test`, `b_…` |\n";
        let sources = [Source::new("crates/a/src/a.rs", rust), Source::new(MAP, map)];
        let told: Vec<String> = check(&sources).iter().map(ToString::to_string).collect();
        let wanted = ["docs/seeds.md:4: no test is `no_test`", "docs/seeds.md:4: no test is `b_…`"];
        assert_eq!(told, wanted);
    }
}
