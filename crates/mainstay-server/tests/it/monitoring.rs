//! Alerts of a server that runs, against services that really fail.

use std::path::Path;
use std::time::Duration;

use mainstay_server::Server;
use mainstay_server::config::{Config, Environment, Flags};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::running::{PATIENCE, Running, config, run, start};

/// A service that answers its health check; dropped, it is gone.
pub(crate) struct Service {
    port: u16,
    task: JoinHandle<()>,
}

impl Service {
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    pub(crate) async fn start(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = [0; 2_048];
                drop(stream.read(&mut head).await);
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
                drop(stream.write_all(answer).await);
            }
        });
        Self { port, task }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Watches one link every second, and says so at once when it is down.
pub(crate) fn watching(port: u16, more: &str) -> String {
    format!(
        "{more}
        [monitor]
        interval = \"1s\"
        [[rule]]
        id = \"CONNECTION_RECONNECTING\"
        high = {{ enter = 0.001, exit = 0.001 }}
        keep_firing_for = \"0s\"
        [[link]]
        name = \"pay\"
        url = \"http://127.0.0.1:{port}\"
        [link.health]
        interval = \"200ms\"
        edge_interval = \"100ms\"
        timeout = \"100ms\"
        [link.reconnect]
        base = \"100ms\"
        cap = \"200ms\"
        "
    )
}

impl Running {
    /// The body of an answer as JSON.
    pub(crate) async fn json(&self, line: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self
            .ask(&format!(
                "{line} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                self.address,
                body.len(),
            ))
            .await;
        let status = answer[9..12].parse().unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let body = body.trim_end();
        (status, serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}")))
    }

    pub(crate) async fn see(&self, path: &str) -> Value {
        let (status, body) = self.json(&format!("GET {path}"), &Value::Null).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Waits until its one link is connected, as the monitor sees it.
    pub(crate) async fn connected(&self) {
        wait(async || self.see("/api/v1/monitor/summary").await["links"]["connected"] == 1).await;
    }

    /// Waits until an alert of this rule is as wanted.
    pub(crate) async fn alert(&self, rule: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let all = self.see(&format!("/api/v1/alerts?rule={rule}")).await;
            if let Some(found) = all["alerts"].as_array().unwrap().iter().find(|one| wanted(one)) {
                return found.clone();
            }
            assert!(Instant::now() < end, "{all}");
            sleep(Duration::from_millis(50)).await;
        }
    }
}

pub(crate) fn is_firing(alert: &Value) -> bool {
    alert["state"] == "FIRING"
}

pub(crate) fn on_disk(text: &str, folder: &Path) -> Config {
    let folder = Some(folder.to_str().unwrap().to_owned());
    let flags = Flags { listen: Some("127.0.0.1:0".into()), data_dir: folder, ..Flags::default() };
    Config::parse(text, None, &flags, &Environment::new()).unwrap()
}

#[tokio::test]
async fn an_outage_is_an_alert_that_outlives_a_restart_and_ends_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(0).await;
    let port = service.port;
    let text = watching(port, "");
    let running = run(Server::bind(&on_disk(&text, folder.path())).await.unwrap());
    running.connected().await;
    assert_eq!(running.see("/api/v1/alerts").await, json!({ "alerts": [] }));

    drop(service);
    let alert = running.alert("CONNECTION_RECONNECTING", is_firing).await;
    let id = alert["id"].as_str().unwrap().to_owned();
    assert_eq!((&alert["severity"], &alert["labels"]), (&json!("HIGH"), &json!({ "link": "pay" })));
    assert!(alert["summary"].as_str().unwrap().starts_with("without a connection, trying: "));
    let summary = running.see("/api/v1/monitor/summary").await;
    assert_eq!(summary["status"], "WARNING");
    let sentence = summary["sentence"].as_str().unwrap();
    assert!(sentence.ends_with("1 degraded · 1 alert, unacknowledged"), "{sentence}");

    let path = format!("/api/v1/alerts/{id}");
    let said = json!({ "note": "calling them" });
    let (status, seen) = running.json(&format!("POST {path}/acknowledge"), &said).await;
    assert_eq!((status, &seen["acknowledged"]["note"]), (200, &json!("calling them")));
    assert_eq!(running.see("/api/v1/monitor/summary").await["status"], "HEALTHY");
    running.end().await;

    // The server is started again while the service is still away.
    let running = run(Server::bind(&on_disk(&text, folder.path())).await.unwrap());
    let alert = running.see(&path).await;
    assert_eq!((&alert["state"], &alert["incident"]), (&json!("FIRING"), &json!(1)));
    assert_eq!(alert["acknowledged"]["note"], "calling them");
    let _service = Service::start(port).await;
    let over = running.alert("CONNECTION_RECONNECTING", |one| one["state"] == "RESOLVED").await;
    assert_eq!((&over["id"], &over["incident"]), (&json!(id), &json!(1)));
    assert_eq!(over["acknowledged"], Value::Null);

    // What is known at once is kept a moment later.
    let count =
        async || running.see("/api/v1/alerts/history").await["events"].as_array().unwrap().len();
    wait(async || count().await >= 4).await;
    let events = running.see("/api/v1/alerts/history").await;
    let whats: Vec<_> =
        events["events"].as_array().unwrap().iter().map(|one| &one["what"]).collect();
    assert_eq!(whats, ["fired", "acknowledged", "resolved", "acknowledgement_ended"]);
    let first = running.see("/api/v1/alerts/history?limit=1").await;
    assert_eq!(first["events"].as_array().unwrap().len(), 1);
    let next = first["next"].as_str().unwrap();
    let rest = running.see(&format!("/api/v1/alerts/history?after={next}")).await;
    assert_eq!((rest["events"].as_array().unwrap().len(), &rest["next"]), (3, &Value::Null));
    let lasted = events["events"][2]["lasted_ms"].as_u64().unwrap();
    assert!(lasted > 0, "over the restart");
}

pub(crate) async fn wait(mut done: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done().await {
        assert!(Instant::now() < end, "it does not happen");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn alerts_are_silenced_with_a_reason_and_wrong_words_are_refused() {
    let running = start(&watching(1, "")).await;
    let alert = running.alert("CONNECTION_RECONNECTING", is_firing).await;
    let path = format!("/api/v1/alerts/{}", alert["id"].as_str().unwrap());
    for (line, body, status, text) in [
        (format!("POST {path}/silence"), json!({}), 400, "say why"),
        (
            format!("POST {path}/silence"),
            json!({ "reason": "x", "for_ms": 0 }),
            400,
            "`for_ms` is 0",
        ),
        (
            format!("POST {path}/silence"),
            json!({ "reason": "x", "for_ms": 5, "until_resolved": true }),
            400,
            "either",
        ),
        ("POST /api/v1/alerts/zz/silence".into(), json!({ "reason": "x" }), 404, "no alert \"zz\""),
        ("GET /api/v1/alerts/0000000000000000".into(), Value::Null, 404, "no alert"),
        ("GET /api/v1/alerts/history?after=x".into(), Value::Null, 400, "`after`"),
        ("GET /api/v1/monitor/series?group=nobody".into(), Value::Null, 404, "no group \"nobody\""),
        ("GET /api/v1/monitor/series?group=links&span_ms=1".into(), Value::Null, 400, "`span_ms`"),
    ] {
        let (found, problem) = running.json(&line, &body).await;
        let detail = problem["detail"].as_str().unwrap();
        assert!(found == status && detail.contains(text), "{line}: {found} {detail}");
    }
    let said = json!({ "reason": "they know", "for_ms": 600_000 });
    let (_, silenced) = running.json(&format!("POST {path}/silence"), &said).await;
    let by = &silenced["silenced"];
    assert_eq!((&by["reason"], &by["until_resolved"]), (&json!("they know"), &json!(false)));
    assert!(by["expires"].is_string());
    let summary = running.see("/api/v1/monitor/summary").await;
    let alerts = &summary["alerts"];
    assert_eq!((&alerts["firing"], &alerts["unacknowledged"]), (&json!(1), &json!(0)));
    let (_, lifted) = running.json(&format!("DELETE {path}/silence"), &Value::Null).await;
    assert_eq!(lifted["silenced"], Value::Null);
}

#[tokio::test]
async fn what_happens_to_alerts_is_told_as_events_under_the_names_of_seed_004() {
    let running = start(&watching(1, "")).await;
    let mut events = running.handle.events().subscribe();
    let alert = running.alert("CONNECTION_RECONNECTING", is_firing).await;
    let path = format!("/api/v1/alerts/{}/acknowledge", alert["id"].as_str().unwrap());
    let (status, _) = running.json(&format!("POST {path}"), &json!({})).await;
    assert_eq!(status, 200);
    let mut open =
        vec!["health.metrics.collected", "health.alert.created", "health.alert.acknowledged"];
    while !open.is_empty() {
        let event = tokio::time::timeout(PATIENCE, events.recv()).await.unwrap().unwrap();
        let told = serde_json::to_value(&*event).unwrap();
        if told["event"] == "health.alert.created" {
            assert_eq!((&told["alert"], &told["severity"]), (&alert["id"], &json!("HIGH")));
            assert_eq!(told["rule"], "CONNECTION_RECONNECTING");
        }
        open.retain(|name| told["event"] != *name);
    }
}

#[tokio::test]
async fn rules_are_shown_with_their_source_and_reloaded() {
    let text = "[monitor]\npacks = [\"axon\"]\n[[rule]]\nid = \"HIGH_LATENCY\"\nfor = \"30s\"\n";
    let running = start(text).await;
    let rules = running.see("/api/v1/alerts/rules").await;
    let rules = rules["rules"].as_array().unwrap();
    let of = |id: &str| rules.iter().find(|rule| rule["id"] == id).unwrap();
    let latency = of("HIGH_LATENCY");
    assert_eq!((&latency["source"], &latency["for_ms"]), (&json!("file"), &json!(30_000)));
    assert_eq!(latency["high"]["enter"], 1_000.0, "what the file does not say stays");
    assert_eq!(of("HIGH_ERROR_RATE")["source"], "default");
    assert_eq!(of("AXON_HIGH_LATENCY")["source"], "pack");
    assert_eq!(of("AXON_HIGH_LATENCY")["statistic"], "mean");
    let next = config("[monitor]\ndefault_rules = false\npacks = [\"chittyid\"]\n");
    running.handle.reload(&next).await.unwrap();
    let rules = running.see("/api/v1/alerts/rules").await;
    let ids: Vec<_> = rules["rules"].as_array().unwrap().iter().map(|rule| &rule["id"]).collect();
    assert!(ids.len() == 9 && ids.iter().all(|id| id.as_str().unwrap().starts_with("CHITTYID_")));
}

#[tokio::test]
async fn what_was_measured_is_a_series() {
    let service = Service::start(0).await;
    let running = start(&watching(service.port, "")).await;
    wait(async || {
        let groups = running.see("/api/v1/monitor/groups").await;
        groups["groups"].as_array().unwrap().contains(&json!("link:pay"))
    })
    .await;
    wait(async || {
        let found = running.see("/api/v1/monitor/series?group=link:pay&span_ms=60000").await;
        found["cells"].as_array().unwrap().iter().any(|cell| cell["n"].as_u64() > Some(0))
    })
    .await;
    let found = running.see("/api/v1/monitor/series?group=link:pay").await;
    assert_eq!(found["step_ms"], 10_000);
    let cell = found["cells"].as_array().unwrap().last().unwrap();
    assert!(cell["ok"].as_u64() > Some(0) && cell["fail"] == 0, "{cell}");
    assert!(cell["p95_ms"].as_f64() > Some(0.0) && cell["level"].as_f64() > Some(0.5), "{cell}");
    let summary = running.see("/api/v1/monitor/summary").await;
    assert_eq!(summary["health_check_success_rate"], 1.0);
    assert!(summary["latency_ms"]["p95"].as_f64() > Some(0.0));
    let page = running.get("/metrics", &format!("Host: {}", running.address)).await;
    for line in [
        "mainstay_alerts_firing{severity=\"critical\"} 0",
        "mainstay_system_overload 0",
        "mainstay_monitor_last_evaluation_age_seconds ",
        "mainstay_process_open_fds ",
    ] {
        assert!(page.contains(line), "{line}: {page}");
    }
}

#[tokio::test]
async fn what_is_worked_on_notifies_nobody() {
    let more = "[[maintenance]]\nname = \"move\"\nstart = \"2020-01-01T00:00:00Z\"\nend = \"2199-01-01T00:00:00Z\"\nmatch = { link = \"pay\" }\n";
    let running = start(&watching(1, more)).await;
    let alert = running.alert("CONNECTION_RECONNECTING", is_firing).await;
    assert_eq!(alert["maintenance"], "move");
    let summary = running.see("/api/v1/monitor/summary").await;
    assert_eq!(summary["alerts"]["unacknowledged"], 0);
    let series = running.see("/api/v1/monitor/series?group=link:pay").await;
    assert_eq!(series["cells"][0]["maintenance"], true);
}

#[test]
fn a_configuration_that_makes_no_sense_is_refused_with_its_place() {
    let problems = |text: &str| {
        let flags = Flags::default();
        let parsed = Config::parse(text, Some(Path::new("m.toml")), &flags, &Environment::new());
        parsed.expect_err(text).to_string()
    };
    for (text, wanted) in [
        ("[monitor]\ninterval = \"1m\"", "m.toml:2: monitor.interval"),
        (
            "[monitor]\npacks = [\"x\"]",
            "m.toml:2: monitor.packs: has \"x\", allowed: chittyid, axon",
        ),
        ("[monitor]\nalert_events = 1", "m.toml:2: monitor.alert_events"),
        ("[[rule]]\nid = \"MINE\"", "m.toml:1: rule.MINE.signal: is not said"),
        ("[[rule]]\nid = \"MINE\"\nsignal = \"x\"", "m.toml:3"),
        ("[[rule]]\nid = \"MINE\"\nsignal = \"gate.open\"", "rule.MINE.high"),
        (
            "[[rule]]\nid = \"HIGH_LATENCY\"\nhigh = { enter = 1, exit = 2 }",
            "m.toml:3: rule.HIGH_LATENCY.high.exit",
        ),
        (
            "[[slo]]\nname = \"a\"\nsignal = \"gate.errors\"\nobjective = 2.0",
            "m.toml:4: slo.a.objective",
        ),
        ("[[maintenance]]\nname = \"a\"", "maintenance.a.start: is unclear"),
        (
            "[[maintenance]]\nname = \"a\"\nat = \"25:00\"\nfor = \"1h\"",
            "m.toml:3: maintenance.a.at",
        ),
        (
            "[[maintenance]]\nname = \"a\"\nat = \"02:00\"\nfor = \"1h\"\ntimezone = \"Mars\"",
            "m.toml:5: maintenance.a.timezone",
        ),
        (
            "[[maintenance]]\nname = \"a\"\nat = \"02:00\"\nfor = \"1h\"\ndays = [\"someday\"]",
            "m.toml:5: maintenance.a.days: has \"someday\", allowed: mon",
        ),
        (
            "[[link]]\nname = \"a\"\nurl = \"tcp://h:1\"\ndepends_on = [\"a\"]",
            "m.toml:4: link.a.depends_on: has \"a\", which is no other link",
        ),
    ] {
        let found = problems(text);
        assert!(found.contains(wanted), "{text}\n{found}");
    }
}
