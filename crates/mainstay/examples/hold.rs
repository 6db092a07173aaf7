//! Holds a link to an HTTP service and shows its events:
//! `cargo run --example hold -- http://127.0.0.1:8080/`.

use std::time::Duration;

use mainstay::core::link::LinkConfig;
use mainstay::link::{HttpConfig, HttpTransport, Link, LinkOptions};

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "an example shows what it does")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:8080/".into());
    let mut http = HttpConfig::new(url);
    http.health_path = "/".into();
    let mut config = LinkConfig::default();
    config.health.interval = Duration::from_secs(2);
    config.health.timeout = Duration::from_secs(1);
    let link = Link::open(LinkOptions::new("service").config(config), HttpTransport::new(http)?)?;
    let mut events = link.subscribe();
    link.begin();
    loop {
        tokio::select! {
            event = events.recv() => println!("{:?}", event?.what),
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    link.shutdown().await;
    println!("{} of health checks were good", link.stats().success_text());
    Ok(())
}
