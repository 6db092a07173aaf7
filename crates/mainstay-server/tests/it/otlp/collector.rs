//! A collector that decodes what it is sent.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use crate::running::PATIENCE;

/// What it does with what it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Take,
    /// This status, with a `Retry-After` of so many seconds if any.
    Answer(u16, Option<u64>),
    /// Takes it but for so many.
    LeaveOut(i64),
    Hang,
}

#[derive(Clone)]
pub(super) struct Collector {
    address: String,
    seen: Arc<Mutex<Seen>>,
}

struct Seen {
    mode: Mode,
    asked: Vec<Instant>,
    headers: HeaderMap,
    bodies: Vec<u8>,
    traces: Vec<ExportTraceServiceRequest>,
    metrics: Vec<ExportMetricsServiceRequest>,
}

impl Collector {
    pub(super) async fn start(mode: Mode) -> Self {
        let seen = Seen {
            mode,
            asked: Vec::new(),
            headers: HeaderMap::new(),
            bodies: Vec::new(),
            traces: Vec::new(),
            metrics: Vec::new(),
        };
        let seen = Arc::new(Mutex::new(seen));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let app = Router::new()
            .route("/v1/traces", post(traces))
            .route("/v1/metrics", post(metrics))
            .with_state(seen.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, seen }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn turn(&self, mode: Mode) {
        self.seen.lock().unwrap().mode = mode;
    }

    pub(super) fn asked(&self) -> usize {
        self.asked_at().len()
    }

    pub(super) fn asked_at(&self) -> Vec<Instant> {
        self.seen.lock().unwrap().asked.clone()
    }

    pub(super) fn headers(&self) -> HeaderMap {
        self.seen.lock().unwrap().headers.clone()
    }

    /// All that came, as text as far as it is any.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap().bodies).into_owned()
    }

    pub(super) fn spans(&self) -> Vec<Span> {
        let seen = self.seen.lock().unwrap();
        let scopes = seen.traces.iter().flat_map(|request| &request.resource_spans);
        scopes.flat_map(|one| &one.scope_spans).flat_map(|one| one.spans.clone()).collect()
    }

    /// What each export of metrics had.
    pub(super) fn exports(&self) -> Vec<Vec<Metric>> {
        let seen = self.seen.lock().unwrap();
        let metrics = |request: &ExportMetricsServiceRequest| {
            let scopes = request.resource_metrics.iter().flat_map(|one| &one.scope_metrics);
            scopes.flat_map(|one| one.metrics.clone()).collect()
        };
        seen.metrics.iter().map(metrics).collect()
    }

    pub(super) fn resources(&self) -> Vec<Resource> {
        let seen = self.seen.lock().unwrap();
        let traces = seen.traces.iter().flat_map(|request| &request.resource_spans);
        let metrics = seen.metrics.iter().flat_map(|request| &request.resource_metrics);
        let traces = traces.filter_map(|one| one.resource.clone());
        traces.chain(metrics.filter_map(|one| one.resource.clone())).collect()
    }

    /// The span that fits, once it has come.
    pub(super) async fn span(&self, what: &str, fits: impl Fn(&Span) -> bool) -> Span {
        let find = || self.spans().into_iter().find(&fits);
        until(what, || find().is_some()).await;
        find().unwrap()
    }
}

/// Waits until it is so.
pub(super) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "this did not come about: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// An attribute as text.
pub(super) fn attribute(all: &[KeyValue], key: &str) -> Option<String> {
    let found = all.iter().find(|pair| pair.key == key)?;
    Some(match found.value.clone()?.value? {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        Value::BoolValue(truth) => truth.to_string(),
        Value::DoubleValue(number) => number.to_string(),
        other @ (Value::ArrayValue(_)
        | Value::KvlistValue(_)
        | Value::BytesValue(_)
        | Value::StringValueStrindex(_)) => panic!("nothing of ours is {other:?}"),
    })
}

type Seeing = State<Arc<Mutex<Seen>>>;

async fn traces(State(seen): Seeing, headers: HeaderMap, body: Bytes) -> Response {
    let request = ExportTraceServiceRequest::decode(body.clone()).expect("it is the protocol");
    take(&seen, headers, &body, |seen| seen.traces.push(request)).await
}

async fn metrics(State(seen): Seeing, headers: HeaderMap, body: Bytes) -> Response {
    let request = ExportMetricsServiceRequest::decode(body.clone()).expect("it is the protocol");
    take(&seen, headers, &body, |seen| seen.metrics.push(request)).await
}

async fn take(
    seen: &Mutex<Seen>,
    headers: HeaderMap,
    body: &[u8],
    keep: impl FnOnce(&mut Seen),
) -> Response {
    let mode = {
        let mut seen = seen.lock().unwrap();
        seen.asked.push(Instant::now());
        seen.headers = headers;
        if matches!(seen.mode, Mode::Take | Mode::LeaveOut(_)) {
            seen.bodies.extend_from_slice(body);
            keep(&mut seen);
        }
        seen.mode
    };
    match mode {
        Mode::Take => Response::default(),
        Mode::LeaveOut(count) => {
            let error_message = "too old".to_owned();
            let partial = ExportTracePartialSuccess { rejected_spans: count, error_message };
            let answer = ExportTraceServiceResponse { partial_success: Some(partial) };
            answer.encode_to_vec().into_response()
        }
        Mode::Answer(status, after) => {
            let mut answer = StatusCode::from_u16(status).unwrap().into_response();
            if let Some(seconds) = after {
                answer.headers_mut().insert("retry-after", seconds.into());
            }
            answer
        }
        Mode::Hang => std::future::pending().await,
    }
}
