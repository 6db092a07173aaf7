use std::task::{Context, Poll};

use mainstay_core::policy::gate::Rejection;
use tower_layer::Layer;
use tower_service::Service;

use super::timeout::TimedOut;
use super::{BoxError, BoxFuture, ready_and_call};
use crate::classify::Classify;
use crate::retry::{CallError, Failure, Retry};

/// Repeats calls under a [`Retry`].
///
/// `duplicate` makes the request to repeat; where it answers `None` the request is sent once and
/// not repeated.
pub type RetryLayer<C, D> = RepeatLayer<C, D, false>;
/// See [`RetryLayer`].
pub type RetryService<S, C, D> = RepeatService<S, C, D, false>;
/// Sends a second request when the first is slow, under a [`Retry`] whose gate hedges. Only for
/// requests that may run twice.
pub type HedgeLayer<C, D> = RepeatLayer<C, D, true>;
/// See [`HedgeLayer`].
pub type HedgeService<S, C, D> = RepeatService<S, C, D, true>;

/// Sends requests more than once: see [`RetryLayer`] and [`HedgeLayer`].
#[derive(Clone, Debug)]
pub struct RepeatLayer<C, D, const HEDGES: bool> {
    retry: Retry<C>,
    duplicate: D,
}

/// See [`RepeatLayer`].
#[derive(Clone, Debug)]
pub struct RepeatService<S, C, D, const HEDGES: bool> {
    inner: S,
    retry: Retry<C>,
    duplicate: D,
}

impl<C, D, const HEDGES: bool> RepeatLayer<C, D, HEDGES> {
    /// Repeats what `duplicate` can copy.
    #[must_use]
    pub const fn new(retry: Retry<C>, duplicate: D) -> Self {
        Self { retry, duplicate }
    }
}

impl<C, R: Clone, const HEDGES: bool> RepeatLayer<C, fn(&R) -> Option<R>, HEDGES> {
    /// Repeats requests that can be cloned.
    #[must_use]
    pub fn cloning(retry: Retry<C>) -> Self {
        Self { retry, duplicate: |request| Some(request.clone()) }
    }
}

impl<S, C: Clone, D: Clone, const HEDGES: bool> Layer<S> for RepeatLayer<C, D, HEDGES> {
    type Service = RepeatService<S, C, D, HEDGES>;

    fn layer(&self, inner: S) -> Self::Service {
        let (retry, duplicate) = (self.retry.clone(), self.duplicate.clone());
        RepeatService { inner, retry, duplicate }
    }
}

impl<S, C, D, R, const HEDGES: bool> Service<R> for RepeatService<S, C, D, HEDGES>
where
    S: Service<R> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    S::Response: Send + 'static,
    C: Classify<S::Response, BoxError> + Clone + Send + Sync + 'static,
    D: Fn(&R) -> Option<R> + Clone + Send + Sync + 'static,
    R: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<S::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let spare = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, spare.clone());
        let mut source = Source::new(request, self.duplicate.clone(), ready, spare);
        let retry = self.retry.clone();
        Box::pin(async move {
            let result = if !source.can_repeat() {
                retry.once().call(|_| source.send()).await
            } else if HEDGES {
                retry.call_hedged(|_| source.send()).await
            } else {
                retry.call(|_| source.send()).await
            };
            result.map_err(original)
        })
    }
}

/// Where the attempts of one call come from.
struct Source<S, R, D> {
    request: Option<R>,
    copy: Option<R>,
    duplicate: D,
    /// The instance that was ready when the call came.
    ready: Option<S>,
    spare: S,
}

impl<S, R, D: Fn(&R) -> Option<R>> Source<S, R, D> {
    fn new(request: R, duplicate: D, ready: S, spare: S) -> Self {
        let copy = duplicate(&request);
        Self { request: Some(request), copy, duplicate, ready: Some(ready), spare }
    }

    const fn can_repeat(&self) -> bool {
        self.copy.is_some()
    }
}

impl<S, R, D> Source<S, R, D>
where
    S: Service<R> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    S::Response: Send + 'static,
    D: Fn(&R) -> Option<R>,
    R: Send + 'static,
{
    /// Sends the next attempt: the first to the instance that is ready, the others to fresh clones,
    /// each made ready in its own attempt's time.
    fn send(&mut self) -> BoxFuture<S::Response> {
        let next = self.copy.as_ref().and_then(|request| (self.duplicate)(request));
        let request = self.request.take().or_else(|| self.copy.take());
        self.copy = self.copy.take().or(next);
        let Some(request) = request else {
            return Box::pin(std::future::ready(Err("the request cannot be repeated".into())));
        };
        match self.ready.take() {
            Some(mut service) => {
                let future = service.call(request);
                Box::pin(async move { future.await.map_err(Into::into) })
            }
            None => {
                let service = self.spare.clone();
                Box::pin(async move { ready_and_call(service, request).await })
            }
        }
    }
}

/// The error as the inner service gave it, or what kept it from being asked.
///
/// A rejection (ours, or that of a gate beneath) says less than the failure that led to it: it comes
/// back only when there is nothing else.
fn original(error: CallError<BoxError>) -> BoxError {
    let mut rejected = None;
    for failed in error.earlier.into_iter().chain([error.last]).rev() {
        match failed.failure {
            Failure::Error(error) if error.is::<Rejection>() => {
                rejected.get_or_insert(error);
            }
            Failure::Error(error) => return error,
            Failure::Rejected(rejection) => {
                rejected.get_or_insert_with(|| rejection.into());
            }
            Failure::TimedOut => return TimedOut { after: failed.took.unwrap_or_default() }.into(),
            Failure::Unacceptable | Failure::Cancelled => {}
        }
    }
    rejected.unwrap_or_else(|| CANCELLED.into())
}

const CANCELLED: &str = "the call was cancelled";
