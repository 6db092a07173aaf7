mod cuts;
mod endings;
mod peer;
mod resuming;

use std::time::Duration;

use mainstay::link::session::{Event, Raw, SessionConfig, SessionIncoming, SessionLink};
use mainstay::link::websocket::{HandshakeConfig, HandshakeLimiter};
use mainstay::link::{LinkConfig, LinkOptions};

pub(crate) use peer::{Mood, Server};

/// Defaults with waits that a test does not notice.
pub(crate) fn quick() -> LinkConfig {
    let mut config = LinkConfig::websocket();
    config.close_timeout = Duration::from_secs(2);
    config.reconnect.backoff.base = Duration::from_millis(2);
    config.reconnect.backoff.cap = Duration::from_millis(20);
    config.reconnect.hint_cap = Duration::from_millis(20);
    config
}

/// A session with the server at `url`, which no other test holds up.
pub(crate) fn config(url: &str) -> SessionConfig {
    let mut config = SessionConfig::new(url, "test", "1");
    let wide = HandshakeConfig { per_second: 1_000_000, burst: 100_000, at_once: 4_096 };
    config.socket.limiter = HandshakeLimiter::new(&wide).unwrap();
    config.stream.ack_messages = 16;
    config.stream.ack_after = Duration::from_millis(5);
    config
}

pub(crate) fn open(config: SessionConfig) -> (SessionLink, SessionIncoming) {
    SessionLink::open(LinkOptions::websocket("test").config(quick()), config).unwrap()
}

pub(crate) fn number(n: usize) -> Raw {
    Raw::new(&n.to_string()).unwrap()
}

/// The next thing that comes.
pub(crate) async fn next(incoming: &mut SessionIncoming) -> Event {
    let next = within("something to come", incoming.recv()).await;
    next.expect("the link lives")
}

/// The next thing, which is a message; as text.
pub(crate) async fn message(incoming: &mut SessionIncoming) -> String {
    let event = next(incoming).await;
    let Event::Message(received) = event else { panic!("no message, but {event:?}") };
    received.payload.as_str().to_owned()
}

/// Waits for a minute at most.
pub(crate) async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(60), work).await {
        Ok(result) => result,
        Err(_) => panic!("never: {what}"),
    }
}
