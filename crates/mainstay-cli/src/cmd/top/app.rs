//! What is shown, and what keys do to it. Knows no terminal.

use std::time::Instant;

use serde_json::{Value, json};

use super::rows::{self, Row};

/// What is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    Links,
    Sessions,
    Alerts,
}

impl View {
    pub(super) const ALL: [Self; 3] = [Self::Links, Self::Sessions, Self::Alerts];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Links => "Links",
            Self::Sessions => "Sessions",
            Self::Alerts => "Alerts",
        }
    }

    pub(super) const fn head(self) -> &'static [&'static str] {
        match self {
            Self::Links => &rows::LINKS,
            Self::Sessions => &rows::SESSIONS,
            Self::Alerts => &rows::ALERTS,
        }
    }
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Wish {
    Nothing,
    Ask,
    Quit,
    /// Post this there.
    Do(Vec<String>, Value),
}

/// What keys go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Rows,
    /// A filter is typed.
    Filter,
    /// One row is shown in full, from this line on.
    Whole(u16),
    Help,
    /// Something is to be done if it is confirmed.
    Sure(Action),
}

/// What can be done to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Acknowledge,
    Silence,
    Check,
}

impl Action {
    pub(super) const fn question(self) -> &'static str {
        match self {
            Self::Acknowledge => "see to this alert?",
            Self::Silence => "silence this alert for an hour?",
            Self::Check => "check this link now?",
        }
    }
}

pub(super) struct App {
    pub(super) view: View,
    pub(super) mode: Mode,
    /// By which column; none: the worst first.
    pub(super) order: Option<usize>,
    pub(super) filter: String,
    pub(super) selected: usize,
    pub(super) summary: Value,
    pub(super) has_colour: bool,
    pub(super) asked_at: Option<Instant>,
    /// Why the server did not answer last.
    pub(super) trouble: Option<String>,
    paused: bool,
    all: [Vec<Row>; 3],
}

impl App {
    pub(super) fn new(has_colour: bool) -> Self {
        Self {
            view: View::Links,
            mode: Mode::Rows,
            order: None,
            filter: String::new(),
            selected: 0,
            summary: Value::Null,
            has_colour,
            asked_at: None,
            trouble: None,
            paused: false,
            all: Default::default(),
        }
    }

    pub(super) const fn is_paused(&self) -> bool {
        self.paused
    }

    /// Takes what the server said.
    pub(super) fn take(&mut self, found: &Value, now: Instant) {
        let marked = self.marked().map(|row| row.id);
        let list = |name: &str, row: fn(&Value) -> Row| {
            found[name].as_array().into_iter().flatten().map(row).collect()
        };
        self.all = [
            list("links", rows::link),
            list("sessions", rows::session),
            list("alerts", rows::alert),
        ];
        self.summary = found["summary"].clone();
        (self.asked_at, self.trouble) = (Some(now), None);
        // The mark stays on its row wherever that is now.
        let rows = self.rows();
        let place = marked.and_then(|id| rows.iter().position(|row| row.id == id));
        self.selected = place.unwrap_or(self.selected).min(rows.len().saturating_sub(1));
    }

    /// The server did not answer, or said no.
    pub(super) fn away(&mut self, why: &str) {
        self.trouble = Some(why.lines().next().unwrap_or_default().to_owned());
    }

    /// What was wished for is done.
    pub(super) fn did(&mut self) {
        self.trouble = None;
    }

    /// The rows that fit, in order.
    pub(super) fn rows(&self) -> Vec<Row> {
        let wanted = self.filter.to_lowercase();
        let fits = |row: &&Row| {
            wanted.is_empty()
                || row.fields.iter().any(|field| field.to_lowercase().contains(&wanted))
        };
        let mut rows: Vec<Row> =
            self.all[self.view as usize].iter().filter(fits).cloned().collect();
        match self.order {
            None => rows.sort_by_key(|row| std::cmp::Reverse(row.badness)),
            Some(column) => rows.sort_by(|a, b| a.fields.get(column).cmp(&b.fields.get(column))),
        }
        rows
    }

    /// How many there are of each view.
    pub(super) fn count(&self, view: View) -> usize {
        self.all[view as usize].len()
    }

    /// The row that is marked.
    pub(super) fn marked(&self) -> Option<Row> {
        self.rows().into_iter().nth(self.selected)
    }

    pub(super) fn show(&mut self, view: View) {
        if view != self.view {
            (self.view, self.selected, self.order) = (view, 0, None);
        }
        self.mode = Mode::Rows;
    }

    pub(super) fn pause(&mut self) {
        self.paused = !self.paused;
    }

    /// Does it to the marked row.
    pub(super) fn perform(&self, action: Action) -> Wish {
        let Some(row) = self.marked() else { return Wish::Nothing };
        let path = |parts: [&str; 3]| parts.map(str::to_owned).to_vec();
        match action {
            Action::Acknowledge => {
                let body = json!({ "note": "seen in mainstay top" });
                Wish::Do(path(["alerts", &row.id, "acknowledge"]), body)
            }
            Action::Silence => {
                let body = json!({ "reason": "silenced in mainstay top", "for_ms": 3_600_000 });
                Wish::Do(path(["alerts", &row.id, "silence"]), body)
            }
            Action::Check => Wish::Do(path(["links", &row.id, "check"]), json!({})),
        }
    }
}
