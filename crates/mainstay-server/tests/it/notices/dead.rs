//! Receivers that do not take what they are told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::net::TcpListener;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::{Hook, QUICK, ask, firing, receiver, serve, until_receiver, webhook};

/// An address at which nobody listens.
async fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn what_is_refused_is_kept_aside_listed_told_again_and_forgotten() {
    let (hook, url) = Hook::start(&[404, 401]).await;
    let running = serve(&format!("{QUICK}{}", webhook("ops", &url)), &url).await;
    running.handle.notifier().tell(firing(1, "A"));
    running.handle.notifier().tell(firing(2, "B"));
    let shown = until_receiver(&running, "ops", "two are dead", |one| one["dead"] == 2).await;
    assert_eq!((&shown["kind"], &shown["sent"]), (&"webhook".into(), &0.into()));
    assert_eq!(shown["last_error"], "it answered 401 Unauthorized");
    // It was asked once for each: a 4xx is not tried again.
    let asked = hook.requests();
    assert_eq!(asked.len(), 2);
    let (status, found) =
        ask(&running, "GET", "/api/v1/notifications/dead-letters?receiver=ops").await;
    assert_eq!(status, 200);
    let letters = found["dead_letters"].as_array().unwrap();
    let rules: Vec<_> = letters.iter().map(|one| one["what"].as_str().unwrap()).collect();
    assert!(rules[0].starts_with("[HIGH] A: ") && rules[1].starts_with("[HIGH] B: "), "{rules:?}");
    assert_eq!((&letters[0]["attempts"], &letters[0]["receiver"]), (&1.into(), &"ops".into()));
    let id = |index: usize| letters[index]["id"].as_str().unwrap();
    let path = |index: usize| format!("/api/v1/notifications/dead-letters/{}", id(index));
    assert_eq!(ask(&running, "POST", &format!("{}/retry", path(0))).await.0, 202);
    let told = hook.heard(3).await;
    assert_eq!((told[2].header("webhook-id"), &told[2].body), (id(0), &asked[0].body));
    assert_eq!(ask(&running, "DELETE", &path(1)).await.0, 204);
    for missing in [path(0), path(1)] {
        assert_eq!(ask(&running, "DELETE", &missing).await.0, 404);
    }
    let (status, _) =
        ask(&running, "GET", "/api/v1/notifications/dead-letters?receiver=none").await;
    assert_eq!(status, 404);
    let shown = until_receiver(&running, "ops", "it was told", |one| one["sent"] == 1).await;
    assert_eq!((&shown["dead"], &shown["last_error"]), (&0.into(), &serde_json::Value::Null));
    let (_, audit) = ask(&running, "GET", "/api/v1/audit").await;
    assert!(audit.to_string().contains("notifications.dead-letters.retry"), "{audit}");
}

#[tokio::test]
async fn a_dead_receiver_opens_its_breaker_and_holds_up_no_other() {
    let (hook, url) = Hook::start(&[]).await;
    let nowhere = nowhere().await;
    let text = format!("{QUICK}{}{}", webhook("dead", &nowhere), webhook("ops", &url));
    let running = serve(&text, &url).await;
    for id in 0..30 {
        running.handle.notifier().tell(firing(id, &format!("RULE_{id}")));
    }
    assert_eq!(hook.heard(30).await.len(), 30);
    let is_open = |one: &serde_json::Value| one["breaker"].as_str().is_some_and(|s| s != "CLOSED");
    let shown = until_receiver(&running, "dead", "its breaker opens", is_open).await;
    assert_eq!((&shown["sent"], &shown["queued"]), (&0.into(), &30.into()));
    assert!(receiver(&running, "ops").await["breaker"] == "CLOSED");
    let page = running.get("/metrics", &format!("Host: {}", running.address)).await;
    for line in [
        "mainstay_notifications_total{receiver=\"ops\",outcome=\"delivered\"} 30",
        "mainstay_notifications_total{receiver=\"dead\",outcome=\"delivered\"} 0",
        "mainstay_notification_failures_total{receiver=\"dead\",reason=\"network\"}",
        "mainstay_notification_queue{receiver=\"dead\"} 30",
        "mainstay_notification_seconds_count{receiver=\"ops\"} 30",
        "mainstay_notification_alerts 30",
    ] {
        assert!(page.contains(line), "{line}: {page}");
    }
}

#[tokio::test]
async fn a_notice_is_given_up_in_time() {
    let nowhere = nowhere().await;
    let text = format!("{QUICK}{}give_up_after = \"1s\"\n", webhook("dead", &nowhere));
    let running = serve(&text, &nowhere).await;
    running.handle.notifier().tell(firing(1, "A"));
    let shown = until_receiver(&running, "dead", "it is given up", |one| one["dead"] == 1).await;
    assert_eq!(shown["queued"], 0);
}

#[tokio::test]
async fn a_test_says_whether_it_came_and_why_not() {
    let (hook, url) = Hook::start(&[]).await;
    let text = format!("{QUICK}{}", webhook("ops", &url));
    let running = serve(&text, &url).await;
    let (status, answer) = ask(&running, "POST", "/api/v1/notifications/ops/test").await;
    assert_eq!((status, &answer["delivered"]), (200, &true.into()));
    assert!(answer["took_ms"].is_u64());
    let told = hook.heard(1).await;
    assert!(told[0].is_signed() && told[0].json()["type"] == "alerts.test");
    hook.answer(&[403]);
    let (status, answer) = ask(&running, "POST", "/api/v1/notifications/ops/test").await;
    assert_eq!((status, &answer["delivered"]), (200, &false.into()));
    assert_eq!(answer["detail"], "it answered 403 Forbidden");
    assert_eq!(ask(&running, "POST", "/api/v1/notifications/none/test").await.0, 404);
    let (_, audit) = ask(&running, "GET", "/api/v1/audit").await;
    assert!(audit.to_string().contains("not delivered"), "{audit}");
}

/// Keeps everything that is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!("{field}={value:?} "));
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        attributes.record(&mut Line(&mut self.0.lock().unwrap()));
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut Line(&mut self.0.lock().unwrap()));
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        // What libraries say at these levels, nobody asked for.
        if event.metadata().target().starts_with("mainstay") {
            event.record(&mut Line(&mut self.0.lock().unwrap()));
        }
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn no_secret_is_in_a_log_an_answer_or_a_configuration_that_is_shown() {
    let log = Log::default();
    tracing::subscriber::set_global_default(log.clone()).unwrap();
    let nowhere = nowhere().await;
    let ways = [
        ("slack", "url_env = \"URL\"".to_owned()),
        ("pagerduty", format!("url = \"{nowhere}/hidden\"\nkey_env = \"KEY\"")),
        ("alertmanager", format!("url = \"{nowhere}/hidden\"")),
        (
            "email",
            format!(
                "host = \"127.0.0.1\"\nport = {}\nuser = \"ops\"\npassword_env = \"PASSWORD\"\n\
                 from = \"a@example.org\"\nto = [\"b@example.org\"]",
                nowhere.rsplit(':').next().unwrap()
            ),
        ),
    ];
    let mut text = format!("{QUICK}{}give_up_after = \"1s\"\n", webhook("webhook", &nowhere));
    for (kind, rest) in &ways {
        text += &format!(
            "[[receiver]]\nname = \"{kind}\"\nkind = \"{kind}\"\n{rest}\ngive_up_after = \"1s\"\n"
        );
    }
    let config = crate::running::config_in(&text, &super::environment(&nowhere));
    let shown = format!("{config:?}");
    assert!(!shown.contains("hidden") && !shown.contains(super::SECRET), "{shown}");
    let running = serve(&text, &nowhere).await;
    running.handle.notifier().tell(firing(1, "A"));
    let mut errors = BTreeMap::new();
    for name in ["webhook", "slack", "pagerduty", "alertmanager", "email"] {
        let shown = until_receiver(&running, name, "it is given up", |one| one["dead"] == 1).await;
        errors.insert(name, shown["last_error"].as_str().unwrap().to_owned());
        let (_, test) = ask(&running, "POST", &format!("/api/v1/notifications/{name}/test")).await;
        assert_eq!(test["delivered"], false);
    }
    assert!(errors.values().all(|error| !error.is_empty()), "{errors:?}");
    ask(&running, "GET", "/api/v1/notifications/dead-letters").await;
    let log = log.0.lock().unwrap();
    assert!(log.contains("a notice is given up"), "{log}");
    assert!(!log.contains("hidden") && !log.contains("whsec_"), "{log}");
}
