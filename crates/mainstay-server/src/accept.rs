//! Connections as they come in: TLS, HTTP, and who they come from.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::Extensions;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tower_service::Service as _;

use crate::api;
use crate::state::Shared;

/// The most connections that speak HTTP at the same time. Those of sessions do not count: they have
/// limits of their own.
const CONNECTIONS_MAX: usize = 1024;
/// How long a client may take to send the head of a request, or to agree on TLS.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
/// How long it waits after it could not accept, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct From(pub(crate) SocketAddr);

/// Where a request comes from, by our own listener or by that of an application; none when an
/// application does not say.
pub(crate) fn source(extensions: &Extensions) -> Option<IpAddr> {
    let own = extensions.get::<From>().map(|from| from.0);
    let given = extensions.get::<ConnectInfo<SocketAddr>>().map(|from| from.0);
    own.or(given).map(|from| from.ip().to_canonical())
}

/// The connections that are served. It ends when they have.
#[derive(Debug)]
pub(crate) struct Served(mpsc::Receiver<()>);

impl Served {
    /// Waits until every connection has ended.
    pub(crate) async fn ended(mut self) {
        // Nothing is ever sent: it ends when the last sender is gone.
        let _: Option<()> = self.0.recv().await;
    }
}

/// Takes connections until `stop` ends. Those that are there go on until the server's `stopping`
/// says so, and then end in good order.
pub(crate) async fn run(
    listener: TcpListener,
    shared: &Arc<Shared>,
    product: Option<Router>,
    stop: impl Future<Output = ()>,
) -> Served {
    let router = api::router(shared.clone(), product);
    let (serving, served) = mpsc::channel(1);
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
            () = &mut stop => return Served(served),
            next = next => next,
        };
        match accepted {
            Ok((stream, address)) => {
                let tls = shared.tls.load_full().map(TlsAcceptor::from);
                let stopping = shared.stopping.subscribe();
                let connection = serve(stream, address, tls, router.clone(), stopping);
                let serving = serving.clone();
                tokio::spawn(async move {
                    if let Err(error) = connection.await {
                        tracing::debug!(%address, %error, "a connection ended early");
                    }
                    drop((place, serving));
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(
    stream: TcpStream,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    router: Router,
    stopping: watch::Receiver<bool>,
) -> io::Result<()> {
    // Messages are small, and each is flushed once it is whole.
    stream.set_nodelay(true)?;
    let Some(tls) = tls else { return http(stream, address, router, stopping).await };
    let agreed = timeout(HEADERS_WITHIN, Box::pin(tls.accept(stream))).await;
    let stream = agreed.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    http(stream, address, router, stopping).await
}

/// Answers requests until the connection, or the server, ends, or it becomes a WebSocket.
async fn http<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    address: SocketAddr,
    router: Router,
    mut stopping: watch::Receiver<bool>,
) -> io::Result<()> {
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(From(address));
        router.clone().call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_headers(64)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended.map_err(io::Error::other),
        _ = stopping.wait_for(|stopping| *stopping) => {}
    }
    connection.as_mut().graceful_shutdown();
    connection.await.map_err(io::Error::other)
}
