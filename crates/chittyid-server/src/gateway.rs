//! A gateway: the paths that applications use, in front of whatever authority there is.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::header::{AUTHORIZATION, VIA};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use chittyid_client::{
    ApiKey, Client, ClientConfig, Credentials, EntityType, Error, GenerationError, Request,
    ServiceHealth, Verdict,
};
use mainstay::clock;
use mainstay::core::config::ConfigError;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::http::error::{Problem, timestamp};
use crate::http::{idempotency_key, wrong_method};

/// The largest body: metadata, and some room.
const BODY_MAX: usize = 64 * 1024;
/// The most gateways that a request may have come through.
const HOPS_MAX: usize = 8;
/// The most questions at the same time. An authority beside it in one server has as many places
/// left: else those who wait for its answer would keep it from answering.
const AT_ONCE_MAX: usize = 128;
/// The most bytes that they may say of themselves: what is passed on must not be more than an
/// authority reads.
const VIA_MAX: usize = 1024;

/// Answers `/api/id/…` by asking an authority.
#[derive(Debug)]
pub struct Gateway {
    client: Client,
    places: Semaphore,
    /// What it calls itself in the header `Via`.
    name: String,
}

impl Gateway {
    /// What its connection, its breaker and its cache are called in metrics and alerts.
    pub const NAME: &str = "chittyid-gateway";

    /// A gateway to the authority that `config` names. It passes on the key that each caller shows,
    /// and has none of its own.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field that makes no sense; `api_key` is one of them.
    pub fn new(config: ClientConfig) -> Result<Self, ConfigError> {
        check(&config)?;
        let name = format!("mainstay-{:016x}", clock::draw());
        Ok(Self {
            client: Client::named(Self::NAME, config)?,
            places: Semaphore::new(AT_ONCE_MAX),
            name,
        })
    }

    /// What asks the authority: for a monitor.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// A place among those who ask at the same time.
    fn place(&self) -> Result<SemaphorePermit<'_>, Problem> {
        self.places.try_acquire().map_err(|_| {
            let message = format!("more than {AT_ONCE_MAX} requests are being answered");
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Problem::new(status, "OVERLOADED", message).after(Some(1))
        })
    }

    /// The client for one caller; a request that came through this gateway already is refused.
    fn client_for(&self, headers: &HeaderMap) -> Result<Client, Problem> {
        let looped = |message: &str| {
            Problem::new(StatusCode::LOOP_DETECTED, "LOOP_DETECTED", message.to_owned())
        };
        let mut via = String::new();
        let mut hops = 0;
        for value in headers.get_all(VIA) {
            let text = value.to_str().unwrap_or_default();
            for hop in text.split(',').map(str::trim).filter(|hop| !hop.is_empty()) {
                if hop.split_whitespace().any(|word| word == self.name) {
                    return Err(looped("the gateway asks itself: its base_url leads back to it"));
                }
                hops += 1;
                if hops > HOPS_MAX {
                    return Err(looped("the request came through too many gateways"));
                }
                let _infallible = write!(via, "{hop}, ");
            }
        }
        if via.len() > VIA_MAX {
            let message = format!("the header Via has more than {VIA_MAX} bytes");
            return Err(Problem::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST", message));
        }
        let _infallible = write!(via, "1.1 {}", self.name);
        let key = shown(headers)?;
        Ok(self.client.with_credentials(Credentials::Passed { key, via: via.into() }))
    }
}

/// Whether a gateway can be made of it.
pub(crate) fn check(config: &ClientConfig) -> Result<(), ConfigError> {
    if config.api_key.is_some() {
        let allowed = "none: a gateway passes on the key of its caller, and lends strangers none";
        return Err(ConfigError::new("api_key", format_args!("set"), allowed));
    }
    config.check()
}

/// The key that a caller shows; none when it shows nothing.
fn shown(headers: &HeaderMap) -> Result<Option<ApiKey>, Problem> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let bearer = value.to_str().ok().and_then(|text| {
        let (scheme, key) = text.split_at_checked(7)?;
        scheme.eq_ignore_ascii_case("bearer ").then_some(key)
    });
    match bearer.map(ApiKey::new) {
        Some(Ok(key)) => Ok(Some(key)),
        Some(Err(_)) | None => Err(Problem::unauthorized(headers)),
    }
}

/// The routes of a gateway: `/api/id/generate`, `/api/id/validate/{id}` and `/api/id/health`.
///
/// Who may ask is for the authority to say: callers need no credentials here.
pub fn gateway_routes(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route("/api/id/generate", post(generate))
        .route("/api/id/validate/{id}", get(validate))
        .route("/api/id/health", get(health))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .method_not_allowed_fallback(wrong_method)
        .with_state(gateway)
}

#[derive(Debug, Deserialize)]
struct GenerateBody {
    #[serde(alias = "entityType", alias = "entity_type", alias = "domain")]
    entity: String,
    name: Option<String>,
    metadata: Option<Value>,
}

async fn generate(
    State(gateway): State<Arc<Gateway>>,
    headers: HeaderMap,
    body: Result<Json<GenerateBody>, JsonRejection>,
) -> Result<Response, Problem> {
    let _place = gateway.place()?;
    let client = gateway.client_for(&headers)?;
    let Json(GenerateBody { entity, name, metadata }) =
        body.map_err(|error| Problem::body(&error))?;
    let entity: EntityType = entity.parse().map_err(|error: chittyid::UnsupportedEntity| {
        Problem::new(StatusCode::BAD_REQUEST, "INVALID_ENTITY", error.to_string())
    })?;
    let idempotency_key = idempotency_key(&headers)?.map(str::to_owned);
    let request = Request { name, metadata, idempotency_key, ..Request::new(entity) };
    let minted = client.mint_with(request).await.map_err(|error| failed(&error))?;
    let answer = json!({
        "chittyId": minted.id,
        "success": true,
        "entity": minted.entity,
        "metadata": minted.metadata,
        "timestamp": minted.timestamp.unwrap_or_else(timestamp),
    });
    Ok(([("x-chittyid-source", "central-authority")], Json(answer)).into_response())
}

/// 200 with what the authority says; 503 when it cannot be asked: nobody knows then.
async fn validate(
    State(gateway): State<Arc<Gateway>>,
    headers: HeaderMap,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let _place = gateway.place()?;
    let client = gateway.client_for(&headers)?;
    let Path(id) = id.map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST", error.body_text())
    })?;
    // What is no id may be long.
    let id: String = id.chars().take(2 * chittyid::MAX_LEN).collect();
    Ok(match client.validate(&id).await {
        Verdict::Valid { entity, profile, issued_at } => Json(json!({
            "valid": true, "verified": true, "chittyId": id, "entity": entity,
            "profile": profile, "issuedAt": issued_at.as_deref(), "timestamp": timestamp(),
        }))
        .into_response(),
        Verdict::Invalid { why } => Json(json!({
            "valid": false, "verified": true, "chittyId": id, "error": &*why,
            "timestamp": timestamp(),
        }))
        .into_response(),
        Verdict::Unverified { format, why } => {
            let mut response = failed(&why).with(json!({
                "verified": false, "chittyId": id, "formatValid": format.is_ok(),
            }));
            // The caller's question was sound: it is the answer that is missing.
            if response.status().is_client_error() && response.status() != StatusCode::UNAUTHORIZED
            {
                *response.status_mut() = StatusCode::BAD_GATEWAY;
            }
            response
        }
        _ => failed(&Error::NoId).into_response(),
    })
}

async fn health(State(gateway): State<Arc<Gateway>>) -> Json<ServiceHealth> {
    Json(gateway.client.get_service_health())
}

/// What the authority's refusal, or its silence, means for a caller of the gateway.
fn failed(error: &Error) -> Problem {
    let (status, code) = answer_to(error);
    let retry_after = error
        .retry_after()
        .map(|after| u32::try_from(after.as_millis().div_ceil(1_000).max(1)).unwrap_or(u32::MAX));
    let message = GenerationError::Failed(error.clone()).to_string();
    Problem::new(status, code, message).after(retry_after)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the client's list grows; the rest is one case")]
fn answer_to(error: &Error) -> (StatusCode, &'static str) {
    match error {
        Error::Refused(_) => (StatusCode::BAD_REQUEST, "INVALID_REQUEST"),
        Error::Unauthorized(_) => (StatusCode::UNAUTHORIZED, "UNAUTHORIZED"),
        Error::Forbidden(_) => (StatusCode::FORBIDDEN, "FORBIDDEN"),
        Error::Conflict(_) => (StatusCode::CONFLICT, "CONFLICT"),
        Error::RateLimited { .. } => (StatusCode::TOO_MANY_REQUESTS, "RATE_LIMIT_EXCEEDED"),
        Error::Service(said) if said.status == StatusCode::LOOP_DETECTED.as_u16() => {
            (StatusCode::LOOP_DETECTED, "LOOP_DETECTED")
        }
        Error::Timeout { .. } => (StatusCode::GATEWAY_TIMEOUT, "UPSTREAM_TIMEOUT"),
        Error::Unreachable { .. } | Error::CircuitOpen { .. } | Error::Disconnected => {
            (StatusCode::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE")
        }
        Error::FormatMismatch { .. } => (StatusCode::BAD_GATEWAY, "FORMAT_MISMATCH"),
        // What the authority, or what stands in front of it, answered is of no use.
        _ => (StatusCode::BAD_GATEWAY, "UPSTREAM_FAILED"),
    }
}
