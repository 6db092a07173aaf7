use serde_json::{Value, json};
use tokio::time::timeout;

use super::asking::{ask, id, listen, register};
use crate::running::{PATIENCE, start};

const NONE: Value = Value::Null;

#[tokio::test]
async fn whoever_comes_back_with_the_last_id_misses_nothing() {
    let running = start("").await;
    let mut live = listen(&running, "/api/v1/sessions/events", "").await;
    let first = id(&register(&running, "kim", "acme").await);
    let told = live.next().await.unwrap();
    assert_eq!((told.event.as_str(), &told.data["session"]), ("session.registered", &json!(first)));
    assert_eq!(told.data["event"], "session.registered");
    let place = told.id.unwrap();
    drop(live);
    // Nobody listens meanwhile.
    let end = format!("/api/v1/sessions/{first}/disconnect");
    assert_eq!(ask(&running, "POST", &end, &NONE).await.status, 200);
    register(&running, "lee", "acme").await;
    // A browser comes back to the same address and says what it has seen.
    let shown = format!("Last-Event-ID: {place}\r\n");
    let mut again = listen(&running, "/api/v1/sessions/events?after=now", &shown).await;
    assert_eq!(again.names(2).await, ["session.gone", "session.registered"]);
    let mut other = listen(&running, &format!("/api/v1/sessions/events?after={place}"), "").await;
    assert_eq!(other.names(2).await, ["session.gone", "session.registered"]);
    let mut all = listen(&running, "/api/v1/sessions/events?after=0", "").await;
    let wanted = ["session.registered", "session.gone", "session.registered"];
    assert_eq!(all.names(3).await, wanted);
}

#[tokio::test]
async fn a_listener_hears_only_what_it_asked_for_and_goes_on_after_the_rest() {
    let running = start("").await;
    for n in 0..300 {
        register(&running, "other", &format!("org-{n}")).await;
    }
    let kim = id(&register(&running, "kim", "acme").await);
    for filter in ["user=kim".into(), "organisation=acme".into(), format!("session={kim}")] {
        let path = format!("/api/v1/sessions/events?after=0&{filter}");
        let told = listen(&running, &path, "").await.next().await.unwrap();
        assert_eq!((&told.data["user"], told.id), (&json!("kim"), Some(301)), "{filter}");
    }
    let wrong = ask(&running, "GET", "/api/v1/sessions/events?after=x", &NONE).await;
    assert_eq!(wrong.status, 400);
}

#[tokio::test]
async fn a_stream_ends_when_the_server_stops() {
    let running = start("").await;
    let mut live = listen(&running, "/api/v1/sessions/events", "").await;
    let ended = tokio::spawn(async move { while live.next().await.is_some() {} });
    running.end().await;
    timeout(PATIENCE, ended).await.expect("it ends").unwrap();
}
