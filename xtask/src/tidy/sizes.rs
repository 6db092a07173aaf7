//! Sizes of files and functions, and names of files.

use super::source::Source;
use super::{Finding, Rules};

const FILE_LINES: usize = 500;
const FILE_WALL: usize = 800;
const FUNCTION_LINES: usize = 70;

pub(super) fn check(rules: &Rules, sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| is_code(source)) {
        findings.extend(file(rules, source));
        findings.extend(functions(source));
        findings.extend(name(rules, source));
    }
    for (path, reason) in &rules.long_files {
        let long = |source: &Source| source.path == *path && lines(source) > FILE_LINES;
        if !sources.iter().any(long) {
            let what = format!("is listed in long_files ({reason}), but is not long");
            findings.push(Finding::new(path, what));
        }
    }
    findings
}

fn is_code(source: &Source) -> bool {
    [".rs", ".ts", ".tsx"].iter().any(|ending| source.path.ends_with(ending))
}

fn lines(source: &Source) -> usize {
    source.text.lines().count()
}

fn file(rules: &Rules, source: &Source) -> Option<Finding> {
    let lines = lines(source);
    let most = if rules.long_files.contains_key(&source.path) { FILE_WALL } else { FILE_LINES };
    (lines > most).then(|| Finding::new(&source.path, format!("{lines} lines, at most {most}")))
}

fn name(rules: &Rules, source: &Source) -> Option<Finding> {
    let path = source.path.rsplit_once('.').map_or(source.path.as_str(), |(stem, _)| stem);
    let banned = path.split('/').find(|part| rules.banned_names.iter().any(|name| name == part))?;
    Some(Finding::new(&source.path, format!("`{banned}` says nothing; name it by what it holds")))
}

/// Functions with too many lines of code (blank lines and comments are free, as for clippy).
fn functions(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut rest = source.code.as_str();
    while let Some(at) = rest.find("fn ") {
        let starts_word = !rest[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let declaration = &rest[at + 3..];
        if let (true, Some(body)) = (starts_word, body(declaration)) {
            let count = body.lines().filter(|line| !line.trim().is_empty()).count();
            if count > FUNCTION_LINES {
                let line = 1 + source.code[..source.code.len() - rest.len() + at]
                    .bytes()
                    .filter(|byte| *byte == b'\n')
                    .count();
                let place = format!("{}:{line}", source.path);
                let what = format!("a function of {count} lines, at most {FUNCTION_LINES}");
                findings.push(Finding::new(place, what));
            }
        }
        rest = declaration;
    }
    findings
}

/// What stands between the braces of the function whose name `declaration` starts with.
fn body(declaration: &str) -> Option<&str> {
    let open = declaration.find(['{', ';'])?;
    if !declaration[open..].starts_with('{') {
        return None;
    }
    let mut depth = 0_usize;
    for (at, c) in declaration[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => continue,
        }
        if depth == 0 {
            return Some(&declaration[open + 1..open + at]);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long(lines: usize) -> Source {
        let body = "    call(\"}\");\n    // free\n\n".repeat(lines);
        Source::new("crates/a/src/b.rs", format!("trait T {{ fn t(); }}\nfn f() {{\n{body}}}\n"))
    }

    #[test]
    fn a_function_may_have_seventy_lines_of_code() {
        assert!(functions(&long(70)).is_empty());
        let findings = functions(&long(71));
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].place, "crates/a/src/b.rs:2");
    }

    #[test]
    fn an_array_type_in_a_signature_hides_no_body() {
        let source = Source::new("a.rs", "fn f() -> u8 {\n1\n}\n");
        assert_eq!(body(source.code.split_once("fn ").unwrap().1), Some("\n1\n"));
    }
}
