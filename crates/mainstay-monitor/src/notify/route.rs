//! Which alerts a receiver is told of.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::standing::Standing;
use crate::alert::Severity;

/// Which alerts a receiver is told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The receiver; each has one route.
    pub receiver: Arc<str>,
    /// The mildest it is told of. What it was told of once it is told of until the end. Default `LOW`.
    pub min_severity: Severity,
    /// Patterns of rules such as `HIGH_*`, see [`matches()`]. Default none: all.
    pub rules: Vec<String>,
    /// Labels with patterns of their values, all of which fit. Default none.
    pub labels: BTreeMap<String, String>,
    /// How long an alert has fired, unmuted, before it is told. Default 0.
    pub after: Duration,
    /// Whether ends are told. Default yes.
    pub resolved: bool,
    /// Whether it is told that what it was told of is muted, as a pager wants to know. Default no.
    pub muting: bool,
}

impl Route {
    /// All alerts, to `receiver`.
    #[must_use]
    pub fn new(receiver: &str) -> Self {
        Self {
            receiver: Arc::from(receiver),
            min_severity: Severity::Low,
            rules: Vec::new(),
            labels: BTreeMap::new(),
            after: Duration::ZERO,
            resolved: true,
            muting: false,
        }
    }

    /// Whether its rules and labels fit.
    pub(super) fn takes(&self, standing: &Standing) -> bool {
        let fits = |pattern: &String| matches(pattern, &standing.rule);
        (self.rules.is_empty() || self.rules.iter().any(fits))
            && self.labels.iter().all(|(name, pattern)| matches(pattern, standing.label(name)))
    }
}

/// Whether `text` fits `pattern`, in which `*` stands for any number of characters and `?` for one.
///
/// ```
/// use mainstay_monitor::notify::matches;
///
/// assert!(matches("HIGH_*", "HIGH_LATENCY"));
/// assert!(!matches("HIGH_?", "HIGH_LATENCY"));
/// ```
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.chars(), text.chars());
    // Behind the latest star, and how much of the text it has taken.
    let mut star = None;
    loop {
        let before = text.clone();
        match (pattern.next(), text.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                text = before;
                star = Some((pattern.clone(), text.clone()));
            }
            (Some('?'), Some(_)) => {}
            (Some(wanted), Some(found)) if wanted == found => {}
            (Some(_) | None, Some(_)) => {
                let Some((behind, from)) = &mut star else { return false };
                from.next();
                (pattern, text) = (behind.clone(), from.clone());
            }
            (Some(_), None) => return false,
        }
    }
}
