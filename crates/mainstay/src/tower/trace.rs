use std::task::{Context, Poll};

use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;
use tracing::Instrument as _;

use super::{BoxError, BoxFuture};
use crate::trace::{Call, Work};

/// Names the trace in HTTP requests: the task's own, or a new one.
///
/// A request that has a `traceparent` keeps it. Each request has a span `http` of its own, whose id is
/// the parent that goes out; put the layer innermost, so that attempts are told apart.
///
/// ```
/// use mainstay::tower::TraceLayer;
/// use tower::ServiceBuilder;
/// # use mainstay::tower::BoxError;
/// # use tower::ServiceExt as _;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let service = ServiceBuilder::new().layer(TraceLayer).service_fn(|request: http::Request<()>| {
///     assert!(request.headers().contains_key("traceparent"));
///     async { Ok::<_, BoxError>(http::Response::new(())) }
/// });
/// service.oneshot(http::Request::new(())).await
/// # })?;
/// # Ok::<_, BoxError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceLayer;

/// See [`TraceLayer`].
#[derive(Clone, Copy, Debug)]
pub struct TraceService<S> {
    inner: S,
}

impl<S> Layer<S> for TraceLayer {
    type Service = TraceService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        TraceService { inner }
    }
}

impl<S, B, A> Service<Request<B>> for TraceService<S>
where
    S: Service<Request<B>, Response = Response<A>>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    A: Send,
{
    type Response = Response<A>;
    type Error = BoxError;
    type Future = BoxFuture<Response<A>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let place = (uri.host(), uri.port_u16());
        let work = Some(Work::join_or_begin());
        let call = Call::new(work, &method, place, request.headers_mut(), 0);
        let span = call.span();
        let work = span.in_scope(|| self.inner.call(request)).instrument(span);
        Box::pin(async move {
            let result = work.await.map_err(Into::into);
            call.ended(result.as_ref().map(Response::status).ok());
            result
        })
    }
}
