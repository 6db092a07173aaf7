use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use mainstay::core::policy::call::CallConfig;
use mainstay::core::policy::preset::PolicyConfig;
use mainstay::gate::{Gate, Gates};
use mainstay::http::{Client, builder};
use mainstay::operations::Operations;
use mainstay::retry::Retry;
use mainstay::trace::TraceContext;
use mainstay_server::Server;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::collector::{Collector, Mode, attribute};
use super::{exporting, spec};
use crate::running::{config, run, start};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_error(span: &Span) -> bool {
    span.status.as_ref().is_some_and(|status| status.code == 2)
}

#[tokio::test]
async fn a_request_is_a_span_of_its_callers_trace_and_its_log_lines_have_the_ids() {
    let collector = Collector::start(Mode::Take).await;
    let (traces, log, _guard) = exporting(&spec(&collector));
    let running = start("").await;
    let headers = format!("Host: {}\r\ntraceparent: 00-{TRACE}-{CALLER}-01", running.address);
    let answer = running.get("/api/v1/links/none?key=hidden", &headers).await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    let span = collector.span("the span", |span| hex(&span.trace_id) == TRACE).await;
    assert_eq!(hex(&span.parent_span_id), CALLER);
    assert_eq!(span.name, "GET /api/v1/links/{name}");
    assert_eq!((span.kind, span.flags), (SpanKind::Server as i32, 0x301));
    assert!(!is_error(&span), "it is the caller's mistake");
    assert!(span.start_time_unix_nano > 0 && span.end_time_unix_nano >= span.start_time_unix_nano);
    for (key, value) in [
        ("http.request.method", "GET"),
        ("http.route", "/api/v1/links/{name}"),
        ("http.response.status_code", "404"),
    ] {
        assert_eq!(attribute(&span.attributes, key).as_deref(), Some(value), "{key}");
    }
    let text = log.text();
    let line = text.lines().find(|line| line.contains("answered with a problem")).unwrap();
    assert!(line.contains(TRACE) && line.contains(&hex(&span.span_id)), "{line}");
    assert!(!collector.text().contains("hidden"));
    running.end().await;
    assert_eq!(traces.stop(Duration::from_secs(20)).await, 0);
}

#[tokio::test]
async fn a_request_without_a_trace_begins_one_and_one_that_is_not_sampled_is_left_out() {
    let collector = Collector::start(Mode::Take).await;
    let (traces, _log, _guard) = exporting(&spec(&collector));
    let running = start("").await;
    let host = format!("Host: {}", running.address);
    running.get("/health", &format!("{host}\r\ntraceparent: 00-{TRACE}-{CALLER}-00")).await;
    running.get("/health", &host).await;
    let span = collector.span("the span", |span| span.name == "GET /health").await;
    assert_eq!((hex(&span.parent_span_id).as_str(), span.flags), ("", 0x101));
    running.ask(&format!("ODD /nowhere HTTP/1.1\r\nConnection: close\r\n{host}")).await;
    let odd = collector.span("the other", |span| span.name == "_OTHER").await;
    assert_ne!(odd.trace_id, span.trace_id);
    assert!(collector.spans().iter().all(|span| hex(&span.trace_id) != TRACE));
    running.end().await;
    traces.stop(Duration::from_secs(20)).await;
}

/// A peer that fails the first request, and the heads of all.
async fn peer() -> (String, mpsc::UnboundedReceiver<HeaderMap>) {
    let (sees, seen) = mpsc::unbounded_channel();
    let mut count = 0;
    let answer = std::sync::Arc::new(std::sync::Mutex::new(move |headers| {
        count += 1;
        sees.send(headers).unwrap();
        if count == 1 { StatusCode::BAD_GATEWAY } else { StatusCode::OK }
    }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let route = move |headers: HeaderMap| async move { (answer.lock().unwrap())(headers) };
    let app = Router::new().route("/pay/{token}", get(route.clone())).route("/health", get(route));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (url, seen)
}

fn parent_of(headers: &HeaderMap) -> (String, String) {
    let parent = TraceContext::from_headers(headers).expect("it names a trace").parent();
    (parent.trace_id(), parent.parent_id())
}

fn of<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

#[tokio::test]
async fn an_operation_shows_its_attempts_and_what_they_sent_out() {
    let collector = Collector::start(Mode::Take).await;
    let (traces, _log, _guard) = exporting(&spec(&collector));
    let (url, mut seen) = peer().await;
    let inner = builder().no_proxy().build().unwrap();
    let mut once = PolicyConfig::default();
    once.call.attempts = 1;
    let client = Client::over(inner, &once, Gates::default()).unwrap();
    let gate = Gate::new("pay", &PolicyConfig::default().gate).unwrap();
    let retry = Retry::new(&CallConfig::default()).unwrap().with_gate(gate);
    let operations = Operations::default();
    let paid = operations.execute("pay", &retry, |_| async {
        let request = client.inner().get(format!("{url}/pay/hidden?key=hidden")).build().unwrap();
        let answer = client.execute(request).await.map_err(|error| error.to_string())?;
        answer.error_for_status().map(drop).map_err(|_| "a bad status".to_owned())
    });
    paid.await.unwrap();
    assert_eq!(traces.stop(Duration::from_secs(20)).await, 0);
    let spans = collector.spans();
    let [operation] = of(&spans, "pay")[..] else { panic!("{spans:?}") };
    assert!(operation.parent_span_id.is_empty() && !is_error(operation));
    let said = |span: &Span, key: &str| attribute(&span.attributes, key).unwrap_or_default();
    assert_eq!(said(operation, "mainstay.outcome"), "succeeded");
    assert_eq!(said(operation, "mainstay.attempts"), "2");
    let [first, second] = of(&spans, "attempt")[..] else { panic!("{spans:?}") };
    for (attempt, number, outcome) in [(first, "1", "transient"), (second, "2", "success")] {
        assert_eq!(attempt.parent_span_id, operation.span_id);
        assert_eq!(attempt.trace_id, operation.trace_id);
        assert_eq!(said(attempt, "mainstay.number"), number);
        assert_eq!(said(attempt, "mainstay.outcome"), outcome);
        assert_eq!(said(attempt, "mainstay.breaker"), "CLOSED");
        assert_eq!(is_error(attempt), number == "1");
    }
    let calls = of(&spans, "GET");
    assert_eq!(calls.len(), 2);
    for (call, attempt) in calls.iter().zip([first, second]) {
        assert_eq!(call.parent_span_id, attempt.span_id);
        assert_eq!(call.kind, SpanKind::Client as i32);
        let sent = parent_of(&seen.recv().await.unwrap());
        assert_eq!(sent, (hex(&call.trace_id), hex(&call.span_id)), "what went out");
        assert_eq!(said(call, "server.address"), "127.0.0.1");
    }
    assert_eq!(said(calls[0], "http.response.status_code"), "502");
    assert!(!collector.text().contains("hidden"), "neither path nor query");
}

#[tokio::test]
async fn a_probe_of_a_link_is_a_span_that_its_peer_can_name() {
    let collector = Collector::start(Mode::Take).await;
    let (traces, _log, _guard) = exporting(&spec(&collector));
    let (url, mut seen) = peer().await;
    let text = format!(
        "[[link]]\nname = \"api\"\nurl = \"{url}\"\n\
         health = {{ interval = \"400ms\", timeout = \"400ms\", edge_interval = \"20ms\" }}\n\
         reconnect = {{ base = \"20ms\", cap = \"50ms\" }}\n"
    );
    let running = run(Server::bind(&config(&text)).await.unwrap());
    let dial = collector.span("a dial that fails", |span| span.name == "dial api").await;
    assert!(is_error(&dial));
    assert_eq!(attribute(&dial.attributes, "error.type").as_deref(), Some("transient"));
    let probe = collector.span("a probe", |span| span.name == "probe api").await;
    let mut sent = Vec::new();
    while let Ok(headers) = seen.try_recv() {
        sent.push(parent_of(&headers));
    }
    for span in [&dial, &probe] {
        assert!(sent.contains(&(hex(&span.trace_id), hex(&span.span_id))), "{sent:?}");
        assert_eq!(span.kind, SpanKind::Client as i32);
    }
    running.end().await;
    traces.stop(Duration::from_secs(20)).await;
}
