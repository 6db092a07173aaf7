//! Traces over real HTTP calls.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use mainstay::core::policy::preset::PolicyConfig;
use mainstay::gate::Gates;
use mainstay::http::{Client, builder};
use mainstay::trace::TraceContext;
use tokio::net::TcpListener;

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
