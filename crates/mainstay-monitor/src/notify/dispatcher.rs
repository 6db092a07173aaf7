//! All alerts, groups and receivers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use mainstay_core::time::Instant;

use super::config::DispatchConfig;
use super::entry::{Entry, Key};
use super::line::Line;
use super::notification::Notification;
use super::route::Route;
use super::standing::Standing;

/// What lies before the clock's beginning: something may have lasted longer than the process.
pub(super) const BEFORE: Duration = Duration::from_secs(20 * 366 * 86_400);

/// Decides who is told what, and when; see the [module](super).
#[derive(Clone, Debug, PartialEq)]
pub struct Dispatcher {
    pub(super) config: DispatchConfig,
    pub(super) routes: Vec<Route>,
    pub(super) alerts: BTreeMap<Key, Entry>,
    pub(super) groups: BTreeMap<Arc<str>, Group>,
    /// The next notification's.
    pub(super) number: u64,
    dropped: u64,
}

/// Alerts that are told together.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Group {
    pub(super) members: BTreeSet<Key>,
    /// One for each route.
    pub(super) lines: Vec<Line>,
    /// When to look next.
    pub(super) next: Option<Instant>,
}

impl Dispatcher {
    /// One that has told nothing yet. Of receivers with the same name the first counts.
    #[must_use]
    pub fn new(routes: &[Route], config: &DispatchConfig) -> Self {
        let mut dispatcher = Self {
            config: config.clone(),
            routes: Vec::new(),
            alerts: BTreeMap::new(),
            groups: BTreeMap::new(),
            number: 1,
            dropped: 0,
        };
        dispatcher.reroute(Instant::default(), routes);
        dispatcher
    }

    /// The same, whose notifications are numbered from `number` on if they have not got there yet.
    #[must_use]
    pub fn numbered_from(mut self, number: u64) -> Self {
        self.number = self.number.max(number);
        self
    }

    /// Takes down how an alert stands now.
    pub fn alert(&mut self, now: Instant, standing: Standing) {
        let now = now.after(BEFORE);
        let standing = standing.bounded();
        let key = (standing.id, standing.status.condition());
        let is_full = self.alerts.len() >= self.config.alerts_max;
        match self.alerts.get_mut(&key) {
            Some(entry) => entry.update(now, standing),
            None if !standing.status.is_active() => return,
            None if is_full => {
                self.dropped += 1;
                return;
            }
            None => {
                self.alerts.insert(key, Entry::new(now, standing));
            }
        }
        let Some(entry) = self.alerts.get(&key) else { return };
        let name = group_of(&entry.standing, &self.config);
        let count = self.routes.len();
        let group = self.groups.entry(name).or_default();
        group.lines.resize_with(count, Line::default);
        group.members.insert(key);
        // Looked at when it is next asked what is due: many may come at once.
        group.next = Some(now);
    }

    /// What is to be told now. Nothing of it is given again: whoever asks must see to it that it is
    /// told.
    pub fn due(&mut self, now: Instant) -> Vec<Notification> {
        let now = now.after(BEFORE);
        let mut told = Vec::new();
        let Self { config, routes, alerts, groups, number, .. } = self;
        groups.retain(|name, group| {
            if group.next.is_some_and(|next| next <= now) {
                told.extend(group.look(now, name, config, routes, alerts, number));
            }
            !group.members.is_empty()
        });
        told
    }

    /// When to ask next what is due; none: nothing is before something happens.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        let next = self.groups.values().filter_map(|group| group.next).min()?;
        Some(Instant::from_nanos(next.as_nanos().saturating_sub(nanos(BEFORE))))
    }

    /// Puts other receivers in the place of those that are. What one has been told that stays is not
    /// told again.
    pub fn reroute(&mut self, now: Instant, routes: &[Route]) {
        let now = now.after(BEFORE);
        let mut names = BTreeSet::new();
        let routes: Vec<Route> =
            routes.iter().filter(|route| names.insert(&route.receiver)).cloned().collect();
        let before: Vec<Arc<str>> =
            self.routes.iter().map(|route| route.receiver.clone()).collect();
        for group in self.groups.values_mut() {
            let mut lines: BTreeMap<_, Line> =
                before.iter().zip(std::mem::take(&mut group.lines)).collect();
            let line = |route: &Route| lines.remove(&route.receiver).unwrap_or_default();
            group.lines = routes.iter().map(line).collect();
            group.next = Some(now);
        }
        self.routes = routes;
    }

    /// How many alerts are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.alerts.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.alerts.is_empty()
    }

    /// How many were not taken because there are too many.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }
}

impl Group {
    /// Tells what is due, and finds out when to look again.
    fn look(
        &mut self,
        now: Instant,
        name: &Arc<str>,
        config: &DispatchConfig,
        routes: &[Route],
        alerts: &mut BTreeMap<Key, Entry>,
        number: &mut u64,
    ) -> Vec<Notification> {
        let mut told = Vec::new();
        self.next = None;
        for (route, line) in routes.iter().zip(&mut self.lines) {
            let members = &self.members;
            let plan = |line: &mut Line, alerts: &BTreeMap<Key, Entry>| {
                let members = members.iter().filter_map(|key| Some((*key, alerts.get(key)?)));
                line.plan(now, route, config, members)
            };
            let mut planned = plan(line, alerts);
            if planned.at.is_some_and(|at| at <= now) {
                told.extend(line.tell(now, planned, (&route.receiver, name), alerts, number));
                planned = plan(line, alerts);
            }
            self.next = [self.next, planned.at, planned.look].into_iter().flatten().min();
        }
        // What is over, and nobody waits to hear so, is known no longer.
        let lines = &self.lines;
        self.members.retain(|key| {
            let is_over = alerts.get(key).is_none_or(|entry| entry.ended.is_some());
            let is_known = !is_over || lines.iter().any(|line| line.heard.contains_key(key));
            if !is_known {
                alerts.remove(key);
            }
            is_known
        });
        told
    }
}

/// What alerts have in common that are told together.
pub(super) fn group_of(standing: &Standing, config: &DispatchConfig) -> Arc<str> {
    let part = |name: &String| format!("{name}={}", standing.label(name));
    config.group_by.iter().map(part).collect::<Vec<_>>().join(",").into()
}

pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
