//! Receivers of notices, for operators.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use mainstay::core::policy::breaker::State as BreakerState;
use mainstay_monitor::alert::Severity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::audit::Noted;
use super::error::{ApiError, unknown};
use super::time::{millis, unix};
use crate::notify::{DeadLetter, Receiver};
use crate::state::Shared;

/// All receivers.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ReceiversJson {
    receivers: Vec<ReceiverJson>,
}

/// A receiver as the API shows it. Its address is not shown: it may hold a secret.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ReceiverJson {
    name: String,
    /// `webhook`, `slack`, `pagerduty`, `email`, `command` or `alertmanager`.
    kind: &'static str,
    #[schemars(with = "String")]
    min_severity: Severity,
    /// Notices that it took.
    sent: u64,
    /// Rounds of attempts that came to nothing.
    failed: u64,
    /// Notices that were given up and are kept.
    dead: usize,
    /// Notices that wait.
    queued: usize,
    last_sent: Option<String>,
    last_error: Option<String>,
    #[schemars(with = "Option<String>")]
    breaker: Option<BreakerState>,
}

/// What came of a test.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct TestJson {
    delivered: bool,
    detail: String,
    took_ms: u64,
}

/// Of which receiver.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Of {
    receiver: Option<String>,
}

/// What could not be told.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct DeadLettersJson {
    dead_letters: Vec<DeadLetterJson>,
}

/// A notice that could not be told.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct DeadLetterJson {
    id: String,
    receiver: String,
    /// When it was given up.
    at: String,
    /// What it said.
    what: String,
    error: String,
    attempts: u32,
}

fn shown(receiver: &Arc<Receiver>) -> ReceiverJson {
    let (spec, view) = (&receiver.spec, receiver.view());
    ReceiverJson {
        name: spec.name.clone(),
        kind: spec.way.name(),
        min_severity: spec.route.min_severity,
        sent: view.sent,
        failed: view.failures.values().sum(),
        dead: view.dead,
        queued: view.queued,
        last_sent: view.last_sent.map(unix),
        last_error: view.last_error,
        breaker: receiver.gate().and_then(|gate| gate.breaker).map(|breaker| breaker.state),
    }
}

fn letter(dead: &DeadLetter) -> DeadLetterJson {
    DeadLetterJson {
        id: dead.id().to_owned(),
        receiver: dead.receiver.clone(),
        at: unix(dead.at),
        what: dead.what(),
        error: dead.error.clone(),
        attempts: dead.attempts,
    }
}

/// Every receiver.
pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Json<ReceiversJson> {
    let receivers = shared.notifier.receivers();
    Json(ReceiversJson { receivers: receivers.iter().map(shown).collect() })
}

/// Tells one that this is a test.
pub(super) async fn test(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<(Extension<Noted>, Json<TestJson>), ApiError> {
    let receiver = find(&shared, &name)?;
    let tested = shared.notifier.test(&receiver).await;
    let noted = Noted(if tested.delivered { "delivered" } else { "not delivered" }.into());
    let took_ms = millis(tested.took);
    let answer = TestJson { delivered: tested.delivered, detail: tested.detail, took_ms };
    Ok((Extension(noted), Json(answer)))
}

/// What could not be told.
pub(super) async fn dead(
    State(shared): State<Arc<Shared>>,
    Query(of): Query<Of>,
) -> Result<Json<DeadLettersJson>, ApiError> {
    if let Some(name) = &of.receiver {
        find(&shared, name)?;
    }
    let found = shared.notifier.dead(of.receiver).await.map_err(storage)?;
    Ok(Json(DeadLettersJson { dead_letters: found.iter().map(letter).collect() }))
}

/// Tells it again.
pub(super) async fn again(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<(StatusCode, Extension<Noted>), ApiError> {
    let found = shared.notifier.retry(&id).await.map_err(storage)?;
    let dead = found.ok_or_else(|| nothing(&id))?;
    Ok((StatusCode::ACCEPTED, Extension(Noted(format!("receiver {}", dead.receiver)))))
}

/// Forgets it.
pub(super) async fn forget(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<(StatusCode, Extension<Noted>), ApiError> {
    let found = shared.notifier.forget(&id).await.map_err(storage)?;
    let dead = found.ok_or_else(|| nothing(&id))?;
    Ok((StatusCode::NO_CONTENT, Extension(Noted(format!("receiver {}", dead.receiver)))))
}

fn find(shared: &Shared, name: &str) -> Result<Arc<Receiver>, ApiError> {
    shared.notifier.receiver(name).ok_or_else(|| {
        let receivers = shared.notifier.receivers();
        let names: Vec<_> = receivers.iter().map(|one| one.spec.name.clone()).collect();
        ApiError::NotFound(unknown("receiver", name, &names))
    })
}

fn nothing(id: &str) -> ApiError {
    ApiError::NotFound(format!("there is no notice {id:?} that could not be told"))
}

fn storage(error: mainstay_store::StoreError) -> ApiError {
    ApiError::Storage(error.to_string())
}
