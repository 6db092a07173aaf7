//! What Slack, PagerDuty and an Alertmanager get, to the letter.

use std::path::Path;

use mainstay_monitor::alert::Severity;
use mainstay_monitor::notify::{Standing, Status};
use serde_json::Value;

use super::{Hook, QUICK, ask, firing, resolved, serve};
use crate::running::Running;

/// Compares with the file of that name; `UPDATE_EXPECTED=1` writes it anew.
fn expect(name: &str, found: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/notices/golden").join(name);
    let text = format!("{}\n", serde_json::to_string_pretty(found).unwrap());
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&path).unwrap_or_default(), "{name}");
}

async fn with(kind: &str, rest: &str, url: &str) -> Running {
    let text = format!("{QUICK}[[receiver]]\nname = \"x\"\nkind = \"{kind}\"\n{rest}\n");
    serve(&text, url).await
}

#[tokio::test]
async fn slack_gets_a_title_and_lines_that_mention_nobody() {
    let (hook, url) = Hook::start(&[]).await;
    let running = with("slack", "url_env = \"URL\"", &url).await;
    let summary = "<!channel> @here p95 > 1000 & \u{7}".into();
    running.handle.notifier().tell(Standing { summary, ..firing(1, "HIGH_LATENCY") });
    let told = hook.heard(1).await;
    assert_eq!(told[0].path, "/services/hidden");
    expect("slack-fired.json", &told[0].json());
    running.handle.notifier().tell(resolved(1, "HIGH_LATENCY"));
    let json = hook.heard(2).await[1].json();
    assert_eq!(json["attachments"][0]["color"], "#2eb886");
    assert!(json["text"].as_str().unwrap().starts_with("[RESOLVED after "), "{json}");
}

#[tokio::test]
async fn pagerduty_gets_events_that_are_triggered_acknowledged_and_resolved() {
    let (hook, url) = Hook::start(&[]).await;
    let rest = format!("url = \"{url}/v2/enqueue\"\nkey_env = \"KEY\"");
    let running = with("pagerduty", &rest, &url).await;
    let notifier = running.handle.notifier();
    let id = 0xdead_beef_0000_0001;
    notifier.tell(firing(id, "HIGH_LATENCY"));
    let mut trigger = hook.heard(1).await[0].json();
    assert_eq!(hook.requests()[0].path, "/v2/enqueue");
    assert_eq!(trigger["payload"]["custom_details"]["lasted"].take(), "0 s");
    expect("pagerduty-trigger.json", &trigger);
    notifier.tell(Standing { muted: true, ..firing(id, "HIGH_LATENCY") });
    expect("pagerduty-acknowledge.json", &hook.heard(2).await[1].json());
    notifier.tell(resolved(id, "HIGH_LATENCY"));
    expect("pagerduty-resolve.json", &hook.heard(3).await[2].json());
    let levels = [
        (Severity::Low, "info"),
        (Severity::Medium, "warning"),
        (Severity::High, "error"),
        (Severity::Critical, "critical"),
    ];
    for (index, (severity, level)) in levels.into_iter().enumerate() {
        let status = Status::NoData;
        let rule = format!("RULE_{index}");
        notifier.tell(Standing { severity, status, ..firing(index as u64, &rule) });
        let event = hook.heard(4 + index).await[3 + index].json();
        assert_eq!(event["payload"]["severity"], level);
        assert_eq!(event["dedup_key"], format!("{index:016x}-no-data"));
    }
    // A test leaves nothing open.
    let (_, answer) = ask(&running, "POST", "/api/v1/notifications/x/test").await;
    assert_eq!(answer["delivered"], true);
    let told = hook.heard(9).await;
    let (first, last) = (told[7].json(), told[8].json());
    assert_eq!(
        (&first["event_action"], &last["event_action"]),
        (&"trigger".into(), &"resolve".into())
    );
    assert_eq!(first["dedup_key"], last["dedup_key"]);
}

#[tokio::test]
async fn an_alertmanager_gets_alerts_that_begin_and_end() {
    let (hook, url) = Hook::start(&[]).await;
    let running = with("alertmanager", &format!("url = \"{url}/am/\""), &url).await;
    running.handle.notifier().tell(firing(1, "HIGH_LATENCY"));
    let told = hook.heard(1).await;
    assert_eq!(told[0].path, "/am/api/v2/alerts");
    let mut began = told[0].json();
    let ends = began[0]["endsAt"].take();
    expect("alertmanager-fired.json", &began);
    running.handle.notifier().tell(resolved(1, "HIGH_LATENCY"));
    let ended = hook.heard(2).await[1].json();
    assert_eq!(ended[0]["labels"], began[0]["labels"]);
    assert!(ended[0]["endsAt"].as_str() < ends.as_str(), "{ended}");
}
