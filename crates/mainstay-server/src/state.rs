use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use arc_swap::ArcSwapOption;
use mainstay::operations::Operations;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::{Semaphore, watch};

use crate::config::Secret;
use crate::engine::Engine;

/// The most requests at the same time.
const REQUESTS_MAX: usize = 256;
/// The most listeners to the stream of events.
pub(crate) const STREAMS_MAX: usize = 64;

/// What every request sees.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) engine: Arc<Engine>,
    pub(crate) operations: Operations,
    pub(crate) token: ArcSwapOption<Secret>,
    /// Whether it listens on this machine only.
    pub(crate) loopback: bool,
    pub(crate) started: Instant,
    pub(crate) requests: Arc<Semaphore>,
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) stopping: watch::Sender<bool>,
    pub(crate) prometheus: Prometheus,
    applied: Mutex<SystemTime>,
}

/// The page of metrics.
pub(crate) struct Prometheus(pub(crate) PrometheusHandle);

impl std::fmt::Debug for Prometheus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prometheus").finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new(
        engine: Arc<Engine>,
        token: Option<Secret>,
        loopback: bool,
        prometheus: PrometheusHandle,
    ) -> Self {
        Self {
            operations: Operations::new(engine.events().clone()),
            engine,
            token: ArcSwapOption::from_pointee(token),
            loopback,
            started: Instant::now(),
            requests: Arc::new(Semaphore::new(REQUESTS_MAX)),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            stopping: watch::Sender::new(false),
            prometheus: Prometheus(prometheus),
            applied: Mutex::new(SystemTime::now()),
        }
    }

    /// When the configuration in force was put in force.
    pub(crate) fn applied_at(&self) -> SystemTime {
        *self.applied.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn applied_now(&self) {
        *self.applied.lock().unwrap_or_else(PoisonError::into_inner) = SystemTime::now();
    }
}
