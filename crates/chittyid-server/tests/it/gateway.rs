//! A gateway in front of an authority, of nobody, of itself, and of what answers nonsense.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use chittyid_client::ClientConfig;
use chittyid_server::{ChittyIdConfig, Gateway, gateway_routes};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::served::{ANN, Answer, BOB, PATIENCE, Served, config, exchange};

/// Routes that are answered until it is dropped.
struct Open {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Open {
    async fn new(routes: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { address, serving }
    }

    /// A gateway to whatever is there.
    async fn gateway(upstream: SocketAddr) -> Self {
        Self::new(gateway_routes(Arc::new(gateway(upstream)))).await
    }

    async fn ask(&self, order: &str, key: Option<&str>, headers: &[&str], body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let asked = timeout(PATIENCE, exchange(self.address, order, key, headers, &body));
        asked.await.expect("it answers in time")
    }

    async fn generate(&self, key: Option<&str>) -> Answer {
        let body = json!({ "entity": "INFO", "metadata": { "test": true } });
        self.ask("POST /api/id/generate", key, &[], &body).await
    }

    async fn validate(&self, id: &str) -> Answer {
        self.ask(&format!("GET /api/id/validate/{id}"), None, &[], &Value::Null).await
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn client(upstream: SocketAddr) -> ClientConfig {
    let mut config = ClientConfig::new(format!("http://{upstream}"));
    config.retry.first_wait = Duration::from_millis(1);
    config
}

fn gateway(upstream: SocketAddr) -> Gateway {
    Gateway::new(client(upstream)).unwrap()
}

#[tokio::test]
async fn ids_are_minted_with_the_key_that_the_caller_shows() {
    let authority = Served::new(config()).await;
    let gateway = Open::gateway(authority.address()).await;
    for (key, name) in [(ANN, "ann"), (BOB, "bob")] {
        let answer = gateway.generate(Some(key)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("x-chittyid-source"), Some("central-authority"));
        assert_eq!(
            (&answer.body["success"], &answer.body["entity"]),
            (&json!(true), &json!("INFO"))
        );
        assert_eq!(answer.body["metadata"], json!({ "test": true }));
        let id = answer.body["chittyId"].as_str().unwrap().to_owned();
        let entries = authority.authority.audit(None, 100).unwrap().entries;
        let entry = entries.iter().find(|entry| entry.ids == [id.clone()]).unwrap();
        assert_eq!(entry.by, name);
        let answer = gateway.validate(&id).await;
        assert_eq!((answer.status, &answer.body["valid"]), (200, &json!(true)), "{answer:?}");
        assert_eq!(answer.body["verified"], json!(true));
    }
}

#[tokio::test]
async fn a_stranger_gets_no_id_and_a_gateway_has_no_key_to_lend() {
    let authority = Served::new(config()).await;
    let gateway = Open::gateway(authority.address()).await;
    for key in [None, Some("wrong-key-of-nobody")] {
        let answer = gateway.generate(key).await;
        answer.refuses(401, "UNAUTHORIZED", "Service must be available.");
        assert!(!format!("{answer:?}").contains("wrong-key"), "{answer:?}");
    }
    assert_eq!(authority.authority.audit(None, 100).unwrap().entries, []);
    let mut own = client(authority.address());
    own.api_key = Some(chittyid_client::ApiKey::new(ANN).unwrap());
    let error = Gateway::new(own.clone()).unwrap_err();
    assert_eq!(error.field, "api_key");
    assert!(!error.to_string().contains(ANN));
    let whole = ChittyIdConfig { gateway: Some(own), ..ChittyIdConfig::default() };
    assert_eq!(whole.check().unwrap_err().field, "gateway.api_key");
    // What is no bearer is refused here: it would be lost on the way.
    let basic = ["Authorization: Basic YW5uOnB3"];
    let answer = gateway.ask("POST /api/id/generate", None, &basic, &json!({})).await;
    answer.refuses(401, "UNAUTHORIZED", "authentication failed");
}

#[tokio::test]
async fn the_same_idempotency_key_gives_the_same_id_through_a_gateway() {
    let authority = Served::new(config()).await;
    let gateway = Open::gateway(authority.address()).await;
    let body = json!({ "domain": "PEO" });
    let key = ["Idempotency-Key: intake-7"];
    let mut ids = Vec::new();
    for _ in 0..2 {
        let answer = gateway.ask("POST /api/id/generate", Some(ANN), &key, &body).await;
        ids.push(answer.body["chittyId"].clone());
    }
    assert!(ids[0].is_string() && ids[0] == ids[1], "{ids:?}");
}

/// Sends what is meant for an authority back to a gateway, as a wrong entry in a name server did.
async fn misled(to: SocketAddr, asked: Arc<AtomicUsize>) -> Open {
    let pass = move |request: Request| {
        let asked = asked.clone();
        async move {
            asked.fetch_add(1, Ordering::SeqCst);
            let (parts, body) = request.into_parts();
            let path = match parts.uri.path() {
                "/v1/mint" => "/api/id/generate".to_owned(),
                other => other.replace("/v1/validate/", "/api/id/validate/"),
            };
            let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
            let via = parts.headers.get("via").map(|via| format!("Via: {}", via.to_str().unwrap()));
            let headers: Vec<&str> = via.iter().map(String::as_str).collect();
            let order = format!("{} {path}", parts.method);
            let text = String::from_utf8(body.to_vec()).unwrap();
            let answer = exchange(to, &order, None, &headers, &text).await;
            (StatusCode::from_u16(answer.status).unwrap(), axum::Json(answer.body)).into_response()
        }
    };
    Open::new(Router::new().fallback(pass)).await
}

#[tokio::test]
async fn a_gateway_that_is_led_back_to_itself_says_so_and_stops() {
    // The way back is known only once the gateway is there, and the gateway needs the way.
    let asked = Arc::new(AtomicUsize::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap();
    let way = misled(own, asked.clone()).await;
    let routes = gateway_routes(Arc::new(gateway(way.address)));
    let serving = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    let open = Open { address: own, serving };
    open.generate(None).await.refuses(508, "LOOP_DETECTED", "Service must be available.");
    let once = asked.swap(0, Ordering::SeqCst);
    assert!((1..=3).contains(&once), "as often as it is tried: {once}");
    let answer = open.validate("CT-A-CHI-0001-I-26-A-0").await;
    assert_eq!((answer.status, &answer.body["verified"]), (508, &json!(false)), "{answer:?}");
    assert!(asked.load(Ordering::SeqCst) <= 3);
}

#[tokio::test]
async fn two_gateways_that_ask_each_other_stop_as_well() {
    let asked = Arc::new(AtomicUsize::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let first = listener.local_addr().unwrap();
    let back = misled(first, asked.clone()).await;
    let second = Open::gateway(back.address).await;
    let forth = misled(second.address, asked.clone()).await;
    let routes = gateway_routes(Arc::new(gateway(forth.address)));
    let serving = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    let open = Open { address: first, serving };
    let answer = open.generate(None).await;
    assert_eq!(answer.status, 508, "{answer:?}");
    assert!(asked.load(Ordering::SeqCst) <= 3 + 9, "attempts of attempts: {asked:?}");
}

#[tokio::test]
async fn what_a_stranger_claims_to_have_come_through_is_bounded() {
    let authority = Served::new(config()).await;
    let first = Open::gateway(authority.address()).await;
    let id = first.generate(Some(ANN)).await.body["chittyId"].as_str().unwrap().to_owned();
    let ask = |via: String| {
        let (order, first) = (format!("GET /api/id/validate/{id}"), &first);
        async move { first.ask(&order, Some(ANN), &[&format!("Via: {via}")], &Value::Null).await }
    };
    let hops = |count: usize| vec!["1.1 elsewhere"; count].join(", ");
    assert_eq!(ask(hops(8)).await.status, 200);
    ask(hops(9)).await.refuses(508, "LOOP_DETECTED", "too many gateways");
    let long = format!("1.1 {}", "x".repeat(8_000));
    ask(long).await.refuses(400, "INVALID_REQUEST", "Via");
}

#[tokio::test]
async fn eight_gateways_that_a_stranger_made_up_open_no_breaker_for_others() {
    // A gateway before another: what the first lets through, the second takes for a loop.
    let authority = Served::new(config()).await;
    let last = Open::gateway(authority.address()).await;
    let forth = misled(last.address, Arc::default()).await;
    let first = Open::gateway(forth.address).await;
    let made_up = ["Via: 1.1 a, 1.1 b, 1.1 c, 1.1 d, 1.1 e, 1.1 f, 1.1 g, 1.1 h"];
    let body = json!({ "entity": "INFO" });
    for _ in 0..10 {
        let answer = first.ask("POST /api/id/generate", None, &made_up, &body).await;
        answer.refuses(508, "LOOP_DETECTED", "Service must be available.");
    }
    let answer = first.validate("CT-A-CHI-0001-I-26-A-0").await;
    assert_eq!((answer.status, &answer.body["valid"]), (200, &json!(false)), "{answer:?}");
}

#[tokio::test]
async fn a_gateway_takes_on_no_more_than_it_can_hold() {
    let asked = Arc::new(AtomicUsize::new(0));
    let seen = asked.clone();
    let silent = move || {
        let seen = seen.clone();
        async move {
            seen.fetch_add(1, Ordering::SeqCst);
            std::future::pending::<StatusCode>().await
        }
    };
    let silent = Open::new(Router::new().fallback(silent)).await;
    let gateway = Arc::new(Open::gateway(silent.address).await);
    let mut waiting = tokio::task::JoinSet::new();
    for number in 0..128 {
        let gateway = gateway.clone();
        let id = format!("CT-A-CHI-{number:04}-I-26-A-0");
        waiting.spawn(async move { gateway.validate(&id).await });
    }
    timeout(PATIENCE, async {
        while asked.load(Ordering::SeqCst) < 128 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("all of them are asked about");
    let answer = gateway.generate(Some(ANN)).await;
    answer.refuses(503, "OVERLOADED", "128");
    assert_eq!(answer.header("retry-after"), Some("1"));
    waiting.abort_all();
    timeout(PATIENCE, async { while waiting.join_next().await.is_some() {} }).await.unwrap();
}

#[tokio::test]
async fn what_a_gateway_does_not_answer_is_refused_in_its_own_words() {
    let authority = Served::new(config()).await;
    let gateway = Open::gateway(authority.address()).await;
    let answer = gateway.ask("GET /api/id/generate", None, &[], &Value::Null).await;
    answer.refuses(405, "METHOD_NOT_ALLOWED", "Allow");
    let answer = gateway.validate("%ff").await;
    answer.refuses(400, "INVALID_REQUEST", "UTF-8");
}

#[tokio::test]
async fn without_an_authority_nothing_is_minted_and_nothing_is_valid() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let gateway = Open::gateway(nobody).await;
    let answer = gateway.generate(None).await;
    answer.refuses(503, "SERVICE_UNAVAILABLE", "ChittyID generation failed: ");
    let well_formed = gateway.validate("CT-A-CHI-0001-I-26-A-0").await;
    assert_eq!(well_formed.status, 503);
    let shown = ["valid", "verified", "formatValid"].map(|name| well_formed.body[name].clone());
    assert_eq!(shown, [Value::Null, json!(false), json!(true)], "{well_formed:?}");
    // What cannot be an id of anybody needs no authority.
    let answer = gateway.validate("no%20id").await;
    assert_eq!((answer.status, &answer.body["valid"]), (200, &json!(false)), "{answer:?}");
}

#[tokio::test]
async fn a_caller_that_is_too_fast_is_told_when_to_come_again() {
    let authority = Served::new(chittyid_server::AuthorityConfig {
        mints_per_minute: 2,
        batch_max: 1,
        ..config()
    })
    .await;
    let gateway = Open::gateway(authority.address()).await;
    for _ in 0..2 {
        assert_eq!(gateway.generate(Some(ANN)).await.status, 200);
    }
    let answer = gateway.generate(Some(ANN)).await;
    answer.refuses(429, "RATE_LIMIT_EXCEEDED", "too many requests");
    let seconds: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=30).contains(&seconds), "{seconds}");
    assert_eq!(gateway.generate(Some(BOB)).await.status, 200, "nobody else waits for her");
}

#[tokio::test]
async fn its_health_has_the_shape_that_the_seeds_print() {
    let authority = Served::new(config()).await;
    let gateway = Open::gateway(authority.address()).await;
    assert_eq!(gateway.generate(Some(ANN)).await.status, 200);
    let health = gateway.ask("GET /api/id/health", None, &[], &Value::Null).await;
    assert_eq!(health.status, 200);
    let body = &health.body;
    assert_eq!(
        (&body["service"], &body["mode"]),
        (&json!("chittyid-service"), &json!("pipeline-only"))
    );
    assert_eq!(body["resilience"]["enabled"], json!(true));
    assert_eq!(body["resilience"]["circuitBreaker"]["state"], json!("CLOSED"));
    assert_eq!(body["resilience"]["cache"]["hitRate"], json!("0%"));
    assert_eq!(body["entityTypes"].as_array().unwrap().len(), 9);
    assert_eq!(body["connection"]["initialized"], json!(true));
}

/// Answers everything with this.
async fn saying(status: u16, kind: &'static str, body: &'static str) -> Open {
    let answer = move || async move {
        let status = StatusCode::from_u16(status).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("content-type", kind.parse().unwrap());
        (status, headers, Bytes::from_static(body.as_bytes()))
    };
    Open::new(Router::new().fallback(answer)).await
}

#[tokio::test]
async fn what_an_authority_answers_in_error_is_never_passed_on_as_an_id() {
    let json = "application/json";
    let page = "<html><title>Error 1000</title><p>DNS points to prohibited IP</html>";
    for (status, kind, body, code) in [
        (200, json, r#"{"chittyId":"01-C-INF-0177-I-2510-7-23"}"#, "FORMAT_MISMATCH"),
        (200, json, r#"{"chittyId":"garbage"}"#, "FORMAT_MISMATCH"),
        (200, json, r#"{"success":true}"#, "UPSTREAM_FAILED"),
        (200, json, "{", "UPSTREAM_FAILED"),
        (200, "text/html", page, "UPSTREAM_FAILED"),
        (403, "text/html", page, "UPSTREAM_FAILED"),
        (500, json, r#"{"error":"X"}"#, "UPSTREAM_FAILED"),
        (404, json, r#"{"error":"Not found"}"#, "UPSTREAM_FAILED"),
    ] {
        let upstream = saying(status, kind, body).await;
        let gateway = Open::gateway(upstream.address).await;
        let answer = gateway.generate(Some(ANN)).await;
        answer.refuses(502, code, "Service must be available.");
    }
}
