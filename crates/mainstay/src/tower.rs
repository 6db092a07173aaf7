//! Layers for [Tower](tower_service) services: gate, retry, timeout and hedge.
//!
//! They keep Tower's contract of readiness. `poll_ready` of ours asks the inner service's and
//! reserves nothing of our own, so a service that is made ready and never called holds nothing. A
//! call goes to the very instance that was ready; a repeated attempt makes a fresh clone ready first.
//! An open gate rejects without asking the inner service for readiness.
//!
//! Errors are boxed, as Tower's own middleware does; a rejection can be found by
//! `error.downcast_ref::<Rejection>()`.
//!
//! Order, outermost first: `TimeoutLayer` (of the whole call), [`RetryLayer`] or [`HedgeLayer`],
//! [`GateLayer`], `TimeoutLayer` (of an attempt), `TraceLayer` (feature `http`). A [`RetryLayer`] whose [`Retry`](crate::retry::Retry)
//! has a gate needs no `GateLayer` beneath it: one or the other, or every call is judged twice.

mod gate;
mod retry;
mod timeout;
#[cfg(feature = "http")]
mod trace;

pub use gate::{GateLayer, GateService};
pub use retry::{HedgeLayer, HedgeService, RepeatLayer, RepeatService, RetryLayer, RetryService};
pub use timeout::{TimedOut, TimeoutLayer, TimeoutService};
#[cfg(feature = "http")]
pub use trace::{TraceLayer, TraceService};

use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::Pin;

use mainstay_core::policy::outcome::Outcome;
use tower_service::Service;

use crate::classify::{Attempt, Classify, error_outcome};

/// The error of all services here.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// The future of all services here.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// Looks for a known cause in a boxed error, as [`KnownErrors`](crate::classify::KnownErrors) does in
/// a plain one. An answer is a success.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KnownBoxed;

impl<T> Classify<T, BoxError> for KnownBoxed {
    fn classify(&self, result: &Result<T, BoxError>, _attempt: Attempt) -> Outcome {
        match result {
            Ok(_) => Outcome::Success,
            Err(error) => boxed_outcome(error),
        }
    }
}

/// Classifies HTTP answers by their status and headers, and errors as [`KnownBoxed`] does.
#[cfg(feature = "http")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HttpAnswer;

#[cfg(feature = "http")]
impl<B> Classify<http::Response<B>, BoxError> for HttpAnswer {
    fn classify(&self, result: &Result<http::Response<B>, BoxError>, _: Attempt) -> Outcome {
        match result {
            Ok(answer) => {
                let now = std::time::SystemTime::now();
                crate::http::status_outcome(answer.status(), answer.headers(), now)
            }
            Err(error) => boxed_outcome(error),
        }
    }
}

fn boxed_outcome(error: &BoxError) -> Outcome {
    if error.is::<TimedOut>() { Outcome::TRANSIENT } else { error_outcome(&**error) }
}

/// Makes a clone of `service` ready and calls it.
async fn ready_and_call<S, R>(mut service: S, request: R) -> Result<S::Response, BoxError>
where
    S: Service<R>,
    S::Error: Into<BoxError>,
{
    poll_fn(|context| service.poll_ready(context)).await.map_err(Into::into)?;
    service.call(request).await.map_err(Into::into)
}
