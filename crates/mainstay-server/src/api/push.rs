//! Jobs report in, and operators see which did.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{Extensions, HeaderMap};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::ApiError;
use super::guard;
use super::time::{millis, unix};
use crate::accept::source;
use crate::push::{PushRefused, PushView};
use crate::state::Shared;

/// What a job says of itself. Nothing said is a good report.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Report {
    /// `ok` or `fail`. Default `ok`.
    status: Option<Status>,
    /// For people; the first 500 characters are kept.
    message: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    Fail,
}

/// Every job that must report in.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct PushesJson {
    pushes: Vec<PushJson>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct PushJson {
    name: String,
    /// `ok`, `late`, `failed`, or `waiting` before the first report.
    state: &'static str,
    every_ms: u64,
    grace_ms: u64,
    last_report: Option<String>,
    message: Option<String>,
    /// When it must have reported, at the latest.
    due: String,
    /// How long it is too late, or has failed.
    late_ms: u64,
    reports: u64,
    failures: u64,
}

impl From<PushView> for PushJson {
    fn from(view: PushView) -> Self {
        let state = match (view.ok, view.late.is_zero(), view.last_ms) {
            (false, _, _) => "failed",
            (true, false, _) => "late",
            (true, true, Some(_)) => "ok",
            (true, true, None) => "waiting",
        };
        Self {
            name: view.name,
            state,
            every_ms: millis(view.every),
            grace_ms: millis(view.grace),
            last_report: view.last_ms.map(unix),
            message: view.message,
            due: unix(view.due_ms),
            late_ms: millis(view.late),
            reports: view.reports,
            failures: view.failures,
        }
    }
}

pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Json<PushesJson> {
    let pushes = shared.pushes.views().into_iter().map(PushJson::from).collect();
    Json(PushesJson { pushes })
}

/// A report under the token in the path.
pub(super) async fn by_path(
    State(shared): State<Arc<Shared>>,
    Path((name, token)): Path<(String, String)>,
    Query(asked): Query<Report>,
    extensions: Extensions,
    body: Bytes,
) -> Result<&'static str, ApiError> {
    take(&shared, &extensions, (&name, &token), asked, &body).await
}

/// A report under the token in the header.
pub(super) async fn by_header(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    Query(asked): Query<Report>,
    headers: HeaderMap,
    extensions: Extensions,
    body: Bytes,
) -> Result<&'static str, ApiError> {
    let token = guard::bearer(&headers).unwrap_or_default();
    take(&shared, &extensions, (&name, token), asked, &body).await
}

async fn take(
    shared: &Shared,
    extensions: &Extensions,
    (name, token): (&str, &str),
    asked: Report,
    body: &[u8],
) -> Result<&'static str, ApiError> {
    let report = read(asked, body)?;
    let ok = report.status != Some(Status::Fail);
    let taken = shared.pushes.report(name, token, ok, report.message.as_deref());
    let changes = match taken {
        Ok(changes) => changes,
        Err(PushRefused::TooMany(seconds)) => {
            return Err(ApiError::TooMany("this job reports too often".into(), seconds));
        }
        Err(PushRefused::Unknown) => {
            if let Some(from) = source(extensions) {
                guard::failed(shared, from)?;
            }
            let text = "there is no such job, or its token is another one";
            return Err(ApiError::Unauthorized(text.into()));
        }
    };
    let (_, writer) = shared.hub.keeps();
    let lost = |error: &dyn std::fmt::Display| {
        ApiError::Storage(format!("the report cannot be kept: {error}; try again"))
    };
    let ticket = writer.submit(changes).await.map_err(|error| lost(&error))?;
    ticket.await.map_err(|error| lost(&error))?;
    Ok("ok\n")
}

/// What the body says, over what the query says.
fn read(asked: Report, body: &[u8]) -> Result<Report, ApiError> {
    if body.trim_ascii().is_empty() {
        return Ok(asked);
    }
    let said: Report = serde_json::from_slice(body).map_err(|_| {
        let text =
            "the body is JSON such as {\"status\": \"fail\", \"message\": \"no space left\"}";
        ApiError::BadRequest(text.into())
    })?;
    Ok(Report { status: said.status.or(asked.status), message: said.message.or(asked.message) })
}
