use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use mainstay::link::StateName;
use serde::Serialize;

use super::time;
use crate::state::Shared;

/// Whether the process is well, and at a glance whether its links are.
#[derive(Debug, Serialize)]
pub(super) struct Health {
    status: &'static str,
    version: &'static str,
    uptime_ms: u64,
    config_applied_at: String,
    links: Links,
}

#[derive(Debug, Serialize)]
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

/// Always 200 when the process is well: what its links do is no reason to restart it.
pub(super) async fn show(State(shared): State<Arc<Shared>>) -> Json<Health> {
    let mut links = Links { total: 0, connected: 0, by_state: BTreeMap::new() };
    let mut degraded = false;
    for (link, _) in shared.engine.links() {
        let state = link.view().state;
        links.total += 1;
        links.connected += usize::from(state.is_healthy());
        *links.by_state.entry(state.as_str()).or_default() += 1;
        degraded |= is_trouble(state);
    }
    Json(Health {
        status: if degraded { "degraded" } else { "ok" },
        version: env!("CARGO_PKG_VERSION"),
        uptime_ms: time::millis(shared.started.elapsed()),
        config_applied_at: time::text(shared.applied_at()),
        links,
    })
}
