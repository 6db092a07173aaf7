//! What is built on top of a server.

use std::future::pending;

use axum::Router;
use axum::routing::get;
use mainstay::trace::TraceContext;
use mainstay_server::{Product, Server};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::running::{PATIENCE, config, run};

#[tokio::test]
async fn a_product_that_is_busy_keeps_nobody_from_the_server() {
    let product = Product::new(|_| {
        Ok(Router::new()
            .route("/busy", get(pending::<&'static str>))
            .route("/quick", get(async || "quick")))
    });
    let running = run(Server::with_product(&config(""), product).await.unwrap());
    let mut busy = Vec::new();
    for _ in 0..256 {
        let mut stream = TcpStream::connect(&running.address).await.unwrap();
        let head = format!("GET /busy HTTP/1.1\r\nHost: {}\r\n\r\n", running.address);
        stream.write_all(head.as_bytes()).await.unwrap();
        busy.push(stream);
    }
    let host = format!("Host: {}", running.address);
    let begun = Instant::now();
    while !running.get("/quick", &host).await.starts_with("HTTP/1.1 503") {
        assert!(begun.elapsed() < PATIENCE, "there is no end to what it takes on");
        sleep(std::time::Duration::from_millis(20)).await;
    }
    let health = running.get("/health", &host).await;
    assert!(health.starts_with("HTTP/1.1 200"), "{health}");
    drop(busy);
}

#[tokio::test]
async fn a_request_that_names_a_trace_goes_on_with_it_and_others_have_none() {
    let told = || async {
        let trace = TraceContext::current().map(|trace| trace.parent());
        trace.map_or_else(|| "none".into(), |parent| parent.to_string())
    };
    let product = Product::new(move |_| Ok(Router::new().route("/trace", get(told))));
    let running = run(Server::with_product(&config(""), product).await.unwrap());
    let ask = async |header: &str| {
        let headers = format!("Host: {}\r\n{header}", running.address);
        let answer = running.get("/trace", headers.trim_end()).await;
        answer.rsplit_once("\r\n\r\n").unwrap().1.to_owned()
    };
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let own = ask(&format!("traceparent: 00-{trace}-00f067aa0ba902b7-01")).await;
    assert!(own.starts_with(&format!("00-{trace}-")) && own.ends_with("-01"), "{own}");
    assert!(!own.contains("00f067aa0ba902b7"), "a part of its own: {own}");
    assert_eq!(ask("").await, "none");
    assert_eq!(ask(&format!("traceparent: 01-{trace}-0-01")).await, "none");
}
