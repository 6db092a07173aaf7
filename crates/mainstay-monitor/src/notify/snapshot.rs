//! What outlives the process.

use std::time::Duration;

use mainstay_core::time::Instant;
use serde::{Deserialize, Serialize};

use super::config::DispatchConfig;
use super::dispatcher::{BEFORE, Dispatcher, group_of, nanos};
use super::entry::{Entry, Heard};
use super::line::Line;
use super::route::Route;
use super::standing::{Condition, Standing};
use crate::alert::Severity;

/// What a dispatcher knows, as it can be stored: with ages in place of points in time, whose clock
/// ends with the process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    number: u64,
    alerts: Vec<StoredAlert>,
    lines: Vec<StoredLine>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct StoredAlert {
    standing: Standing,
    since_ns: u64,
    changed_ns: u64,
    audible_ns: Option<u64>,
    ended_ns: Option<u64>,
    returns: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct StoredLine {
    receiver: String,
    last_ns: Option<u64>,
    thread: Option<u64>,
    heard: Vec<StoredHeard>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct StoredHeard {
    id: u64,
    condition: Condition,
    /// None: it has been told nothing of it yet.
    heard: Option<(Severity, bool, bool)>,
    noticed_ns: Option<u64>,
}

impl Dispatcher {
    /// What to store, with ages as of `now`.
    #[must_use]
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        let now = now.after(BEFORE);
        let age = |at: Instant| nanos(now.since(at));
        let alerts = self.alerts.values().map(|entry| StoredAlert {
            standing: entry.standing.clone(),
            since_ns: age(entry.since),
            changed_ns: age(entry.changed),
            audible_ns: entry.audible.map(age),
            ended_ns: entry.ended.map(age),
            returns: entry.returns,
        });
        let mut lines = Vec::new();
        for group in self.groups.values() {
            for (route, line) in self.routes.iter().zip(&group.lines) {
                let mut keys: Vec<_> = line.heard.keys().chain(line.noticed.keys()).collect();
                keys.sort_unstable();
                keys.dedup();
                if keys.is_empty() {
                    continue;
                }
                let stored = keys.into_iter().map(|key| StoredHeard {
                    id: key.0,
                    condition: key.1,
                    heard: line
                        .heard
                        .get(key)
                        .map(|heard| (heard.severity, heard.flapping, heard.muted)),
                    noticed_ns: line.noticed.get(key).copied().map(age),
                });
                lines.push(StoredLine {
                    receiver: route.receiver.to_string(),
                    last_ns: line.last.map(age),
                    thread: line.thread,
                    heard: stored.collect(),
                });
            }
        }
        Snapshot { number: self.number, alerts: alerts.collect(), lines }
    }

    /// The dispatcher of `snapshot`, taken `outage` ago. Receivers that are no more are forgotten; what
    /// others were told is not told again, also when they are grouped in another way now.
    #[must_use]
    pub fn restore(
        now: Instant,
        routes: &[Route],
        config: &DispatchConfig,
        snapshot: Snapshot,
        outage: Duration,
    ) -> Self {
        let mut new = Self::new(routes, config).numbered_from(snapshot.number);
        let inner = now.after(BEFORE);
        let outage = nanos(outage);
        let at = |age: u64| {
            Instant::from_nanos(inner.as_nanos().saturating_sub(age.saturating_add(outage)))
        };
        for stored in snapshot.alerts {
            let key = (stored.standing.id, stored.standing.status.condition());
            let name = group_of(&stored.standing, config);
            let entry = Entry {
                standing: stored.standing,
                since: at(stored.since_ns),
                changed: at(stored.changed_ns),
                audible: stored.audible_ns.map(at),
                ended: stored.ended_ns.map(at),
                returns: stored.returns,
            };
            new.alerts.insert(key, entry);
            let group = new.groups.entry(name).or_default();
            group.members.insert(key);
            group.lines.resize_with(new.routes.len(), Line::default);
            group.next = Some(inner);
        }
        for stored in snapshot.lines {
            let named = |route: &Route| *route.receiver == *stored.receiver;
            let Some(index) = new.routes.iter().position(named) else { continue };
            for StoredHeard { id, condition, heard, noticed_ns } in stored.heard {
                let Some(entry) = new.alerts.get(&(id, condition)) else { continue };
                let group = new.groups.get_mut(&group_of(&entry.standing, config));
                let Some(line) = group.and_then(|group| group.lines.get_mut(index)) else {
                    continue;
                };
                if let Some((severity, flapping, muted)) = heard {
                    line.heard.insert((id, condition), Heard { severity, flapping, muted });
                    line.last = line.last.max(stored.last_ns.map(at));
                    line.thread = line.thread.or(stored.thread);
                }
                if let Some(age) = noticed_ns {
                    line.noticed.insert((id, condition), at(age));
                }
            }
        }
        new
    }
}
