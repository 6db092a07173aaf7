//! The HTTP API.

mod error;
mod events;
mod gates;
mod guard;
mod health;
mod links;
mod operations;
mod time;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::CONTENT_TYPE;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::{get, post};

use crate::metrics;
use crate::state::Shared;
use error::ApiError;

/// No request needs a body; more than this is not read.
const BODY_MAX: usize = 16 * 1024;

/// What is told to whoever asks for something that is not there.
pub(crate) const ENDPOINTS: [&str; 9] = [
    "GET /health",
    "GET /metrics",
    "GET /api/v1/links",
    "GET /api/v1/links/{name}",
    "POST /api/v1/links/{name}/{connect|disconnect|check|reset|pause|resume}",
    "GET /api/v1/operations",
    "GET /api/v1/gates",
    "POST /api/v1/gates/{name}/{reset|force_open|isolate|release|disable|enable}",
    "GET /api/v1/events",
];

/// Everything the server answers.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let quick = Router::new()
        .route("/health", get(health::show))
        .route("/metrics", get(page))
        .route("/api/v1/links", get(links::list))
        .route("/api/v1/links/{name}", get(links::show))
        .route("/api/v1/links/{name}/{action}", post(links::act))
        .route("/api/v1/operations", get(operations::list))
        .route("/api/v1/gates", get(gates::list))
        .route("/api/v1/gates/{name}", get(gates::show))
        .route("/api/v1/gates/{name}/{action}", post(gates::act))
        .layer(from_fn_with_state(shared.clone(), guard::in_time));
    Router::new()
        .merge(quick)
        .route("/api/v1/events", get(events::stream))
        .fallback(nothing_there)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(from_fn_with_state(shared.clone(), guard::allowed))
        .with_state(shared)
}

async fn page(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let page = metrics::page(&shared.prometheus.0, &shared.engine.links());
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page)
}

async fn nothing_there() -> ApiError {
    ApiError::NotFound(format!("there is: {}", ENDPOINTS.join(", ")))
}

async fn wrong_method() -> ApiError {
    ApiError::MethodNotAllowed(format!("there is: {}", ENDPOINTS.join(", ")))
}
