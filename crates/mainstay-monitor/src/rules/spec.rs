use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mainstay_core::config::{ConfigError, duration_from};
use serde::{Deserialize, Serialize};

use super::{Kind, Signal, SloSpec};
use crate::alert::{Edge, Rule, RuleConfig, Side};
use crate::engine::Labels;

/// The most rules.
pub const RULES_MAX: usize = 1_000;
/// The longest window.
pub const WINDOW_MAX: Duration = Duration::from_secs(3_600);
/// The longest name, and the longest value of a label.
const TEXT_MAX: usize = 200;
/// The most labels of a rule.
const LABELS_MAX: usize = 16;

/// What is made of a signal's measurements in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    /// The median of durations.
    P50,
    /// What 95 % of durations do not exceed.
    P95,
    /// What 99 % of durations do not exceed.
    P99,
    /// The mean of durations.
    Mean,
    /// The share of events, or of things.
    Share,
    /// The share a minute.
    PerMinute,
    /// The share a minute where it is more than three times what is usual in the hour; 0 elsewhere.
    Storm,
    /// The number as it is.
    Value,
}

/// What becomes of an alert when a window has no measurement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoData {
    /// Nothing is the matter where nothing happens. The default.
    #[default]
    Ok,
    /// It is told as an alert of its own.
    Alert,
    /// It stays as it is: what is measured seldom is not over because nothing was measured.
    Keep,
}

/// Whom a text may name: `*` stands for any number of characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Matcher(pub String);

impl Matcher {
    /// Whether `text` fits.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = text.strip_prefix(first) else { return false };
        let mut parts: Vec<&str> = parts.collect();
        let Some(last) = parts.pop() else { return rest.is_empty() };
        for part in parts {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

/// A rule, as files write it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSpec {
    /// Its name, such as `HIGH_LATENCY`; one of a name in all. Up to 200 characters.
    pub id: String,
    /// What it watches.
    pub signal: Signal,
    /// What is made of the signal. Default by its kind: `p95`, `share`, `value`.
    #[serde(default)]
    pub statistic: Option<Statistic>,
    /// Over how long, where it is not about now. Up to 1 h. Default 5 min.
    #[serde(default = "five_minutes", with = "mainstay_core::config::duration")]
    pub window: Duration,
    /// About whom: values of labels, with `*`. Default all.
    #[serde(default, rename = "match")]
    pub matching: BTreeMap<String, Matcher>,
    /// What is said beside, such as `team = "payments"`.
    #[serde(default)]
    pub labels: Labels,
    /// Rules whose alerts are not told while one of this fires, with `*`; where both have the label
    /// that a signal is about, only those of the same thing.
    #[serde(default)]
    pub inhibits: Vec<Matcher>,
    /// What to do: a text, or an address.
    #[serde(default)]
    pub runbook: Option<String>,
    /// Whether anybody is notified. Otherwise it is shown, and stands in the history. Default yes.
    #[serde(default = "yes")]
    pub notify: bool,
    /// What becomes of it without measurements.
    #[serde(default)]
    pub no_data: NoData,
    /// Whether it is evaluated. Default yes; a default rule is turned off so.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Which values are bad. Default above; below for shares of what is good, and for what is left.
    #[serde(default)]
    pub side: Option<Side>,
    /// Edge of `LOW`. At least one of the four must be given; each further out than the milder one.
    #[serde(default)]
    pub low: Option<Edge>,
    /// Edge of `MEDIUM`.
    #[serde(default)]
    pub medium: Option<Edge>,
    /// Edge of `HIGH`.
    #[serde(default)]
    pub high: Option<Edge>,
    /// Edge of `CRITICAL`.
    #[serde(default)]
    pub critical: Option<Edge>,
    /// [`RuleConfig::min_samples`]
    #[serde(default)]
    pub min_samples: Option<u64>,
    /// [`RuleConfig::hold_for`]
    #[serde(default, rename = "for", with = "mainstay_core::config::duration::option")]
    pub hold_for: Option<Duration>,
    /// [`RuleConfig::keep_firing_for`]
    #[serde(default, with = "mainstay_core::config::duration::option")]
    pub keep_firing_for: Option<Duration>,
}

const fn five_minutes() -> Duration {
    Duration::from_secs(300)
}

const fn yes() -> bool {
    true
}

impl RuleSpec {
    /// A rule without a ladder, which is to be given.
    #[must_use]
    pub fn new(id: &str, signal: Signal) -> Self {
        Self {
            id: id.to_owned(),
            signal,
            statistic: None,
            window: five_minutes(),
            matching: BTreeMap::new(),
            labels: Labels::new(),
            inhibits: Vec::new(),
            runbook: None,
            notify: true,
            no_data: NoData::Ok,
            enabled: true,
            side: None,
            low: None,
            medium: None,
            high: None,
            critical: None,
            min_samples: None,
            hold_for: None,
            keep_firing_for: None,
        }
    }

    /// What is made of the signal.
    #[must_use]
    pub fn statistic(&self) -> Statistic {
        self.statistic.unwrap_or_else(|| match self.signal.info().kind {
            Kind::Latency => Statistic::P95,
            Kind::Share | Kind::Standing => Statistic::Share,
            Kind::Gauge => Statistic::Value,
        })
    }

    /// Which values are bad.
    #[must_use]
    pub fn side(&self) -> Side {
        let info = self.signal.info();
        let left = matches!(self.signal, Signal::IdsLeft | Signal::LinkCertificate);
        self.side.unwrap_or(if info.good || left { Side::Below } else { Side::Above })
    }

    /// Its machine's configuration.
    #[must_use]
    pub fn config(&self) -> RuleConfig {
        let usual = RuleConfig::default();
        RuleConfig {
            side: self.side(),
            low: self.low,
            medium: self.medium,
            high: self.high,
            critical: self.critical,
            min_samples: self.min_samples.unwrap_or(usual.min_samples),
            hold_for: self.hold_for.unwrap_or(usual.hold_for),
            keep_firing_for: self.keep_firing_for.unwrap_or(usual.keep_firing_for),
            ..usual
        }
    }

    /// Whether it is about a thing with these labels.
    #[must_use]
    pub fn is_about(&self, labels: &Labels) -> bool {
        self.matching
            .iter()
            .all(|(name, wanted)| labels.get(name).is_some_and(|value| wanted.fits(value)))
    }

    /// Checks it.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field.
    pub fn check(&self) -> Result<Rule, ConfigError> {
        text("id", &self.id)?;
        duration_from("window", self.window, Duration::from_secs(10))?;
        if self.window > WINDOW_MAX {
            return Err(ConfigError::new("window", self.window, "at most 1 h"));
        }
        let fits = match (self.signal.info().kind, self.statistic()) {
            (Kind::Latency, statistic) => matches!(
                statistic,
                Statistic::P50 | Statistic::P95 | Statistic::P99 | Statistic::Mean
            ),
            (Kind::Share, statistic) => {
                matches!(statistic, Statistic::Share | Statistic::PerMinute | Statistic::Storm)
            }
            (Kind::Standing, statistic) => statistic == Statistic::Share,
            (Kind::Gauge, statistic) => statistic == Statistic::Value,
        };
        if !fits {
            let allowed = match self.signal.info().kind {
                Kind::Latency => "`p50`, `p95`, `p99` or `mean` of durations",
                Kind::Share => "`share`, `per_minute` or `storm` of events",
                Kind::Standing => "`share` of things",
                Kind::Gauge => "`value` of a number",
            };
            return Err(ConfigError::new("statistic", self.statistic(), allowed));
        }
        if self.matching.len() + self.labels.len() > LABELS_MAX {
            return Err(ConfigError::new("labels", self.labels.len(), "at most 16 in all"));
        }
        for (name, value) in &self.labels {
            text("labels", name)?;
            text("labels", value)?;
        }
        let label = self.signal.info().label;
        if let Some(name) = self.labels.keys().find(|name| Some(name.as_str()) == label) {
            return Err(ConfigError::new("labels", name, "names that the signal does not use"));
        }
        if let Some(name) = self.matching.keys().find(|name| Some(name.as_str()) != label) {
            let allowed = label.map_or_else(
                || "nothing: there is one of this signal".to_owned(),
                |label| format!("`{label}`"),
            );
            return Err(ConfigError::new("match", name, &allowed));
        }
        Rule::new(&self.config())
    }
}

fn text(field: &str, value: &str) -> Result<(), ConfigError> {
    let fits = !value.is_empty() && value.len() <= TEXT_MAX && !value.chars().any(char::is_control);
    if fits {
        return Ok(());
    }
    Err(ConfigError::new(field, value, "1 to 200 bytes without control characters"))
}

/// All rules that are evaluated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleSet {
    /// Rules, one of each name.
    pub rules: Vec<RuleSpec>,
    /// Objectives.
    pub slos: Vec<SloSpec>,
}

impl RuleSet {
    /// The default rules.
    #[must_use]
    pub fn usual() -> Self {
        Self { rules: super::defaults(), slos: Vec::new() }
    }

    /// The same with a rule more, in place of one of the same name.
    pub fn put(&mut self, rule: RuleSpec) {
        match self.rules.iter_mut().find(|known| known.id == rule.id) {
            Some(known) => *known = rule,
            None => self.rules.push(rule),
        }
    }

    /// Checks all of them.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming rule and field.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.rules.len() + self.slos.len() > RULES_MAX {
            return Err(ConfigError::new("rule", self.rules.len(), "at most 1000 rules"));
        }
        let mut names = BTreeSet::new();
        for rule in &self.rules {
            let within = |error: ConfigError| error.within(&format!("rule.{}", rule.id));
            rule.check().map_err(within)?;
            if !names.insert(rule.id.as_str()) {
                let error = ConfigError::new("id", &rule.id, "a name that no other rule has");
                return Err(within(error));
            }
        }
        let mut names = BTreeSet::new();
        for slo in &self.slos {
            slo.check().map_err(|error| error.within(&format!("slo.{}", slo.name)))?;
            if !names.insert(slo.name.as_str()) {
                return Err(ConfigError::new("slo.name", &slo.name, "a name of its own"));
            }
        }
        Ok(())
    }
}
