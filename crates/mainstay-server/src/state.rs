use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::{ArcSwap, ArcSwapOption};
use mainstay::operations::Operations;
use mainstay::rates::Rates;
use tokio::sync::{Semaphore, watch};

use crate::audit::Audit;
use crate::auth::Auth;
use crate::config::{ApiConfig, Config, Reported};
use crate::engine::Engine;
use crate::live::Live;
use crate::metrics::Recorder;
use crate::monitor::Monitor;
use crate::notify::Notifier;
use crate::push::Pushes;
use crate::session::{Addresses, Hub, Standalone};
use crate::status_page::StatusPage;
use crate::webhook::Webhooks;

/// The most requests at the same time.
const REQUESTS_MAX: usize = 256;
/// The most listeners to the stream of events.
pub(crate) const STREAMS_MAX: usize = 64;

/// What every request sees.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) engine: Arc<Engine>,
    pub(crate) operations: Operations,
    pub(crate) auth: Arc<ArcSwap<Auth>>,
    pub(crate) hub: Arc<Hub>,
    /// The handler of a server by itself.
    pub(crate) standalone: Option<Arc<Standalone>>,
    pub(crate) webhooks: Webhooks,
    /// Tells people of alerts.
    pub(crate) notifier: Notifier,
    pub(crate) addresses: Arc<Addresses>,
    /// How often each address may ask, and how often in vain.
    pub(crate) rates: ArcSwap<Limits>,
    /// Who did what.
    pub(crate) audit: Audit,
    /// How everything is.
    pub(crate) monitor: Arc<Monitor>,
    /// Jobs that report in.
    pub(crate) pushes: Pushes,
    /// Connections that have not said who they are.
    pub(crate) pending: Arc<Semaphore>,
    /// What connections are accepted with; none for plain HTTP.
    pub(crate) tls: ArcSwapOption<rustls::ServerConfig>,
    /// Pages of other sites that may ask.
    pub(crate) origins: ArcSwap<Vec<String>>,
    /// Whether it listens on this machine only.
    pub(crate) loopback: bool,
    pub(crate) started: Instant,
    pub(crate) requests: Arc<Semaphore>,
    /// Of what is built on top: whoever keeps that busy keeps nobody from asking the server itself.
    pub(crate) product_requests: Arc<Semaphore>,
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) stopping: watch::Sender<bool>,
    /// How everything is, for pages that show it.
    pub(crate) live: Live,
    /// What the configuration in force says, without secrets.
    pub(crate) settings: ArcSwap<Vec<Reported>>,
    /// Whether everybody may see which links hold.
    pub(crate) status_page: StatusPage,
    /// What the libraries record.
    pub(crate) recorder: Arc<Recorder>,
    /// What is exported of them.
    #[cfg(feature = "otlp")]
    pub(crate) report: Option<crate::otlp::Report>,
    /// Whether the configuration that was read last is in force.
    pub(crate) last_reload_good: AtomicBool,
    applied: Mutex<SystemTime>,
}

/// How often each address may ask.
#[derive(Debug)]
pub(crate) struct Limits {
    config: ApiConfig,
    /// Of operators.
    pub(crate) requests: Rates<IpAddr>,
    /// With credentials that do not hold.
    pub(crate) failures: Rates<IpAddr>,
}

impl Limits {
    fn new(config: &ApiConfig) -> Self {
        let rates = |limit, period, burst| {
            // It was checked when the configuration was read.
            Rates::new(limit, period, burst).expect("a checked configuration")
        };
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        Self {
            config: *config,
            requests: rates(config.rate, second, config.burst),
            failures: rates(config.failures, minute, config.failures_burst),
        }
    }
}

/// What goes on where it was when the server is started again.
#[derive(Debug)]
pub(crate) struct Lasting {
    pub(crate) hub: Arc<Hub>,
    pub(crate) audit: Audit,
    pub(crate) monitor: Arc<Monitor>,
    pub(crate) pushes: Pushes,
}

impl Shared {
    pub(crate) fn new(
        engine: Arc<Engine>,
        config: &Config,
        auth: Arc<ArcSwap<Auth>>,
        Lasting { hub, audit, monitor, pushes }: Lasting,
        standalone: Option<Arc<Standalone>>,
        recorder: Arc<Recorder>,
    ) -> Self {
        let (store, writer) = hub.keeps();
        let unauthenticated = hub.limits().unauthenticated_max;
        let unauthenticated = usize::try_from(unauthenticated).unwrap_or(usize::MAX);
        let unauthenticated = unauthenticated.min(Semaphore::MAX_PERMITS);
        Self {
            operations: Operations::new(engine.events().clone()),
            engine,
            auth,
            webhooks: Webhooks::new(&config.webhooks),
            notifier: Notifier::new(config, store, writer),
            addresses: Arc::default(),
            rates: ArcSwap::from_pointee(Limits::new(&config.api)),
            audit,
            monitor,
            pushes,
            pending: Arc::new(Semaphore::new(unauthenticated)),
            hub,
            standalone,
            tls: ArcSwapOption::new(tls(config)),
            origins: ArcSwap::from_pointee(config.server.allowed_origins.clone()),
            loopback: config.server.listen.ip().is_loopback(),
            started: Instant::now(),
            requests: Arc::new(Semaphore::new(REQUESTS_MAX)),
            product_requests: Arc::new(Semaphore::new(REQUESTS_MAX)),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            stopping: watch::Sender::new(false),
            live: Live::default(),
            settings: ArcSwap::from_pointee(config.report()),
            status_page: StatusPage::new(config.server.status_page),
            recorder,
            #[cfg(feature = "otlp")]
            report: None,
            last_reload_good: AtomicBool::new(true),
            applied: Mutex::new(SystemTime::now()),
        }
    }

    /// Lets those in whom the configuration names.
    pub(crate) fn admit(&self, config: &Config) {
        self.auth.store(Arc::new(auth(config)));
        self.tls.store(tls(config));
        if self.rates.load().config != config.api {
            self.rates.store(Arc::new(Limits::new(&config.api)));
        }
        self.origins.store(Arc::new(config.server.allowed_origins.clone()));
        self.settings.store(Arc::new(config.report()));
        self.status_page.want(config.server.status_page);
    }

    /// When the configuration in force was put in force.
    pub(crate) fn applied_at(&self) -> SystemTime {
        *self.applied.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A configuration was to be put in force.
    pub(crate) fn reloaded(&self, is_good: bool) {
        self.last_reload_good.store(is_good, Ordering::Relaxed);
    }

    pub(crate) fn applied_now(&self) {
        *self.applied.lock().unwrap_or_else(PoisonError::into_inner) = SystemTime::now();
    }
}

/// Whoever the configuration lets in.
pub(crate) fn auth(config: &Config) -> Auth {
    Auth { token: config.server.token.clone(), ..config.auth.build() }
}

/// It was checked when the configuration was read.
fn tls(config: &Config) -> Option<Arc<rustls::ServerConfig>> {
    config.server.tls.as_ref().and_then(|files| files.acceptor().ok())
}
