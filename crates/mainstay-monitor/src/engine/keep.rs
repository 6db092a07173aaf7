use std::sync::Arc;
use std::time::Duration;

use mainstay_core::time::Instant;
use serde::{Deserialize, Serialize};

use super::act::active;
use super::entry::{Entry, Silenced};
use super::{ALERTS_MAX, Engine, Labels, fingerprint};
use crate::alert::{Alert, Severity, Snapshot, State};

/// Ticks after which what waits is kept again, so that a restart knows how long it has.
const AGAIN: u64 = 6;

/// An alert as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    rule: String,
    /// Of the thing alone: what the rule says is said by the rule.
    labels: Labels,
    subject: Option<String>,
    at_ms: u64,
    alert: Snapshot,
    summary: String,
    since_ms: Option<u64>,
    resolved_ms: Option<u64>,
    acknowledged_ms: Option<u64>,
    silenced: Option<Silenced>,
}

/// The minutes of an objective as they are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptBurn {
    /// The number of the first minute since 1970.
    pub first: u64,
    /// Of each minute what failed, and all.
    pub minutes: Vec<(u32, u32)>,
}

impl Engine {
    /// What has changed since the last call and is to be kept: alerts by fingerprint, and none for
    /// what can be forgotten.
    pub fn changed(&mut self, now: Instant, unix_ms: u64) -> Vec<(u64, Option<Kept>)> {
        let again = self.ticks.is_multiple_of(AGAIN);
        let mut rows: Vec<_> =
            std::mem::take(&mut self.gone).into_iter().map(|id| (id, None)).collect();
        for (id, entry) in &mut self.entries {
            let waits = matches!(entry.alert.state(), State::Pending | State::Keep);
            if std::mem::take(&mut entry.changed) || (again && waits) {
                rows.push((*id, Some(kept(entry, now, unix_ms))));
            }
        }
        rows
    }

    /// Takes back what was kept under the fingerprint it is found under, after a restart. What is of
    /// a rule that is no longer there is left out.
    pub fn restore(&mut self, now: Instant, unix_ms: u64, kept: Kept) -> bool {
        let Some(active) = active(&self.rules, &self.burning, &kept.rule) else { return false };
        if self.entries.len() >= ALERTS_MAX {
            return false;
        }
        let id = fingerprint(&kept.rule, &kept.labels);
        let mut entry = Entry::new(active, kept.subject.as_deref(), &kept.labels);
        let outage = Duration::from_millis(unix_ms.saturating_sub(kept.at_ms));
        entry.alert = Alert::restore(now, &active.rule, &kept.alert, outage);
        entry.summary = kept.summary.into();
        entry.since_ms = kept.since_ms;
        entry.resolved_ms = kept.resolved_ms;
        entry.acknowledged_ms = kept.acknowledged_ms;
        entry.silenced = kept.silenced;
        entry.seen = self.ticks;
        self.entries.insert(id, entry);
        true
    }

    /// The minutes of each objective, by its name.
    #[must_use]
    pub fn burns(&self) -> Vec<(String, KeptBurn)> {
        let one =
            |objective: &super::Objective| (objective.spec.name.clone(), objective.burn.kept());
        self.objectives.iter().map(one).collect()
    }

    /// Takes back the minutes of an objective.
    pub fn restore_burn(&mut self, name: &str, kept: &KeptBurn) {
        let named = |objective: &&mut super::Objective| objective.spec.name == name;
        if let Some(objective) = self.objectives.iter_mut().find(named) {
            for (nr, (failed, all)) in (0_u64..).zip(&kept.minutes) {
                let minute = kept.first.saturating_add(nr);
                objective.burn.count(minute, u64::from(*failed), u64::from(*all));
            }
        }
    }
}

fn kept(entry: &Entry, now: Instant, unix_ms: u64) -> Kept {
    Kept {
        rule: entry.rule.to_string(),
        labels: Labels::clone(&entry.thing),
        subject: entry.subject.as_deref().map(str::to_owned),
        at_ms: unix_ms,
        alert: entry.alert.snapshot(now),
        summary: entry.summary.to_string(),
        since_ms: entry.since_ms,
        resolved_ms: entry.resolved_ms,
        acknowledged_ms: entry.acknowledged_ms,
        silenced: entry.silenced.clone(),
    }
}

impl Kept {
    /// The rule it is of.
    #[must_use]
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// How bad it was, if it fired, and which incident that was.
    #[must_use]
    pub const fn firing(&self) -> Option<(Severity, u64)> {
        self.alert.firing()
    }

    /// Whether there was nothing to judge by.
    #[must_use]
    pub const fn has_no_data(&self) -> bool {
        self.alert.has_no_data()
    }

    /// Its fingerprint.
    #[must_use]
    pub fn id(&self) -> u64 {
        fingerprint(&self.rule, &self.labels)
    }

    /// What it is about.
    #[must_use]
    pub fn labels(&self) -> Arc<Labels> {
        Arc::new(self.labels.clone())
    }
}
