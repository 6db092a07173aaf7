//! What is built on top of a server.

use std::future::pending;

use axum::Router;
use axum::routing::get;
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
