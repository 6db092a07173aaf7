//! What other servers are told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use mainstay_server::config::Environment;
use mainstay_server::webhook::SigningSecret;
use mainstay_server::{Ended, Server};
use serde_json::Value;
use tokio::net::TcpListener;

use super::raw::{RawClient, hello};
use super::until;
use crate::running::{Running, config_in, run};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A server that is told.
#[derive(Clone, Default)]
struct Receiver(Arc<Mutex<Told>>);

#[derive(Default)]
struct Told {
    /// What it answers next; 200 when nothing is left.
    answers: Vec<u16>,
    ids: Vec<String>,
    events: Vec<Value>,
    unsigned: usize,
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: String) -> StatusCode {
    let mut told = receiver.0.lock().unwrap();
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let secret: SigningSecret = SECRET.parse().unwrap();
    let signature = secret.sign(&id, timestamp.parse().unwrap(), &body);
    if signature != header("webhook-signature") {
        told.unsigned += 1;
    }
    told.ids.push(id);
    let status = if told.answers.is_empty() { 200 } else { told.answers.remove(0) };
    if status == 200 {
        let body: Value = serde_json::from_str(&body).unwrap();
        told.events.extend(body["data"]["events"].as_array().unwrap().clone());
    }
    StatusCode::from_u16(status).unwrap()
}

impl Receiver {
    async fn start(answers: &[u16]) -> (Self, String) {
        let receiver = Self::default();
        receiver.0.lock().unwrap().answers = answers.to_vec();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?key=hidden", listener.local_addr().unwrap());
        let router = Router::new().route("/hook", post(take)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (receiver, url)
    }

    fn names(&self) -> Vec<String> {
        let told = self.0.lock().unwrap();
        assert_eq!(told.unsigned, 0);
        told.events.iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect()
    }
}

async fn serve(url: &str, more: &str, data: &str) -> Running {
    let text = format!(
        "{data}[[webhook]]\nname = \"crm\"\nurl = {url:?}\nsecret_env = \"HOOK\"\n\
         batch_within = \"10ms\"\n{more}\n",
    );
    let environment = Environment::from([("HOOK".into(), SECRET.into())]);
    run(Server::bind(&config_in(&text, &environment)).await.expect("it starts"))
}

/// Begins a session and ends it.
async fn live(running: &Running) {
    let (mut client, _) = RawClient::welcomed(&running.address, hello()).await;
    client.send(r#"{"t":"bye","code":1000,"reason":""}"#.into()).await;
    client.last().await;
}

#[tokio::test]
async fn events_are_told_signed_and_in_order() {
    let (receiver, url) = Receiver::start(&[]).await;
    let running = serve(&url, "", "").await;
    live(&running).await;
    until(&running, "both are told", |_| receiver.names().len() == 2).await;
    assert_eq!(receiver.names(), ["session.registered", "session.gone"]);
    let told = receiver.0.lock().unwrap();
    assert_eq!(told.events[1]["reason"], "bye");
    assert_eq!((&told.events[0]["seq"], &told.events[1]["seq"]), (&1.into(), &2.into()));
    assert!(told.events[0]["at"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn only_what_is_asked_for_is_told() {
    let (receiver, url) = Receiver::start(&[]).await;
    let running = serve(&url, "events = [\"session.gone\"]", "").await;
    live(&running).await;
    until(&running, "it is told", |_| !receiver.names().is_empty()).await;
    assert_eq!(receiver.names(), ["session.gone"]);
}

#[tokio::test]
async fn a_receiver_that_fails_is_told_again_with_the_same_id() {
    let (receiver, url) = Receiver::start(&[500, 503]).await;
    let running = serve(&url, "events = [\"session.registered\"]", "").await;
    live(&running).await;
    until(&running, "it is told", |_| !receiver.names().is_empty()).await;
    let told = receiver.0.lock().unwrap();
    assert!(told.ids.len() >= 3);
    assert!(told.ids.iter().all(|id| *id == told.ids[0]), "{:?}", told.ids);
    assert_eq!(told.events.len(), 1);
}

#[tokio::test]
async fn what_is_refused_is_kept_aside_and_told_when_asked() {
    let (receiver, url) = Receiver::start(&[410]).await;
    let running = serve(&url, "events = [\"session.registered\"]", "").await;
    live(&running).await;
    let host = format!("Host: {}", running.address);
    let mut page = String::new();
    for _ in 0..500 {
        page = running.get("/api/v1/webhooks", &host).await;
        if page.contains("\"dead_letters\":1") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(page.contains("\"dead_letters\":1") && !page.contains("hidden"), "{page}");
    let letters = running.get("/api/v1/webhooks/crm/dead_letters", &host).await;
    assert!(letters.contains("session.registered"), "{letters}");
    let again = running
        .ask(&format!("POST /api/v1/webhooks/crm/retry HTTP/1.1\r\n{host}\r\nConnection: close"))
        .await;
    assert!(again.contains("\"told\":1") && again.contains("\"left\":0"), "{again}");
    assert_eq!(receiver.names(), ["session.registered"]);
}

#[tokio::test]
async fn what_was_not_told_is_told_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let data = format!("[server]\ndata_dir = {:?}\n[store]\nengine = \"redb\"\n", folder.path());
    let (receiver, url) = Receiver::start(&[500; 64]).await;
    let running = serve(&url, "", &data).await;
    live(&running).await;
    until(&running, "it was tried", |_| !receiver.0.lock().unwrap().ids.is_empty()).await;
    assert_eq!(running.end().await, Ended::InGoodOrder);
    receiver.0.lock().unwrap().answers.clear();
    let running = serve(&url, "", &data).await;
    until(&running, "both are told", |_| receiver.names().len() == 2).await;
    assert_eq!(receiver.names(), ["session.registered", "session.gone"]);
}
