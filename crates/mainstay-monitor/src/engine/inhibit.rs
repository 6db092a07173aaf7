use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::{Active, Engine};
use crate::alert::Severity;
use crate::rules::Signal;

/// Which rules inhibit which.
#[derive(Clone, Debug, Default)]
pub(super) struct Inhibitors {
    /// Of each rule, those whose alerts inhibit its own.
    of: HashMap<Arc<str>, Vec<Arc<str>>>,
    /// Rules that say a link is down.
    down: BTreeSet<Arc<str>>,
}

impl Inhibitors {
    /// Where rules would inhibit each other, also by way of others, the one that stands first does:
    /// otherwise nobody would be told of either.
    pub(super) fn of(rules: &[Active]) -> Self {
        let mut allowed: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); rules.len()];
        for (source, active) in rules.iter().enumerate() {
            for (target, other) in rules.iter().enumerate() {
                let wanted = source != target
                    && active.spec.inhibits.iter().any(|matcher| matcher.fits(&other.id));
                if wanted && !reaches(&allowed, target, source) {
                    allowed[source].insert(target);
                }
            }
        }
        let mut of: HashMap<Arc<str>, Vec<Arc<str>>> = HashMap::new();
        for (source, targets) in allowed.iter().enumerate() {
            for target in targets {
                let sources = of.entry(rules[*target].id.clone()).or_default();
                sources.push(rules[source].id.clone());
            }
        }
        let says_down = |active: &&Active| {
            matches!(
                active.spec.signal,
                Signal::LinkReconnecting | Signal::LinkFailed | Signal::LinkRequiredDown
            )
        };
        let down = rules.iter().filter(says_down).map(|active| active.id.clone()).collect();
        Self { of, down }
    }
}

/// Whether one rule inhibits another, also by way of others.
fn reaches(allowed: &[BTreeSet<usize>], from: usize, to: usize) -> bool {
    let (mut open, mut known) = (vec![from], BTreeSet::from([from]));
    while let Some(rule) = open.pop() {
        if rule == to {
            return true;
        }
        open.extend(allowed[rule].iter().copied().filter(|next| known.insert(*next)));
    }
    false
}

type Firing = HashMap<(Arc<str>, Option<Arc<str>>), u64>;

impl Engine {
    /// Says of each alert what inhibits it, and whether it is worked on.
    ///
    /// What is only `LOW` explains nothing worse: a busy machine is no reason for slow answers to be
    /// kept from anybody.
    pub(super) fn mark(&mut self) {
        let mut firing = Firing::new();
        let mut down: BTreeMap<Arc<str>, u64> = BTreeMap::new();
        for (id, entry) in self.entries.iter().filter(|(_, entry)| entry.is_firing()) {
            if entry.alert.severity() > Some(Severity::Low) {
                firing.insert((entry.rule.clone(), entry.subject.clone()), *id);
            }
            if let (true, Some(subject)) =
                (self.inhibitors.down.contains(&entry.rule), &entry.subject)
            {
                down.entry(subject.clone()).or_insert(*id);
            }
        }
        let mut inhibited: BTreeMap<u64, u32> = BTreeMap::new();
        let mut marks = Vec::new();
        for (id, entry) in self.entries.iter().filter(|(_, entry)| entry.is_shown()) {
            let by = self.inhibitor(&firing, &entry.rule, entry.subject.as_ref());
            let by = by.or_else(|| self.parent_down(&down, entry.subject.as_deref()));
            if let Some(by) = by {
                *inhibited.entry(by).or_default() += 1;
            }
            marks.push((*id, by));
        }
        for (id, by) in marks {
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.inhibited_by = by;
                entry.maintenance = Self::maintained(&self.maintenance, entry);
            }
        }
        for (id, entry) in &mut self.entries {
            entry.inhibits = inhibited.get(id).copied().unwrap_or(0);
        }
    }

    /// The alert that inhibits one of this rule about this.
    fn inhibitor(
        &self,
        firing: &Firing,
        rule: &Arc<str>,
        subject: Option<&Arc<str>>,
    ) -> Option<u64> {
        let sources = self.inhibitors.of.get(rule)?;
        sources.iter().find_map(|source| {
            // One about all inhibits those about each, and one about the same thing that one.
            let about = [subject.cloned(), None];
            about.into_iter().find_map(|about| firing.get(&(source.clone(), about)).copied())
        })
    }

    /// The alert of a link that the thing depends on.
    fn parent_down(&self, down: &BTreeMap<Arc<str>, u64>, subject: Option<&str>) -> Option<u64> {
        let mut open: Vec<&str> = vec![subject?];
        let mut known: BTreeSet<&str> = open.iter().copied().collect();
        while let Some(link) = open.pop() {
            for parent in self.parents.get(link).into_iter().flatten() {
                // In a ring a link stands above itself, which explains nothing.
                if Some(parent.as_str()) == subject {
                    continue;
                }
                if let Some(id) = down.get(parent.as_str()) {
                    return Some(*id);
                }
                if known.insert(parent) {
                    open.push(parent);
                }
            }
        }
        None
    }
}
