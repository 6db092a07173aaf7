//! What is told, once, in order, also over restarts.

use std::sync::Arc;

use mainstay_server::Ended;
use mainstay_server::notify::Notifier;
use mainstay_server::store::{MemoryStore, Store, StoreConfig, Writer};

use super::{Hook, QUICK, firing, resolved, serve, webhook};

fn whats(request: &super::Request) -> Vec<(String, String)> {
    let json = request.json();
    let alerts = json["alerts"].as_array().unwrap().clone();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    alerts.iter().map(|alert| (text(&alert["rule"]), text(&alert["what"]))).collect()
}

#[tokio::test]
async fn an_alert_is_told_signed_and_so_is_its_end() {
    let (hook, url) = Hook::start(&[]).await;
    let running = serve(&format!("{QUICK}{}", webhook("ops", &url)), &url).await;
    running.handle.notifier().tell(firing(7, "HIGH_LATENCY"));
    let told = hook.heard(1).await;
    assert!(told[0].is_signed());
    let json = told[0].json();
    assert_eq!(json["type"], "alerts");
    assert_eq!(json["id"].as_str(), Some(told[0].header("webhook-id")));
    assert_eq!((&json["group"], &json["repeat"]), (&"rule=HIGH_LATENCY".into(), &false.into()));
    let alert = &json["alerts"][0];
    assert_eq!(alert["id"], "0000000000000007");
    assert_eq!((&alert["what"], &alert["severity"]), (&"fired".into(), &"HIGH".into()));
    assert_eq!((&alert["value"], &alert["labels"]["link"]), (&1203.0.into(), &"payments".into()));
    assert_eq!(alert["since"], "2026-11-21T10:10:27.021Z");
    running.handle.notifier().tell(resolved(7, "HIGH_LATENCY"));
    let told = hook.heard(2).await;
    assert_eq!(whats(&told[1]), [("HIGH_LATENCY".to_owned(), "resolved".to_owned())]);
    assert_eq!(told[1].json()["thread"], json["id"]);
    assert_eq!(running.end().await, Ended::InGoodOrder);
}

#[tokio::test]
async fn each_receiver_is_told_what_it_asks_for_and_reload_changes_them() {
    let (hook, url) = Hook::start(&[]).await;
    let pager = format!("{}min_severity = \"CRITICAL\"\n", webhook("pager", &url));
    let quick = format!("{QUICK}{}{pager}", webhook("ops", &url));
    let running = serve(&quick, &url).await;
    running.handle.notifier().tell(firing(1, "A"));
    assert_eq!(hook.heard(1).await[0].json()["receiver"], "ops");
    // Another one comes, and the first is now somewhere else: only the new one has not been told.
    let text =
        format!("{QUICK}{}{}", webhook("ops", &format!("{url}/other")), webhook("new", &url));
    let config = crate::running::config_in(&text, &super::environment(&url));
    running.handle.reload(&config).await.unwrap();
    let told = hook.heard(2).await;
    assert_eq!(told[1].json()["receiver"], "new");
    running.handle.notifier().tell(resolved(1, "A"));
    let told = hook.heard(4).await;
    let mut ends: Vec<_> =
        told[2..].iter().map(|one| (one.path.clone(), whats(one)[0].1.clone())).collect();
    ends.sort();
    let end = |path: &str| (path.to_owned(), "resolved".to_owned());
    assert_eq!(ends, [end("/hidden"), end("/other/hidden")]);
}

#[tokio::test]
async fn nothing_is_told_twice_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let data = format!("[server]\ndata_dir = {:?}\n[store]\nengine = \"redb\"\n", folder.path());
    let (hook, url) = Hook::start(&[]).await;
    let text = format!("{data}{QUICK}{}", webhook("ops", &url));
    let running = serve(&text, &url).await;
    running.handle.notifier().tell(firing(1, "A"));
    hook.heard(1).await;
    assert_eq!(running.end().await, Ended::InGoodOrder);
    let running = serve(&text, &url).await;
    // Whoever evaluates says again what fires.
    running.handle.notifier().tell(firing(1, "A"));
    running.handle.notifier().tell(firing(2, "B"));
    let told = hook.heard(2).await;
    assert_eq!(whats(&told[1]), [("B".to_owned(), "fired".to_owned())]);
    running.handle.notifier().tell(resolved(1, "A"));
    let told = hook.heard(3).await;
    assert_eq!(whats(&told[2]), [("A".to_owned(), "resolved".to_owned())]);
    // The end belongs to what was told before the restart.
    assert_eq!(told[2].json()["thread"], told[0].json()["id"]);
    assert_eq!(running.end().await, Ended::InGoodOrder);
    assert_eq!(hook.requests().len(), 3);
}

#[tokio::test]
async fn what_is_not_taken_is_sent_again_with_the_same_id() {
    let (hook, url) = Hook::start(&[500, 429, 408]).await;
    let running = serve(&format!("{QUICK}{}", webhook("ops", &url)), &url).await;
    running.handle.notifier().tell(firing(1, "A"));
    let told = hook.heard(4).await;
    assert!(told.iter().all(|one| one.header("webhook-id") == told[0].header("webhook-id")));
    assert!(told.iter().all(|one| one.body == told[0].body && one.is_signed()));
}

#[tokio::test]
async fn what_a_store_does_not_take_is_told_all_the_same() {
    let (hook, url) = Hook::start(&[]).await;
    let text = format!("{QUICK}{}", webhook("ops", &url));
    let config = crate::running::config_in(&text, &super::environment(&url));
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let writer = Arc::new(Writer::start(store.clone(), &StoreConfig::default()).unwrap());
    let notifier = Notifier::start(&config.receivers, &config.notify, store, writer.clone());
    writer.close();
    notifier.tell(firing(1, "A"));
    let told = hook.heard(1).await;
    assert_eq!(whats(&told[0]), [("A".to_owned(), "fired".to_owned())]);
    notifier.stop().await;
}

#[tokio::test]
async fn nothing_is_left_for_a_receiver_that_is_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let data = format!("[server]\ndata_dir = {:?}\n[store]\nengine = \"redb\"\n", folder.path());
    let (hook, url) = Hook::start(&[503; 1_000]).await;
    let with = format!("{data}{QUICK}{}", webhook("ops", &url));
    let running = serve(&with, &url).await;
    running.handle.notifier().tell(firing(1, "A"));
    hook.heard(1).await;
    assert_eq!(running.end().await, Ended::InGoodOrder);
    let running = serve(&format!("{data}{QUICK}{}", webhook("other", &url)), &url).await;
    // It is told of what fires, as whoever is new.
    super::until_receiver(&running, "other", "it waits", |one| one["queued"] == 1).await;
    assert_eq!(running.end().await, Ended::InGoodOrder);
    hook.answer(&[]);
    let before = hook.requests().len();
    let running = serve(&with, &url).await;
    let told = hook.heard(before + 1).await;
    // Back again it is as one that is new: told under an id of its own, once.
    assert_eq!(told[before].json()["receiver"], "ops");
    assert_ne!(told[before].header("webhook-id"), told[0].header("webhook-id"));
    assert_eq!(running.end().await, Ended::InGoodOrder);
    assert_eq!(hook.requests().len(), before + 1);
}

#[tokio::test]
async fn an_end_that_comes_with_the_servers_own_is_told_after_the_restart() {
    let folder = tempfile::tempdir().unwrap();
    let data = format!("[server]\ndata_dir = {:?}\n[store]\nengine = \"redb\"\n", folder.path());
    let (hook, url) = Hook::start(&[]).await;
    // An hour would pass before the end is due.
    let slow = QUICK.replace("\"1s\"", "\"1h\"");
    let running = serve(&format!("{data}{slow}{}", webhook("ops", &url)), &url).await;
    running.handle.notifier().tell(firing(1, "A"));
    hook.heard(1).await;
    running.handle.notifier().tell(resolved(1, "A"));
    assert_eq!(running.end().await, Ended::InGoodOrder);
    let running = serve(&format!("{data}{QUICK}{}", webhook("ops", &url)), &url).await;
    let told = hook.heard(2).await;
    assert_eq!(whats(&told[1]), [("A".to_owned(), "resolved".to_owned())]);
    assert_eq!(running.end().await, Ended::InGoodOrder);
}

#[tokio::test]
async fn thousands_of_alerts_are_told_in_few_notices() {
    let (hook, url) = Hook::start(&[]).await;
    let text = QUICK.replace("group_wait = \"0s\"", "group_wait = \"500ms\"");
    let running = serve(&format!("{text}{}", webhook("ops", &url)), &url).await;
    for id in 0..5_000 {
        running.handle.notifier().tell(firing(id, "A"));
    }
    let told = hook.heard(25).await;
    let alerts: Vec<_> = told.iter().flat_map(whats).collect();
    assert_eq!(alerts.iter().filter(|(_, what)| what == "fired").count(), 5_000);
    assert!(told.iter().all(|one| one.json()["thread"] == told[0].json()["id"]));
}
