use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::Known;
use super::error::{Problem, at};
use crate::Authority;

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
    Query(Asked { after, limit }): Query<Asked>,
) -> Result<Json<Value>, Problem> {
    if !caller.is_admin {
        let message = "the audit log is for the role admin".to_owned();
        return Err(Problem::new(StatusCode::FORBIDDEN, "FORBIDDEN", message));
    }
    let wrong = |message: &str| {
        Problem::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST", message.to_owned())
    };
    let place = |text: String| u128::from_str_radix(&text, 16);
    let after = after.map(place).transpose().map_err(|_| wrong("after is no place in the log"))?;
    let limit = limit.unwrap_or(100);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(wrong("limit must be 1 to 1000"));
    }
    let read = spawn_blocking(move || authority.audit(after, limit)).await;
    let rows = read.map_err(|_| wrong("the server stops"))??;
    let next = (rows.len() == limit).then(|| rows.last().map(|(key, _)| format!("{key:032x}")));
    let entries: Vec<Value> = rows
        .into_iter()
        .map(|(_, entry)| {
            json!({
                "at": at(entry.at), "what": entry.what, "ids": entry.ids, "by": entry.by,
                "key": entry.key, "address": entry.address, "outcome": entry.outcome,
            })
        })
        .collect();
    Ok(Json(json!({ "entries": entries, "next": next.flatten() })))
}
