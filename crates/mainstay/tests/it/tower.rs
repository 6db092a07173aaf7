//! The Tower layers: readiness, order, and clients of other libraries.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::Empty;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use mainstay::classify::Attempt;
use mainstay::core::policy::backoff::{BackoffConfig, Jitter};
use mainstay::core::policy::breaker::{BreakerConfig, State, Window};
use mainstay::core::policy::bulkhead::BulkheadConfig;
use mainstay::core::policy::call::CallConfig;
use mainstay::core::policy::gate::{GateConfig, Rejection};
use mainstay::core::policy::hedge::HedgeConfig;
use mainstay::core::policy::outcome::Outcome;
use mainstay::core::policy::preset::PolicyConfig;
use mainstay::gate::Gate;
use mainstay::retry::Retry;
use mainstay::tower::{
    BoxError, GateLayer, HedgeLayer, HttpAnswer, KnownBoxed, RetryLayer, TimedOut, TimeoutLayer,
};
use tower::{Layer as _, Service, ServiceBuilder, ServiceExt as _};

use crate::server::{Mode, OK, Server};

const SECOND: Duration = Duration::from_secs(1);

/// A service that panics when it is called without having been ready, and counts.
#[derive(Debug, Default)]
struct Strict {
    is_ready: bool,
    seen: Arc<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    readied: AtomicU32,
    calls: AtomicU32,
    failures: AtomicU32,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self { is_ready: false, seen: Arc::clone(&self.seen) }
    }
}

impl Strict {
    fn failing(failures: u32) -> Self {
        let strict = Self::default();
        strict.seen.failures.store(failures, Ordering::SeqCst);
        strict
    }

    fn counts(&self) -> (u32, u32) {
        (self.seen.readied.load(Ordering::SeqCst), self.seen.calls.load(Ordering::SeqCst))
    }
}

impl Service<u32> for Strict {
    type Response = u32;
    type Error = BoxError;
    type Future = Ready<Result<u32, BoxError>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.seen.readied.fetch_add(1, Ordering::SeqCst);
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u32) -> Self::Future {
        assert!(std::mem::take(&mut self.is_ready), "called without being ready");
        self.seen.calls.fetch_add(1, Ordering::SeqCst);
        let left = self.seen.failures.load(Ordering::SeqCst);
        if left > 0 {
            self.seen.failures.store(left - 1, Ordering::SeqCst);
            let reset = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
            return ready(Err(reset.into()));
        }
        ready(Ok(request))
    }
}

fn row(failures: u32) -> Gate {
    let breaker = BreakerConfig {
        consecutive_failures: failures,
        window: Window::Off,
        ..BreakerConfig::default()
    };
    let bulkhead = Some(BulkheadConfig { max: 2, ..BulkheadConfig::default() });
    let config = GateConfig { breaker: Some(breaker), bulkhead, ..GateConfig::default() };
    Gate::new("peer", &config).unwrap()
}

fn retry() -> Retry<KnownBoxed> {
    let backoff = BackoffConfig { base: SECOND, jitter: Jitter::None, ..BackoffConfig::default() };
    Retry::new(&CallConfig { backoff, ..CallConfig::default() }).unwrap().classify_with(KnownBoxed)
}

#[tokio::test(start_paused = true)]
async fn r22_every_attempt_makes_a_service_ready_of_its_own() {
    let strict = Strict::failing(2);
    let mut service = RetryLayer::cloning(retry()).layer(strict.clone());
    assert_eq!(service.ready().await.unwrap().call(7).await.unwrap(), 7);
    assert_eq!(strict.counts(), (3, 3));
    assert_eq!(service.ready().await.unwrap().call(8).await.unwrap(), 8);
}

#[tokio::test(start_paused = true)]
async fn r19_a_request_that_cannot_be_copied_is_sent_once() {
    let strict = Strict::failing(2);
    let mut service = RetryLayer::new(retry(), |_: &u32| None).layer(strict.clone());
    let error = service.ready().await.unwrap().call(7).await.unwrap_err();
    assert!(error.is::<std::io::Error>(), "the original error: {error}");
    assert_eq!(strict.counts().1, 1);
}

#[tokio::test(start_paused = true)]
async fn b23_an_open_gate_rejects_without_touching_the_inner_service() {
    let strict = Strict::failing(1);
    let gate = row(1);
    let mut service = GateLayer::new(gate.clone()).layer(strict.clone());
    assert!(service.ready().await.unwrap().call(1).await.is_err());
    assert_eq!(gate.state(), State::Open);
    let before = strict.counts();
    let error = service.ready().await.unwrap().call(1).await.unwrap_err();
    assert!(error.is::<Rejection>());
    assert_eq!(strict.counts(), before);
    tokio::time::advance(7 * SECOND).await;
    assert_eq!(service.ready().await.unwrap().call(5).await.unwrap(), 5, "the probe is made ready");
}

#[tokio::test(start_paused = true)]
async fn r22_a_retry_does_not_wait_for_an_open_gate() {
    let gate = row(1);
    let stack = ServiceBuilder::new()
        .layer(RetryLayer::cloning(retry()))
        .layer(GateLayer::new(gate))
        .service(Strict::failing(10));
    let begun = tokio::time::Instant::now();
    let error = stack.oneshot(1).await.unwrap_err();
    assert!(error.is::<std::io::Error>(), "{error}");
    assert_eq!(begun.elapsed(), SECOND, "one wait, then the rejection ends the retries");
}

#[tokio::test(start_paused = true)]
async fn b24_a_service_made_ready_and_never_called_holds_nothing() {
    let gate = row(3);
    let layer = GateLayer::new(gate.clone());
    for _ in 0..10 {
        let mut service = layer.layer(Strict::default());
        service.ready().await.unwrap();
        drop(service);
    }
    assert_eq!((gate.view().admitted, gate.view().in_flight), (0, Some((0, 2))));
}

#[tokio::test(start_paused = true)]
async fn r23_a_call_dropped_half_way_gives_its_place_back() {
    let gate = row(3);
    let slow = tower::service_fn(|(): ()| std::future::pending::<Result<(), BoxError>>());
    let mut service = GateLayer::new(gate.clone()).layer(slow);
    let call = service.ready().await.unwrap().call(());
    assert!(tokio::time::timeout(SECOND, call).await.is_err());
    let view = gate.view();
    assert_eq!((view.in_flight, view.abandoned, view.failed), (Some((0, 2)), 1, 0));
}

#[tokio::test(start_paused = true)]
async fn t01_an_answer_at_the_very_timeout_counts_and_a_later_one_does_not() {
    let after = |ms: u64| {
        tower::service_fn(move |(): ()| async move {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            Ok::<_, BoxError>(ms)
        })
    };
    let layer = TimeoutLayer::new(SECOND);
    assert_eq!(layer.layer(after(1_000)).oneshot(()).await.unwrap(), 1_000);
    let error = layer.layer(after(1_001)).oneshot(()).await.unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&TimedOut { after: SECOND }));
}

#[tokio::test(start_paused = true)]
async fn h05_a_hung_answer_is_overtaken() {
    let hedge = HedgeConfig { warm_up: Duration::ZERO, min_samples: 10, ..HedgeConfig::default() };
    let gate = GateConfig { hedge: Some(hedge), ..GateConfig::default() };
    let gate = Gate::new("peer", &gate).unwrap();
    let retry = Retry::through(&PolicyConfig::default(), gate).unwrap().classify_with(KnownBoxed);
    let calls = Arc::new(AtomicU32::new(0));
    let service = tower::service_fn(move |_: u32| {
        let call = calls.fetch_add(1, Ordering::SeqCst);
        async move {
            if call == 50 {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok::<_, BoxError>(call)
        }
    });
    let service = HedgeLayer::new(retry, |request: &u32| Some(*request)).layer(service);
    for call in 0..50 {
        assert_eq!(service.clone().oneshot(call).await.unwrap(), call);
    }
    assert_eq!(service.oneshot(50).await.unwrap(), 51);
}

type Hyper = HyperClient<HttpConnector, Empty<&'static [u8]>>;

fn request(url: &str) -> http::Request<Empty<&'static [u8]>> {
    http::Request::get(url).body(Empty::new()).unwrap()
}

#[tokio::test]
async fn a_hyper_util_client_is_retried_by_the_status_of_its_answers() {
    let server = Server::start(Mode::Answer("503 Service Unavailable", "")).await;
    let hyper: Hyper = HyperClient::builder(TokioExecutor::new()).build_http();
    let backoff = BackoffConfig { base: Duration::from_millis(5), ..BackoffConfig::default() };
    let retry = Retry::new(&CallConfig { backoff, ..CallConfig::default() }).unwrap();
    let copy = |request: &http::Request<Empty<&'static [u8]>>| Some(request.clone());
    let gate = row(3);
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new(retry.classify_with(HttpAnswer), copy))
        .layer(GateLayer::new(gate.clone()).classify_with(HttpAnswer))
        .layer(TimeoutLayer::new(SECOND))
        .service(hyper);
    let answer = service.clone().oneshot(request(&server.url())).await.unwrap();
    assert_eq!((answer.status().as_u16(), server.requests()), (503, 3));
    assert_eq!(gate.state(), State::Open);
    server.turn(OK);
    gate.reset();
    let answer = service.oneshot(request(&server.url())).await.unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn an_axum_router_answers_through_the_layers() {
    let gate = row(1);
    let stack = ServiceBuilder::new()
        .layer(axum::error_handling::HandleErrorLayer::new(|error: BoxError| async move {
            let rejected = error.is::<Rejection>();
            if rejected {
                http::StatusCode::SERVICE_UNAVAILABLE
            } else {
                http::StatusCode::BAD_GATEWAY
            }
        }))
        .layer(GateLayer::new(gate.clone()).classify_with(HttpAnswer))
        .layer(TimeoutLayer::new(SECOND));
    let broken = || async { http::StatusCode::INTERNAL_SERVER_ERROR };
    let router: axum::Router =
        axum::Router::new().route("/", axum::routing::get(broken)).layer(stack);
    let ask = || http::Request::get("/").body(axum::body::Body::empty()).unwrap();
    let first: Result<_, Infallible> = router.clone().oneshot(ask()).await;
    assert_eq!(first.unwrap().status(), 500);
    assert_eq!(gate.state(), State::Open);
    assert_eq!(router.oneshot(ask()).await.unwrap().status(), 503);
}

#[tokio::test]
async fn a_tonic_channel_goes_through_the_layers() {
    // Nothing listens there: what counts is that the types fit and the failure is told.
    let mut gone = Server::start(OK).await;
    gone.kill().await;
    let channel = tonic::transport::Endpoint::from_shared(gone.url()).unwrap().connect_lazy();
    let gate = row(1);
    let mut service = GateLayer::new(gate.clone())
        .classify_with(
            |result: &Result<_, BoxError>, _: Attempt| {
                if result.is_ok() { Outcome::Success } else { Outcome::TRANSIENT }
            },
        )
        .layer(channel);
    let request = http::Request::post("/x").body(tonic::body::Body::empty()).unwrap();
    let answer: Result<http::Response<_>, _> = service.ready().await.unwrap().call(request).await;
    assert!(answer.is_err());
    assert_eq!(gate.state(), State::Open);
}
