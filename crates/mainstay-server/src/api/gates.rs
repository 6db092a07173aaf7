use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use mainstay::core::policy::breaker::State as BreakerState;
use mainstay::gate::{Gate, GateView};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::error::{ApiError, unknown};
use super::time::millis;
use crate::state::Shared;

/// A gate as the API shows it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct GateJson {
    name: Arc<str>,
    breaker: Option<BreakerJson>,
    held_ms: Option<u64>,
    retry_after_ms: Option<u64>,
    in_flight: Option<u32>,
    in_flight_max: Option<u32>,
    budget: Option<u64>,
    admitted: u64,
    rejected: u64,
    succeeded: u64,
    failed: u64,
    abandoned: u64,
}

/// A breaker as the API shows it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct BreakerJson {
    #[schemars(with = "String")]
    state: BreakerState,
    remaining_ms: Option<u64>,
    consecutive_failures: u32,
    calls: u32,
    failed: u32,
    slow: u32,
    admitted_share: f64,
    openings: u8,
    isolations: u16,
}

impl BreakerJson {
    pub(super) fn new(gate: &Gate) -> Option<Self> {
        let view = gate.view().breaker?;
        Some(Self {
            state: view.state,
            remaining_ms: view.remaining.map(millis),
            consecutive_failures: view.consecutive_failures,
            calls: view.calls,
            failed: view.failed,
            slow: view.slow,
            admitted_share: view.admitted_share.as_f64(),
            openings: view.openings,
            isolations: view.isolations,
        })
    }
}

impl From<&Gate> for GateJson {
    fn from(gate: &Gate) -> Self {
        let view: GateView = gate.view();
        Self {
            breaker: BreakerJson::new(gate),
            name: view.name,
            held_ms: view.held_ms,
            retry_after_ms: view.retry_after_ms,
            in_flight: view.in_flight.map(|(now, _)| now),
            in_flight_max: view.in_flight.map(|(_, most)| most),
            budget: view.budget,
            admitted: view.admitted,
            rejected: view.rejected,
            succeeded: view.succeeded,
            failed: view.failed,
            abandoned: view.abandoned,
        }
    }
}

/// Every gate by its name, for listeners.
pub(crate) fn rows(shared: &Shared) -> BTreeMap<String, Box<RawValue>> {
    let row =
        |gate: &Gate| Some((gate.name().to_string(), to_raw_value(&GateJson::from(gate)).ok()?));
    shared.engine.gates().iter().filter_map(row).collect()
}

/// Every gate.
pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let gates: Vec<GateJson> = shared.engine.gates().iter().map(GateJson::from).collect();
    Json(json!({ "gates": gates }))
}

/// One gate.
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<Json<GateJson>, ApiError> {
    Ok(Json(GateJson::from(&find(&shared, &name)?)))
}

const ACTIONS: &str = "reset, force_open, isolate, release, disable, enable";

/// Does something with a gate's breaker and shows the gate afterwards.
pub(super) async fn act(
    State(shared): State<Arc<Shared>>,
    Path((name, action)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let gate = find(&shared, &name)?;
    match action.as_str() {
        "reset" => gate.reset(),
        "force_open" => gate.force_open(),
        "isolate" => gate.isolate(),
        "release" => gate.release(),
        "disable" => gate.disable(),
        "enable" => gate.enable(),
        _ => {
            return Err(ApiError::NotFound(format!("there is no {action:?}, there is: {ACTIONS}")));
        }
    }
    tracing::info!(gate = %name, action, "done by hand over the api");
    Ok(Json(json!({ "action": action, "gate": GateJson::from(&gate) })))
}

fn find(shared: &Shared, name: &str) -> Result<Gate, ApiError> {
    shared.engine.gate_called(name).ok_or_else(|| {
        let gates = shared.engine.gates();
        let names: Vec<_> = gates.iter().map(|gate| gate.name().to_string()).collect();
        ApiError::NotFound(unknown("gate", name, &names))
    })
}
