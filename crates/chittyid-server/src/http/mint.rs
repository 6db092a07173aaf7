use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Known;
use super::error::{Problem, at};
use crate::{Authority, Minted, Request};

/// What an answer shows that was given before, under the same `Idempotency-Key`.
const REPEATED: &str = "idempotency-replayed";

#[derive(Debug, Deserialize)]
pub(super) struct MintBody {
    #[serde(alias = "entityType", alias = "entity_type")]
    entity: String,
    name: Option<String>,
    metadata: Option<Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct BatchBody {
    requests: Vec<MintBody>,
}

impl From<MintBody> for Request {
    fn from(MintBody { entity, name, metadata }: MintBody) -> Self {
        Self { entity, name, metadata }
    }
}

pub(super) async fn mint(
    State(authority): State<Arc<Authority>>,
    Known(caller): Known,
    headers: HeaderMap,
    body: Result<Json<MintBody>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(body) = body.map_err(|error| Problem::body(&error))?;
    let key = idempotency_key(&headers)?;
    let mint = authority.mint(vec![body.into()], false, &caller, key).await?;
    let answer = mint.minted.first().map(shown).unwrap_or_default();
    Ok(answered(mint.repeated, answer))
}

pub(super) async fn batch(
    State(authority): State<Arc<Authority>>,
    Known(caller): Known,
    headers: HeaderMap,
    body: Result<Json<BatchBody>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(body) = body.map_err(|error| Problem::body(&error))?;
    let key = idempotency_key(&headers)?;
    let requests = body.requests.into_iter().map(Request::from).collect();
    let mint = authority.mint(requests, true, &caller, key).await?;
    let answer = json!({
        "success": true,
        "chittyIds": mint.minted.iter().map(|one| one.id).collect::<Vec<_>>(),
        "results": mint.minted.iter().map(shown).collect::<Vec<_>>(),
        "total": mint.minted.len(),
        "successful": mint.minted.len(),
        "failed": 0,
    });
    Ok(answered(mint.repeated, answer))
}

fn answered(repeated: bool, answer: Value) -> Response {
    if repeated {
        ([(REPEATED, "true")], Json(answer)).into_response()
    } else {
        Json(answer).into_response()
    }
}

fn shown(minted: &Minted) -> Value {
    json!({
        "chittyId": minted.id,
        "success": true,
        "entity": minted.entity,
        "name": minted.name,
        "metadata": minted.metadata,
        "profile": minted.id.profile(),
        "timestamp": at(minted.minted_at),
        "version": env!("CARGO_PKG_VERSION"),
    })
}

pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    value.to_str().map(Some).map_err(|_| {
        let message = "Idempotency-Key must have visible characters only".into();
        Problem::new(StatusCode::BAD_REQUEST, "INVALID_IDEMPOTENCY_KEY", message)
    })
}
