//! The usage example of StreamOtter's `ConnectionResilienceManager`, in Rust, against a real server:
//! `cargo run --example streamotter -- ws://127.0.0.1:9001/`.
//!
//! It ends by itself when its heartbeat was echoed, and with Ctrl-C.

use std::time::Duration;

use mainstay::core::policy::backoff::{Jitter, Strategy};
use mainstay::link::websocket::{ConnectionOptions, create_connection, send_message};
use mainstay::link::{
    HealthOverrides, LinkConfig, LinkManager, LinkOverrides, ManagerConfig, ReconnectOverrides,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "an example shows what it does")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "ws://127.0.0.1:9001/".into());

    // Global options: 5 retries, 1 s doubling, jitter, a breaker of 3 failures and 30 s.
    let config = ManagerConfig { link: LinkConfig::streamotter(), ..ManagerConfig::default() };
    let manager = LinkManager::new(config)?;

    // Create a WebSocket connection.
    let options =
        ConnectionOptions { id: Some("socket".into()), ..ConnectionOptions::streamotter() };
    let connection = create_connection(&url, options)?;
    let id = connection.id();

    // Options of this connection alone: 3 retries, 0.5 s more each time, no jitter. The breaker, which
    // they leave out, stays as it is for all.
    manager.adopt(connection.link(), LinkOverrides::default())?;
    let custom = ReconnectOverrides {
        attempts: Some(Some(3)),
        strategy: Some(Strategy::Linear),
        base: Some(Duration::from_millis(500)),
        jitter: Some(Jitter::None),
        ..ReconnectOverrides::default()
    };
    manager.enable_reconnection(id, Some(custom))?;

    manager.on_reconnecting(id, |attempt, delay| {
        println!("Reconnecting attempt {attempt} in {} ms...", delay.as_millis());
    })?;
    manager.on_reconnected(id, || println!("Reconnected to the WebSocket server."))?;
    manager.on_circuit_breaker_open(id, || println!("Circuit breaker opened: attempts halt."))?;
    manager
        .on_circuit_breaker_closed(id, || println!("Circuit breaker closed: attempts resume."))?;

    // Every 5 s; 2 s for a pong.
    let health = HealthOverrides {
        interval: Some(Duration::from_secs(5)),
        timeout: Some(Duration::from_secs(2)),
        ..HealthOverrides::default()
    };
    manager.configure_health_checks(id, health)?;

    let (heard, mut messages) = mpsc::channel(16);
    connection.on_message(move |message: Result<Value, _>| {
        // Who does not listen any more misses nothing.
        drop(heard.try_send(message));
    });

    // The first dial may fail: it is tried again like every other.
    connection.link().watch().wait_for(|view| view.healthy || view.failed.is_some()).await?;
    println!("{} is {}", connection.id(), connection.state());
    send_message(&connection, &json!({ "type": "heartbeat", "payload": "Ping" }))?;
    tokio::select! {
        message = messages.recv() => println!("heard {}", message.ok_or("the link ended")??),
        stopped = tokio::signal::ctrl_c() => stopped?,
    }

    manager.disable_reconnection(id)?;
    connection.close(Duration::from_secs(2)).await;
    println!("{} is {}", connection.id(), connection.state());
    Ok(())
}
