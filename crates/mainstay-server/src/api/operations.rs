use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use mainstay::operations::{Analytics, Record, Status};
use serde::Serialize;

use crate::state::Shared;

/// How many of the last operations of a name are shown.
const LAST: usize = 10;

/// Retried operations: those under way, and by name what came of the earlier ones.
#[derive(Debug, Serialize)]
pub(super) struct OperationsJson {
    active: Vec<Status>,
    names: Vec<NameJson>,
}

#[derive(Debug, Serialize)]
struct NameJson {
    name: Arc<str>,
    analytics: Analytics,
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
