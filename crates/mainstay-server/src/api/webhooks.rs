//! Webhooks, for operators.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::error::{ApiError, unknown};
use super::guard::{Who, require};
use super::time::unix;
use crate::state::Shared;
use crate::webhook::{self, Hook};

/// A webhook as the API shows it. Its address is not shown: it may hold a secret.
#[derive(Debug, Serialize)]
pub(super) struct WebhookJson {
    name: String,
    events: Vec<String>,
    position: u64,
    /// Events of the history that it has not been told, whether it asks for them or not.
    behind: u64,
    delivered: u64,
    failures: u64,
    dead_letters: u64,
    last_error: Option<String>,
    last_delivered_at: Option<String>,
}

fn shown(hook: &Hook, newest: u64) -> WebhookJson {
    let view = hook.view();
    WebhookJson {
        name: hook.spec.name.clone(),
        events: hook.spec.events.clone(),
        position: view.position.0,
        behind: newest.saturating_sub(view.position.0),
        delivered: view.delivered,
        failures: view.failures,
        dead_letters: view.dead,
        last_error: view.last_error,
        last_delivered_at: view.last_delivered_at.map(unix),
    }
}

/// Every webhook.
pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Result<Json<Value>, ApiError> {
    let stats = shared.hub.journal().store.stats();
    let newest = stats.map_err(|error| ApiError::Storage(error.to_string()))?.position.0;
    let hooks: Vec<_> = shared.webhooks.hooks.iter().map(|hook| shown(hook, newest)).collect();
    Ok(Json(json!({ "webhooks": hooks })))
}

/// What one could not be told.
pub(super) async fn dead(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    Who(who): Who,
) -> Result<Json<Value>, ApiError> {
    require(who.role.rules())?;
    let hook = find(&shared, &name)?;
    let letters = webhook::dead_letters(&hook, &*shared.hub.journal().store)
        .map_err(|error| ApiError::Storage(error.to_string()))?;
    let letters: Vec<_> = letters
        .into_iter()
        .filter_map(|(at, id, body)| {
            let body = RawValue::from_string(body).ok()?;
            Some(json!({ "id": id, "given_up_at": unix(at), "body": body }))
        })
        .collect();
    Ok(Json(json!({ "dead_letters": letters })))
}

/// Tells one again what it could not be told.
pub(super) async fn again(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    Who(who): Who,
) -> Result<Json<Value>, ApiError> {
    require(who.role.rules())?;
    let hook = find(&shared, &name)?;
    let (told, left) = webhook::tell_again(&hook, &shared.hub)
        .await
        .map_err(|error| ApiError::Storage(error.to_string()))?;
    Ok(Json(json!({ "told": told, "left": left })))
}

fn find(shared: &Shared, name: &str) -> Result<Arc<Hook>, ApiError> {
    shared.webhooks.get(name).cloned().ok_or_else(|| {
        let names: Vec<_> =
            shared.webhooks.hooks.iter().map(|hook| hook.spec.name.clone()).collect();
        ApiError::NotFound(unknown("webhook", name, &names))
    })
}
