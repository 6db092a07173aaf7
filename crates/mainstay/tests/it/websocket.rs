mod attempts;
mod buffers;
mod callbacks;
mod closing;
mod credentials;
mod dead;
mod leaks;
mod messages;
mod moving;
mod namespace;
mod peer;
mod real;
mod requests;
mod scheduling;
mod seed_003;
mod slow;

use std::time::Duration;

use mainstay::link::websocket::{Incoming, WebSocket, WebSocketConfig};
use mainstay::link::{LinkConfig, LinkOptions};

pub(crate) use peer::{Command, Do, Peer};

/// Defaults with waits that a test does not notice.
pub(crate) fn quick() -> LinkConfig {
    let mut config = LinkConfig::websocket();
    config.close_timeout = Duration::from_secs(2);
    config.reconnect.backoff.base = Duration::from_millis(20);
    config.reconnect.backoff.cap = Duration::from_millis(200);
    config.reconnect.hint_cap = Duration::from_millis(50);
    config
}

pub(crate) fn open(config: WebSocketConfig) -> (WebSocket, Incoming) {
    open_with(quick(), config)
}

pub(crate) fn open_with(link: LinkConfig, config: WebSocketConfig) -> (WebSocket, Incoming) {
    WebSocket::open(LinkOptions::websocket("test").config(link), config).unwrap()
}

/// The next message as text.
pub(crate) async fn next(incoming: &mut Incoming) -> String {
    let next = tokio::time::timeout(Duration::from_secs(60), incoming.recv()).await;
    let message = next.expect("a message came in time").expect("the link lives");
    message.expect("nothing was missed").as_text().expect("it is text").to_owned()
}
