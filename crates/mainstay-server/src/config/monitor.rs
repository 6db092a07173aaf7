use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use mainstay::core::config::duration;
use mainstay::monitor::engine::alert::{Edge, Side};
use mainstay::monitor::engine::rules::{
    Matcher, NoData, PACKS, RuleSet, RuleSpec, Signal, SloSpec, Statistic, pack,
};
use serde::Deserialize;

use super::file::File;
use super::named::fit;
use super::place::Document;
use super::problem::Problems;
use crate::monitor::{ConnectivitySpec, MaintenanceSpec, MonitorSpec, Recurring, Times, WEEKDAYS};

/// The most windows of maintenance.
const MAINTENANCE_MAX: usize = 100;
/// The most hosts that are asked whether this machine is connected.
const TARGETS_MAX: usize = 16;
/// The longest one that comes again.
const MAINTENANCE_LONGEST: Duration = Duration::from_secs(7 * 86_400);

/// `[monitor]`
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct MonitorSection {
    #[serde(with = "duration::option")]
    interval: Option<Duration>,
    default_rules: Option<bool>,
    packs: Vec<String>,
    alert_events: Option<usize>,
    connectivity: ConnectivitySection,
}

/// `[monitor.connectivity]`
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ConnectivitySection {
    targets: Vec<String>,
    #[serde(with = "duration::option")]
    timeout: Option<Duration>,
}

/// `[[rule]]`: what it does not say is as in the rule of that name, or as by default.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RuleSection {
    id: String,
    signal: Option<Signal>,
    statistic: Option<Statistic>,
    #[serde(with = "duration::option")]
    window: Option<Duration>,
    #[serde(rename = "match")]
    matching: Option<BTreeMap<String, Matcher>>,
    labels: Option<BTreeMap<String, String>>,
    inhibits: Option<Vec<Matcher>>,
    runbook: Option<String>,
    notify: Option<bool>,
    no_data: Option<NoData>,
    enabled: Option<bool>,
    side: Option<Side>,
    low: Option<Edge>,
    medium: Option<Edge>,
    high: Option<Edge>,
    critical: Option<Edge>,
    min_samples: Option<u64>,
    #[serde(rename = "for", with = "duration::option")]
    hold_for: Option<Duration>,
    #[serde(with = "duration::option")]
    keep_firing_for: Option<Duration>,
}

/// `[[maintenance]]`: either from `start` to `end`, or again on `days` at `at` for `for`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct MaintenanceSection {
    name: String,
    start: Option<String>,
    end: Option<String>,
    days: Vec<String>,
    at: Option<String>,
    #[serde(rename = "for", with = "duration::option")]
    length: Option<Duration>,
    timezone: Option<String>,
    rules: Vec<Matcher>,
    #[serde(rename = "match")]
    matching: BTreeMap<String, Matcher>,
}

pub(super) fn build(file: &File, document: &Document<'_>, problems: &mut Problems) -> MonitorSpec {
    let (section, usual) = (&file.monitor, MonitorSpec::default());
    let interval = section.interval.unwrap_or(usual.interval);
    if !(Duration::from_secs(1)..=Duration::from_secs(10)).contains(&interval) {
        let message = format!("is {interval:?}, allowed: \"1s\" to \"10s\"");
        problems.add(document.problem("monitor.interval", "monitor.interval", message));
    }
    let alert_events = section.alert_events.unwrap_or(usual.alert_events);
    if !(100..=1_000_000).contains(&alert_events) {
        let message = format!("is {alert_events}, allowed: 100 to 1000000");
        problems.add(document.problem("monitor.alert_events", "monitor.alert_events", message));
    }
    let own: BTreeSet<String> = file.rule.iter().map(|rule| rule.id.clone()).collect();
    let rules = rules(file, document, problems);
    let maintenance = maintenance(file, document, problems);
    let connectivity = connectivity(&section.connectivity, interval, document, problems);
    MonitorSpec { interval, rules, own, maintenance, alert_events, connectivity }
}

fn connectivity(
    section: &ConnectivitySection,
    interval: Duration,
    document: &Document<'_>,
    problems: &mut Problems,
) -> ConnectivitySpec {
    let mut refuse = |field: &str, message: String| {
        let path = format!("monitor.connectivity.{field}");
        problems.add(document.problem(&path, &path, message));
    };
    if section.targets.len() > TARGETS_MAX {
        let message = format!("are {}, allowed: at most {TARGETS_MAX}", section.targets.len());
        refuse("targets", message);
    }
    for target in &section.targets {
        let parts = target.rsplit_once(':');
        let fits = parts.is_some_and(|(host, port)| {
            !host.is_empty()
                && !host.contains(['/', '@', ' '])
                && port.parse::<u16>().is_ok_and(|port| port > 0)
        });
        if !fits {
            refuse("targets", format!("has {target:?}, allowed: hosts such as \"1.1.1.1:443\""));
        }
    }
    let usual = ConnectivitySpec::default();
    // A look is over before the next one begins.
    let timeout = section.timeout.unwrap_or_else(|| usual.timeout.min(interval));
    if timeout < Duration::from_millis(10) || timeout > interval {
        let message =
            format!("is {timeout:?}, allowed: \"10ms\" to monitor.interval ({interval:?})");
        refuse("timeout", message);
    }
    ConnectivitySpec { targets: section.targets.clone(), timeout }
}

fn rules(file: &File, document: &Document<'_>, problems: &mut Problems) -> RuleSet {
    let usual = file.monitor.default_rules.unwrap_or(true);
    let mut set = if usual { RuleSet::usual() } else { RuleSet::default() };
    for name in &file.monitor.packs {
        match pack(name) {
            Some(rules) => rules.into_iter().for_each(|rule| set.put(rule)),
            None => {
                let message = format!("has {name:?}, allowed: {}", PACKS.join(", "));
                problems.add(document.problem("monitor.packs", "monitor.packs", message));
            }
        }
    }
    for (index, section) in file.rule.iter().enumerate() {
        let (path, label) = (format!("rule.{index}"), format!("rule.{}", section.id));
        let known = set.rules.iter().find(|rule| rule.id == section.id);
        let base = match (section.signal, known) {
            (_, Some(known)) => Some(known.clone()),
            (Some(signal), None) => Some(RuleSpec::new(&section.id, signal)),
            (None, None) => None,
        };
        let Some(rule) = base.map(|base| section.over(base)) else {
            let message = "is not said, and there is no default rule of that id to change";
            let label = format!("{label}.signal");
            problems.add(document.problem(&path, &label, message.into()));
            continue;
        };
        match rule.check() {
            Ok(_) => set.put(rule),
            Err(error) => problems.add(document.refused(&path, &label, &error)),
        }
    }
    for (index, slo) in file.slo.iter().enumerate() {
        if let Err(error) = slo.check() {
            let (path, label) = (format!("slo.{index}"), format!("slo.{}", slo.name));
            problems.add(document.refused(&path, &label, &error));
        }
    }
    set.slos = file.slo.clone();
    // What is wrong with one rule was said with its line.
    if let (true, Err(error)) = (set.rules.iter().all(|rule| rule.check().is_ok()), set.check()) {
        problems.add(document.problem("rule", &error.field, super::problem::found(&error)));
    }
    set
}

impl RuleSection {
    /// `base` with what is said in place of what it says.
    fn over(&self, base: RuleSpec) -> RuleSpec {
        let said = self.clone();
        // A ladder is given whole: half of another would not fit to it.
        let edges = [said.low, said.medium, said.high, said.critical];
        let ladder = edges.iter().any(Option::is_some);
        let [low, medium, high, critical] =
            if ladder { edges } else { [base.low, base.medium, base.high, base.critical] };
        RuleSpec {
            id: base.id,
            signal: said.signal.unwrap_or(base.signal),
            statistic: said.statistic.or(base.statistic),
            window: said.window.unwrap_or(base.window),
            matching: said.matching.unwrap_or(base.matching),
            labels: said.labels.unwrap_or(base.labels),
            inhibits: said.inhibits.unwrap_or(base.inhibits),
            runbook: said.runbook.or(base.runbook),
            notify: said.notify.unwrap_or(base.notify),
            no_data: said.no_data.unwrap_or(base.no_data),
            enabled: said.enabled.unwrap_or(base.enabled),
            side: said.side.or(base.side),
            low,
            medium,
            high,
            critical,
            min_samples: said.min_samples.or(base.min_samples),
            hold_for: said.hold_for.or(base.hold_for),
            keep_firing_for: said.keep_firing_for.or(base.keep_firing_for),
        }
    }
}

fn maintenance(
    file: &File,
    document: &Document<'_>,
    problems: &mut Problems,
) -> Vec<MaintenanceSpec> {
    if !fit("maintenance", (file.maintenance.len(), MAINTENANCE_MAX), document, problems) {
        return Vec::new();
    }
    let mut all = Vec::new();
    for (index, section) in file.maintenance.iter().enumerate() {
        let (path, label) =
            (format!("maintenance.{index}"), format!("maintenance.{}", section.name));
        let mut refuse = |field: &str, message: String| {
            let (path, label) = (format!("{path}.{field}"), format!("{label}.{field}"));
            problems.add(document.problem(&path, &label, message));
        };
        if section.name.is_empty() || section.name.len() > 200 {
            refuse("name", format!("is {:?}, allowed: 1 to 200 bytes", section.name));
        }
        if let Some(times) = section.times(&mut refuse) {
            all.push(MaintenanceSpec {
                name: section.name.clone(),
                times,
                rules: section.rules.clone(),
                matching: section.matching.clone(),
            });
        }
    }
    all
}

impl MaintenanceSection {
    fn times(&self, refuse: &mut impl FnMut(&str, String)) -> Option<Times> {
        let stamp = |field: &str, text: &str, refuse: &mut dyn FnMut(&str, String)| {
            let stamp = text.parse::<Timestamp>().ok();
            if stamp.is_none() {
                refuse(field, format!("is {text:?}, allowed: a time such as 2026-11-21T22:00:00Z"));
            }
            stamp
        };
        match (&self.start, &self.end, &self.at, self.length) {
            (Some(start), Some(end), None, None) if self.days.is_empty() => {
                let start = stamp("start", start, refuse)?;
                let end = stamp("end", end, refuse)?;
                if end <= start {
                    refuse("end", format!("is {end}, allowed: a time after `start`"));
                    return None;
                }
                Some(Times::Once { start, end })
            }
            (None, None, Some(at), Some(length)) => {
                let Ok(at) = at.parse::<Time>() else {
                    refuse("at", format!("is {at:?}, allowed: a time of day such as 02:30"));
                    return None;
                };
                if length.is_zero() || length > MAINTENANCE_LONGEST {
                    refuse("for", format!("is {length:?}, allowed: above 0, up to \"168h\""));
                    return None;
                }
                let zone = self.timezone.as_deref().unwrap_or("UTC");
                let Ok(timezone) = TimeZone::get(zone) else {
                    refuse(
                        "timezone",
                        format!("is {zone:?}, allowed: a name such as Europe/Berlin"),
                    );
                    return None;
                };
                let mut days = Vec::new();
                for day in &self.days {
                    let known = WEEKDAYS.iter().find(|(name, _)| name == day);
                    let Some((_, day)) = known else {
                        let names = WEEKDAYS.map(|(name, _)| name).join(", ");
                        refuse("days", format!("has {day:?}, allowed: {names}"));
                        return None;
                    };
                    days.push(*day);
                }
                Some(Times::Again(Recurring { days, at, length, timezone }))
            }
            _ => {
                let message =
                    "is unclear, allowed: `start` and `end`, or `at` and `for` (with `days`)";
                refuse("start", message.into());
                None
            }
        }
    }
}

/// An objective, as the file says it.
pub(super) type SloSection = SloSpec;
