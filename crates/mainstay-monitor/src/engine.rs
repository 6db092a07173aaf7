//! Rules, evaluated: from measurements to alerts and what is to be told of them.
//!
//! Every tick (10 s in the server) the engine is given one [`Reading`] for each thing that is
//! watched, puts it into its window, and lets each rule judge it. One alert exists for each pair of
//! rule and thing; its name is a fingerprint of both, the same after every restart.
//!
//! * **Inhibition**: while an alert of a rule with `inhibits` fires, those it names are not told:
//!   one dead uplink is one alert. What a link depends on inhibits its alerts, too.
//! * **Maintenance**: what is worked on is evaluated and not told.
//! * **Gone**: a thing that is no longer reported (a link that was removed) ends its alerts.
//! * **Restart**: [`Engine::changed`] says what to keep, [`Engine::restore`] takes it back.
//!
//! Acknowledged, silenced, inhibited and in maintenance are flags beside an alert that is evaluated
//! all the same ([`Standing::is_muted`]).
//!
//! ```
//! use mainstay_core::time::Instant;
//! use mainstay_monitor::engine::{Engine, Reading, Value};
//! use mainstay_monitor::rules::{RuleSet, Signal};
//!
//! let mut engine = Engine::new(RuleSet::usual())?;
//! let down = Reading::of(Signal::LinkFailed, "payments", Value::Gauge(12.0));
//! let told = engine.tick(Instant::default(), 1_700_000_000_000, &[down]);
//! assert_eq!((told[0].rule.as_ref(), told[0].what), ("CONNECTION_FAILED", "fired"));
//! assert_eq!(engine.standings(Instant::default(), 1_700_000_000_000).len(), 1);
//! # Ok::<(), mainstay_core::config::ConfigError>(())
//! ```

mod act;
mod entry;
mod evaluate;
mod inhibit;
mod keep;
mod maintenance;
mod reading;
mod text;
mod view;
mod window;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use mainstay_core::config::ConfigError;

use crate::alert::Rule;
use crate::rules::{Budget, Burn, RuleSet, RuleSpec, Signal, SloSpec};
use entry::Entry;
use inhibit::Inhibitors;
use window::Window;

pub use act::{Act, ActError};
pub use entry::{Happening, fingerprint};
pub use keep::{Kept, KeptBurn};
pub use maintenance::Maintenance;
pub use reading::{Labels, Reading, Value};
pub use view::{Standing, StandingAcknowledged, StandingSilenced};

/// The most alerts that are known at once; further things are not judged until others are gone.
pub const ALERTS_MAX: usize = 20_000;
/// The rule whose alerts tell of error budgets.
pub const SLO_RULE: &str = "SLO_BURN";

/// A rule that is evaluated.
#[derive(Clone, Debug)]
pub(crate) struct Active {
    id: Arc<str>,
    spec: RuleSpec,
    rule: Rule,
}

/// An objective that is watched.
#[derive(Clone, Debug)]
pub(crate) struct Objective {
    spec: SloSpec,
    burn: Burn,
    /// What was counted in the last tick.
    counted: Budget,
}

/// All rules and their alerts.
#[derive(Debug)]
pub struct Engine {
    rules: Vec<Active>,
    by_signal: BTreeMap<Signal, Vec<usize>>,
    objectives: Vec<Objective>,
    /// What every objective's alerts are judged by.
    burning: Active,
    inhibitors: Inhibitors,
    windows: HashMap<(Signal, Arc<Labels>), Window>,
    entries: BTreeMap<u64, Entry>,
    parents: BTreeMap<String, Vec<String>>,
    maintenance: Vec<Maintenance>,
    ticks: u64,
    /// Alerts that are no longer known and were kept.
    gone: Vec<u64>,
    /// Things that were not judged because there were too many.
    left_out: u64,
}

impl Engine {
    /// An engine without alerts.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming rule and field.
    pub fn new(rules: RuleSet) -> Result<Self, ConfigError> {
        rules.check()?;
        let mut engine = Self {
            rules: Vec::new(),
            by_signal: BTreeMap::new(),
            objectives: Vec::new(),
            burning: burning()?,
            inhibitors: Inhibitors::default(),
            windows: HashMap::new(),
            entries: BTreeMap::new(),
            parents: BTreeMap::new(),
            maintenance: Vec::new(),
            ticks: 0,
            gone: Vec::new(),
            left_out: 0,
        };
        engine.take(rules)?;
        Ok(engine)
    }

    /// Goes on under other rules. Alerts of rules that stay are kept; those of the others are gone
    /// at the next tick, and told as resolved where they fired.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming rule and field; nothing is changed then.
    pub fn reload(&mut self, rules: RuleSet) -> Result<(), ConfigError> {
        rules.check()?;
        self.take(rules)
    }

    fn take(&mut self, set: RuleSet) -> Result<(), ConfigError> {
        let enabled = set.rules.into_iter().filter(|spec| spec.enabled);
        let active = |spec: RuleSpec| {
            let rule = spec.check()?;
            Ok(Active { id: spec.id.as_str().into(), spec, rule })
        };
        self.rules = enabled.map(active).collect::<Result<_, ConfigError>>()?;
        self.by_signal = BTreeMap::new();
        for (nr, active) in self.rules.iter().enumerate() {
            self.by_signal.entry(active.spec.signal).or_default().push(nr);
        }
        let mut before = std::mem::take(&mut self.objectives);
        self.objectives = set
            .slos
            .into_iter()
            .map(|spec| {
                let same = |known: &Objective| {
                    known.spec.name == spec.name
                        && known.spec.signal == spec.signal
                        && known.spec.of == spec.of
                };
                let known = before.iter().position(same).map(|at| before.swap_remove(at).burn);
                Objective { burn: known.unwrap_or_default(), spec, counted: Budget::default() }
            })
            .collect();
        self.inhibitors = Inhibitors::of(&self.rules);
        let still: std::collections::BTreeSet<&str> =
            self.rules.iter().map(|active| active.spec.id.as_str()).collect();
        for entry in self.entries.values_mut() {
            if let Some(active) = self.rules.iter().find(|active| active.id == entry.rule) {
                entry.follow(active);
            }
            entry.orphaned = !still.contains(&*entry.rule) && &*entry.rule != SLO_RULE;
        }
        Ok(())
    }

    /// Which links each link depends on: while one of those is down, nothing else is told of it.
    pub fn set_parents(&mut self, parents: BTreeMap<String, Vec<String>>) {
        self.parents = parents;
    }

    /// What is worked on now.
    pub fn set_maintenance(&mut self, now: Vec<Maintenance>) {
        self.maintenance = now;
    }

    /// The rules that are evaluated.
    pub fn rules(&self) -> impl Iterator<Item = &RuleSpec> {
        self.rules.iter().map(|active| &active.spec)
    }

    /// The objectives that are watched.
    pub fn objectives(&self) -> impl Iterator<Item = (&SloSpec, &Burn)> {
        self.objectives.iter().map(|objective| (&objective.spec, &objective.burn))
    }

    /// What each objective counted in the last tick, by its name: for the history of its budget.
    pub fn counted(&self) -> impl Iterator<Item = (&str, Budget)> {
        self.objectives.iter().map(|one| (one.spec.name.as_str(), one.counted))
    }

    /// Things that no alert could be made for, since there were [`ALERTS_MAX`].
    #[must_use]
    pub const fn left_out(&self) -> u64 {
        self.left_out
    }

    /// How many ticks there were.
    #[must_use]
    pub const fn ticks(&self) -> u64 {
        self.ticks
    }
}

/// The ladder of objectives: 1 to 4 for how bad it is.
fn burning() -> Result<Active, ConfigError> {
    use std::time::Duration;

    use crate::alert::Edge;
    use crate::rules::Statistic;

    let edge = |level: f64| Some(Edge { enter: level - 0.5, exit: level - 0.5 });
    let spec = RuleSpec {
        statistic: Some(Statistic::Value),
        low: edge(1.0),
        medium: edge(2.0),
        high: edge(3.0),
        critical: edge(4.0),
        hold_for: Some(Duration::ZERO),
        ..RuleSpec::new(SLO_RULE, Signal::SystemOverload)
    };
    let rule = Rule::new(&spec.config())?;
    Ok(Active { id: SLO_RULE.into(), spec, rule })
}
