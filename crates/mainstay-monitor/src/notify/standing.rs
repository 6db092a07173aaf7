//! How one alert stands.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::alert::Severity;

/// Characters of a summary that are told.
const SUMMARY_MAX: usize = 1_000;
/// Characters of a name, of a label or of its value that are told.
const WORD_MAX: usize = 256;
/// Labels that are told.
const LABELS_MAX: usize = 32;

/// How one alert stands; given to the dispatcher whenever it changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// The alert's fingerprint.
    pub id: u64,
    /// Its rule.
    pub rule: Arc<str>,
    /// Its labels.
    pub labels: Arc<BTreeMap<String, String>>,
    /// Which of its incidents.
    pub incident: u64,
    /// How bad it is; of one that is over, how bad it was.
    pub severity: Severity,
    /// What has become of it.
    pub status: Status,
    /// Acknowledged, silenced, inhibited or in maintenance.
    pub muted: bool,
    /// Whether it comes and goes.
    pub flapping: bool,
    /// Since when it has been so, in milliseconds since 1970.
    pub since_unix_ms: u64,
    /// What it says, for people.
    pub summary: Arc<str>,
    /// What was measured.
    pub value: Option<f64>,
    /// What it is beyond.
    pub threshold: Option<f64>,
    /// Where to read what to do.
    pub runbook: Option<Arc<str>>,
}

/// What has become of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Its condition holds, and has for long enough.
    Firing,
    /// It holds no longer.
    Resolved,
    /// Nothing is measured. Beside what fires: the two are told and ended by themselves.
    NoData,
    /// Something is measured again.
    NoDataEnded,
}

/// Which of the two things that an alert can be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Its condition holds.
    Holds,
    /// Nothing is measured.
    NoData,
}

impl Status {
    /// What it is about.
    #[must_use]
    pub const fn condition(self) -> Condition {
        match self {
            Self::Firing | Self::Resolved => Condition::Holds,
            Self::NoData | Self::NoDataEnded => Condition::NoData,
        }
    }

    /// Whether it goes on.
    #[must_use]
    pub const fn is_active(self) -> bool {
        match self {
            Self::Firing | Self::NoData => true,
            Self::Resolved | Self::NoDataEnded => false,
        }
    }
}

impl Standing {
    /// The same within the limits.
    pub(super) fn bounded(mut self) -> Self {
        cut(&mut self.rule, WORD_MAX);
        cut(&mut self.summary, SUMMARY_MAX);
        if let Some(runbook) = &mut self.runbook {
            cut(runbook, SUMMARY_MAX);
        }
        let long = |text: &String| text.len() > WORD_MAX;
        if self.labels.len() > LABELS_MAX || self.labels.iter().any(|(k, v)| long(k) || long(v)) {
            let short = |text: &String| text.chars().take(WORD_MAX).collect();
            let labels = self.labels.iter().take(LABELS_MAX);
            self.labels = Arc::new(labels.map(|(k, v)| (short(k), short(v))).collect());
        }
        self
    }

    /// The value of a label; `rule` is the rule.
    pub(super) fn label(&self, name: &str) -> &str {
        let found = self.labels.get(name).map(String::as_str);
        found.unwrap_or(if name == "rule" { &self.rule } else { "" })
    }
}

fn cut(text: &mut Arc<str>, most: usize) {
    if let Some((end, _)) = text.char_indices().nth(most) {
        *text = Arc::from(&text[..end]);
    }
}
