use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use mainstay::operations::{Analytics, Record, Status};
use schemars::JsonSchema;
use serde::Serialize;

use crate::state::Shared;

/// How many of the last operations of a name are shown.
const LAST: usize = 10;

/// Retried operations: those under way, and by name what came of the earlier ones.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct OperationsJson {
    #[schemars(with = "Vec<serde_json::Value>")]
    active: Vec<Status>,
    names: Vec<NameJson>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct NameJson {
    name: Arc<str>,
    #[schemars(with = "serde_json::Value")]
    analytics: Analytics,
    #[schemars(with = "Vec<serde_json::Value>")]
    last: Vec<Record>,
}

pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Json<OperationsJson> {
    let operations = &shared.operations;
    let names = operations.names().into_iter().map(|name| {
        let mut last = operations.history(&name);
        last.drain(..last.len().saturating_sub(LAST));
        NameJson { analytics: operations.analytics(&name), last, name }
    });
    Json(OperationsJson { names: names.collect(), active: operations.active() })
}
