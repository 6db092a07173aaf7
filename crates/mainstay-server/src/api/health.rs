use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse as _, Response};
use mainstay::link::StateName;
use schemars::JsonSchema;
use serde::Serialize;

use super::time;
use crate::state::Shared;

/// Whether the process is well, and at a glance whether its links are.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Health {
    status: &'static str,
    service: &'static str,
    version: &'static str,
    timestamp: String,
    uptime_ms: u64,
    config_applied_at: String,
    links: Links,
    sessions: Sessions,
    store: Store,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Sessions {
    total: u64,
    connected: u64,
    suspended: u64,
    reconnecting: u64,
    connections: usize,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Store {
    /// Whether the last commit succeeded.
    reachable: bool,
    queued_changes: usize,
    queued_bytes: usize,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Links {
    total: usize,
    connected: usize,
    by_state: BTreeMap<&'static str, usize>,
}

/// States in which a link is not as somebody wants it to be.
const fn is_trouble(state: StateName) -> bool {
    match state {
        StateName::Reconnecting | StateName::Suspended | StateName::Failed => true,
        StateName::Disconnected
        | StateName::Connecting
        | StateName::Connected
        | StateName::Closing => false,
    }
}

/// Balancers of load try again after so many seconds.
const RETRY: &str = "1";

/// 200 when the process is well, whatever its links do: that is no reason to restart it. 503 while it
/// sends its clients away.
pub(super) async fn show(State(shared): State<Arc<Shared>>) -> Response {
    let draining = shared.hub.is_draining() || *shared.stopping.borrow();
    let health = Json(health(&shared, draining));
    if draining {
        return (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, RETRY)], health).into_response();
    }
    health.into_response()
}

fn health(shared: &Shared, draining: bool) -> Health {
    let mut links = Links { total: 0, connected: 0, by_state: BTreeMap::new() };
    let mut degraded = false;
    for (link, _) in shared.engine.links() {
        let state = link.view().state;
        links.total += 1;
        links.connected += usize::from(state.is_healthy());
        *links.by_state.entry(state.as_str()).or_default() += 1;
        degraded |= is_trouble(state);
    }
    let (counts, writer) = (shared.hub.counts(), shared.hub.writer_stats());
    let reachable = writer.failing.is_none();
    degraded |= !reachable;
    Health {
        status: match (draining, degraded) {
            (true, _) => "draining",
            (false, true) => "degraded",
            (false, false) => "ok",
        },
        service: "mainstay",
        timestamp: time::text(SystemTime::now()),
        version: env!("CARGO_PKG_VERSION"),
        uptime_ms: time::millis(shared.started.elapsed()),
        config_applied_at: time::text(shared.applied_at()),
        links,
        sessions: Sessions {
            total: counts.total(),
            connected: counts.connected,
            suspended: counts.suspended,
            reconnecting: counts.reconnecting,
            connections: shared.hub.connections(),
        },
        store: Store {
            reachable,
            queued_changes: writer.queued_changes,
            queued_bytes: writer.queued_bytes,
        },
    }
}
