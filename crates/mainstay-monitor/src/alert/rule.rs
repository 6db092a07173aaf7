//! What an alert is about: the ladder of its severities, and how long it must hold.

use std::time::Duration;

use mainstay_core::config::{ConfigError, Ratio, duration_from, in_range};
use serde::{Deserialize, Serialize};

use crate::wilson::{Z_95, lower, upper};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Severity {
    /// Good to know.
    Low,
    /// Look at it today.
    Medium,
    /// Look at it now.
    High,
    /// Wake somebody.
    Critical,
}

impl Severity {
    /// All, the mildest first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];
}

/// Which side of an edge is bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Values above it: latencies, failures.
    #[default]
    Above,
    /// Values below it: quality, successes.
    Below,
}

/// Where a severity begins and ends, in the unit of the observed value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edge {
    /// Beyond it, the severity holds.
    pub enter: f64,
    /// Behind it, the severity holds no longer. Not beyond `enter`.
    pub exit: f64,
}

/// What a [`Rule`] is made of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuleConfig {
    /// Which values are bad. Default above.
    pub side: Side,
    /// Edge of `LOW`. At least one of the four must be given; each further out than the milder one.
    pub low: Option<Edge>,
    /// Edge of `MEDIUM`.
    pub medium: Option<Edge>,
    /// Edge of `HIGH`.
    pub high: Option<Edge>,
    /// Edge of `CRITICAL`.
    pub critical: Option<Edge>,
    /// Samples an observation needs to decide anything. From 1. Default 50 (Envoy).
    pub min_samples: u64,
    /// How long a level must hold before it is told, `for` in files. Up to a year. Default 2 min.
    #[serde(rename = "for", with = "mainstay_core::config::duration")]
    pub hold_for: Duration,
    /// How long it must be clear before it is resolved. Up to a year. Default 5 min.
    #[serde(with = "mainstay_core::config::duration")]
    pub keep_firing_for: Duration,
    /// Evaluations without data that keep the last state; after them the absence is told. Default 2.
    pub no_data_after: u32,
    /// How long a resolved alert stays known. Up to a year. Default 15 min.
    #[serde(with = "mainstay_core::config::duration")]
    pub keep_resolved: Duration,
    /// Weighed share of changed levels at which flapping begins. Above 0, up to 1. Default 0.3 (Nagios).
    pub flapping_start: Ratio,
    /// Share at which it ends. Up to `flapping_start`. Default 0.2 (Nagios).
    pub flapping_stop: Ratio,
    /// Longest outage after which waits continue. Up to a year. Default 1 h (Prometheus).
    #[serde(with = "mainstay_core::config::duration")]
    pub outage_max: Duration,
    /// What is left at least of a wait that continues. Up to a year. Default 10 min (Prometheus).
    #[serde(with = "mainstay_core::config::duration")]
    pub grace: Duration,
}

impl Default for RuleConfig {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self {
            side: Side::Above,
            low: None,
            medium: None,
            high: None,
            critical: None,
            min_samples: 50,
            hold_for: minute * 2,
            keep_firing_for: minute * 5,
            no_data_after: 2,
            keep_resolved: minute * 15,
            flapping_start: Ratio::percent(30),
            flapping_stop: Ratio::percent(20),
            outage_max: minute * 60,
            grace: minute * 10,
        }
    }
}

/// A checked [`RuleConfig`], shared by all alerts of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    config: RuleConfig,
}

/// What one evaluation saw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Observation {
    /// There was no data. So is any of the others without samples, or with a value that is no number.
    Nothing,
    /// A share of samples, compared as 0 to 1 by its Wilson bound of 95 %.
    Share {
        /// Those that count; more than `whole` count as all.
        part: u64,
        /// All.
        whole: u64,
    },
    /// A value made of samples, such as a percentile.
    Sampled {
        /// The value.
        value: f64,
        /// What it is made of.
        samples: u64,
    },
    /// A value that is what it is, whatever `min_samples` says.
    Gauge(f64),
}

/// What an observation means to a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Holds(Severity),
    Clear,
    /// Too few samples.
    Unclear,
    Missing,
}

impl Rule {
    /// Checks `config` once, so that no later call can fail.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field outside what its documentation allows.
    pub fn new(config: &RuleConfig) -> Result<Self, ConfigError> {
        ladder(config)?;
        in_range("min_samples", config.min_samples, 1, u64::MAX)?;
        for (field, value) in [
            ("for", config.hold_for),
            ("keep_firing_for", config.keep_firing_for),
            ("keep_resolved", config.keep_resolved),
            ("outage_max", config.outage_max),
            ("grace", config.grace),
        ] {
            duration_from(field, value, Duration::ZERO)?;
        }
        in_range("flapping_start", config.flapping_start, Ratio::from_ppm(1), Ratio::ONE)?;
        in_range("flapping_stop", config.flapping_stop, Ratio::ZERO, config.flapping_start)?;
        Ok(Self { config: *config })
    }

    /// What it was made of.
    #[must_use]
    pub const fn config(&self) -> &RuleConfig {
        &self.config
    }

    /// What `seen` means when the level has been `current` so far.
    pub(super) fn judge(&self, current: Option<Severity>, seen: Observation) -> Verdict {
        let (value, proven, samples) = match seen {
            Observation::Nothing => return Verdict::Missing,
            Observation::Gauge(value) => (value, value, u64::MAX),
            Observation::Sampled { value, samples } => (value, value, samples),
            Observation::Share { part, whole } => {
                let bound = match self.config.side {
                    Side::Above => lower(part, whole, Z_95),
                    Side::Below => upper(part, whole, Z_95),
                };
                (share(part, whole), bound, whole)
            }
        };
        if value.is_nan() || samples == 0 {
            return Verdict::Missing;
        }
        if samples < self.config.min_samples {
            return Verdict::Unclear;
        }
        let holds = |severity: &Severity| {
            let Some(edge) = edge(&self.config, *severity) else { return false };
            let had = current.is_some_and(|current| current >= *severity);
            self.beyond(proven, edge.enter) || (had && !self.beyond(edge.exit, value))
        };
        Severity::ALL.into_iter().rev().find(holds).map_or(Verdict::Clear, Verdict::Holds)
    }

    fn beyond(&self, value: f64, edge: f64) -> bool {
        match self.config.side {
            Side::Above => value > edge,
            Side::Below => value < edge,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts above 2⁵³ need no exact share")]
fn share(part: u64, whole: u64) -> f64 {
    part.min(whole) as f64 / whole as f64
}

const fn edge(config: &RuleConfig, severity: Severity) -> Option<Edge> {
    match severity {
        Severity::Low => config.low,
        Severity::Medium => config.medium,
        Severity::High => config.high,
        Severity::Critical => config.critical,
    }
}

/// Checks that the edges are numbers and lie further out with each severity.
fn ladder(config: &RuleConfig) -> Result<(), ConfigError> {
    let mut milder: Option<Edge> = None;
    // What is bad below is bad above when turned over.
    let turned = |value: f64| match config.side {
        Side::Above => value,
        Side::Below => -value,
    };
    for severity in Severity::ALL {
        let Some(edge) = edge(config, severity) else { continue };
        let field = format!("{severity:?}").to_lowercase();
        let wrong = |part: &str, value: f64, allowed: &str| {
            Err(ConfigError::new(&format!("{field}.{part}"), value, allowed))
        };
        if !edge.enter.is_finite() {
            return wrong("enter", edge.enter, "a number");
        }
        if !edge.exit.is_finite() || turned(edge.exit) > turned(edge.enter) {
            return wrong("exit", edge.exit, "a number that is not beyond `enter`");
        }
        if milder.is_some_and(|milder| turned(edge.enter) <= turned(milder.enter)) {
            return wrong("enter", edge.enter, "further out than that of the milder severity");
        }
        if milder.is_some_and(|milder| turned(edge.exit) < turned(milder.exit)) {
            return wrong("exit", edge.exit, "not behind that of the milder severity");
        }
        milder = Some(edge);
    }
    if milder.is_none() {
        return Err(ConfigError::new("high", config.high, "at least one severity with an edge"));
    }
    Ok(())
}
