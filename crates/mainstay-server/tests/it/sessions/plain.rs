//! Sessions over plain HTTP.

use std::time::Duration;

use mainstay_server::auth::KeyHash;
use mainstay_server::core::session::status::{EndReason, Status};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use crate::running::{PATIENCE, Running, start};

const ECHO: &str = "[sessions]\nmessages = \"echo\"\n";

/// A client over HTTP.
struct Plain {
    http: Client,
    base: String,
    key: Option<&'static str>,
    token: String,
    session: String,
}

async fn json_of(request: RequestBuilder) -> (u16, Value) {
    let response = request.timeout(PATIENCE).send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() };
    (status, body)
}

fn hello() -> Value {
    json!({ "v": 1, "client": { "type": "cron", "version": "3" } })
}

impl Plain {
    fn new(running: &Running, key: Option<&'static str>) -> Self {
        let base = format!("http://{}/api/v1", running.address);
        // Another test may have chosen it already.
        drop(rustls::crypto::ring::default_provider().install_default());
        Self { http: Client::new(), base, key, token: String::new(), session: String::new() }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        let request = request.header("mainstay-session", &self.token);
        match self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    /// Says hello, and keeps what it is told.
    async fn register(&mut self, hello: Value) -> (u16, Value) {
        let (status, welcome) = json_of(self.request(Method::POST, "/sessions").json(&hello)).await;
        if let (Some(token), Some(session)) =
            (welcome["token"].as_str(), welcome["session"].as_str())
        {
            (self.token, self.session) = (token.into(), session.into());
        }
        (status, welcome)
    }

    async fn post(&self, what: &str, body: Value) -> (u16, Value) {
        let path = format!("/sessions/{}/{what}", self.session);
        json_of(self.request(Method::POST, &path).json(&body)).await
    }

    async fn poll(&self, received: u64, wait_ms: u64) -> (u16, Value) {
        let path = format!("/sessions/{}/poll?recv={received}&wait_ms={wait_ms}", self.session);
        json_of(self.request(Method::GET, &path)).await
    }
}

#[tokio::test]
async fn a_session_lives_over_plain_http() {
    let running = start(ECHO).await;
    let mut client = Plain::new(&running, None);
    let (status, welcome) = client.register(hello()).await;
    assert_eq!(
        (status, &welcome["t"], &welcome["resumed"]),
        (201, &json!("welcome"), &json!(false))
    );
    let id = client.session.parse().unwrap();
    assert_eq!(running.handle.record(id).unwrap().status, Status::Connected);

    let (status, beat) = client.post("heartbeat", json!({ "ct": 1, "rtt_ms": 40 })).await;
    assert_eq!((status, &beat["quality"], &beat["queued"]), (200, &json!("UNKNOWN"), &json!(0)));
    assert!(beat["hb"]["interval_ms"].as_u64().unwrap() >= 5_000 && beat["time"].is_u64());
    assert_eq!(running.handle.record(id).unwrap().latency, Some(Duration::from_millis(40)));

    let frames = json!({ "frames": [
        { "t": "msg", "s": 1, "d": "a" }, { "t": "msg", "s": 2, "d": "b" },
        { "t": "ping", "n": 5, "ts": 6 }, { "t": "dance" },
    ] });
    let (status, answer) = client.post("frames", frames.clone()).await;
    assert_eq!((status, &answer["recv"], &answer["frames"][0]["n"]), (200, &json!(2), &json!(5)));
    // What comes twice is dropped by its number.
    let (_, answer) = client.post("frames", frames).await;
    assert_eq!(answer["recv"], 2);
    let (status, polled) = client.poll(0, 5_000).await;
    let all = json!([{ "t": "msg", "s": 1, "d": "a" }, { "t": "msg", "s": 2, "d": "b" }]);
    assert_eq!((status, &polled["frames"]), (200, &all));
    assert_eq!(
        client.poll(1, 5_000).await.1["frames"],
        json!([all[1]]),
        "until it is acknowledged"
    );
    assert_eq!(client.poll(2, 50).await.1["frames"], json!([]), "nothing more");
    let path = format!("/sessions/{}", client.session);
    assert_eq!(json_of(client.request(Method::DELETE, &path)).await.0, 204);
    assert_eq!(running.handle.record(id).unwrap().ended, Some(EndReason::Bye));
    assert_eq!(client.post("heartbeat", json!({})).await.0, 410);
}

#[tokio::test]
async fn a_poll_waits_for_what_is_said_meanwhile() {
    let running = start("").await;
    let mut client = Plain::new(&running, None);
    client.register(hello()).await;
    let session = running.handle.session(client.session.parse().unwrap()).unwrap();
    let say = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        session.send(&mainstay_server::Raw::new("7").unwrap()).unwrap();
    };
    let ((status, polled), ()) = tokio::join!(client.poll(0, 20_000), say);
    assert_eq!((status, &polled["frames"]), (200, &json!([{ "t": "msg", "s": 1, "d": 7 }])));
    // A later poll takes the place of one that still waits.
    let first = client.poll(1, 20_000);
    let second = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        client.poll(1, 100).await
    };
    let ((status, _), (other, _)) = tokio::join!(first, second);
    assert_eq!((status, other), (409, 200));
}

#[tokio::test]
async fn a_session_moves_between_http_and_a_websocket() {
    let running = start("").await;
    let mut client = Plain::new(&running, None);
    let (_, one) = client.register(hello()).await;
    let session = running.handle.session(client.session.parse().unwrap()).unwrap();
    session.send(&mainstay_server::Raw::new("1").unwrap()).unwrap();
    let resume = json!({ "token": client.token, "recv": 0 });
    let mut again = hello();
    again["resume"] = resume;
    let stale = client.token.clone();
    let (status, two) = client.register(again).await;
    assert_eq!((status, &two["session"], &two["gen"]), (200, &one["session"], &json!(2)));
    assert_eq!((&two["resumed"], &two["replay"]), (&json!(true), &json!(true)));
    let late =
        Plain { token: stale, session: client.session.clone(), ..Plain::new(&running, None) };
    assert_eq!(late.poll(0, 10).await.0, 409, "the token of the past");
    let token = mainstay_wire::Secret::new(client.token.clone());
    let received = mainstay_server::core::session::stream::Seq(0);
    let hello = mainstay_wire::Hello {
        resume: Some(mainstay_wire::Resume { token, received }),
        ..super::raw::hello()
    };
    let (mut socket, three) = super::raw::RawClient::welcomed(&running.address, hello).await;
    assert_eq!((three.generation, three.resumed, three.replay), (3, true, true));
    assert_eq!(socket.hear_past_pings().await, Some(super::raw::message(1, "1")));
    assert_eq!(client.poll(0, 10).await.0, 409, "it is on the socket now");
}

#[tokio::test]
async fn a_client_that_leaves_out_a_message_is_told_where_it_is() {
    let running = start("").await;
    let mut client = Plain::new(&running, None);
    client.register(hello()).await;
    let (status, problem) =
        client.post("frames", json!({ "frames": [{ "t": "msg", "s": 2, "d": 1 }] })).await;
    assert_eq!((status, &problem["code"]), (409, &json!("CONFLICT")));
    let (status, problem) = client.post("frames", json!({ "frames": [{ "t": "msg" }] })).await;
    assert!(status == 400 && problem["detail"].as_str().unwrap().contains("msg.d"), "{problem}");
    let (status, _) = client.post("frames", json!({ "frames": [{ "t": "ack", "s": 9 }] })).await;
    assert_eq!(status, 409);
    let (status, problem) = client.register(json!({ "v": 1 })).await;
    assert!(
        status == 400 && problem["detail"].as_str().unwrap().contains("hello.client"),
        "{problem}"
    );
    let nobody = Plain { session: client.session.clone(), ..Plain::new(&running, None) };
    assert_eq!(nobody.poll(0, 10).await.0, 401);
}

#[tokio::test]
async fn a_gateway_names_those_behind_it_and_beats_for_them() {
    let key = |name: &str, role: &str| {
        let hash = KeyHash::of(&format!("msk_{name}"));
        format!("[[auth.key]]\nname = \"{name}\"\nrole = \"{role}\"\nhash = \"{hash}\"\n")
    };
    let running = start(&(key("gate", "gateway") + &key("web", "client"))).await;
    let mut gateway = Plain::new(&running, Some("msk_gate"));
    let mut declared = hello();
    declared["user"] = json!("anna");
    declared["organisation"] = json!("acme");
    let (status, _) = gateway.register(declared.clone()).await;
    assert_eq!(status, 201);
    let record = running.handle.record(gateway.session.parse().unwrap()).unwrap();
    assert_eq!((record.user.as_deref(), &*record.organisation), (Some("anna"), "acme"));
    let unknown = "0198c0de-7b3a-7000-8000-0123456789ab";
    let batch = json!({ "beats": [
        { "session": gateway.session, "rtt_ms": 12 }, { "session": unknown },
    ] });
    let path = "/heartbeats";
    let (status, answer) = json_of(gateway.request(Method::POST, path).json(&batch)).await;
    assert_eq!((status, answer["beats"].as_array().unwrap().len()), (200, 2));
    assert!(answer["beats"][0]["hb"]["interval_ms"].is_u64(), "{answer}");
    assert_eq!(answer["beats"][1], json!({ "session": unknown, "gone": true }));
    let mut client = Plain::new(&running, Some("msk_web"));
    assert_eq!(client.register(declared).await.0, 403);
    assert_eq!(json_of(client.request(Method::POST, path).json(&batch)).await.0, 403);
    assert_eq!(
        json_of(client.request(Method::GET, "/sessions")).await.0,
        403,
        "it sees its own alone"
    );
    assert_eq!(Plain::new(&running, None).register(hello()).await.0, 401);
}
