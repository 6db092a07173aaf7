//! What one receiver has been told of one group, and when it is told more.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay_core::time::Instant;

use super::config::DispatchConfig;
use super::entry::{Entry, Heard, Key, News};
use super::notification::{Notification, Told, What};
use super::route::Route;
use crate::alert::Severity;

/// Alerts of one notification, at most: what has more is told in several.
const ALERTS_MAX: usize = 200;

/// What one receiver has been told of one group.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Line {
    /// What it was told and not told the end of.
    pub(super) heard: BTreeMap<Key, Heard>,
    /// Since when there is something to tell.
    pub(super) noticed: BTreeMap<Key, Instant>,
    /// When it was last told something, while it waits for an end.
    pub(super) last: Option<Instant>,
    /// The first notice since then.
    pub(super) thread: Option<u64>,
}

/// What there is to tell.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// When.
    pub(super) at: Option<Instant>,
    /// When to look again, should nothing happen before.
    pub(super) look: Option<Instant>,
    news: Vec<(Key, What)>,
    still: Vec<Key>,
}

fn earlier(one: &mut Option<Instant>, other: Instant) {
    *one = Some(one.map_or(other, |one| one.min(other)));
}

impl Line {
    /// What there is to tell of `members`, and when.
    pub(super) fn plan<'a>(
        &mut self,
        now: Instant,
        route: &Route,
        config: &DispatchConfig,
        members: impl Iterator<Item = (Key, &'a Entry)>,
    ) -> Plan {
        let mut plan = Plan::default();
        let mut worst = None;
        for (key, entry) in members {
            let heard = self.heard.get(&key).copied();
            if heard.is_none() && !route.takes(&entry.standing) {
                continue;
            }
            let news = entry.news(now, heard, route, config);
            match news {
                News::Quiet | News::Still => {
                    self.noticed.remove(&key);
                }
                News::Later(at) => {
                    self.noticed.remove(&key);
                    earlier(&mut plan.look, at);
                }
                News::Now(_, What::Resolved) if !route.resolved => self.forget(key),
                News::Now(since, what) => {
                    let noticed = *self.noticed.entry(key).or_insert_with(|| since.min(now));
                    let at = self.when(noticed, what, entry.standing.severity, config);
                    earlier(&mut plan.at, at);
                    plan.news.push((key, what));
                }
            }
            if news == News::Still {
                plan.still.push(key);
                worst = worst.max(Some(entry.standing.severity));
            }
        }
        if let (Some(last), Some(worst)) = (self.last, worst) {
            let repeat = match worst {
                Severity::Critical => config.repeat_critical,
                Severity::Low | Severity::Medium | Severity::High => config.repeat,
            };
            earlier(&mut plan.at, last.after(repeat));
        }
        plan
    }

    /// When something is told that was noticed then.
    fn when(
        &self,
        noticed: Instant,
        what: What,
        severity: Severity,
        config: &DispatchConfig,
    ) -> Instant {
        let is_critical = severity == Severity::Critical;
        let wait = match what {
            What::Fired | What::Flapping if !is_critical => config.group_wait,
            What::Fired
            | What::Flapping
            | What::Rose { .. }
            | What::Fell { .. }
            | What::Settled
            | What::Resolved
            | What::Muted
            | What::Still => config.group_wait_critical,
        };
        let soon = noticed.after(wait);
        let is_urgent = match what {
            What::Fired => is_critical,
            What::Rose { .. } | What::Muted => true,
            What::Fell { .. } | What::Flapping | What::Settled | What::Resolved | What::Still => {
                false
            }
        };
        match self.last {
            Some(last) if !is_urgent => soon.max(last.after(config.group_interval)),
            Some(_) | None => soon,
        }
    }

    /// Tells what was planned; `number` is the next that is free.
    pub(super) fn tell(
        &mut self,
        now: Instant,
        plan: Plan,
        (receiver, group): (&Arc<str>, &Arc<str>),
        alerts: &BTreeMap<Key, Entry>,
        number: &mut u64,
    ) -> Vec<Notification> {
        let news = plan.news.into_iter();
        let still = plan.still.into_iter().map(|key| (key, What::Still));
        let mut told = Vec::new();
        for (key, what) in news.chain(still) {
            let Some(entry) = alerts.get(&key) else { continue };
            let end = entry.ended.unwrap_or(now);
            let standing = entry.standing.clone();
            told.push(Told { what, standing, lasted: end.since(entry.since) });
            self.hear(key, what, entry);
        }
        // A stable order: what is new first, and of that the worst.
        told.sort_by_key(|told| {
            (told.what == What::Still, core::cmp::Reverse(told.standing.severity))
        });
        let mut notices = Vec::new();
        for part in told.chunks(ALERTS_MAX) {
            let thread = *self.thread.get_or_insert(*number);
            notices.push(Notification {
                number: *number,
                thread,
                receiver: receiver.clone(),
                group: group.clone(),
                alerts: part.to_vec(),
            });
            *number += 1;
        }
        self.last = Some(now);
        self.rest();
        notices
    }

    /// What it knows once it is told that.
    fn hear(&mut self, key: Key, what: What, entry: &Entry) {
        self.noticed.remove(&key);
        let severity = entry.standing.severity;
        let heard = self.heard.get(&key).copied();
        let heard = match what {
            What::Resolved => {
                self.heard.remove(&key);
                return;
            }
            What::Fired | What::Settled | What::Fell { .. } => {
                Heard { severity, flapping: false, muted: false }
            }
            // The worst that was told stays: else what flaps would rise again and again.
            What::Flapping => {
                let before = heard.map_or(severity, |heard| heard.severity);
                Heard { severity: severity.max(before), flapping: true, muted: false }
            }
            What::Rose { .. } => {
                let flapping = heard.is_some_and(|heard| heard.flapping) && entry.standing.flapping;
                Heard { severity, flapping, muted: false }
            }
            What::Muted => {
                heard.map_or(Heard { severity, flapping: false, muted: true }, |heard| Heard {
                    muted: true,
                    ..heard
                })
            }
            What::Still => {
                let usual = Heard { severity, flapping: false, muted: false };
                Heard { muted: false, ..heard.unwrap_or(usual) }
            }
        };
        self.heard.insert(key, heard);
    }

    /// It is not to be told the end of that.
    fn forget(&mut self, key: Key) {
        self.noticed.remove(&key);
        self.heard.remove(&key);
        self.rest();
    }

    /// With everything told there is no last time: what comes next is a new matter.
    fn rest(&mut self) {
        if self.heard.is_empty() {
            self.last = None;
            self.thread = None;
        }
    }
}
