use std::sync::Arc;

use mainstay_core::time::Instant;

use super::{Engine, Labels};
use crate::alert::{Severity, State};

/// How one alert stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// Its fingerprint.
    pub id: u64,
    /// Its rule.
    pub rule: Arc<str>,
    /// Of the thing it is about, and of its rule.
    pub labels: Arc<Labels>,
    /// Where it is.
    pub state: State,
    /// How bad it is, or was while it is still known.
    pub severity: Option<Severity>,
    /// Which incident.
    pub incident: u64,
    /// In words.
    pub summary: Arc<str>,
    /// What was measured last.
    pub value: Option<f64>,
    /// Beyond what it is too much.
    pub threshold: Option<f64>,
    /// The unit of both.
    pub unit: &'static str,
    /// When the incident, or the wait before it, began, in milliseconds since 1970.
    pub since_ms: Option<u64>,
    /// When it was over.
    pub resolved_ms: Option<u64>,
    /// Who sees to it.
    pub acknowledged: Option<StandingAcknowledged>,
    /// Who does not want to hear of it.
    pub silenced: Option<StandingSilenced>,
    /// The alert that explains it.
    pub inhibited_by: Option<u64>,
    /// How many it explains.
    pub inhibits: u32,
    /// The maintenance it falls into.
    pub maintenance: Option<Arc<str>>,
    /// Whether it changes too often for each change to be told.
    pub flapping: bool,
    /// Whether there is nothing to judge by.
    pub no_data: bool,
    /// What to do.
    pub runbook: Option<Arc<str>>,
    /// Whether anybody is notified at all.
    pub notify: bool,
}

/// Who sees to an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandingAcknowledged {
    /// Who.
    pub who: String,
    /// What they say.
    pub note: String,
    /// Since when, in milliseconds since 1970.
    pub at_ms: u64,
    /// Until when.
    pub expires_ms: Option<u64>,
}

/// Who does not want to hear of an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandingSilenced {
    /// Who.
    pub who: String,
    /// Why.
    pub reason: String,
    /// Since when, in milliseconds since 1970.
    pub at_ms: u64,
    /// Until when; none: until it is resolved.
    pub expires_ms: Option<u64>,
}

impl Standing {
    /// Whether nobody is to be notified of it now.
    #[must_use]
    pub const fn is_muted(&self) -> bool {
        self.acknowledged.is_some()
            || self.silenced.is_some()
            || self.inhibited_by.is_some()
            || self.maintenance.is_some()
            || !self.notify
    }

    /// Whether it fires.
    #[must_use]
    pub const fn is_firing(&self) -> bool {
        matches!(self.state, State::Firing | State::Keep)
    }
}

impl Engine {
    /// Every alert there is something to say about, the worst first.
    #[must_use]
    pub fn standings(&self, now: Instant, unix_ms: u64) -> Vec<Standing> {
        let shown = self.entries.iter().filter(|(_, entry)| entry.is_shown());
        let mut all: Vec<Standing> =
            shown.filter_map(|(id, _)| self.standing(now, unix_ms, *id)).collect();
        let place = |one: &Standing| {
            let state = match one.state {
                State::Firing => 0,
                State::Keep => 1,
                State::Pending => 2,
                State::Resolved => 3,
                State::Inactive => 4,
            };
            (state, std::cmp::Reverse(one.severity), std::cmp::Reverse(one.since_ms), one.id)
        };
        all.sort_by_key(place);
        all
    }

    /// How the alert with this fingerprint stands.
    #[must_use]
    pub fn standing(&self, now: Instant, unix_ms: u64, id: u64) -> Option<Standing> {
        let entry = self.entries.get(&id)?;
        let alert = &entry.alert;
        let wall = |until: Instant| {
            let left = u64::try_from(until.since(now).as_millis()).unwrap_or(u64::MAX);
            unix_ms.saturating_add(left)
        };
        let acknowledged = alert.acknowledgement().map(|by| StandingAcknowledged {
            who: by.who.clone(),
            note: by.note.clone(),
            at_ms: entry.acknowledged_ms.unwrap_or(unix_ms),
            expires_ms: by.until.map(wall),
        });
        let silenced = alert.silence().map(|_| {
            let by = entry.silenced.as_ref();
            StandingSilenced {
                who: by.map_or_else(String::new, |by| by.who.clone()),
                reason: by.map_or_else(String::new, |by| by.reason.clone()),
                at_ms: by.map_or(unix_ms, |by| by.at_ms),
                expires_ms: by.and_then(|by| by.until_ms),
            }
        });
        Some(Standing {
            id,
            rule: entry.rule.clone(),
            labels: entry.labels.clone(),
            state: alert.state(),
            severity: alert.severity(),
            incident: alert.incident(),
            summary: entry.summary.clone(),
            value: entry.value,
            threshold: entry.threshold,
            unit: entry.unit,
            since_ms: entry.since_ms,
            resolved_ms: entry.resolved_ms,
            acknowledged,
            silenced,
            inhibited_by: entry.inhibited_by,
            inhibits: entry.inhibits,
            maintenance: entry.maintenance.clone(),
            flapping: alert.is_flapping(),
            no_data: alert.has_no_data(),
            runbook: entry.runbook.clone(),
            notify: entry.notify,
        })
    }
}
