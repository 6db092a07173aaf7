//! The API of an authority, as ChittyID clients know it.

mod audit;
pub(crate) mod error;
mod health;
mod mint;
mod validate;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequestParts};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::routing::{get, post};

use crate::{Authority, Caller};
use error::Problem;
pub(crate) use mint::idempotency_key;

/// The largest body of a single mint: its metadata, and some room.
const BODY_MAX: usize = 64 * 1024;
/// What of a batch's body is not metadata, for each of its ids.
const BESIDE_METADATA: usize = 1024;
/// How often what is kept no longer is dropped.
const PRUNE: Duration = Duration::from_secs(600);

/// The routes of an authority: `/v1/mint`, `/v1/mint/batch`, `/v1/validate`, `/v1/{id}/info`,
/// `/v1/health`, `/v1/sequences` and `/v1/audit`. Inside a runtime, what is kept no longer is dropped as long as they
/// are there.
pub fn authority_routes(authority: Arc<Authority>) -> Router {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        let weak = Arc::downgrade(&authority);
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(PRUNE).await;
                let Some(authority) = weak.upgrade() else { return };
                let pruned = tokio::task::spawn_blocking(move || authority.prune()).await;
                if let Ok(Err(error)) = pruned {
                    tracing::warn!(%error, "old answers and audit entries could not be dropped");
                }
            }
        });
    }
    let single = DefaultBodyLimit::max(BODY_MAX);
    let config = authority.config();
    // Metadata may be longer on the way than it is stored: spaces, escapes.
    let batch = config.batch_max * (2 * config.metadata_max + BESIDE_METADATA);
    let batch = DefaultBodyLimit::max(batch.max(BODY_MAX));
    Router::new()
        .route("/v1/mint", post(mint::mint).layer(single))
        .route("/v1/mint/batch", post(mint::batch).layer(batch))
        .route("/v1/validate", post(validate::posted).layer(single))
        .route("/v1/validate/{id}", get(validate::named))
        .route("/v1/{id}/info", get(validate::info))
        .route("/v1/health", get(health::show))
        .route("/v1/sequences", get(health::sequences))
        .route("/v1/audit", get(audit::show))
        .method_not_allowed_fallback(wrong_method)
        .with_state(authority)
}

pub(crate) async fn wrong_method() -> Problem {
    let message = "this path has other methods: see the header `Allow`".to_owned();
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", message)
}

/// Somebody whose credentials hold.
struct Known(Caller);

impl<S: Sync> FromRequestParts<S> for Known {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Caller>().cloned();
        caller.map(Self).ok_or_else(|| Problem::unauthorized(&parts.headers))
    }
}

/// Anybody; a stranger has the name `anonymous`.
struct Anyone {
    caller: Caller,
    is_known: bool,
}

impl<S: Sync> FromRequestParts<S> for Anyone {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(match parts.extensions.get::<Caller>() {
            Some(caller) => Self { caller: caller.clone(), is_known: true },
            None => {
                let name = "anonymous".into();
                let caller = Caller { name, key: None, address: None, is_admin: false };
                Self { caller, is_known: false }
            }
        })
    }
}
