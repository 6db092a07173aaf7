//! Checks with conditions, against a service that answers them.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query};
use axum::http::header::{AUTHORIZATION, HeaderName};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::routing::{any, get, post};
use mainstay::link::{
    Bearer, ConnectError, HttpCheck, HttpConfig, HttpProbe, HttpStep, HttpTransport, Link,
    LinkConfig, LinkOptions,
};
use tokio::net::TcpListener;

const SECRET: &str = "tok-4711-hush";

/// A shop: whoever has logged in sees an order by its id.
fn shop() -> Router {
    let order = |Path(id): Path<String>, headers: HeaderMap| async move {
        let known =
            headers.get("authorization").is_some_and(|value| value == "Bearer tok-4711-hush");
        if !known {
            return (StatusCode::FORBIDDEN, String::new());
        }
        (
            StatusCode::OK,
            format!("{{\"order\":{{\"id\":{id:?},\"total\":12,\"token\":\"{SECRET}\"}}}}"),
        )
    };
    let pay = |body: String| async move {
        let wanted = "{\"order\":\"a/b \\\"7\\\"\"}";
        if body == wanted { (StatusCode::CREATED, body) } else { (StatusCode::CONFLICT, body) }
    };
    let search = |Query(asked): Query<BTreeMap<String, String>>| async move {
        format!("{{\"found\":{:?}}}", asked.get("q"))
    };
    Router::new()
        .route("/health", get(|| async { "{\"status\":\"ok\",\"db\":{\"up\":true,\"lag\":1.0}}" }))
        .route("/text", get(|| async { "build 42 is ready" }))
        .route(
            "/late",
            get(|| async {
                tokio::time::sleep(Duration::from_millis(80)).await;
                "late"
            }),
        )
        .route("/never", get(|| async { std::future::pending::<&str>().await }))
        .route("/long", get(|| async { format!("{{\"a\":\"{}\"}}", "x".repeat(70_000)) }))
        .route(
            "/login",
            post(|| async {
                format!("{{\"token\":\"{SECRET}\",\"id\":\"a/b \\\"7\\\"\",\"up\":\"..\"}}")
            }),
        )
        .route("/orders/{id}", get(order))
        .route("/pay", any(pay))
        .route("/search", get(search))
}

async fn start() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, shop()).await });
    url
}

async fn ask(url: &str, check: HttpCheck) -> Result<(), String> {
    ask_as(None, url, check).await
}

async fn ask_as(bearer: Option<&str>, url: &str, check: HttpCheck) -> Result<(), String> {
    let mut config = HttpConfig { system_proxy: false, ..HttpConfig::new(url) };
    config.bearer = bearer.map(Bearer::fixed);
    config.probe = HttpProbe::Check(check);
    let http = HttpTransport::new(config).unwrap();
    let mut config = LinkConfig { dial_timeout: Duration::from_secs(10), ..LinkConfig::default() };
    config.reconnect.enabled = false;
    let link = Link::open(LinkOptions::new("shop").config(config), http).unwrap();
    let Err(failed) = link.connect().await else { return Ok(()) };
    let ConnectError::Failed { error: Some(error), .. } = failed else { panic!("{failed:?}") };
    Err(error.to_string())
}

fn one(change: impl FnOnce(&mut HttpStep)) -> HttpCheck {
    let mut step = HttpStep::get("/health");
    change(&mut step);
    HttpCheck { steps: vec![step], max_latency: None }
}

#[tokio::test]
async fn conditions_are_told_apart_from_answers_and_failures_say_what_was_found() {
    let url = start().await;
    let json = |step: &mut HttpStep, place: &str, value: serde_json::Value| {
        step.json.insert(place.into(), value);
    };
    let good = [
        one(|step| json(step, "/status", "ok".into())),
        one(|step| json(step, "/db", serde_json::json!({ "up": true, "lag": 1.0 }))),
        one(|step| json(step, "/db/lag", 1.into())),
        one(|step| {
            step.path = "/text".into();
            step.body_contains = Some("ready".into());
            step.body_matches = Some(r"build \d+".into());
        }),
        one(|step| {
            step.path = "/nobody".into();
            step.status = vec![200..=204, 404..=404];
        }),
        one(|step| step.method = Method::HEAD),
    ];
    for check in good {
        assert_eq!(ask(&url, check.clone()).await, Ok(()), "{check:?}");
    }
    let bad: [(HttpCheck, &str); 9] = [
        (
            one(|step| json(step, "/status", "up".into())),
            "GET /health: \"/status\" is \"ok\", expected \"up\"",
        ),
        (
            one(|step| json(step, "/db", 1.into())),
            "GET /health: \"/db\" is an object of 2 fields, expected 1",
        ),
        (one(|step| json(step, "/no", 1.into())), "GET /health: \"/no\" is missing, expected 1"),
        (one(|step| step.status = vec![204..=204]), "GET /health: found 200 OK, expected 204"),
        (
            one(|step| step.body_contains = Some("bad".into())),
            "GET /health: the body (42 bytes) does not contain \"bad\"",
        ),
        (
            one(|step| step.body_matches = Some("^x$".into())),
            "GET /health: the body (42 bytes) does not match \"^x$\"",
        ),
        (
            one(|step| {
                step.path = "/text".into();
                json(step, "/a", 1.into());
            }),
            "GET /text: the body (17 bytes) is no JSON",
        ),
        (
            one(|step| {
                step.path = "/long".into();
                json(step, "/a", 1.into());
            }),
            "GET /long: the body is longer than 65536 bytes, or broke off",
        ),
        (
            one(|step| step.path = "/nobody".into()),
            "GET /nobody: found 404 Not Found, expected 200-299",
        ),
    ];
    for (check, message) in bad {
        assert_eq!(ask(&url, check).await, Err(message.to_owned()));
    }
}

#[tokio::test]
async fn a_token_that_the_peer_repeats_is_not_shown() {
    let url = start().await;
    let check = one(|step| {
        step.path = "/orders/7".into();
        step.json.insert("/order/token".into(), "other".into());
    });
    assert_eq!(
        ask_as(Some(SECRET), &url, check).await,
        Err("GET /orders/7: \"/order/token\" is something that is not shown, expected \"other\""
            .into())
    );
}

#[tokio::test]
async fn what_is_slow_has_failed() {
    let url = start().await;
    let error = ask(
        &url,
        one(|step| {
            step.path = "/late".into();
            step.max_latency = Some(Duration::from_millis(20));
        }),
    )
    .await
    .unwrap_err();
    assert!(
        error.starts_with("GET /late: it took ") && error.ends_with(" ms, expected at most 20 ms"),
        "{error}"
    );
    let mut check = one(|step| step.path = "/late".into());
    check.max_latency = Some(Duration::from_millis(20));
    let error = ask(&url, check).await.unwrap_err();
    assert!(error.starts_with("all steps took "), "{error}");
}

fn steps() -> [HttpStep; 4] {
    let mut login = HttpStep { method: Method::POST, ..HttpStep::get("/login") };
    login.capture.insert("token".into(), "/token".into());
    login.capture.insert("id".into(), "/id".into());
    let mut order = HttpStep::get("/orders/{{id}}");
    order.headers.push((AUTHORIZATION, "Bearer {{token}}".into()));
    order.json.insert("/order/id".into(), "a/b \"7\"".into());
    let mut search = HttpStep::get("/search?q={{id}}");
    search.body_contains = Some("a/b".into());
    let mut pay = HttpStep { method: Method::POST, ..HttpStep::get("/pay") };
    pay.body = Some("{\"order\":\"{{id}}\"}".into());
    pay.status = vec![201..=201];
    [login, order, search, pay]
}

#[tokio::test]
async fn a_sequence_takes_the_path_that_users_take_and_tells_which_step_failed() {
    let url = start().await;
    let check = HttpCheck { steps: steps().into(), max_latency: None };
    assert_eq!(ask(&url, check.clone()).await, Ok(()));

    let mut broken = check.clone();
    broken.steps[3].status = vec![200..=200];
    assert_eq!(
        ask(&url, broken).await,
        Err("step 4 of 4 (POST /pay): found 201 Created, expected 200".into())
    );
    let mut secret = check.clone();
    secret.steps[1].json.insert("/order/token".into(), "other".into());
    assert_eq!(
        ask(&url, secret).await,
        Err("step 2 of 4 (GET /orders/{{id}}): \"/order/token\" is something that is not shown, expected \"other\"".into())
    );
    let mut repeated = check.clone();
    repeated.steps[1].capture.clear();
    repeated.steps[1].headers.push((HeaderName::from_static("x-key"), "4711-hush".into()));
    repeated.steps[1].json.insert("/order/token".into(), "other".into());
    let error = ask(&url, repeated).await.unwrap_err();
    assert!(error.contains("is something that is not shown"), "{error}");
    // Also where JSON writes it in other letters.
    let quoted = one(|step| {
        (step.method, step.path) = (Method::POST, "/login".into());
        step.headers.push((HeaderName::from_static("x-key"), "a/b \"7\"".into()));
        step.json.insert("/id".into(), "other".into());
    });
    assert_eq!(
        ask(&url, quoted).await,
        Err("POST /login: \"/id\" is something that is not shown, expected \"other\"".into())
    );
    let mut lost = check.clone();
    lost.steps[0].capture.insert("id".into(), "/up".into());
    assert_eq!(
        ask(&url, lost).await,
        Err("step 1 of 4 (POST /login): \"/up\" is nothing that can be captured".into())
    );
    assert!(!format!("{check:?}").contains("Bearer"), "headers are not shown");
}

#[tokio::test]
async fn one_deadline_is_for_all_steps_and_the_one_it_struck_in_is_named() {
    let url = start().await;
    let steps = vec![HttpStep::get("/health"), HttpStep::get("/never")];
    let mut config = HttpConfig { system_proxy: false, ..HttpConfig::new(&url) };
    config.probe = HttpProbe::Check(HttpCheck { steps, max_latency: None });
    let mut link = LinkConfig { dial_timeout: Duration::from_millis(500), ..LinkConfig::default() };
    link.reconnect.backoff.base = Duration::from_millis(50);
    let http = HttpTransport::new(config).unwrap();
    let link = Link::open(LinkOptions::new("shop").config(link), http).unwrap();
    let mut events = link.subscribe();
    link.begin();
    let named = async {
        loop {
            if let Some(error) = &events.recv().await.unwrap().error {
                return error.to_string();
            }
        }
    };
    let error = tokio::time::timeout(Duration::from_secs(20), named).await.unwrap();
    assert_eq!(error, "step 2 of 2 (GET /never): no answer in time");
}

#[test]
fn checks_that_make_no_sense_are_refused_by_field() {
    let mut later = HttpStep::get("/{{id}}");
    later.capture.insert("id".into(), "/id".into());
    let cases: [(HttpCheck, &str); 9] = [
        (HttpCheck::default(), "probe.steps"),
        (HttpCheck { steps: vec![HttpStep::get("/"); 11], max_latency: None }, "probe.steps"),
        (HttpCheck { steps: vec![later], max_latency: None }, "probe.steps.0.path"),
        (one(|step| step.path = "health".into()), "probe.steps.0.path"),
        (one(|step| step.status = vec![99..=200]), "probe.steps.0.status"),
        (one(|step| step.body_matches = Some("(".into())), "probe.steps.0.body_matches"),
        (one(|step| drop(step.json.insert("status".into(), 1.into()))), "probe.steps.0.json"),
        (one(|step| drop(step.capture.insert("a b".into(), "/a".into()))), "probe.steps.0.capture"),
        (one(|step| step.max_latency = Some(Duration::ZERO)), "probe.steps.0.max_latency"),
    ];
    for (check, field) in cases {
        let config = HttpConfig { probe: HttpProbe::Check(check), ..HttpConfig::new("http://h") };
        assert_eq!(HttpTransport::new(config).unwrap_err().field, field);
    }
}
