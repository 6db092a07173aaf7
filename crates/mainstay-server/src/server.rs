use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use mainstay::core::config::ConfigError;
use mainstay::event::Events;
use mainstay::operations::Operations;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::api;
use crate::config::Config;
use crate::engine::{Applied, ApplyError, Engine};
use crate::metrics;
use crate::state::Shared;

/// The most connections to the API at the same time.
const CONNECTIONS_MAX: usize = 1024;
/// How long a client may take to send the head of a request.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
/// How long it waits after it could not accept, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A server that has its address and its links, and serves once it is run.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    deadline: Duration,
    shared: Arc<Shared>,
}

/// A way to reach a server that runs. Clones reach the same one.
#[derive(Clone, Debug)]
pub struct Handle {
    shared: Arc<Shared>,
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
}

impl Server {
    /// Takes the address and begins to hold the links.
    ///
    /// # Errors
    ///
    /// [`StartError`], which says who must act.
    pub async fn bind(config: &Config) -> Result<Self, StartError> {
        let listen = config.server.listen;
        let refused = |source| StartError::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let prometheus = metrics::recorder().map_err(StartError::Metrics)?;
        let engine = Arc::new(Engine::new(Events::new()).map_err(StartError::Config)?);
        engine.apply(config).await.map_err(StartError::Apply)?;
        let token = config.server.token.clone();
        let shared = Shared::new(engine, token, listen.ip().is_loopback(), prometheus);
        let deadline = config.server.shutdown_deadline;
        Ok(Self { listener, address, deadline, shared: Arc::new(shared) })
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
        let Self { listener, shared, deadline, .. } = self;
        let coupling = tokio::spawn(shared.engine.clone().couple());
        let graceful = GracefulShutdown::new();
        accept(listener, &shared, &graceful, stop).await;
        shared.stopping.send_replace(true);
        let engine = shared.engine.clone();
        let finish = async {
            tokio::join!(graceful.shutdown(), engine.shutdown());
        };
        let ended = timeout(deadline, finish).await;
        coupling.abort();
        match ended {
            Ok(()) => Ended::InGoodOrder,
            Err(_) => Ended::OutOfTime,
        }
    }
}

impl Handle {
    /// Puts the links, policies and the token of another configuration in force, without touching
    /// links that have not changed. Address, data folder and log settings need a restart.
    ///
    /// # Errors
    ///
    /// [`ApplyError`]; what was changed before it stays changed.
    pub async fn reload(&self, config: &Config) -> Result<Applied, ApplyError> {
        if *self.shared.stopping.borrow() {
            return Err(ApplyError::Stopping);
        }
        // Where it listens changes with a restart only, whatever the configuration says.
        let server = &config.server;
        if !self.shared.loopback && server.token.is_none() && !server.allow_public_without_auth {
            return Err(ApplyError::OpenToAll);
        }
        let applied = self.shared.engine.apply(config).await?;
        self.shared.token.store(config.server.token.clone().map(Arc::new));
        self.shared.applied_now();
        Ok(applied)
    }

    /// Where all events are told.
    #[must_use]
    pub fn events(&self) -> &Events {
        self.shared.engine.events()
    }

    /// The operations that the API lists.
    #[must_use]
    pub fn operations(&self) -> &Operations {
        &self.shared.operations
    }
}

/// Takes connections until `stop` ends.
async fn accept(
    listener: TcpListener,
    shared: &Arc<Shared>,
    graceful: &GracefulShutdown,
    stop: impl Future<Output = ()>,
) {
    let router = api::router(shared.clone());
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut stop = pin!(stop);
    loop {
        let next = async {
            // The semaphore is never closed.
            let place = places.clone().acquire_owned().await.ok();
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            biased;
            () = &mut stop => return,
            next = next => next,
        };
        match accepted {
            Ok((stream, _)) => {
                let served = serve(stream, router.clone(), graceful);
                tokio::spawn(async move {
                    served.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Answers one connection until it or the server ends.
fn serve(
    stream: TcpStream,
    router: Router,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + Send + 'static {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_headers(64)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let watched = graceful.watch(connection);
    async move {
        if let Err(error) = watched.await {
            tracing::debug!(%error, "a connection to the api ended early");
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen { address, .. } => write!(f, "cannot listen on {address}"),
            Self::Metrics(why) => write!(f, "metrics cannot be recorded: {why}"),
            Self::Config(error) => error.fmt(f),
            Self::Apply(error) => error.fmt(f),
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
        }
    }
}
