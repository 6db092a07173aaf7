use std::collections::BTreeSet;

use super::links::At;
use super::place::Document;
use super::problem::Problems;

pub(super) const NAME_ALLOWED: &str =
    "a name is allowed 1 to 64 letters, digits, hyphens and underscores";

pub(super) fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=64).contains(&text.len()) && text.bytes().all(fits)
}

/// Whether there are no more sections of a kind than there may be; more are refused.
pub(super) fn fit(
    kind: &str,
    (count, most): (usize, usize),
    document: &Document<'_>,
    problems: &mut Problems,
) -> bool {
    let fit = count <= most;
    if !fit {
        let message = format!("are {count}, allowed: at most {most}");
        problems.add(document.problem(kind, kind, message));
    }
    fit
}

/// Names of sections that may stand several times: each has one of its own.
pub(super) struct Names<'a> {
    /// Such as `link`.
    kind: &'static str,
    taken: BTreeSet<&'a str>,
}

impl<'a> Names<'a> {
    pub(super) const fn of(kind: &'static str) -> Self {
        Self { kind, taken: BTreeSet::new() }
    }

    /// Where the section of that name stands, which is checked.
    pub(super) fn at<'d>(
        &mut self,
        document: &'d Document<'d>,
        index: usize,
        name: &'a str,
        problems: &mut Problems,
    ) -> At<'d> {
        let kind = self.kind;
        let label = if is_name(name) { name.to_owned() } else { (index + 1).to_string() };
        let at = At { document, path: format!("{kind}.{index}"), label: format!("{kind}.{label}") };
        if !is_name(name) {
            at.refuse("name", format!("is {name:?}: {NAME_ALLOWED}"), problems);
        } else if !self.taken.insert(name) {
            let what = kind.rsplit('.').next().unwrap_or(kind);
            at.refuse("name", format!("is {name:?}, which another {what} has already"), problems);
        }
        at
    }
}
