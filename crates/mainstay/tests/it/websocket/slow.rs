//! Applications that are slower than their peers.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use mainstay::link::websocket::{IncomingConfig, Missed, Slow, WebSocketConfig};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::{Do, Peer, next, open};

const PATIENCE: Duration = Duration::from_secs(60);
const TOLD: usize = 100;
const HELD: usize = 10;

fn slow(peer: &Peer, slow: Slow) -> WebSocketConfig {
    let mut config = WebSocketConfig::new(peer.url());
    config.incoming = IncomingConfig { messages: HELD, slow, ..IncomingConfig::default() };
    config
}

#[tokio::test]
async fn w34_who_is_too_slow_loses_the_oldest_or_the_newest_and_is_told_how_many() {
    for (policy, first) in [(Slow::DropOldest, TOLD - HELD), (Slow::DropNewest, 0)] {
        let peer = Peer::start(Do::Tell(TOLD)).await;
        let (socket, mut incoming) = open(slow(&peer, policy));
        socket.connect().await.unwrap();
        peer.until("all came", |_| socket.stats().received == TOLD as u64).await;
        let missed = Missed((TOLD - HELD) as u64);
        assert_eq!(timeout(PATIENCE, incoming.recv()).await.unwrap(), Some(Err(missed)));
        for n in first..first + HELD {
            assert_eq!(next(&mut incoming).await, n.to_string(), "{policy:?}");
        }
        assert_eq!((socket.stats().missed, socket.stats().waiting), (missed.0, 0));
        assert_eq!(socket.link().stats().total_connections, 1, "nobody was cut off");
    }
}

#[tokio::test]
async fn w34_who_is_too_slow_is_cut_off_if_that_is_wanted() {
    let peer = Peer::start(Do::Tell(TOLD).then(Do::Tell(1))).await;
    let (socket, mut incoming) = open(slow(&peer, Slow::Disconnect));
    let mut events = socket.link().subscribe();
    socket.connect().await.unwrap();
    let error = loop {
        let event = timeout(PATIENCE, events.recv()).await.expect("it is told").unwrap();
        if event.is_called("error") {
            break event.error.clone().unwrap();
        }
    };
    assert!(error.contains("we were too slow"), "{error}");
    // While nobody takes what is held, each connection ends as this one did.
    peer.until("it comes back", |peer| peer.attempts() >= 2).await;
    // What was held is still there, in order, and then comes the next connection's.
    for n in 0..HELD {
        assert_eq!(next(&mut incoming).await, n.to_string());
    }
    assert_eq!(next(&mut incoming).await, "0");
}

#[tokio::test]
async fn w34_pings_are_answered_while_the_application_takes_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut config = WebSocketConfig::new(format!("ws://{address}/"));
    config.incoming.messages = HELD;
    let (socket, incoming) = open(config);
    socket.link().begin();
    let (stream, _) = listener.accept().await.unwrap();
    let mut ws = tokio_tungstenite::accept_async(stream).await.unwrap();
    for round in 0..20_u8 {
        for _ in 0..TOLD {
            ws.feed(Message::text("more than it holds")).await.unwrap();
        }
        ws.send(Message::Ping(vec![round].into())).await.unwrap();
        loop {
            let frame = timeout(PATIENCE, ws.next()).await.expect("it answers").unwrap().unwrap();
            if frame == Message::Pong(vec![round].into()) {
                break;
            }
        }
    }
    assert_eq!(socket.stats().waiting, HELD as u64);
    drop(incoming);
}
