//! Sessions of real clients.

use std::time::Duration;

use mainstay::link::session::{Event, SessionConfig, SessionIncoming, SessionLink, StreamConfig};
use mainstay::link::websocket::{HandshakeConfig, HandshakeLimiter};
use mainstay::link::{LinkConfig, LinkOptions};
use tokio::time::timeout;

use crate::running::{PATIENCE, Running};

mod cuts;
mod hooks;
mod identity;
mod living;
mod mounted;
mod plain;
mod raw;
mod rules;
mod secure;
mod talking;

/// A client of the library that is quick to come back.
fn link(address: &str) -> (SessionLink, SessionIncoming) {
    let mut config = SessionConfig::new(format!("ws://{address}/v1/connect"), "test", "1");
    config.stream =
        StreamConfig { ack_messages: 16, ack_after: Duration::from_millis(5), ..config.stream };
    let wide = HandshakeConfig { per_second: 1_000_000, burst: 100_000, at_once: 4_096 };
    config.socket.limiter = HandshakeLimiter::new(&wide).unwrap();
    let mut link = LinkConfig::websocket();
    link.close_timeout = Duration::from_secs(2);
    link.reconnect.backoff.base = Duration::from_millis(2);
    link.reconnect.backoff.cap = Duration::from_millis(20);
    link.reconnect.hint_cap = Duration::from_millis(20);
    SessionLink::open(LinkOptions::websocket("test").config(link), config).unwrap()
}

/// So many messages, nothing else.
async fn hear(incoming: &mut SessionIncoming, count: usize) -> Vec<String> {
    let mut heard = Vec::new();
    while heard.len() < count {
        let event =
            timeout(PATIENCE, incoming.recv()).await.expect("it comes").expect("it goes on");
        match event {
            Event::Message(received) => heard.push(received.payload.as_str().to_owned()),
            event @ (Event::Restarted(_) | Event::Fault(_) | Event::Missed(_)) => {
                panic!("{event:?} after {} messages", heard.len());
            }
        }
    }
    incoming.done();
    heard
}

/// Waits for half a minute at most.
async fn until(running: &Running, what: &str, is_it: impl Fn(&Running) -> bool) {
    for _ in 0..3_000 {
        if is_it(running) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}; {:?}", running.handle.counts());
}

fn id(welcome: &mainstay_wire::Welcome) -> mainstay_server::registry::SessionId {
    welcome.session.parse().unwrap()
}
