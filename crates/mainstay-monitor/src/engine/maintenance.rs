use std::collections::BTreeMap;

use super::Engine;
use super::entry::Entry;
use crate::rules::Matcher;

/// What is worked on now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maintenance {
    /// Its name.
    pub name: String,
    /// Of which rules alerts are not told, with `*`; none: of all.
    pub rules: Vec<Matcher>,
    /// About what, by label, with `*`; none: about everything.
    pub matching: BTreeMap<String, Matcher>,
}

impl Maintenance {
    /// Whether it covers an alert of this rule about this.
    #[must_use]
    pub fn covers(&self, rule: &str, labels: &super::Labels) -> bool {
        let named = self.rules.is_empty() || self.rules.iter().any(|wanted| wanted.fits(rule));
        let fits = |(name, wanted): (&String, &Matcher)| {
            labels.get(name).is_some_and(|value| wanted.fits(value))
        };
        named && self.matching.iter().all(fits)
    }
}

impl Engine {
    /// Whether a thing with these labels is worked on, whatever the rule.
    #[must_use]
    pub fn is_maintained(&self, labels: &super::Labels) -> bool {
        self.maintenance.iter().any(|one| one.rules.is_empty() && one.covers("", labels))
    }

    pub(super) fn maintained(
        maintenance: &[Maintenance],
        entry: &Entry,
    ) -> Option<std::sync::Arc<str>> {
        let covers = |one: &&Maintenance| one.covers(&entry.rule, &entry.labels);
        maintenance.iter().find(covers).map(|one| one.name.as_str().into())
    }
}
