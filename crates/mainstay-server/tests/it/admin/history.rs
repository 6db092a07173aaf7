use serde_json::{Value, json};

use super::asking::{ask, id, register};
use crate::running::start;

const NONE: Value = Value::Null;

fn names(body: &Value) -> Vec<&str> {
    body["events"].as_array().unwrap().iter().map(|e| e["event"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_history_of_a_session_is_told_by_seq() {
    let running = start("").await;
    let session = id(&register(&running, "kim", "acme").await);
    let path = |rest: &str| format!("/api/v1/sessions/{session}{rest}");
    let meta = json!({"room": "garden"});
    assert_eq!(ask(&running, "PUT", &path("/metadata"), &meta).await.status, 200);
    assert_eq!(ask(&running, "POST", &path("/disconnect"), &NONE).await.status, 200);
    let all = ask(&running, "GET", &path("/events"), &NONE).await;
    let wanted = ["session.registered", "session.metadata.changed", "session.gone"];
    assert_eq!((all.status, names(&all.body)), (200, wanted.to_vec()), "{all:?}");
    assert_eq!(all.body["next"], NONE);
    let (first, last) = (&all.body["events"][0], &all.body["events"][2]);
    assert_eq!(
        (&first["seq"], &first["user"], &first["organisation"]),
        (&json!(1), &json!("kim"), &json!("acme"))
    );
    assert_eq!((&last["reason"], &last["session"]), (&json!("kicked"), &json!(session)));
    // Page by page.
    let page = ask(&running, "GET", &path("/events?limit=2"), &NONE).await.body;
    assert_eq!((names(&page).len(), &page["next"]), (2, &json!(2)));
    let page = ask(&running, "GET", &path("/events?limit=2&after=2"), &NONE).await.body;
    assert_eq!((names(&page), &page["next"]), (vec!["session.gone"], &NONE));
    // By time, in either form.
    let at = first["at"].as_str().unwrap().to_owned();
    let some = ask(&running, "GET", &path(&format!("/events?from={at}")), &NONE).await;
    assert_eq!(names(&some.body).len(), 3);
    for nothing in [format!("/events?to={at}"), "/events?to=1000&from=0".into()] {
        let none = ask(&running, "GET", &path(&nothing), &NONE).await;
        assert_eq!((none.status, names(&none.body).len()), (200, 0), "{nothing}");
    }
    for wrong in ["/events?limit=0", "/events?from=yesterday", "/events?page=1"] {
        assert_eq!(ask(&running, "GET", &path(wrong), &NONE).await.status, 400, "{wrong}");
    }
    let other = "/api/v1/sessions/01900000-0000-7000-8000-000000000000/events";
    assert_eq!(ask(&running, "GET", other, &NONE).await.status, 404);
}

#[tokio::test]
async fn the_history_of_all_sessions_is_told_by_time_and_page_by_page() {
    let running = start("").await;
    for n in 0..25 {
        register(&running, &format!("user-{n}"), "acme").await;
    }
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = ask(&running, "GET", &format!("/api/v1/history?limit=10{cursor}"), &NONE).await;
        assert_eq!(page.status, 200, "{page:?}");
        let events = page.body["events"].as_array().unwrap();
        found.extend(events.iter().map(|e| e["user"].as_str().unwrap().to_owned()));
        let times: Vec<_> = events.iter().map(|e| e["at"].as_str().unwrap()).collect();
        assert!(times.is_sorted(), "{times:?}");
        match page.body["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 25, "each once: {found:?}");
    let wrong = ask(&running, "GET", "/api/v1/history?cursor=00", &NONE).await;
    assert_eq!(wrong.status, 400);
}
