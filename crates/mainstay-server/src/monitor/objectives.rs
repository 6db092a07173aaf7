//! What of error budgets is left.

use mainstay::clock;
use mainstay::monitor::engine::engine::{Engine, Labels, SLO_RULE, Standing, fingerprint};
use mainstay::monitor::engine::rules::{Budget, BurnRate, SloSpec};
use mainstay::monitor::engine::series::{Cell, Tier};
use mainstay_store::{Store, StoreError};

use super::{Inner, Monitor, series};
use crate::session::unix_ms;

/// The group in which is kept what counts for an objective.
pub(super) fn group(name: &str) -> String {
    format!("slo:{name}")
}

/// An objective, as far as memory knows.
#[derive(Debug)]
pub(crate) struct Objective {
    pub(crate) spec: SloSpec,
    pub(crate) rates: [BurnRate; 4],
    pub(crate) alert: Option<Standing>,
    /// The hour that time is in: the store has it as it was up to a minute ago.
    hour: Option<(u64, Cell)>,
}

/// What happened over the window of an objective.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spent {
    pub(crate) budget: Budget,
    /// When the first hour of which something is known begins; none: nothing is.
    pub(crate) since_ms: Option<u64>,
}

impl Monitor {
    /// The objectives of the configuration, in its order.
    pub(crate) fn objectives(&self) -> Vec<Objective> {
        let (now, at) = (clock::now(), unix_ms());
        let guard = self.inner();
        let Inner { board, histories, .. } = &*guard;
        let engine = board.engine();
        let known = engine.objectives().map(|(spec, burn)| {
            let labels = Labels::from([("slo".to_owned(), spec.name.clone())]);
            Objective {
                rates: burn.rates(spec.objective),
                alert: engine.standing(now, at, fingerprint(SLO_RULE, &labels)),
                hour: histories.open(&group(&spec.name), Tier::Hour),
                spec: spec.clone(),
            }
        });
        known.collect()
    }
}

impl Objective {
    /// What the store knows of its window, and memory of the hour that time is in.
    pub(crate) fn spent(&self, store: &dyn Store, unix_ms: u64) -> Result<Spent, StoreError> {
        let kept = series(store, &group(&self.spec.name), unix_ms, Budget::WINDOW)?;
        let open = self.hour.iter().map(|(number, cell)| (number * Tier::Hour.width_ms(), cell));
        let known = kept.cells.iter().map(|(at, cell)| (*at, cell));
        let known = known.filter(|(at, _)| open.clone().all(|(open, _)| open != *at));
        let mut spent = Spent { budget: Budget::default(), since_ms: None };
        for (at, cell) in known.chain(open.clone()) {
            spent.budget.add(cell.fail, cell.fail.saturating_add(cell.ok));
            spent.since_ms = Some(spent.since_ms.map_or(at, |since| since.min(at)));
        }
        Ok(spent)
    }
}

/// What objectives counted in the last cycle, for the history of their budgets.
pub(super) fn cells(engine: &Engine) -> impl Iterator<Item = (String, Cell)> {
    let cell = |Budget { failed, all }| {
        let ok = all.saturating_sub(failed);
        Cell { ok, fail: failed, ..Cell::default() }
    };
    engine.counted().map(move |(name, counted)| (group(name), cell(counted)))
}
