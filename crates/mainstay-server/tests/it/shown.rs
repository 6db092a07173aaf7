//! What is shown of one session and of one link.

use serde_json::{Value, json};

use crate::running::{Running, start};

async fn registered(running: &Running) -> String {
    let hello = json!({ "v": 1, "client": { "type": "WEB_APP", "version": "1" } });
    let (status, welcome) = running.json("POST /api/v1/sessions", &hello).await;
    assert_eq!(status, 201, "{welcome}");
    welcome["session"].as_str().unwrap().to_owned()
}

fn millis(value: &Value) -> i64 {
    value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

#[tokio::test]
async fn a_session_says_how_silent_it_is_and_when_it_is_suspected_and_given_up() {
    let running = start("").await;
    let session = registered(&running).await;
    let path = format!("/api/v1/sessions/{session}");
    let one = running.see(&path).await;
    assert_eq!((&one["session"], &one["status"]), (&json!(session), &json!("CONNECTED")));
    let silence = &one["silence"];
    assert_eq!((&silence["suspected"], &silence["held"]), (&json!(false), &json!(false)));
    assert_eq!(silence["interval_ms"], one["heartbeat_interval_ms"]);
    assert_eq!(silence["asked_at"], Value::Null, "it beats by itself");
    let (suspect, dead) = (millis(&silence["suspect_at"]), millis(&silence["dead_at"]));
    assert!(dead - suspect >= 10_000, "{silence}");
    let of = |name: &str| silence[name].as_f64().unwrap();
    assert!(of("phi") < of("phi_suspect") && of("phi_suspect") < of("phi_dead"), "{silence}");
    // A beat puts both off.
    let beat = json!({ "beats": [{ "session": session, "rtt_ms": 20 }] });
    let (status, said) = running.json("POST /api/v1/heartbeats", &beat).await;
    assert_eq!(status, 200, "{said}");
    let later = running.see(&path).await;
    assert!(millis(&later["silence"]["suspect_at"]) >= suspect, "{later}");
    // Lists are of rows that stay as they are while nothing happens.
    let list = running.see("/api/v1/sessions").await;
    assert_eq!(list["sessions"][0].get("silence"), None);
    let (status, _) = running.json(&format!("POST {path}/suspend"), &json!({})).await;
    assert_eq!(status, 200);
    assert_eq!(running.see(&path).await["silence"], Value::Null, "it has no connection");
}

#[tokio::test]
async fn a_link_shows_what_it_goes_by_with_what_the_file_does_not_say() {
    let text = "[policy.mine.gate.breaker]\nconsecutive_failures = 7\n\
        [[link]]\nname = \"pay\"\nurl = \"http://127.0.0.1:1\"\npolicy = \"mine\"\nconnect = false\n\
        [link.reconnect]\nbase = \"250ms\"\n\
        [[link]]\nname = \"mail\"\nurl = \"http://127.0.0.1:1\"\nconnect = false\n";
    let running = start(text).await;
    let policy = running.see("/api/v1/links/pay/policy").await;
    assert_eq!(policy["policy"], "mine");
    assert_eq!(policy["link"]["reconnect"]["backoff"]["base"], "250ms", "{policy}");
    assert_eq!(policy["link"]["dial_timeout"], "10s", "{policy}");
    assert_eq!(policy["gate"]["breaker"]["consecutive_failures"], 7, "{policy}");
    let bare = running.see("/api/v1/links/mail/policy").await;
    assert_eq!((&bare["policy"], &bare["gate"]), (&Value::Null, &Value::Null));
    let (status, _) = running.json("GET /api/v1/links/nobody/policy", &Value::Null).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn sessions_that_were_listed_are_looked_up_by_their_names() {
    let running = start("").await;
    let (one, other) = (registered(&running).await, registered(&running).await);
    let unknown = "01999999-9999-7999-8999-999999999999";
    let found = running.see(&format!("/api/v1/sessions?ids={other},{unknown},{one}")).await;
    let ids: Vec<_> = found["sessions"].as_array().unwrap().iter().map(|s| &s["session"]).collect();
    assert_eq!((ids, &found["next"]), (vec![&json!(other), &json!(one)], &Value::Null));
    let many = vec![one.as_str(); 101].join(",");
    for (query, text) in [
        (format!("ids={one}&status=CONNECTED"), "beside `ids`"),
        (format!("ids={one}&limit=5"), "beside `ids`"),
        (format!("ids={many}"), "`ids` are 101"),
        ("ids=nobody".into(), "\"nobody\" is"),
        ("ids=".into(), "\"\" is"),
    ] {
        let line = format!("GET /api/v1/sessions?{query}");
        let (status, problem) = running.json(&line, &Value::Null).await;
        assert_eq!(status, 400, "{query}");
        assert!(problem["detail"].as_str().unwrap().contains(text), "{query}: {problem}");
    }
}
