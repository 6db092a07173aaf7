use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::Known;
use super::error::{Problem, at};
use crate::{AuditPage, Authority};

/// The most entries of a page.
const LIMIT_MAX: usize = 1_000;

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    after: Option<String>,
    limit: Option<usize>,
}

/// The audit log, the oldest first; for admins.
pub(super) async fn show(
    State(authority): State<Arc<Authority>>,
    Known(caller): Known,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    if !caller.is_admin {
        let message = "the audit log is for the role admin".to_owned();
        return Err(Problem::new(StatusCode::FORBIDDEN, "FORBIDDEN", message));
    }
    let wrong = |message: &str| {
        Problem::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST", message.to_owned())
    };
    let Query(Asked { after, limit }) = asked.map_err(|error| wrong(&error.body_text()))?;
    let place = |text: String| u128::from_str_radix(&text, 16);
    let after = after.map(place).transpose().map_err(|_| wrong("after is no place in the log"))?;
    let limit = limit.unwrap_or(100);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(wrong("limit must be 1 to 1000"));
    }
    let read = spawn_blocking(move || authority.audit(after, limit)).await;
    let AuditPage { entries, next } = read.map_err(|_| Problem::stopping())??;
    let entries: Vec<Value> = entries
        .into_iter()
        .map(|entry| {
            json!({
                "at": at(entry.at), "what": entry.what, "ids": entry.ids, "by": entry.by,
                "key": entry.key, "address": entry.address, "outcome": entry.outcome,
            })
        })
        .collect();
    Ok(Json(json!({ "entries": entries, "next": next.map(|place| format!("{place:032x}")) })))
}
