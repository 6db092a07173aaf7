use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::extract::{Path, State};
use mainstay::clock;
use mainstay::core::link::LinkConfig;
use mainstay::core::policy::gate::GateConfig;
use mainstay::link::websocket::SocketStats;
use mainstay::link::{
    EndpointView, FailReason, Link, LinkStats, PoolStats, ReadyState, StateName, SuspendReason,
};
use mainstay::monitor::days_until;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::error::ApiError;
use super::gates::BreakerJson;
use super::time::{micros, millis, text, wall};
use crate::engine::Held;
use crate::state::Shared;

/// A link as the API shows it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct LinkJson {
    name: Arc<str>,
    target: Arc<str>,
    #[schemars(with = "String")]
    state: StateName,
    #[schemars(with = "String")]
    ready: ReadyState,
    healthy: bool,
    stable: bool,
    since: Option<String>,
    attempt: u32,
    next_retry_ms: Option<u64>,
    #[schemars(with = "Option<String>")]
    suspended: Option<SuspendReason>,
    #[schemars(with = "Option<String>")]
    failed: Option<FailReason>,
    last_error: Option<LastErrorJson>,
    stats: StatsJson,
    rtt: RttJson,
    pool: Option<PoolJson>,
    endpoints: Option<Vec<EndpointJson>>,
    #[schemars(with = "Option<serde_json::Value>")]
    socket: Option<SocketStats>,
    certificate: Option<CertificateJson>,
    dns: Option<DnsJson>,
    policy: Option<String>,
    breaker: Option<BreakerJson>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct LastErrorJson {
    at: String,
    message: Arc<str>,
}

/// The statistics of seed 000, the rate as a number and in its text form.
#[derive(Debug, Serialize, JsonSchema)]
struct StatsJson {
    total_connections: u64,
    total_reconnections: u64,
    total_failures: u64,
    total_health_checks: u64,
    successful_health_checks: u64,
    failed_health_checks: u64,
    health_check_success_rate: f64,
    health_check_success_text: String,
    uptime_ms: u64,
    total_reconnect_attempts: u64,
    last_health_check: Option<String>,
    last_successful_connection: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct RttJson {
    last_us: Option<u64>,
    smoothed_us: Option<u64>,
    variation_us: Option<u64>,
    min_us: Option<u64>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct PoolJson {
    requests: u64,
    opened: u64,
    refused: u64,
    reused: u64,
    in_flight: u64,
    replaced: u64,
}

/// One of several places where a peer is.
#[derive(Debug, Serialize, JsonSchema)]
struct EndpointJson {
    url: String,
    current: bool,
    failures: u32,
    ejected_ms: Option<u64>,
    rtt_us: Option<u64>,
}

impl EndpointJson {
    fn new((url, view): (String, EndpointView)) -> Self {
        let now = clock::now();
        Self {
            url,
            current: view.current,
            failures: view.failures,
            ejected_ms: view.ejected_until.map(|until| millis(until.since(now))),
            rtt_us: view.rtt.map(micros),
        }
    }
}

/// What the peer showed in the last handshake.
#[derive(Debug, Serialize, JsonSchema)]
struct CertificateJson {
    expires: String,
    /// Below 0 when it is past.
    days_left: f64,
}

impl CertificateJson {
    fn new(expiry: SystemTime) -> Self {
        let days_left = (days_until(expiry) * 10.0).floor() / 10.0;
        Self { expires: text(expiry), days_left }
    }
}

/// What a name is answered with.
#[derive(Debug, Serialize, JsonSchema)]
struct DnsJson {
    records: Arc<[String]>,
    /// How often the answer was another than before.
    changes: u64,
}

impl StatsJson {
    fn new(stats: &LinkStats) -> Self {
        Self {
            total_connections: stats.total_connections,
            total_reconnections: stats.total_reconnections,
            total_failures: stats.total_failures,
            total_health_checks: stats.total_health_checks,
            successful_health_checks: stats.successful_health_checks,
            failed_health_checks: stats.failed_health_checks,
            health_check_success_rate: stats.health_check_success_rate.as_f64(),
            health_check_success_text: stats.success_text(),
            uptime_ms: millis(stats.uptime),
            total_reconnect_attempts: stats.total_reconnect_attempts,
            last_health_check: stats.last_health_check.map(wall),
            last_successful_connection: stats.last_successful_connection.map(wall),
        }
    }
}

impl From<PoolStats> for PoolJson {
    fn from(pool: PoolStats) -> Self {
        Self {
            requests: pool.requests,
            opened: pool.opened,
            refused: pool.refused,
            reused: pool.reused,
            in_flight: pool.in_flight,
            replaced: pool.replaced,
        }
    }
}

impl LinkJson {
    fn new(link: &Link, held: &Held) -> Self {
        let (view, stats, now) = (link.view(), link.stats(), clock::now());
        Self {
            name: link.name().clone(),
            target: link.target().clone(),
            state: view.state,
            ready: view.ready,
            healthy: view.healthy,
            stable: view.stable,
            since: view.since.map(wall),
            attempt: view.attempt,
            next_retry_ms: view.next_at.map(|at| millis(at.since(now))),
            suspended: view.suspended,
            failed: view.failed,
            last_error: held
                .last_error()
                .map(|error| LastErrorJson { at: text(error.at), message: error.text }),
            rtt: RttJson {
                last_us: stats.rtt.last().map(micros),
                smoothed_us: stats.rtt.smoothed().map(micros),
                variation_us: stats.rtt.variation().map(micros),
                min_us: stats.rtt.min().map(micros),
            },
            stats: StatsJson::new(&stats),
            pool: held.pool().map(PoolJson::from),
            endpoints: endpoints(held),
            socket: held.socket(),
            certificate: held.certificate_expiry().map(CertificateJson::new),
            dns: held.dns().map(|view| DnsJson { records: view.records, changes: view.changes }),
            policy: held.spec.policy.clone(),
            breaker: held.gate().and_then(|gate| BreakerJson::new(&gate)),
        }
    }
}

/// Where the link leads, when that is more than one place.
fn endpoints(held: &Held) -> Option<Vec<EndpointJson>> {
    let shown: Vec<_> = held.endpoints().into_iter().map(EndpointJson::new).collect();
    (!shown.is_empty()).then_some(shown)
}

/// Every link by its name, for listeners.
pub(crate) fn rows(shared: &Shared) -> BTreeMap<String, Box<RawValue>> {
    let row = |(link, held): &(Link, Held)| {
        let row = to_raw_value(&LinkJson::new(link, held)).ok()?;
        Some((link.name().to_string(), row))
    };
    shared.engine.links().iter().filter_map(row).collect()
}

/// Every link.
pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let links = shared.engine.links();
    let links: Vec<LinkJson> = links.iter().map(|(link, held)| LinkJson::new(link, held)).collect();
    Json(json!({ "links": links }))
}

/// One link.
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<Json<LinkJson>, ApiError> {
    let (link, held) = find(&shared, &name)?;
    Ok(Json(LinkJson::new(&link, &held)))
}

/// How a link behaves: everything it goes by, what the configuration does not say included.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct PolicyJson {
    /// The name of the policy whose gate guards it.
    policy: Option<String>,
    /// Timeouts, retries and checks, as the file would say them.
    #[schemars(with = "serde_json::Value")]
    link: LinkConfig,
    /// Breaker, budget and limits of its gate.
    #[schemars(with = "Option<serde_json::Value>")]
    gate: Option<GateConfig>,
}

/// What a link goes by.
pub(super) async fn policy(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<Json<PolicyJson>, ApiError> {
    let (_, held) = find(&shared, &name)?;
    let gate = held.gate().map(|gate| gate.config());
    Ok(Json(PolicyJson { policy: held.spec.policy.clone(), link: held.spec.config, gate }))
}

const ACTIONS: &str = "connect, disconnect, check, reset, pause, resume";

/// Does something with a link and shows it afterwards. A connect is begun and not waited for.
pub(super) async fn act(
    State(shared): State<Arc<Shared>>,
    Path((name, action)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let (link, held) = find(&shared, &name)?;
    let mut checked = None;
    match action.as_str() {
        "connect" => link.begin(),
        "disconnect" => link.disconnect().await,
        "check" => checked = Some(link.check_now().await),
        "reset" => link.reset(),
        "pause" => link.pause(),
        "resume" => link.resume(),
        _ => {
            return Err(ApiError::NotFound(format!("there is no {action:?}, there is: {ACTIONS}")));
        }
    }
    tracing::info!(link = %name, action, "done by hand over the api");
    Ok(Json(json!({
        "action": action,
        "check_passed": checked,
        "link": LinkJson::new(&link, &held),
    })))
}

fn find(shared: &Shared, name: &str) -> Result<(Link, Held), ApiError> {
    shared.engine.link(name).ok_or_else(|| {
        let names: Vec<_> =
            shared.engine.links().iter().map(|(link, _)| link.name().to_string()).collect();
        ApiError::NotFound(super::error::unknown("link", name, &names))
    })
}
