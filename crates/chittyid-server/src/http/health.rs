use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use chittyid::EntityType;
use serde_json::{Value, json};

use super::Known;
use super::error::timestamp;
use crate::{Authority, IssuedProfile};

/// Sequences of an answer, at most.
const SEQUENCES_MAX: usize = 100;

/// 200 when it can mint; 503 while the store takes nothing.
pub(super) async fn show(State(authority): State<Arc<Authority>>) -> Response {
    let is_well = authority.is_well();
    let profile = authority.config().profile;
    let low: Vec<_> = authority
        .left()
        .into_iter()
        .filter(crate::Left::is_low)
        .map(|left| json!({ "sequence": left.sequence, "limit": left.limit, "left": left.left }))
        .collect();
    let body = json!({
        "status": if is_well { "healthy" } else { "unhealthy" },
        "service": "ChittyID",
        "version": env!("CARGO_PKG_VERSION"),
        "timestamp": timestamp(),
        "authority": "mainstay",
        "profile": profile,
        "format": form(profile),
        "entityTypes": EntityType::ALL,
        "runningOut": low,
    });
    let status = if is_well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body)).into_response()
}

/// How many ids are left where some were given since the start, those first that run out first; for
/// everybody with credentials, who sees the numbers in ids anyway.
pub(super) async fn sequences(
    State(authority): State<Arc<Authority>>,
    Known(_): Known,
) -> Json<Value> {
    let mut all = authority.left();
    all.sort_by_key(|left| left.left);
    let shown = all.into_iter().take(SEQUENCES_MAX);
    let shown: Vec<_> = shown
        .map(|left| json!({ "sequence": left.sequence, "limit": left.limit, "left": left.left }))
        .collect();
    Json(json!({ "sequences": shown }))
}

/// The form of its ids, as seeds print it.
const fn form(profile: IssuedProfile) -> &'static str {
    match profile {
        IssuedProfile::Canonical03 => "03-G-LLL-SSSS-T-YYMM-C-XX",
        IssuedProfile::ClientV1 => "VV-G-LLL-SSSS-T-YM-C-X",
    }
}
