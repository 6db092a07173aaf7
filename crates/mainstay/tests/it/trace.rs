//! Traces over real HTTP calls.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use mainstay::core::policy::preset::PolicyConfig;
use mainstay::gate::Gates;
use mainstay::http::{Client, builder};
use mainstay::link::{
    HttpCheck, HttpConfig, HttpProbe, HttpStep, HttpTransport, Link, LinkOptions,
};
use mainstay::tower::{BoxError, TraceLayer};
use mainstay::trace::{TraceContext, TraceParent, Work};
use tokio::net::TcpListener;
use tower::{Layer as _, ServiceExt as _, service_fn};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A server that fails the first call, and what it was sent.
async fn server() -> (String, Arc<Mutex<Vec<HeaderMap>>>) {
    let seen: Arc<Mutex<Vec<HeaderMap>>> = Arc::default();
    let sees = seen.clone();
    let answer = move |headers: HeaderMap| async move {
        let mut seen = sees.lock().unwrap();
        seen.push(headers);
        if seen.len() == 1 { StatusCode::BAD_GATEWAY } else { StatusCode::OK }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let app = Router::new().route("/", get(answer));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (url, seen)
}

fn client() -> Client {
    let inner = builder().no_proxy().build().unwrap();
    Client::over(inner, &PolicyConfig::default(), Gates::default()).unwrap()
}

fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

#[tokio::test]
async fn each_attempt_carries_the_trace_on_with_a_parent_of_its_own() {
    let (url, seen) = server().await;
    let client = client();
    let came =
        headers(&[("traceparent", PARENT), ("tracestate", "a=1,b=2"), ("tracestate", "c=3")]);
    let trace = TraceContext::from_headers(&came).unwrap();
    let request = client.inner().get(&url).build().unwrap();
    let answer = trace.scope(client.execute(request)).await.unwrap();
    assert_eq!(answer.status(), 200);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 2, "it was repeated");
    let sent: Vec<TraceContext> =
        seen.iter().map(|headers| TraceContext::from_headers(headers).unwrap()).collect();
    let parents: Vec<String> = sent.iter().map(|one| one.parent().parent_id()).collect();
    assert!(sent.iter().all(|one| one.parent().trace_id() == "4bf92f3577b34da6a3ce929d0e0e4736"));
    assert!(sent.iter().all(|one| one.parent().is_sampled()));
    assert!(parents[0] != parents[1] && !parents.contains(&"00f067aa0ba902b7".into()));
    for headers in &*seen {
        let state: Vec<_> = headers.get_all("tracestate").iter().collect();
        assert_eq!(state, ["a=1,b=2", "c=3"], "unchanged");
    }
}

#[tokio::test]
async fn without_a_trace_nothing_is_sent_and_a_request_keeps_what_it_names_itself() {
    let (url, seen) = server().await;
    let client = client();
    let plain = client.inner().get(&url).build().unwrap();
    client.execute(plain).await.unwrap();
    let own = client.inner().get(&url).header("traceparent", PARENT).build().unwrap();
    TraceContext::begin(false).scope(client.execute(own)).await.unwrap();
    let seen = seen.lock().unwrap();
    let (last, before) = seen.split_last().unwrap();
    assert!(before.iter().all(|headers| !headers.contains_key("traceparent")));
    assert_eq!(last["traceparent"], PARENT);
}

#[test]
fn a_trace_that_is_named_twice_or_badly_is_none() {
    let of = |lines: &[_]| TraceContext::from_headers(&headers(lines));
    assert!(of(&[]).is_none());
    assert!(of(&[("tracestate", "a=1")]).is_none());
    assert!(of(&[("traceparent", PARENT), ("traceparent", PARENT)]).is_none());
    assert!(of(&[("traceparent", "00-0-0-0")]).is_none());
    assert!(of(&[("traceparent", PARENT), ("tracestate", "a=1")]).is_some());
}

/// What the head says of the trace.
fn parent(headers: &HeaderMap) -> TraceParent {
    TraceContext::from_headers(headers).expect("it names a trace").parent()
}

#[tokio::test]
async fn a_probe_names_a_trace_that_begins_with_it_and_that_all_its_steps_share() {
    let (url, seen) = server().await;
    let mut own = HttpStep::get("/");
    own.headers.push(("traceparent".parse().unwrap(), PARENT.into()));
    let steps = vec![HttpStep::get("/"), HttpStep::get("/"), own];
    let mut config = HttpConfig::new(url);
    config.system_proxy = false;
    config.probe = HttpProbe::Check(HttpCheck { steps, ..HttpCheck::default() });
    let transport = HttpTransport::new(config).unwrap();
    let link = Link::open(LinkOptions::new("api"), transport).unwrap();
    // The server fails the first request.
    link.connect().await.unwrap_err();
    link.connect().await.unwrap();
    link.shutdown().await;
    let seen = seen.lock().unwrap();
    let [failed, first, second, own] = &seen[..4] else { panic!("four were asked") };
    assert_eq!(parent(first), parent(second), "one look at the peer");
    assert_ne!(parent(failed).trace_id(), parent(first).trace_id(), "another look");
    assert!(!parent(first).is_sampled(), "nobody records it");
    assert_eq!(own["traceparent"], PARENT, "what a step says itself stays");
}

#[tokio::test]
async fn the_layer_names_the_current_trace_or_a_new_one_and_leaves_what_is_named() {
    let echo = service_fn(async |request: http::Request<()>| {
        let mut answer = http::Response::new(());
        *answer.headers_mut() = request.headers().clone();
        Ok::<_, BoxError>(answer)
    });
    let ask = async |request: http::Request<()>| {
        TraceLayer.layer(echo).oneshot(request).await.unwrap().headers().clone()
    };
    let (one, other) = (ask(http::Request::default()).await, ask(http::Request::default()).await);
    assert_ne!(parent(&one).trace_id(), parent(&other).trace_id());
    let trace =
        TraceContext::from_headers(&headers(&[("traceparent", PARENT), ("tracestate", "a=1")]));
    let sent = trace.clone().unwrap().scope(ask(http::Request::default())).await;
    assert_eq!(parent(&sent).trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_ne!(parent(&sent).parent_id(), "00f067aa0ba902b7", "a part of its own");
    assert_eq!(sent["tracestate"], "a=1");
    let named = http::Request::get("/").header("traceparent", PARENT).body(()).unwrap();
    assert_eq!(TraceContext::begin(true).scope(ask(named)).await["traceparent"], PARENT);
}

#[tokio::test]
async fn work_of_a_trace_is_called_by_whoever_has_the_trace() {
    assert!(Work::join().is_none(), "nobody exports, so no trace begins");
    assert_eq!(Work::join_or_begin().parent_id(), None);
    let trace = TraceContext::begin(true);
    let work = trace.clone().scope(async { Work::join() }).await.unwrap();
    let own = trace.parent();
    assert_eq!((work.trace_id(), work.parent_id()), (own.trace_id(), Some(own.parent_id())));
    assert_eq!(work.span_id(), work.context().parent().parent_id());
    assert!(work.is_sampled() && work.span_id() != own.parent_id());
}
