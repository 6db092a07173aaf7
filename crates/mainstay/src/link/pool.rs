//! Counts the connections of an HTTP client, as a layer around its connector.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use serde::Serialize;
use tower_layer::Layer;
use tower_service::Service;

/// What an HTTP link knows of its connection pool.
///
/// The client does not tell when it closes a connection, so that there is no exact number of open
/// ones; `opened` of the current client is an upper bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PoolStats {
    /// Requests sent by the link: dials and probes.
    pub requests: u64,
    /// Connections made, by the link's requests and the application's.
    pub opened: u64,
    /// Connections that could not be made.
    pub refused: u64,
    /// Requests of the link that needed no new connection; exact while only the link uses the
    /// client.
    pub reused: u64,
    /// Requests of the link under way.
    pub in_flight: u64,
    /// Times the client was replaced, which drops its pool.
    pub replaced: u64,
}

#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) requests: AtomicU64,
    pub(super) in_flight: AtomicU64,
    pub(super) replaced: AtomicU64,
    opened: AtomicU64,
    refused: AtomicU64,
}

impl Tally {
    pub(super) fn read(&self) -> PoolStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (requests, opened, refused) =
            (get(&self.requests), get(&self.opened), get(&self.refused));
        PoolStats {
            requests,
            opened,
            refused,
            reused: requests.saturating_sub(opened).saturating_sub(refused),
            in_flight: get(&self.in_flight),
            replaced: get(&self.replaced),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Counted<S> {
    inner: S,
    tally: Arc<Tally>,
}

#[derive(Clone, Debug)]
pub(super) struct CountLayer(pub(super) Arc<Tally>);

impl<S> Layer<S> for CountLayer {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Counted { inner, tally: self.0.clone() }
    }
}

impl<S, R> Service<R> for Counted<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let (connecting, tally) = (self.inner.call(request), self.tally.clone());
        Box::pin(async move {
            let result = connecting.await;
            let counter = if result.is_ok() { &tally.opened } else { &tally.refused };
            counter.fetch_add(1, Ordering::Relaxed);
            result
        })
    }
}
