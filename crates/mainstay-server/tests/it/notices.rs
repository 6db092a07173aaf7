//! Who is told of alerts, by whom, how.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use mainstay_monitor::alert::Severity;
use mainstay_monitor::notify::{Standing, Status};
use mainstay_server::Server;
use mainstay_server::config::Environment;
use mainstay_server::webhook::SigningSecret;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::running::{Running, config_in, run};

mod command;
mod dead;
mod killed;
mod mail;
mod real;
mod shapes;
mod told;
mod watchdog;

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// Nothing waits for anything else.
pub(crate) const QUICK: &str = "[notify]\ngroup_wait = \"0s\"\ngroup_wait_critical = \"0s\"\n\
                                group_interval = \"1s\"\n";

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    /// Whether it is signed as Standard Webhooks says.
    pub(crate) fn is_signed(&self) -> bool {
        let secret: SigningSecret = SECRET.parse().unwrap();
        let timestamp = self.header("webhook-timestamp").parse().unwrap();
        let signature = secret.sign(self.header("webhook-id"), timestamp, &self.body);
        signature == self.header("webhook-signature")
    }
}

/// A server that takes notices.
#[derive(Clone, Default)]
pub(crate) struct Hook(Arc<Mutex<Heard>>);

#[derive(Default)]
struct Heard {
    /// What it answers next; 200 when nothing is left.
    answers: Vec<u16>,
    requests: Vec<Request>,
}

async fn take(
    State(hook): State<Hook>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let body = String::from_utf8(body.to_vec()).unwrap();
    let mut heard = hook.0.lock().unwrap();
    heard.requests.push(Request { method, path: uri.to_string(), headers, body });
    let status = if heard.answers.is_empty() { 200 } else { heard.answers.remove(0) };
    StatusCode::from_u16(status).unwrap()
}

impl Hook {
    pub(crate) async fn start(answers: &[u16]) -> (Self, String) {
        let hook = Self::default();
        hook.0.lock().unwrap().answers = answers.to_vec();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(take).with_state(hook.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (hook, url)
    }

    pub(crate) fn answer(&self, answers: &[u16]) {
        self.0.lock().unwrap().answers = answers.to_vec();
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.0.lock().unwrap().requests.clone()
    }

    /// Waits until so many have come.
    pub(crate) async fn heard(&self, count: usize) -> Vec<Request> {
        until(&format!("{count} requests"), || self.requests().len() >= count).await;
        self.requests()
    }
}

/// Waits for half a minute at most.
pub(crate) async fn until(what: &str, is_it: impl Fn() -> bool) {
    for _ in 0..3_000 {
        if is_it() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

/// Variables with everything that is secret.
pub(crate) fn environment(url: &str) -> Environment {
    let pairs = [
        ("HOOK", SECRET.to_owned()),
        ("KEY", "routing-hidden".into()),
        ("PASSWORD", "password-hidden".into()),
        ("URL", format!("{url}/services/hidden")),
    ];
    pairs.into_iter().map(|(name, value)| (name.into(), value)).collect()
}

pub(crate) fn webhook(name: &str, url: &str) -> String {
    format!(
        "[[receiver]]\nname = {name:?}\nkind = \"webhook\"\nurl = \"{url}/hidden\"\n\
         secret_env = \"HOOK\"\n"
    )
}

pub(crate) async fn serve(text: &str, url: &str) -> Running {
    run(Server::bind(&config_in(text, &environment(url))).await.expect("it starts"))
}

pub(crate) fn firing(id: u64, rule: &str) -> Standing {
    Standing {
        id,
        rule: rule.into(),
        labels: Arc::new(BTreeMap::from([("link".into(), "payments".into())])),
        incident: 3,
        severity: Severity::High,
        status: Status::Firing,
        muted: false,
        flapping: false,
        since_unix_ms: 1_795_255_827_021,
        summary: "p95 of 5 m is 1203 ms, above 1000 ms".into(),
        value: Some(1203.0),
        threshold: Some(1000.0),
        runbook: Some("https://example.org/runbook".into()),
    }
}

pub(crate) fn resolved(id: u64, rule: &str) -> Standing {
    Standing { status: Status::Resolved, ..firing(id, rule) }
}

/// What is asked of the API, and how it answers.
pub(crate) async fn ask(running: &Running, method: &str, path: &str) -> (u16, Value) {
    let host = &running.address;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close"
    );
    let answer = running.ask(&request).await;
    assert!(!answer.contains("hidden"), "a secret is shown: {answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap_or_default())
}

/// What the API says of a receiver.
pub(crate) async fn receiver(running: &Running, name: &str) -> Value {
    let (status, answer) = ask(running, "GET", "/api/v1/notifications").await;
    assert_eq!(status, 200);
    let receivers = answer["receivers"].as_array().unwrap();
    receivers.iter().find(|one| one["name"] == name).unwrap().clone()
}

/// Waits until the API says that of a receiver.
pub(crate) async fn until_receiver(
    running: &Running,
    name: &str,
    what: &str,
    is_it: impl Fn(&Value) -> bool,
) -> Value {
    let mut last = Value::Null;
    for _ in 0..600 {
        last = receiver(running, name).await;
        if is_it(&last) {
            return last;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never: {what}; {last}");
}
