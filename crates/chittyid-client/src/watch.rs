//! The connection to the service, watched by health checks.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mainstay::clock;
use mainstay::core::config::ConfigError;
use mainstay::core::link::{LinkConfig, LinkStats};
use mainstay::core::policy::outcome::Outcome;
use mainstay::core::time::Instant;
use mainstay::link::{HttpTransport, Link, LinkOptions, StateName};
use serde::Serialize;

use crate::breaker::millis;

/// The watched connection at one moment: `getConnectionStatus` of the seeds.
///
/// Before anything has started it, it is `{"initialized": false, "state": "NOT_INITIALIZED"}`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ConnectionStatus {
    /// Whether it was started.
    pub initialized: bool,
    /// `NOT_INITIALIZED`, or the link's state, such as `CONNECTED`.
    pub state: &'static str,
    /// The rest, once it was started.
    #[serde(flatten)]
    pub details: Option<ConnectionDetails>,
}

/// What is known of a connection that was started.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ConnectionDetails {
    /// Whether it holds: only `CONNECTED` does.
    pub is_healthy: bool,
    /// How long it has held, in milliseconds; 0 unless it holds.
    pub uptime: u64,
    /// Reconnects begun since it last held.
    pub reconnect_attempts: u32,
    /// When a health check last ended, in milliseconds since 1970.
    pub last_health_check: Option<u64>,
    /// When a connection was last made, in milliseconds since 1970.
    pub last_successful_connection: Option<u64>,
    /// What was counted.
    pub stats: ConnectionStats,
}

/// What a connection has counted: all nine fields of seed 000, and the rate as a number.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ConnectionStats {
    /// Connections made.
    pub total_connections: u64,
    /// Of these, those made again.
    pub total_reconnections: u64,
    /// Connects that failed.
    pub total_failures: u64,
    /// Health checks.
    pub total_health_checks: u64,
    /// Health checks that were answered well.
    pub successful_health_checks: u64,
    /// Health checks that failed.
    pub failed_health_checks: u64,
    /// The share of the good ones as text: `"97.96%"`, and `"0%"` when there were none.
    pub health_check_success_rate: String,
    /// The same as a number from 0 to 1.
    pub health_check_success_ratio: f64,
    /// The state.
    pub current_state: &'static str,
    /// How long it has held, in milliseconds.
    pub uptime: u64,
    /// Whether it holds.
    pub is_connected: bool,
}

/// Starts the link when it is first needed.
#[derive(Debug)]
pub(crate) struct Watch {
    name: Box<str>,
    transport: HttpTransport,
    config: LinkConfig,
    starts_by_itself: bool,
    link: OnceLock<Link>,
}

impl Watch {
    pub(crate) fn new(
        name: &str,
        transport: HttpTransport,
        config: LinkConfig,
        starts_by_itself: bool,
    ) -> Result<Self, ConfigError> {
        // A link is checked when it is made, which is later: its configuration is checked here.
        mainstay::core::link::Link::new(&config).map_err(|error| error.within("watch"))?;
        Ok(Self { name: name.into(), transport, config, starts_by_itself, link: OnceLock::new() })
    }

    /// The link, which is made now if there is none, and connects when it is told to.
    pub(crate) fn link(&self) -> &Link {
        self.link.get_or_init(|| {
            let options = LinkOptions::new(&*self.name).config(self.config);
            Link::open(options, self.transport.clone()).expect("a configuration that was checked")
        })
    }

    /// A request is about to be made.
    pub(crate) fn touch(&self) {
        if self.starts_by_itself && self.link.get().is_none() {
            self.link().begin();
        }
    }

    /// What came of a request.
    pub(crate) fn report(&self, outcome: Outcome, took: Duration) {
        if let Some(link) = self.link.get() {
            link.report(outcome, took);
        }
    }

    pub(crate) fn state(&self) -> Option<StateName> {
        self.link.get().map(|link| link.view().state)
    }

    pub(crate) fn started(&self) -> Option<&Link> {
        self.link.get()
    }

    pub(crate) fn status(&self) -> ConnectionStatus {
        let Some(link) = self.link.get() else {
            return ConnectionStatus {
                initialized: false,
                state: "NOT_INITIALIZED",
                details: None,
            };
        };
        let stats = link.stats();
        let details = ConnectionDetails {
            is_healthy: stats.is_connected,
            uptime: millis(stats.uptime),
            reconnect_attempts: stats.reconnect_attempts,
            last_health_check: stats.last_health_check.map(wall),
            last_successful_connection: stats.last_successful_connection.map(wall),
            stats: shown(&stats),
        };
        let state = stats.current_state.as_str();
        ConnectionStatus { initialized: true, state, details: Some(details) }
    }
}

fn shown(stats: &LinkStats) -> ConnectionStats {
    ConnectionStats {
        total_connections: stats.total_connections,
        total_reconnections: stats.total_reconnections,
        total_failures: stats.total_failures,
        total_health_checks: stats.total_health_checks,
        successful_health_checks: stats.successful_health_checks,
        failed_health_checks: stats.failed_health_checks,
        health_check_success_rate: stats.success_text(),
        health_check_success_ratio: stats.health_check_success_rate.as_f64(),
        current_state: stats.current_state.as_str(),
        uptime: millis(stats.uptime),
        is_connected: stats.is_connected,
    }
}

/// A time of the monotonic clock as people write it.
fn wall(at: Instant) -> u64 {
    unix_ms(SystemTime::now()).saturating_sub(millis(clock::now().since(at)))
}

pub(crate) fn unix_ms(at: SystemTime) -> u64 {
    millis(at.duration_since(UNIX_EPOCH).unwrap_or_default())
}
