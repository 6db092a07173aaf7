//! How the client itself is: the functions of the seeds that look at it and set it.

use std::sync::atomic::Ordering;
use std::time::SystemTime;

use chittyid::EntityType;
use mainstay::gate::Gate;
use mainstay::link::{ConnectError, Link};
use serde::Serialize;

use crate::breaker::CircuitBreakerStatus;
use crate::client::Client;
use crate::verdict::CacheStats;
use crate::watch::ConnectionStatus;

/// All there is to say about a client: `getServiceHealth` of the seeds, field by field.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ServiceHealth {
    /// Always `chittyid-service`.
    pub service: &'static str,
    /// The watched connection.
    pub connection: ConnectionStatus,
    /// Retries, breaker and cache.
    pub resilience: Resilience,
    /// The form that ids are named by.
    pub format: &'static str,
    /// The nine entities.
    pub entity_types: [EntityType; 9],
    /// Always `pipeline-only`: ids come from the service alone.
    pub mode: &'static str,
}

/// Retries, breaker and cache.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Resilience {
    /// Whether they are on.
    pub enabled: bool,
    /// The breaker.
    pub circuit_breaker: CircuitBreakerStatus,
    /// The cache of verdicts.
    pub cache: CacheStats,
}

impl Client {
    /// All there is to say about this client: `getServiceHealth` of the seeds. Asks nobody.
    #[must_use]
    pub fn get_service_health(&self) -> ServiceHealth {
        ServiceHealth {
            service: "chittyid-service",
            connection: self.connection_status(),
            resilience: Resilience {
                enabled: self.is_resilience_enabled(),
                circuit_breaker: self.circuit_breaker_status(),
                cache: self.cache_stats(),
            },
            format: "VV-G-LLL-SSSS-T-YM-C-X",
            entity_types: EntityType::ALL,
            mode: "pipeline-only",
        }
    }

    /// The watched connection at this moment: `getConnectionStatus` of the seeds.
    #[must_use]
    pub fn connection_status(&self) -> ConnectionStatus {
        self.inner.wire.watch.status()
    }

    /// The breaker at this moment: `getCircuitBreakerStatus` of the seeds.
    #[must_use]
    pub fn circuit_breaker_status(&self) -> CircuitBreakerStatus {
        self.inner.wire.notes.status(&self.inner.wire.gate)
    }

    /// What the cache of verdicts has seen: `getCacheStats` of the seeds.
    #[must_use]
    pub fn cache_stats(&self) -> CacheStats {
        self.inner.verdicts.stats()
    }

    /// Forgets all verdicts and their statistics: `clearCache` of the seeds.
    pub fn clear_cache(&self) {
        self.inner.verdicts.clear();
    }

    /// Forgets the verdict on one id: `invalidate` of the seeds' cache.
    pub fn forget(&self, id: &str) {
        self.inner.verdicts.forget(id);
    }

    /// Closes the breaker and empties its window: `resetCircuitBreaker` of the seeds.
    pub fn reset_circuit_breaker(&self) {
        self.inner.wire.gate.reset();
    }

    /// Switches retries, breaker and cache on or off for calls to come: `setResilienceEnabled` of the
    /// seeds. Timeouts and limits stay.
    pub fn set_resilience_enabled(&self, enabled: bool) {
        self.inner.wire.is_resilient.store(enabled, Ordering::Relaxed);
    }

    /// When the certificate of the service ends to be valid; none before the first answer, and without
    /// TLS.
    #[must_use]
    pub fn certificate_expiry(&self) -> Option<SystemTime> {
        self.inner.wire.transport.certificate_expiry()
    }

    /// The watched connection, once anything has started it: for a monitor.
    #[must_use]
    pub fn started(&self) -> Option<&Link> {
        self.inner.wire.watch.started()
    }

    /// Whether retries, breaker and cache are on.
    #[must_use]
    pub fn is_resilience_enabled(&self) -> bool {
        self.inner.wire.is_resilient()
    }

    /// Starts to watch the connection, and waits for the first health check: `connect` of the seeds'
    /// connection manager. All who wait share one result. The first request does the same without
    /// waiting.
    ///
    /// # Errors
    ///
    /// [`ConnectError`]; unless it is terminal, it goes on trying.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn connect(&self) -> Result<(), ConnectError> {
        self.connection().connect().await
    }

    /// Stops to watch the connection until [`connect`](Self::connect): `disconnect` of the seeds'
    /// connection manager. Calls work as before.
    pub async fn disconnect(&self) {
        if let Some(link) = self.inner.wire.watch.started() {
            link.disconnect().await;
        }
    }

    /// The watched connection itself, to listen to ([`Link::on`], [`Link::subscribe`]), to check or to
    /// reset: the seeds' connection manager. It is made now if there is none, and does not connect by
    /// that.
    ///
    /// ```no_run
    /// # async fn example(client: chittyid_client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let removable = client.connection().on("unhealthy", |event| eprintln!("{}", event.target))?;
    /// client.connect().await?;
    /// # removable.remove();
    /// # Ok(()) }
    /// ```
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    #[must_use]
    pub fn connection(&self) -> Link {
        self.inner.wire.watch.link().clone()
    }

    /// The gate that calls go through, with its events and counts.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.inner.wire.gate
    }
}
