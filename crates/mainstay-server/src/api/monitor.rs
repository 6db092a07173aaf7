//! How everything is, and was.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Query, State};
use mainstay::core::config::Ratio;
use mainstay::monitor::engine::series::{Cell, Tier};
use mainstay::monitor::engine::summary::Summary;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::error::{ApiError, unknown};
use super::history::read;
use super::time::unix;
use crate::monitor::series;
use crate::session::unix_ms;
use crate::state::Shared;

/// The summary as the API shows it: with its time as text.
#[derive(Debug, Serialize)]
pub(crate) struct SummaryJson {
    #[serde(flatten)]
    summary: Summary,
    at: String,
}

/// Everything at a glance.
pub(crate) fn at_a_glance(shared: &Shared) -> SummaryJson {
    let summary = shared.monitor.summary();
    SummaryJson { at: unix(summary.at_ms), summary }
}

/// The same for listeners.
pub(crate) fn rows(shared: &Shared) -> BTreeMap<String, Box<RawValue>> {
    let row = to_raw_value(&at_a_glance(shared)).ok();
    row.map(|row| ("now".into(), row)).into_iter().collect()
}

pub(super) async fn summary(State(shared): State<Arc<Shared>>) -> Json<SummaryJson> {
    Json(at_a_glance(&shared))
}

pub(super) async fn groups(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!({ "groups": shared.monitor.groups() }))
}

/// Which series.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// `sessions`, `links`, `operations`, `process`, `link:NAME`, `gate:NAME`, `cache:NAME` or
    /// `slo:NAME`.
    group: String,
    /// How far back, in milliseconds. Up to two years. Default an hour.
    span_ms: Option<u64>,
}

/// A series of cells. Those without data are left out.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct SeriesJson {
    group: String,
    /// How long each cell is: 10 s up to an hour back, a minute up to 48 h, an hour up to 90 d, a day.
    step_ms: u64,
    cells: Vec<CellJson>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct CellJson {
    at_ms: u64,
    /// Durations that were measured.
    n: u64,
    ok: u64,
    fail: u64,
    /// What was due and never came.
    miss: u64,
    min_ms: Option<f64>,
    max_ms: Option<f64>,
    mean_ms: Option<f64>,
    p50_ms: Option<f64>,
    p95_ms: Option<f64>,
    p99_ms: Option<f64>,
    /// Of sessions and links: how many are connected. Of a link: how much of the time it was, 0 to 1.
    /// Of a gate: how much of the time it was open. Of the process: how late its timers fired, in ms.
    level: Option<f64>,
    maintenance: bool,
}

pub(super) async fn series_of(
    State(shared): State<Arc<Shared>>,
    Query(asked): Query<Asked>,
) -> Result<Json<SeriesJson>, ApiError> {
    let span_ms = asked.span_ms.unwrap_or(3_600_000);
    let most = Tier::Day.span_ms();
    if !(10_000..=most).contains(&span_ms) {
        let text = format!("`span_ms` is {span_ms}, allowed: 10000 to {most} (two years)");
        return Err(ApiError::BadRequest(text));
    }
    let groups = shared.monitor.groups();
    if !groups.contains(&asked.group) && !groups.is_empty() {
        return Err(ApiError::NotFound(unknown("group", &asked.group, &groups)));
    }
    let group = asked.group.clone();
    let span = Duration::from_millis(span_ms);
    let found = read(&shared, move |store| series(store, &group, unix_ms(), span)).await?;
    let cells = found.cells.iter().map(|(at, cell)| shown(*at, cell)).collect();
    Ok(Json(SeriesJson { group: asked.group, step_ms: found.step_ms, cells }))
}

fn shown(at_ms: u64, cell: &Cell) -> CellJson {
    let ms = |span: Option<Duration>| span.map(|span| span.as_secs_f64() * 1_000.0);
    let of = |percent| ms(cell.latencies.quantile(Ratio::percent(percent)));
    CellJson {
        at_ms,
        n: cell.count(),
        ok: cell.ok,
        fail: cell.fail,
        miss: cell.miss,
        min_ms: ms(cell.min()),
        max_ms: ms(cell.max()),
        mean_ms: ms(cell.mean()),
        p50_ms: of(50),
        p95_ms: of(95),
        p99_ms: of(99),
        level: cell.level(),
        maintenance: cell.maintenance,
    }
}
