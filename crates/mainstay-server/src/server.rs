use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use mainstay::core::config::ConfigError;
use mainstay::event::Events;
use mainstay::operations::Operations;
use mainstay_registry::{Counts, Cursor, Page, Query, Record, SessionId};
use mainstay_store::{MemoryStore, RedbStore, Store};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::accept;
use crate::audit::Audit;
use crate::auth::Auth;
use crate::config::{Config, Engine as StoreEngine};
use crate::engine::{Applied, ApplyError, Engine};
use crate::live;
use crate::metrics;
use crate::monitor::{self, Monitor, OpenError};
use crate::notify::Notifier;
#[cfg(feature = "otlp")]
use crate::otlp::{OtlpError, Report, Reporting};
use crate::product::{Ground, Product, ProductError};
use crate::push::Pushes;
use crate::session::{Handler, Hub, Session, SessionsError, Standalone, Upkeep};
use crate::state::{Lasting, Shared, auth};

/// A server that has its address and its links, and serves once it is run.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    deadline: Duration,
    drain: Duration,
    shared: Arc<Shared>,
    product: Option<Router>,
}

/// A way to reach a server that runs. Clones reach the same one.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(crate) shared: Arc<Shared>,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every request was answered and every link closed.
    InGoodOrder,
    /// The deadline passed first.
    OutOfTime,
}

/// Why a server could not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The address is taken or not allowed: choose another.
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The metrics cannot be recorded.
    Metrics(String),
    /// The configuration makes no sense.
    Config(ConfigError),
    /// The links cannot be held.
    Apply(ApplyError),
    /// Sessions cannot be held.
    Sessions(SessionsError),
    /// What is built on top cannot start.
    Product(ProductError),
    /// Metrics cannot be exported.
    #[cfg(feature = "otlp")]
    Otlp(OtlpError),
}

impl Server {
    /// Takes the address and begins to hold the links.
    ///
    /// # Errors
    ///
    /// [`StartError`], which says who must act.
    pub async fn bind(config: &Config) -> Result<Self, StartError> {
        let standalone = Arc::new(Standalone::new(config.sessions.messages));
        Self::bind_with(config, standalone.clone(), Some(standalone), None).await
    }

    /// The same, with something that is built on top of it.
    ///
    /// # Errors
    ///
    /// [`StartError`], which says who must act.
    pub async fn with_product(config: &Config, product: Product) -> Result<Self, StartError> {
        let standalone = Arc::new(Standalone::new(config.sessions.messages));
        Self::bind_with(config, standalone.clone(), Some(standalone), Some(product)).await
    }

    /// The same, with an application that takes what clients say.
    ///
    /// # Errors
    ///
    /// [`StartError`], which says who must act.
    pub async fn with_handler(
        config: &Config,
        handler: Arc<dyn Handler>,
    ) -> Result<Self, StartError> {
        Self::bind_with(config, handler, None, None).await
    }

    async fn bind_with(
        config: &Config,
        handler: Arc<dyn Handler>,
        standalone: Option<Arc<Standalone>>,
        product: Option<Product>,
    ) -> Result<Self, StartError> {
        let listen = config.server.listen;
        let refused = |source| StartError::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let shared = build(config, handler, standalone).await?;
        let (store, writer) = shared.hub.keeps();
        let sources = shared.monitor.sources().clone();
        let ground = Ground { store, writer, address, sources };
        let product = product.map(|product| product.open(ground)).transpose();
        let product = product.map_err(StartError::Product)?;
        let deadline = config.server.shutdown_deadline;
        let drain = config.sessions.retry.drain.min(deadline / 2);
        Ok(Self { listener, address, deadline, drain, shared, product })
    }

    /// The address it has, with the port it got.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// A way to reach it while it runs.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle { shared: self.shared.clone() }
    }

    /// Serves until `stop` ends, then stops accepting, answers what was asked, closes the links, all
    /// within the deadline of the configuration.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Ended {
        let Self { listener, shared, product, deadline, drain, .. } = self;
        let tasks = Tasks::start(&shared);
        let served = accept::run(listener, &shared, product, stop).await;
        tasks.stop(&shared, drain, deadline, served.ended()).await
    }
}

/// What goes on beside the answering of requests.
#[derive(Debug)]
pub(crate) struct Tasks {
    coupling: JoinHandle<()>,
    live: JoinHandle<()>,
    watching: JoinHandle<()>,
    upkeep: Upkeep,
    #[cfg(feature = "otlp")]
    reporting: Reporting,
}

impl Tasks {
    pub(crate) fn start(shared: &Arc<Shared>) -> Self {
        let coupling = tokio::spawn(shared.engine.clone().couple());
        let live = tokio::spawn(live::run(shared.clone()));
        let upkeep = Upkeep::start(&shared.hub);
        shared.webhooks.start(&shared.hub);
        shared.notifier.begin();
        let watching = tokio::spawn(monitor::run(shared.clone()));
        Self {
            coupling,
            live,
            watching,
            upkeep,
            #[cfg(feature = "otlp")]
            reporting: Reporting::start(shared),
        }
    }

    /// Ends everything in order: clients are sent away, links closed, `others` waited for, what is
    /// left stored.
    pub(crate) async fn stop(
        self,
        shared: &Arc<Shared>,
        drain: Duration,
        deadline: Duration,
        others: impl Future<Output = ()>,
    ) -> Ended {
        let Self { coupling, live, watching, upkeep, .. } = self;
        shared.stopping.send_replace(true);
        // Links that are closed now are not gone.
        watching.abort();
        let (engine, hub) = (shared.engine.clone(), shared.hub.clone());
        let finish = async {
            tokio::join!(others, engine.shutdown(), hub.drain(drain));
            // Everybody has gone: what they leave behind is stored.
            hub.deserted().await;
            shared.webhooks.stop().await;
            shared.notifier.stop().await;
            upkeep.stop().await;
            #[cfg(feature = "otlp")]
            self.reporting.stop(shared, deadline / 4).await;
            shared.monitor.close();
            hub.close().await;
        };
        let ended = timeout(deadline, finish).await;
        coupling.abort();
        live.abort();
        match ended {
            Ok(()) => Ended::InGoodOrder,
            Err(_) => Ended::OutOfTime,
        }
    }
}

/// Everything but the listener.
pub(crate) async fn build(
    config: &Config,
    handler: Arc<dyn Handler>,
    standalone: Option<Arc<Standalone>>,
) -> Result<Arc<Shared>, StartError> {
    let recorder = metrics::recorder().map_err(StartError::Metrics)?;
    let engine = Arc::new(Engine::new(Events::new()).map_err(StartError::Config)?);
    engine.apply(config).await.map_err(StartError::Apply)?;
    let auth = Arc::new(ArcSwap::from_pointee(auth(config)));
    let opened = hub(config, auth.clone(), handler).await;
    let lasting = opened.map_err(StartError::Sessions)?;
    let shared = Shared::new(engine, config, auth, lasting, standalone, recorder);
    #[cfg(feature = "otlp")]
    let shared = {
        let mut shared = shared;
        shared.report = Report::of(config.otlp.as_ref()).map_err(StartError::Otlp)?;
        shared
    };
    Ok(Arc::new(shared))
}

/// The sessions, with what was kept of them, and of what was done to them.
async fn hub(
    config: &Config,
    auth: Arc<ArcSwap<Auth>>,
    handler: Arc<dyn Handler>,
) -> Result<Lasting, SessionsError> {
    let (sessions, spec, api) = (config.sessions.clone(), config.store, config.api);
    let (watched, jobs) = (config.monitor.clone(), config.pushes.clone());
    let folder = config.server.data_dir.clone();
    let open = move || {
        let store: Arc<dyn Store> = match spec.engine {
            StoreEngine::Redb => Arc::new(RedbStore::open(&folder, &spec.config)?),
            StoreEngine::Memory => Arc::new(MemoryStore::new()),
        };
        let audit = Audit::open(&*store, &api)?;
        let hub = Hub::open(&sessions, store, &spec.config, auth, handler)?;
        let (store, writer) = hub.keeps();
        let pushes = Pushes::open(&jobs, &*store, writer.clone())?;
        let monitor = Monitor::open(&watched, store, writer).map_err(|error| match error {
            OpenError::Config(error) => SessionsError::Config(error),
            OpenError::Store(error) => SessionsError::Store(error),
        })?;
        Ok(Lasting { hub: Arc::new(hub), audit, monitor: Arc::new(monitor), pushes })
    };
    // Reading a large file takes its time.
    tokio::task::spawn_blocking(open).await.unwrap_or(Err(SessionsError::Random))
}

impl Handle {
    /// Puts the links, policies and the token of another configuration in force, without touching
    /// links that have not changed. Address, data folder and log settings need a restart.
    ///
    /// # Errors
    ///
    /// [`ApplyError`]; what was changed before it stays changed.
    pub async fn reload(&self, config: &Config) -> Result<Applied, ApplyError> {
        let applied = self.put_in_force(config).await;
        self.shared.reloaded(applied.is_ok());
        applied
    }

    /// Says that a configuration was to be put in force and makes no sense, for the metrics
    /// (`mainstay_config_last_reload_successful`). [`reload`](Self::reload) says so by itself when it
    /// fails.
    pub fn reload_failed(&self) {
        self.shared.reloaded(false);
    }

    async fn put_in_force(&self, config: &Config) -> Result<Applied, ApplyError> {
        if *self.shared.stopping.borrow() {
            return Err(ApplyError::Stopping);
        }
        // Where it listens changes with a restart only, whatever the configuration says.
        let server = &config.server;
        let is_open = server.token.is_none() && config.auth.is_empty();
        if !self.shared.loopback && is_open && !server.allow_public_without_auth {
            return Err(ApplyError::OpenToAll);
        }
        let applied = self.shared.engine.apply(config).await?;
        self.shared.monitor.reload(&config.monitor).map_err(ApplyError::Config)?;
        self.shared.pushes.apply(&config.pushes);
        self.shared.admit(config);
        self.shared.notifier.apply(&config.receivers, &config.notify);
        self.shared.notifier.watched_by(config.watchdog.as_ref());
        self.shared.applied_now();
        Ok(applied)
    }

    /// A session to send to; none when there is no such session, or it is over.
    #[must_use]
    pub fn session(&self, session: SessionId) -> Option<Session> {
        self.shared.hub.session(session)
    }

    /// Everything there is to say about a session; none when it is unknown.
    #[must_use]
    pub fn record(&self, session: SessionId) -> Option<Record> {
        self.shared.hub.record(session)
    }

    /// The sessions that fit, from `cursor` on, at most `limit` of them.
    #[must_use]
    pub fn find(&self, wanted: &Query, cursor: Cursor, limit: usize) -> Page {
        self.shared.hub.find(wanted, cursor, limit)
    }

    /// How many sessions there are, and how they are.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.hub.counts()
    }

    /// Where all events are told.
    #[must_use]
    pub fn events(&self) -> &Events {
        self.shared.engine.events()
    }

    /// Who tells people of alerts. Nothing in the server tells it of any yet: an application may.
    #[must_use]
    pub fn notifier(&self) -> &Notifier {
        &self.shared.notifier
    }

    /// The operations that the API lists.
    #[must_use]
    pub fn operations(&self) -> &Operations {
        &self.shared.operations
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen { address, .. } => write!(f, "cannot listen on {address}"),
            Self::Metrics(why) => write!(f, "metrics cannot be recorded: {why}"),
            Self::Config(error) => error.fmt(f),
            Self::Apply(error) => error.fmt(f),
            Self::Sessions(error) => error.fmt(f),
            Self::Product(error) => error.fmt(f),
            #[cfg(feature = "otlp")]
            Self::Otlp(error) => error.fmt(f),
        }
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Listen { source, .. } => Some(source),
            Self::Metrics(_) => None,
            Self::Config(error) => Some(error),
            Self::Apply(error) => Some(error),
            Self::Sessions(error) => Some(error),
            Self::Product(error) => Some(&**error),
            #[cfg(feature = "otlp")]
            Self::Otlp(error) => Some(error),
        }
    }
}
