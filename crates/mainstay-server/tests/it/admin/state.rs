use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::asking::{ask, id, register};
use crate::running::{PATIENCE, start};

#[tokio::test]
async fn health_is_told_to_balancers_and_clients_in_one_form() {
    let running = start("").await;
    register(&running, "kim", "acme").await;
    let answer = ask(&running, "GET", "/health", &Value::Null).await;
    let body = &answer.body;
    assert_eq!((answer.status, &body["status"]), (200, &json!("ok")), "{answer:?}");
    let counts = json!({"total": 1, "connected": 1, "suspended": 0, "reconnecting": 0,
        "connections": 0});
    assert_eq!(body["sessions"], counts);
    assert_eq!(body["store"]["reachable"], true);
    for text in ["service", "version", "timestamp"] {
        assert!(body[text].is_string(), "{text}");
    }
}

#[tokio::test]
async fn the_page_of_metrics_counts_sessions_by_bounded_labels() {
    let running = start("").await;
    let gone = id(&register(&running, "kim", "acme").await);
    register(&running, "lee", "acme").await;
    let path = format!("/api/v1/sessions/{gone}/disconnect");
    ask(&running, "POST", &path, &Value::Null).await;
    let host = format!("Host: {}", running.address);
    let page = running.get("/metrics", &host).await;
    for line in [
        "mainstay_sessions{status=\"connected\"} 1",
        "mainstay_sessions{status=\"disconnected\"} 1",
        "mainstay_sessions_registered_total 2",
        "mainstay_sessions_gone_total{reason=\"kicked\"} 1",
        "mainstay_sessions_refused_total{reason=\"unauthorised\"} 0",
        "mainstay_store_failures_total 0",
    ] {
        assert!(page.contains(&format!("{line}\n")), "{line}: {page}");
    }
    // Every series of ours has a type and a help before it, once.
    let named = |kind: &str| -> BTreeSet<String> {
        let start = format!("# {kind} ");
        let lines = page.lines().filter_map(|line| line.strip_prefix(&start));
        let names: Vec<_> = lines.filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{kind}: {names:?}");
        names.into_iter().filter(|name| name.starts_with("mainstay_s")).map(String::from).collect()
    };
    assert_eq!(named("HELP"), named("TYPE"));
    let series: BTreeSet<String> = page
        .lines()
        .filter(|line| line.starts_with("mainstay_s"))
        .map(|line| line.split(['{', ' ']).next().unwrap())
        .map(|name| {
            let parts = ["_bucket", "_sum", "_count"];
            let of = parts.iter().find_map(|part| name.strip_suffix(part));
            // The parts of a histogram stand under its own name.
            let of = of.filter(|of| page.contains(&format!("# TYPE {of} histogram\n")));
            of.unwrap_or(name).to_owned()
        })
        .collect();
    assert!(series.is_subset(&named("TYPE")), "{series:?}");
    assert!(!page.contains("kim") && !page.contains(&gone), "nobody is named");
}

#[tokio::test]
async fn a_server_that_stops_sends_balancers_elsewhere() {
    let running = start("").await;
    let mut early = TcpStream::connect(&running.address).await.unwrap();
    early.write_all(b"GET /health HTTP/1.1\r\n").await.unwrap();
    // The server has that connection once it has answered one that came later.
    ask(&running, "GET", "/health", &Value::Null).await;
    running.stop.send(()).unwrap();
    let refused = async { while TcpStream::connect(&running.address).await.is_ok() {} };
    timeout(PATIENCE, refused).await.expect("it takes no more connections");
    early.write_all(b"Host: x\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, early.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("retry-after: 1\r\n"), "{answer}");
    assert!(answer.contains("\"status\":\"draining\""), "{answer}");
    timeout(PATIENCE, running.task).await.unwrap().unwrap();
}
