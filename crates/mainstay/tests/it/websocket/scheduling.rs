use std::time::Duration;

use super::{Do, Peer, open_with};
use mainstay::link::websocket::WebSocketConfig;
use mainstay::link::{LinkConfig, StateName};

#[tokio::test]
async fn w18_a_server_that_drops_at_once_sees_one_socket_at_a_time() {
    for what in [Do::Close(1000), Do::Close(1011), Do::Reset] {
        let peer = Peer::start(what).await;
        let mut link = LinkConfig::websocket();
        link.reconnect.backoff.base = Duration::from_millis(50);
        let (socket, _incoming) = open_with(link, WebSocketConfig::new(peer.url()));
        socket.link().begin();
        peer.until("three attempts", |peer| peer.attempts() >= 3).await;
        assert_eq!(peer.most_open(), 1);
        assert_ne!(socket.link().view().state, StateName::Failed);
        socket.shutdown().await;
    }
}
