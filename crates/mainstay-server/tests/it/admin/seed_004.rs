//! The connection manager of seed 004, asked of a server over its API.

use serde_json::{Value, json};
use tokio::time::timeout;

use super::asking::{ask, id, listen, register};
use crate::running::{PATIENCE, Running, config, start};

const NONE: Value = Value::Null;

async fn show(running: &Running, session: &str) -> Value {
    ask(running, "GET", &format!("/api/v1/sessions/{session}"), &NONE).await.body
}

async fn beat(running: &Running, session: &str, rtt_ms: u64) -> Value {
    let path = format!("/api/v1/sessions/{session}/heartbeat");
    let answer = ask(running, "POST", &path, &json!({"ct": 1, "rtt_ms": rtt_ms})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

#[tokio::test]
async fn a_registered_connection_has_the_state_that_the_seed_gives_it() {
    let running = start("").await;
    let session = id(&register(&running, "kim", "acme").await);
    let state = show(&running, &session).await;
    let wanted = json!({
        "session": session, "user": "kim", "organisation": "acme", "status": "CONNECTED",
        "client_type": "WEB_APP", "reconnect_attempts": 0, "max_reconnect_attempts": 5,
        "missed_heartbeats": 0, "total_disconnections": 0, "disconnected_at": null,
    });
    for (name, value) in wanted.as_object().unwrap() {
        assert_eq!(&state[name], value, "{name}");
    }
    for time in ["connected_at", "last_heartbeat"] {
        assert!(state[time].as_str().unwrap().ends_with('Z'), "{time}");
    }
    assert_eq!(
        (&state["quality"], &state["latency_us"]),
        (&json!("UNKNOWN"), &NONE),
        "nothing was measured yet"
    );
}

#[tokio::test]
async fn heartbeats_of_two_seconds_make_a_connection_poor_and_the_client_hears_its_interval() {
    let axon = "[sessions.quality]\nprofile = \"axon\"\n";
    let running = start(axon).await;
    let mut live = listen(&running, "/api/v1/sessions/events", "").await;
    let session = id(&register(&running, "kim", "acme").await);
    let mut told = NONE;
    for _ in 0..5 {
        told = beat(&running, &session, 2000).await;
    }
    assert_eq!(told["quality"], "POOR", "{told}");
    assert!(told["hb"]["interval_ms"].as_u64() > Some(0) && told["hb"]["timeout_ms"].is_u64());
    assert_eq!(told["missed"], 0);
    let state = show(&running, &session).await;
    let latency = state["latency_us"].as_u64().unwrap();
    // It is kept to one part in 2048.
    assert_eq!((&state["quality"], latency.abs_diff(2_000_000) < 1000), (&json!("POOR"), true));
    // It is told when it is stored.
    let told = async {
        loop {
            let told = live.next().await.unwrap();
            if told.event == "session.quality.changed" {
                return told.data;
            }
        }
    };
    let told = timeout(PATIENCE, told).await.unwrap();
    assert_eq!((&told["from"], &told["to"]), (&json!("UNKNOWN"), &json!("POOR")), "{told}");
}

#[tokio::test]
async fn a_heartbeat_of_nobody_is_an_answer_and_no_surprise() {
    let running = start("").await;
    let path = "/api/v1/sessions/01900000-0000-7000-8000-000000000000/heartbeat";
    let answer = ask(&running, "POST", path, &json!({})).await;
    assert_eq!((answer.status, &answer.body["code"]), (404, &json!("NOT_FOUND")));
}

#[tokio::test]
async fn statistics_are_those_of_the_seed() {
    let running = start("").await;
    let mut sessions = Vec::new();
    for n in 0..4 {
        sessions.push(id(&register(&running, &format!("user-{n}"), "acme").await));
    }
    for _ in 0..3 {
        beat(&running, &sessions[0], 40).await;
    }
    let post = async |session: &str, action: &str, body: Value| {
        let path = format!("/api/v1/sessions/{session}/{action}");
        assert_eq!(ask(&running, "POST", &path, &body).await.status, 200, "{action}");
    };
    post(&sessions[1], "disconnect", NONE).await;
    post(&sessions[2], "suspend", NONE).await;
    post(&sessions[3], "reconnect", json!({"base_delay_ms": 30_000, "jitter": false})).await;
    let counts = ask(&running, "GET", "/api/v1/sessions/counts", &NONE).await.body;
    let wanted = json!({
        "total": 4, "connected": 1, "suspended": 1, "reconnecting": 1, "disconnected": 1,
        "failed": 0, "total_reconnection_attempts": 1, "average_latency_us": 40_000,
    });
    for (name, value) in wanted.as_object().unwrap() {
        assert_eq!(&counts[name], value, "{name}: {counts}");
    }
    assert_eq!(show(&running, &sessions[3]).await["total_disconnections"], 1);
    let by = async |query: &str| {
        let list = ask(&running, "GET", &format!("/api/v1/sessions?{query}"), &NONE).await;
        list.body["sessions"].as_array().unwrap().len()
    };
    assert_eq!(by("organisation=acme").await, 4);
    assert_eq!((by("user=user-2").await, by("status=RECONNECTING").await), (1, 1));
}

#[tokio::test]
async fn a_session_that_does_not_come_back_is_gone_once_and_its_events_say_so() {
    let running = start("[sessions]\ngrace = \"1s\"\nrest_max = \"1s\"\n").await;
    let mut live = listen(&running, "/api/v1/sessions/events", "").await;
    let session = id(&register(&running, "kim", "acme").await);
    let path = format!("/api/v1/sessions/{session}/suspend");
    assert_eq!(ask(&running, "POST", &path, &NONE).await.status, 200);
    let mut reasons = Vec::new();
    for wanted in ["session.registered", "session.suspended", "session.gone"] {
        let told = live.next().await.unwrap();
        assert_eq!(told.event, wanted);
        reasons.push(told.data["reason"].clone());
    }
    assert_eq!(reasons, [NONE, json!("operator"), json!("expired")]);
    assert_eq!(show(&running, &session).await["status"], "DISCONNECTED");
}

#[tokio::test]
async fn a_restart_restores_grade_latency_and_attempts() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("[server]\ndata_dir = {:?}\n[store]\n", folder.path());
    let serve = async || {
        let server = mainstay_server::Server::bind(&config(&text)).await.unwrap();
        let (stop, asked) = tokio::sync::oneshot::channel::<()>();
        let (address, handle) = (server.address().to_string(), server.handle());
        let task = tokio::spawn(server.run(async move { drop(asked.await) }));
        Running { address, handle, stop, task }
    };
    let running = serve().await;
    let session = id(&register(&running, "kim", "acme").await);
    for _ in 0..4 {
        beat(&running, &session, 40).await;
    }
    let path = format!("/api/v1/sessions/{session}/reconnect");
    let order = json!({"strategy": "FIXED", "base_delay_ms": 30_000, "jitter": false});
    assert_eq!(ask(&running, "POST", &path, &order).await.status, 200);
    let before = show(&running, &session).await;
    running.end().await;
    let running = serve().await;
    let after = show(&running, &session).await;
    for name in ["quality", "latency_us", "reconnect_attempts", "total_disconnections", "user"] {
        assert_eq!(after[name], before[name], "{name}");
    }
    assert_eq!(after["reconnect_attempts"], 1);
    running.end().await;
}
