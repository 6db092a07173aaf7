//! Objectives, and what of their error budgets is left.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use mainstay::monitor::engine::alert::Severity;
use mainstay::monitor::engine::engine::Standing;
use mainstay::monitor::engine::rules::{Budget, BurnRate};
use schemars::JsonSchema;
use serde::Serialize;

use super::error::ApiError;
use super::history::read;
use super::time::{millis, unix};
use crate::monitor::{Objective, Spent};
use crate::session::unix_ms;
use crate::state::Shared;

/// Every objective of the configuration.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ObjectivesJson {
    objectives: Vec<ObjectiveJson>,
}

/// An objective with its error budget.
#[derive(Debug, Serialize, JsonSchema)]
struct ObjectiveJson {
    name: String,
    signal: &'static str,
    /// Of whom; none: of all.
    of: Option<String>,
    /// The share that is to go well, 0 to 1.
    objective: f64,
    /// What it is about, in milliseconds: 30 days.
    window_ms: u64,
    /// From when on something of the window is known, to the hour.
    since: Option<String>,
    failed: u64,
    all: u64,
    /// How many of `all` may fail.
    allowed: u64,
    /// The share that went well, 0 to 1.
    success: Option<f64>,
    /// The share of the budget that is left: 1 is all of it, 0 none; below 0 more failed than may.
    budget_left: Option<f64>,
    /// How fast it is used up, the most urgent windows first.
    rates: Vec<RateJson>,
    /// How bad its alert is that fires; none: it does not.
    #[schemars(with = "Option<String>")]
    firing: Option<Severity>,
    /// Its alert.
    alert: Option<String>,
    runbook: Option<String>,
}

/// How fast a budget is used up: 1 is just so fast that it lasts.
#[derive(Debug, Serialize, JsonSchema)]
struct RateJson {
    #[schemars(with = "String")]
    severity: Severity,
    /// From which rate on it is too fast.
    factor: f64,
    long_ms: u64,
    long: Option<f64>,
    short_ms: u64,
    short: Option<f64>,
    /// Whether both are too fast for certain.
    beyond: bool,
}

impl From<BurnRate> for RateJson {
    fn from(rate: BurnRate) -> Self {
        Self {
            severity: rate.severity,
            factor: rate.factor,
            long_ms: millis(rate.long),
            long: rate.long_rate,
            short_ms: millis(rate.short),
            short: rate.short_rate,
            beyond: rate.beyond,
        }
    }
}

impl ObjectiveJson {
    fn new(known: Objective, Spent { budget, since_ms }: Spent) -> Self {
        let Objective { spec, rates, alert, .. } = known;
        Self {
            signal: spec.signal.info().name,
            of: spec.of.map(|of| of.0),
            objective: spec.objective,
            window_ms: millis(Budget::WINDOW),
            since: since_ms.map(unix),
            failed: budget.failed,
            all: budget.all,
            allowed: budget.allowed(spec.objective),
            success: budget.success(),
            budget_left: budget.left(spec.objective),
            rates: rates.map(RateJson::from).into(),
            firing: alert.as_ref().filter(|one| one.is_firing()).and_then(|one| one.severity),
            alert: alert.as_ref().map(|one: &Standing| super::alerts::id(one.id)),
            runbook: spec.runbook,
            name: spec.name,
        }
    }
}

/// How objectives are met.
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
) -> Result<Json<ObjectivesJson>, ApiError> {
    let known = shared.monitor.objectives();
    let at = unix_ms();
    let objectives = read(&shared, move |store| {
        let spent = known.into_iter().map(|one| Ok((one.spent(store, at)?, one)));
        spent.map(|one| one.map(|(spent, one)| ObjectiveJson::new(one, spent))).collect()
    });
    Ok(Json(ObjectivesJson { objectives: objectives.await? }))
}
