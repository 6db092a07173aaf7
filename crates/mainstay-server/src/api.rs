//! The HTTP API.

mod asked;
mod attend;
mod audit;
mod dismiss;
pub(crate) mod error;
mod events;
mod fallback;
mod follow;
mod gates;
pub(crate) mod guard;
mod health;
mod history;
mod links;
mod messages;
mod operations;
mod sessions;
mod time;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::IntoResponse;
use axum::routing::{delete, get, post, put};

use crate::metrics;
use crate::state::Shared;
use error::ApiError;

/// A message of the largest frame fits; more than this is not read.
const BODY_MAX: usize = 2 << 20;

/// What is told to whoever asks for something that is not there.
pub(crate) const ENDPOINTS: [&str; 19] = [
    "GET /health",
    "GET /metrics",
    "GET /api/v1/links",
    "GET /api/v1/links/{name}",
    "POST /api/v1/links/{name}/{connect|disconnect|check|reset|pause|resume}",
    "GET /api/v1/operations",
    "GET /api/v1/gates",
    "POST /api/v1/gates/{name}/{reset|force_open|isolate|release|disable|enable}",
    "GET /api/v1/events",
    "GET /api/v1/messages",
    "GET /api/v1/sessions?user=&organisation=&client_type=&status=&quality=&cursor=&limit=",
    "GET /api/v1/sessions/counts",
    "POST /api/v1/sessions",
    "POST /api/v1/sessions/{id}/{resume|heartbeat|frames}",
    "GET /api/v1/sessions/{id}/poll?recv=&wait_ms=",
    "DELETE /api/v1/sessions/{id}",
    "POST /api/v1/heartbeats",
    "GET /api/v1/sessions/{id}",
    "POST /api/v1/sessions/{id}/{disconnect|suspend|messages}",
];

/// Everything the server answers.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let at_rate = from_fn_with_state(shared.clone(), guard::at_rate);
    let quick = Router::new()
        .route("/metrics", get(page))
        .route("/api/v1/links", get(links::list))
        .route("/api/v1/links/{name}", get(links::show))
        .route("/api/v1/links/{name}/{action}", post(links::act))
        .route("/api/v1/operations", get(operations::list))
        .route("/api/v1/gates", get(gates::list))
        .route("/api/v1/gates/{name}", get(gates::show))
        .route("/api/v1/gates/{name}/{action}", post(gates::act))
        .route("/api/v1/sessions", get(sessions::list))
        .route("/api/v1/sessions/counts", get(sessions::counts))
        .route("/api/v1/sessions/{id}", get(sessions::show))
        .route("/api/v1/sessions/{id}/disconnect", post(sessions::disconnect))
        .route("/api/v1/sessions/{id}/suspend", post(sessions::suspend))
        .route("/api/v1/sessions/{id}/messages", post(sessions::send))
        .route("/api/v1/sessions/{id}/reconnect", post(attend::reconnect))
        .route("/api/v1/sessions/{id}/metadata", put(attend::describe))
        .route("/api/v1/sessions/{id}/watch", put(attend::watch).delete(attend::unwatch))
        .route("/api/v1/sessions/{id}/bars", get(attend::bars))
        .route("/api/v1/sessions/{id}/events", get(history::of_one))
        .route("/api/v1/history", get(history::of_all))
        .route("/api/v1/disconnect", post(dismiss::disconnect))
        .route("/api/v1/audit", get(audit::show))
        .route_layer(from_fn(guard::operators))
        .route_layer(from_fn_with_state(shared.clone(), audit::noted))
        .route_layer(at_rate.clone())
        .route("/health", get(health::show))
        .layer(from_fn_with_state(shared.clone(), guard::in_time));
    let noted = from_fn_with_state(shared.clone(), audit::noted);
    // Whose session it is, each of these asks by itself.
    let clients = Router::new()
        .route("/api/v1/sessions", post(fallback::register))
        .route("/api/v1/sessions/{id}", delete(fallback::leave).route_layer(noted))
        .route("/api/v1/sessions/{id}/resume", post(fallback::register))
        .route("/api/v1/sessions/{id}/heartbeat", post(fallback::heartbeat))
        .route("/api/v1/sessions/{id}/frames", post(fallback::say))
        .route("/api/v1/heartbeats", post(fallback::heartbeats))
        .layer(from_fn_with_state(shared.clone(), guard::in_time));
    let streams = Router::new()
        .route("/api/v1/events", get(events::stream))
        .route("/api/v1/messages", get(messages::stream))
        .route("/api/v1/sessions/events", get(follow::stream))
        .route_layer(from_fn(guard::operators))
        .route_layer(at_rate);
    // Polls wait, and take no place of requests that do not.
    let polls = Router::new().route("/api/v1/sessions/{id}/poll", get(fallback::poll));
    Router::new()
        .merge(quick)
        .merge(clients)
        .merge(polls)
        .merge(streams)
        .route("/v1/connect", get(crate::session::connect))
        .fallback(nothing_there)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(from_fn_with_state(shared.clone(), guard::allowed))
        .with_state(shared)
}

async fn page(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let mut page = metrics::page(&shared.prometheus.0, &shared.engine.links());
    metrics::sessions(&mut page, &shared.hub);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page)
}

async fn nothing_there() -> ApiError {
    ApiError::NotFound(format!("there is: {}", ENDPOINTS.join(", ")))
}

async fn wrong_method() -> ApiError {
    ApiError::MethodNotAllowed(format!("there is: {}", ENDPOINTS.join(", ")))
}
