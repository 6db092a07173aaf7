use serde_json::Value;

use super::asking::{ADMIN, ask, ask_as, register, with_keys};
use crate::running::{config, start};

const NONE: Value = Value::Null;

fn waits(head: &str) -> bool {
    head.to_ascii_lowercase().contains("retry-after: ")
}

#[tokio::test]
async fn whoever_shows_wrong_keys_all_the_time_is_told_to_wait() {
    let running = with_keys("[api]\nfailures = 1\nfailures_burst = 3").await;
    let path = "/api/v1/sessions";
    for _ in 0..3 {
        assert_eq!(ask_as(&running, "msk_wrong", "GET", path, &NONE).await.status, 401);
    }
    let answer = ask_as(&running, "msk_wrong", "GET", path, &NONE).await;
    assert_eq!((answer.status, waits(&answer.head)), (429, true), "{answer:?}");
    assert_eq!(ask(&running, "GET", path, &NONE).await.status, 401, "nothing was shown");
    assert_eq!(ask_as(&running, ADMIN, "GET", path, &NONE).await.status, 200, "a good key is one");
}

#[tokio::test]
async fn an_address_asks_as_often_as_it_may_and_its_sessions_go_on() {
    let running = start("[api]\nrate = 1\nburst = 5").await;
    let mut statuses = Vec::new();
    for _ in 0..30 {
        let answer = ask(&running, "GET", "/api/v1/sessions/counts", &NONE).await;
        assert!(answer.status == 200 || waits(&answer.head), "{answer:?}");
        statuses.push(answer.status);
    }
    assert_eq!(&statuses[..5], [200; 5]);
    assert!(statuses.contains(&429), "{statuses:?}");
    // Clients, and whoever balances the load, are not counted.
    for n in 0..10 {
        register(&running, &format!("user-{n}"), "acme").await;
        assert_eq!(ask(&running, "GET", "/health", &NONE).await.status, 200);
    }
    running.handle.reload(&config("[api]\nrate = 100\nburst = 100")).await.unwrap();
    let answer = ask(&running, "GET", "/api/v1/sessions/counts", &NONE).await;
    assert_eq!(answer.status, 200, "other limits hold at once");
}
