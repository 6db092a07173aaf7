//! Verdicts, and the table of who keeps what.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What came of asking.
#[derive(Clone, Debug)]
pub enum Verdict {
    Kept,
    Broken(String),
    NotExpressible,
}

/// A library, or a setting of it, that an adapter was asked to make.
pub enum Built<T> {
    Ready(T),
    /// The library refused with an error value.
    Refused,
    /// The library has no such setting.
    NotExpressible,
}

/// Unwraps a [`Built`], or ends the promise.
macro_rules! ready {
    ($built:expr) => {
        match $built {
            $crate::report::Built::Ready(made) => made,
            $crate::report::Built::Refused => {
                return $crate::report::Verdict::Broken("refuses a sound configuration".into());
            }
            $crate::report::Built::NotExpressible => {
                return $crate::report::Verdict::NotExpressible;
            }
        }
    };
}
pub(crate) use ready;

/// Kept if `holds`, else broken with what was seen.
pub fn kept_if(holds: bool, seen: impl Into<String>) -> Verdict {
    if holds { Verdict::Kept } else { Verdict::Broken(seen.into()) }
}

/// A promise and how to ask for it.
pub type Promise = (&'static str, &'static str, fn() -> Verdict);

/// A library with the verdicts on it.
pub struct Subject {
    package: &'static str,
    verdicts: BTreeMap<&'static str, (&'static str, Verdict)>,
}

impl Subject {
    pub fn new(package: &'static str) -> Self {
        Self { package, verdicts: BTreeMap::new() }
    }

    /// Asks for some promises.
    pub fn with(mut self, promises: fn() -> Vec<Promise>) -> Self {
        for (id, what, ask) in promises() {
            let verdict = catch_unwind(AssertUnwindSafe(ask)).unwrap_or_else(|panic| {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                Verdict::Broken(format!("panics: {}", text.unwrap_or("no message")))
            });
            self.verdicts.insert(id, (what, verdict));
        }
        self
    }

    fn version(&self) -> String {
        let lock = include_str!("../Cargo.lock");
        let entry = format!("name = \"{}\"\nversion = \"", self.package);
        let version = lock.split(&entry).nth(1).and_then(|rest| rest.split('"').next());
        version.unwrap_or("?").to_string()
    }

    fn heading(&self) -> String {
        let short = self.package.replace("tower-resilience-circuitbreaker", "tower-resilience cb");
        let short = short.replace("tower-resilience-retry", "tower-resilience retry");
        format!("{short} {}", self.version())
    }

    fn mark(&self, id: &str) -> &'static str {
        match self.verdicts.get(id) {
            None => " ",
            Some((_, Verdict::Kept)) => "pass",
            Some((_, Verdict::Broken(_))) => "FAIL",
            Some((_, Verdict::NotExpressible)) => "–",
        }
    }

    fn broken(&self) -> impl Iterator<Item = (&str, &str)> {
        self.verdicts.iter().filter_map(|(id, (_, verdict))| match verdict {
            Verdict::Broken(seen) => Some((*id, seen.as_str())),
            Verdict::Kept | Verdict::NotExpressible => None,
        })
    }
}

/// All verdicts; the first subject is ours.
pub struct Report {
    subjects: Vec<Subject>,
}

impl Report {
    pub fn new(subjects: Vec<Subject>) -> Self {
        Self { subjects }
    }

    pub fn ours_keeps_all(&self) -> bool {
        self.subjects.first().is_some_and(|ours| {
            ours.verdicts.values().all(|(_, verdict)| matches!(verdict, Verdict::Kept))
        })
    }

    /// The table as Markdown, aligned for a terminal too.
    pub fn table(&self) -> String {
        let mut promises = BTreeMap::new();
        for subject in &self.subjects {
            promises.extend(subject.verdicts.iter().map(|(id, (what, _))| (*id, *what)));
        }
        let mut rows = vec![vec!["promise".to_string()]];
        rows[0].extend(self.subjects.iter().map(Subject::heading));
        for (id, what) in promises {
            let mut row = vec![format!("{id} {what}")];
            row.extend(self.subjects.iter().map(|subject| subject.mark(id).to_string()));
            rows.push(row);
        }
        let columns = self.subjects.len() + 1;
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        let mut text = String::new();
        for (number, row) in rows.iter().enumerate() {
            let cells: Vec<String> =
                row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            let _infallible = writeln!(text, "| {} |", cells.join(" | "));
            if number == 0 {
                let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
                let _infallible = writeln!(text, "| {} |", rules.join(" | "));
            }
        }
        text
    }

    /// What was seen where a promise is broken.
    pub fn notes(&self) -> String {
        let mut text = String::new();
        for subject in &self.subjects {
            for (id, seen) in subject.broken() {
                let _infallible = writeln!(text, "* {} {id}: {seen}", subject.heading());
            }
        }
        text
    }

    pub fn summary(&self) -> String {
        let mut text = String::new();
        for subject in &self.subjects {
            let kept =
                subject.verdicts.values().filter(|(_, v)| matches!(v, Verdict::Kept)).count();
            let broken = subject.broken().count();
            let _infallible = writeln!(
                text,
                "{}: {kept} kept, {broken} broken, {} not expressible",
                subject.heading(),
                subject.verdicts.len() - kept - broken
            );
        }
        text
    }

    /// `docs/conformance.md`.
    pub fn page(&self) -> String {
        format!(
            "# Which promises hold where\n\n\
             The same questions, asked of the real libraries through small adapters \
             (`conformance/`). Written by\n`cargo xtask conformance --write`; each verdict is a \
             run, none is typed in. *–* means that the library has\nno means to keep or break the \
             promise; an empty cell, that it has no such part at all. What each promise is\nabout \
             stands beside its test: search the sources for its id.\n\n\
             Promises about time are asked with real sleeps where a library reads the real clock.\n\n\
             {}\n## What was seen where a promise is broken\n\n{}\n## Sums\n\n```text\n{}```\n",
            self.table(),
            self.notes(),
            self.summary()
        )
    }
}
