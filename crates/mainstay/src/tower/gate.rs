use std::task::{Context, Poll};

use mainstay_core::policy::breaker::State;
use tower_layer::Layer;
use tower_service::Service;

use super::{BoxError, BoxFuture, KnownBoxed, ready_and_call};
use crate::classify::{Attempt, Classify};
use crate::gate::Gate;
use crate::retry::drive;

/// Lets calls through a [`Gate`].
#[derive(Clone, Debug)]
pub struct GateLayer<C = KnownBoxed> {
    gate: Gate,
    classify: C,
}

/// See [`GateLayer`].
#[derive(Debug)]
pub struct GateService<S, C = KnownBoxed> {
    inner: S,
    /// Whether `inner` said that it is ready and was not called since.
    is_ready: bool,
    gate: Gate,
    classify: C,
}

impl GateLayer {
    /// Lets calls through `gate`; an answer is a success, known errors are failures.
    #[must_use]
    pub const fn new(gate: Gate) -> Self {
        Self { gate, classify: KnownBoxed }
    }
}

impl<C> GateLayer<C> {
    /// The same with another classifier.
    #[must_use]
    pub fn classify_with<D>(self, classify: D) -> GateLayer<D> {
        GateLayer { gate: self.gate, classify }
    }
}

impl<S, C: Clone> Layer<S> for GateLayer<C> {
    type Service = GateService<S, C>;

    fn layer(&self, inner: S) -> Self::Service {
        let (gate, classify) = (self.gate.clone(), self.classify.clone());
        GateService { inner, is_ready: false, gate, classify }
    }
}

/// A clone is not ready, whatever the original is.
impl<S: Clone, C: Clone> Clone for GateService<S, C> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            is_ready: false,
            gate: self.gate.clone(),
            classify: self.classify.clone(),
        }
    }
}

impl<S, C, R> Service<R> for GateService<S, C>
where
    S: Service<R> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    S::Response: Send,
    C: Classify<S::Response, BoxError> + Clone + Send + Sync + 'static,
    R: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<S::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // While the breaker is open most calls will be rejected: say so at once instead of waiting
        // for a peer that does not answer. Should the call pass after all, it waits then.
        if !self.is_ready && matches!(self.gate.state(), State::Closed | State::Disabled) {
            std::task::ready!(self.inner.poll_ready(context)).map_err(Into::into)?;
            self.is_ready = true;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        let mut permit = match self.gate.admit() {
            Ok(permit) => permit,
            Err(rejection) => return Box::pin(std::future::ready(Err(rejection.into()))),
        };
        let fresh = self.inner.clone();
        // The instance that was ready is the one to call; a clone takes its place.
        let mut service = std::mem::replace(&mut self.inner, fresh);
        let classify = self.classify.clone();
        let is_ready = std::mem::take(&mut self.is_ready);
        Box::pin(async move {
            let work = async move {
                if is_ready {
                    service.call(request).await.map_err(Into::into)
                } else {
                    ready_and_call(service, request).await
                }
            };
            let slow_at = permit.slow_at();
            let ended = drive(work, None, slow_at, || permit.slow()).await;
            // Without a deadline nothing elapses.
            let result = ended.unwrap_or_else(|_| Err("given up".into()));
            permit.record(classify.classify(&result, Attempt::FIRST));
            result
        })
    }
}
