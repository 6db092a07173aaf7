use std::time::Duration;

use mainstay::link::session::{SessionConfig, SessionIncoming, SessionLink};
use mainstay::link::{LinkOptions, StateName};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::asking::{ADMIN, CLIENT, OPERATOR, ask, ask_as, id, listen, register, with_keys};
use crate::running::{PATIENCE, Running, start};

const NONE: Value = Value::Null;

async fn show(running: &Running, session: &str) -> Value {
    ask(running, "GET", &format!("/api/v1/sessions/{session}"), &NONE).await.body
}

async fn statuses(running: &Running) -> (u64, u64) {
    let counts = ask(running, "GET", "/api/v1/sessions/counts", &NONE).await.body;
    (counts["connected"].as_u64().unwrap(), counts["disconnected"].as_u64().unwrap())
}

#[tokio::test]
async fn many_are_sent_away_at_once_and_others_stay() {
    let running = start("").await;
    for n in 0..10 {
        register(&running, &format!("user-{n}"), if n < 6 { "acme" } else { "other" }).await;
    }
    let body = json!({"organisation": "acme", "reason": "moving house"});
    let answer = ask(&running, "POST", "/api/v1/disconnect", &body).await;
    assert_eq!((answer.status, &answer.body), (200, &json!({"matched": 6, "spread_ms": 0})));
    assert_eq!(statuses(&running).await, (4, 6));
    let body = json!({"user": "user-7"});
    assert_eq!(ask(&running, "POST", "/api/v1/disconnect", &body).await.body["matched"], 1);
    let body = json!({"filter": {"client_type": "WEB_APP", "status": "CONNECTED"}});
    assert_eq!(ask(&running, "POST", "/api/v1/disconnect", &body).await.body["matched"], 3);
    assert_eq!(statuses(&running).await, (0, 10));
    for wrong in [
        json!({}),
        json!({"filter": {}}),
        json!({"all": true, "user": "kim"}),
        json!({"all": true, "code": 1000}),
        json!({"all": true, "spread_ms": 1e12}),
        json!({"everybody": true}),
    ] {
        let refused = ask(&running, "POST", "/api/v1/disconnect", &wrong).await;
        assert!([400, 422].contains(&refused.status), "{wrong}: {refused:?}");
    }
}

#[tokio::test]
async fn goodbyes_are_spread_over_the_time_that_is_asked_for() {
    let running = start("").await;
    for n in 0..40 {
        register(&running, &format!("user-{n}"), "acme").await;
    }
    let mut live = listen(&running, "/api/v1/sessions/events", "").await;
    let body = json!({"all": true, "spread_ms": 1000});
    let answer = ask(&running, "POST", "/api/v1/disconnect", &body).await;
    assert_eq!((answer.status, &answer.body), (202, &json!({"matched": 40, "spread_ms": 1000})));
    let (mut first, mut last) = (String::new(), String::new());
    for n in 0..40 {
        let told = live.next().await.unwrap();
        assert_eq!(told.event, "session.gone");
        let at = told.data["at"].as_str().unwrap();
        at.clone_into(if n == 0 { &mut first } else { &mut last });
    }
    let time = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
    let over = time(&last).duration_since(time(&first));
    assert!(over >= jiff::SignedDuration::from_millis(700), "{over}");
}

fn link(address: &str) -> (SessionLink, SessionIncoming) {
    let config = SessionConfig::new(format!("ws://{address}/v1/connect"), "test", "1");
    SessionLink::open(LinkOptions::websocket("test"), config).unwrap()
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let seen = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, seen).await.unwrap_or_else(|_| panic!("{what}"));
}

#[tokio::test]
async fn a_code_that_brings_clients_back_leaves_their_sessions() {
    let running = start("").await;
    let (session, _incoming) = link(&running.address);
    session.connect().await.unwrap();
    let before = session.view();
    let body = json!({"all": true, "code": 4002, "reason": "rebalance"});
    let answer = ask(&running, "POST", "/api/v1/disconnect", &body).await;
    assert_eq!(answer.body["matched"], 1, "{answer:?}");
    until("it comes back", async || session.view().generation > before.generation).await;
    assert_eq!(session.view().session, before.session, "with the same session");
    // For good.
    let body = json!({"all": true});
    ask(&running, "POST", "/api/v1/disconnect", &body).await;
    let state = || session.link().view().state;
    until("it gives up", async || state() == StateName::Failed).await;
}

#[tokio::test]
async fn a_session_is_expected_back_as_the_seed_schedules_it() {
    let running = start("").await;
    let session = id(&register(&running, "kim", "acme").await);
    let path = format!("/api/v1/sessions/{session}/reconnect");
    let order = json!({
        "strategy": "LINEAR", "base_delay_ms": 60_000, "increment_ms": 30_000, "jitter": false,
        "max_delay_ms": 600_000, "max_attempts": 2,
    });
    for (attempt, within_ms) in [(1, 60_000), (2, 90_000)] {
        let answer = ask(&running, "POST", &path, &order).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(
            (&answer.body["attempt"], &answer.body["within_ms"]),
            (&json!(attempt), &json!(within_ms))
        );
        assert_eq!(answer.body["session"]["status"], "RECONNECTING");
        assert_eq!(answer.body["session"]["reconnect_attempts"], attempt);
        assert_eq!(answer.body["session"]["max_reconnect_attempts"], 2);
        assert!(answer.body["next_attempt_at"].as_str().unwrap().ends_with('Z'));
    }
    let answer = ask(&running, "POST", &path, &order).await;
    assert_eq!(answer.status, 410, "{answer:?}");
    let shown = show(&running, &session).await;
    assert_eq!((&shown["status"], &shown["ended"]), (&json!("FAILED"), &json!("exhausted")));
    let wrong = json!({"base_delay_ms": 0});
    assert_eq!(ask(&running, "POST", &path, &wrong).await.status, 400);
}

#[tokio::test]
async fn windows_that_pass_are_followed_by_others_and_then_by_the_end() {
    let running = start("").await;
    let session = id(&register(&running, "kim", "acme").await);
    let path = format!("/api/v1/sessions/{session}/reconnect");
    let order = json!({"strategy": "FIXED", "base_delay_ms": 100, "max_delay_ms": 100,
        "jitter": false, "max_attempts": 3});
    let mut live = listen(&running, "/api/v1/sessions/events", "").await;
    assert_eq!(ask(&running, "POST", &path, &order).await.status, 200);
    for attempt in 1..=3 {
        let told = live.next().await.unwrap();
        assert_eq!(told.event, "session.reconnecting");
        assert_eq!(
            (&told.data["attempt"], &told.data["within_ms"]),
            (&json!(attempt), &json!(100))
        );
    }
    let told = live.next().await.unwrap();
    assert_eq!((told.event.as_str(), &told.data["reason"]), ("session.gone", &json!("exhausted")));
}

#[tokio::test]
async fn an_operator_describes_a_session_within_the_limits() {
    let running = start("").await;
    let session = id(&register(&running, "kim", "acme").await);
    let path = format!("/api/v1/sessions/{session}/metadata");
    let meta = json!({"room": "garden", "seats": [1, 2]});
    let answer = ask(&running, "PUT", &path, &meta).await;
    assert_eq!((answer.status, &answer.body["metadata"]), (200, &meta), "{answer:?}");
    for wrong in [json!([1]), json!({"password": "x"}), json!({"long": "x".repeat(5000)})] {
        assert_eq!(ask(&running, "PUT", &path, &wrong).await.status, 400);
    }
    assert_eq!(show(&running, &session).await["metadata"], meta);
}

#[tokio::test]
async fn the_minutes_of_a_session_are_kept_while_it_is_watched() {
    let running = start("").await;
    let welcome = register(&running, "kim", "acme").await;
    let path = format!("/api/v1/sessions/{}", id(&welcome));
    let bars = format!("{path}/bars");
    assert_eq!(ask(&running, "GET", &bars, &NONE).await.status, 409, "nobody watches it");
    assert_eq!(ask(&running, "PUT", &format!("{path}/watch"), &NONE).await.status, 204);
    let beat = json!({"rtt_ms": 20});
    assert_eq!(ask(&running, "POST", &format!("{path}/heartbeat"), &beat).await.status, 200);
    let answer = ask(&running, "GET", &bars, &NONE).await;
    let list = answer.body["bars"].as_array().unwrap();
    assert_eq!(list.len(), 60);
    let came: u64 = list.iter().map(|bar| bar["came"].as_u64().unwrap()).sum();
    assert_eq!(came, 1, "{answer:?}");
    assert!(list.iter().any(|bar| bar["rtt_max_us"] == 20_000));
    assert_eq!(ask(&running, "DELETE", &format!("{path}/watch"), &NONE).await.status, 204);
    assert_eq!(ask(&running, "GET", &bars, &NONE).await.status, 409);
    let other = "/api/v1/sessions/01900000-0000-7000-8000-000000000000/watch";
    assert_eq!(ask(&running, "PUT", other, &NONE).await.status, 404);
}

#[tokio::test]
async fn each_role_does_what_it_may() {
    let running = with_keys("").await;
    let some = "/api/v1/sessions/01900000-0000-7000-8000-000000000000";
    let reads = ["/api/v1/history".to_owned(), format!("{some}/events")];
    for path in &reads {
        for (key, wanted) in [(CLIENT, 403), (OPERATOR, 200), (ADMIN, 200)] {
            let status = ask_as(&running, key, "GET", path, &NONE).await.status;
            assert!(status == wanted || (wanted == 200 && status == 404), "{path}: {status}");
        }
    }
    for (key, wanted) in [(CLIENT, 403), (OPERATOR, 403), (ADMIN, 200)] {
        let body = json!({"all": true});
        let status = ask_as(&running, key, "POST", "/api/v1/disconnect", &body).await.status;
        assert_eq!(status, wanted, "{key}");
        let status = ask_as(&running, key, "GET", "/api/v1/audit", &NONE).await.status;
        assert_eq!(status, wanted, "{key}");
    }
    for (key, wanted) in [(CLIENT, 403), (OPERATOR, 404), (ADMIN, 404)] {
        let path = format!("{some}/reconnect");
        assert_eq!(ask_as(&running, key, "POST", &path, &NONE).await.status, wanted, "{key}");
    }
}
