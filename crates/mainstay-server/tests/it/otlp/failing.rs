use std::time::Duration;

use axum::http::HeaderName;
use mainstay_server::Server;
use mainstay_server::config::{OtlpSpec, Secret};
use mainstay_server::otlp::Traces;
use tracing_subscriber::prelude::*;

use super::collector::{Collector, Mode, until};
use super::{exporting, spec, with};
use crate::running::{Running, run, start};

const LONG: Duration = Duration::from_secs(20);

/// Asks so often, and is answered each time.
async fn ask(running: &Running, times: usize) {
    let host = format!("Host: {}", running.address);
    for _ in 0..times {
        let answer = running.get("/health", &host).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

/// What the page of metrics counts under these labels.
async fn counted(running: &Running, name: &str, labels: &str) -> u64 {
    let page = running.get("/metrics", &format!("Host: {}", running.address)).await;
    let start = format!("{name}{{{labels}}} ");
    let value = page.lines().find_map(|line| line.strip_prefix(&start));
    value.map_or(0, |value| value.parse().unwrap())
}

const FULL: &str = "reason=\"queue_full\",signal=\"traces\"";

#[tokio::test]
async fn a_collector_that_hangs_holds_nothing_up_and_costs_no_more_than_its_queue() {
    let collector = Collector::start(Mode::Hang).await;
    let small = OtlpSpec { queue_max: 8, batch_max: 4, ..spec(&collector) };
    let (traces, _log, _guard) = exporting(&small);
    let running = start("").await;
    ask(&running, 1).await;
    until("an export is under way", || collector.asked() > 0).await;
    ask(&running, 30).await;
    // One is on its way (no more than a batch), eight wait.
    let dropped = counted(&running, "mainstay_otlp_dropped_total", FULL).await;
    assert!(dropped >= 30 - 8 - 4, "{dropped}");
    running.end().await;
    let left = traces.stop(Duration::from_millis(200)).await;
    assert!((9..=12).contains(&left), "the queue and what was on its way: {left}");
    assert!(collector.spans().is_empty());
}

#[tokio::test]
async fn a_collector_that_asks_for_time_gets_it_and_then_what_waited() {
    let collector = Collector::start(Mode::Answer(503, Some(1))).await;
    let impatient = OtlpSpec { timeout: Duration::from_millis(500), ..spec(&collector) };
    let (traces, log, _guard) = exporting(&impatient);
    let running = start("").await;
    ask(&running, 3).await;
    until("it was asked", || collector.asked() > 2).await;
    collector.turn(Mode::Take);
    for pair in collector.asked_at().windows(2) {
        let pause = pair[1] - pair[0];
        assert!(pause >= Duration::from_millis(990), "it asked for a second: {pause:?}");
    }
    until("all have come", || collector.spans().len() >= 3).await;
    until("it is said", || log.text().contains("the collector takes what is exported")).await;
    let warned = log.text().matches("the collector does not take what is exported").count();
    assert_eq!(warned, 1, "once, and not for each: {}", log.text());
    running.end().await;
    assert_eq!(traces.stop(LONG).await, 0);
}

#[tokio::test]
async fn a_collector_that_is_down_is_warned_of_once_and_found_when_it_is_there() {
    // A port that nobody has.
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let quick = OtlpSpec {
        timeout: Duration::from_millis(100),
        batch_within: Duration::from_millis(10),
        ..OtlpSpec::new(url)
    };
    let (traces, log, _guard) = exporting(&quick);
    let running = start("").await;
    ask(&running, 3).await;
    let failures = "signal=\"traces\"";
    let end = tokio::time::Instant::now() + crate::running::PATIENCE;
    while counted(&running, "mainstay_otlp_failures_total", failures).await < 2 {
        assert!(tokio::time::Instant::now() < end, "it is tried again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let text = log.text();
    assert_eq!(text.matches("does not take what is exported").count(), 1, "{text}");
    running.end().await;
    assert!(traces.stop(LONG).await > 0);
    assert!(log.text().contains("spans are lost"));
}

#[tokio::test]
async fn what_a_collector_refuses_or_leaves_out_is_counted_and_not_sent_again() {
    let collector = Collector::start(Mode::Answer(400, None)).await;
    let (traces, _log, _guard) = exporting(&spec(&collector));
    let running = start("").await;
    let refused = "reason=\"refused\",signal=\"traces\"";
    let name = "mainstay_otlp_dropped_total";
    let before = counted(&running, name, refused).await;
    until("it was asked", || collector.asked() > 0).await;
    let end = tokio::time::Instant::now() + crate::running::PATIENCE;
    while counted(&running, name, refused).await <= before {
        assert!(tokio::time::Instant::now() < end, "it is counted");
    }
    collector.turn(Mode::LeaveOut(1));
    until("some were taken", || !collector.spans().is_empty()).await;
    running.end().await;
    assert_eq!(traces.stop(LONG).await, 0, "nothing waits");
}

#[tokio::test]
async fn headers_are_sent_and_shown_to_nobody_else() {
    let collector = Collector::start(Mode::Take).await;
    let header = (HeaderName::from_static("x-key"), Secret::new("hidden-key"));
    let with_key = OtlpSpec { headers: vec![header], ..spec(&collector) };
    let (traces, log, _guard) = exporting(&with_key);
    let config = with(with_key.clone(), "");
    let running = run(Server::bind(&config).await.unwrap());
    ask(&running, 1).await;
    until("a span came", || !collector.spans().is_empty()).await;
    until("metrics came", || !collector.exports().is_empty()).await;
    assert_eq!(collector.headers()["x-key"], "hidden-key");
    assert_eq!(collector.headers()["content-type"], "application/x-protobuf");
    let agent = concat!("mainstay-server/", env!("CARGO_PKG_VERSION"));
    assert_eq!(collector.headers()["user-agent"], agent);
    let settings = running.get("/api/v1/settings", &format!("Host: {}", running.address)).await;
    assert!(settings.contains("otlp.headers_env") && settings.contains("1 headers"), "{settings}");
    for text in [settings, log.text(), format!("{with_key:?}"), collector.text()] {
        assert!(!text.contains("hidden-key"), "{text}");
    }
    running.end().await;
    traces.stop(LONG).await;
}

#[tokio::test]
async fn the_end_of_the_program_exports_what_waits() {
    let collector = Collector::start(Mode::Take).await;
    let slow = Duration::from_secs(60);
    let slow = OtlpSpec { batch_within: slow, interval: slow, ..spec(&collector) };
    let (traces, _log, _guard) = exporting(&slow);
    let running = run(Server::bind(&with(slow, "")).await.unwrap());
    ask(&running, 2).await;
    assert_eq!((collector.spans().len(), collector.exports().len()), (0, 0));
    running.end().await;
    assert_eq!(collector.exports().len(), 1, "the last figures");
    assert_eq!(traces.stop(LONG).await, 0);
    let spans = collector.spans();
    assert_eq!(spans.iter().filter(|span| span.name == "GET /health").count(), 2);
}

#[tokio::test]
async fn a_server_stops_within_its_deadline_when_the_collector_hangs() {
    let collector = Collector::start(Mode::Hang).await;
    let spec = spec(&collector);
    let config = with(spec, "[server]\nshutdown_deadline = \"4s\"\n");
    let running = run(Server::bind(&config).await.unwrap());
    until("an export is under way", || collector.asked() > 0).await;
    assert_eq!(running.end().await, mainstay_server::Ended::InGoodOrder);
}

#[tokio::test]
async fn spans_of_others_are_not_exported() {
    let collector = Collector::start(Mode::Take).await;
    let traces = Traces::start(&spec(&collector)).unwrap();
    let guard = tracing_subscriber::registry().with(traces.layer()).set_default();
    tracing::info_span!(target: "shop", "checkout", card = "hidden").in_scope(|| {
        tracing::info_span!(target: "mainstay::here", "operation", name = "pay").in_scope(|| {});
    });
    drop(guard);
    assert_eq!(traces.stop(LONG).await, 0);
    let spans = collector.spans();
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["pay"]);
    assert!(spans[0].parent_span_id.is_empty());
}
