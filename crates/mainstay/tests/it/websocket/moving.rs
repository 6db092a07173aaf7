//! Links that move to another connection or another server, and links that pause.

use std::sync::atomic::Ordering;
use std::time::Duration;

use mainstay::core::link::EndpointsConfig;
use mainstay::link::websocket::{SendStatus, WebSocketConfig};
use mainstay::link::{StateName, SuspendReason};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::{Command, Do, Peer, next, open};

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn w41_a_link_leaves_a_server_that_died_and_moves_back_when_it_is_well() {
    let first = Peer::start(Do::Echo).await;
    let second = Peer::start(Do::Echo).await;
    let (address, mut config) = (first.address, WebSocketConfig::new(first.url()));
    config.more_urls = vec![second.url()];
    config.endpoints =
        EndpointsConfig { return_after: Duration::from_millis(50), ..EndpointsConfig::default() };
    config.endpoints.ejection.base = Duration::from_millis(20);
    config.endpoints.ejection.cap = Duration::from_millis(100);
    let (socket, mut incoming) = open(config);
    socket.connect().await.unwrap();
    assert_eq!((first.open(), second.attempts()), (1, 0), "sticky while it is well");
    drop(first);
    second.until("it is there instead", |peer| peer.open() == 1).await;
    socket.connect().await.unwrap();
    assert!(socket.send("elsewhere").await.seq().is_some());
    assert_eq!(next(&mut incoming).await, "elsewhere");
    let made = socket.link().stats().total_reconnections;
    // Nobody listens at the first: it is asked, and not gone to.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!((second.open(), socket.link().view().state), (1, StateName::Connected));
    let first = Peer::on(TcpListener::bind(address).await.unwrap(), Do::Echo);
    first.until("it moves back", |peer| peer.open() == 1).await;
    second.until("the other is left", |peer| peer.open() == 0).await;
    assert_eq!(socket.link().stats().total_reconnections, made, "make before break");
    assert!(socket.send("home").await.seq().is_some());
    assert_eq!(next(&mut incoming).await, "home");
}

#[tokio::test]
async fn w42_a_paused_link_makes_no_attempt_and_keeps_to_its_policy_for_messages() {
    let peer = Peer::start(Do::Listen).await;
    let mut config = WebSocketConfig::new(peer.url());
    config.outbox.messages = 2;
    let (socket, _incoming) = open(config);
    socket.connect().await.unwrap();
    socket.link().pause();
    peer.until("it is closed", |peer| peer.open() == 0).await;
    let attempts = peer.attempts();
    let taken: Vec<_> = (0..3).map(|n| socket.try_send(n.to_string())).collect();
    assert!(matches!(taken[0], SendStatus::Buffered(_)), "{taken:?}");
    assert!(matches!(taken[1], SendStatus::Buffered(_)), "{taken:?}");
    assert!(matches!(taken[2], SendStatus::Rejected(_)), "{taken:?}");
    socket.link().woke();
    socket.link().migrate();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(peer.attempts(), attempts);
    assert_eq!(socket.link().view().suspended, Some(SuspendReason::Paused));
    socket.link().resume();
    peer.until("what waited has come", |peer| peer.heard() == ["0", "1"]).await;
    assert_eq!(peer.attempts(), attempts + 1);
}

#[tokio::test]
async fn w43_nothing_is_lost_doubled_or_reordered_while_connections_change() {
    const MESSAGES: usize = 20_000;
    let peer = Peer::start(Do::Echo).await;
    let mut config = WebSocketConfig::new(peer.url());
    (config.incoming.messages, config.outbox.messages) = (MESSAGES, 100_000);
    config.outbox.bytes = 64 << 20;
    let (socket, mut incoming) = open(config);
    socket.connect().await.unwrap();
    let sender = tokio::spawn({
        let socket = socket.clone();
        async move {
            for n in 0..MESSAGES {
                assert!(matches!(socket.send(n.to_string()).await, SendStatus::Sent(_)));
                if n % 50 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        }
    });
    let mut heard = Vec::new();
    let mut events = socket.link().subscribe();
    while heard.len() < MESSAGES {
        if heard.len() % 2_000 == 0 {
            socket.link().migrate();
        }
        heard.push(next(&mut incoming).await.parse::<usize>().unwrap());
    }
    sender.await.unwrap();
    assert!(heard.iter().copied().eq(0..MESSAGES), "{:?}", first_odd(&heard));
    peer.until("one is left", |peer| peer.open() == 1).await;
    let mut moved = 0;
    while let Ok(event) = events.try_recv() {
        assert!(["link.migrated", "link.stable"].contains(&event.name()), "{event:?}");
        moved += usize::from(event.is_called("link.migrated"));
    }
    assert!(moved >= 2, "{moved} migrations");
    assert_eq!(peer.counts.upgrades.load(Ordering::SeqCst), moved + 1);
    // One that serves, one that takes over, and perhaps one that is still being drained.
    assert!(peer.most_open() <= 3, "{}", peer.most_open());
}

/// The first place where another message stands, and which.
fn first_odd(heard: &[usize]) -> Option<(usize, usize)> {
    heard.iter().copied().enumerate().find(|(at, n)| at != n)
}

#[tokio::test]
async fn w43_a_migration_that_fails_leaves_the_connection_that_serves() {
    let peer = Peer::start(Do::Echo.then(Do::Refuse(503, Vec::new()))).await;
    let (socket, mut incoming) = open(WebSocketConfig::new(peer.url()));
    let mut events = socket.link().subscribe();
    socket.connect().await.unwrap();
    for word in ["one", "two"] {
        socket.link().migrate();
        loop {
            let event = timeout(PATIENCE, events.recv()).await.expect("it is told").unwrap();
            if event.is_called("link.migration.failed") {
                break;
            }
        }
        assert!(socket.send(word).await.seq().is_some());
        assert_eq!(next(&mut incoming).await, word);
    }
    assert_eq!((peer.open(), socket.link().stats().total_connections), (1, 1));
}

#[tokio::test]
async fn w43_a_pause_at_the_moment_of_a_migration_leaves_no_connection() {
    let peer = Peer::start(Do::Echo).await;
    let (socket, mut incoming) = open(WebSocketConfig::new(peer.url()));
    socket.connect().await.unwrap();
    let own = socket.clone();
    let listener = socket.link().on("link.migrated", move |_| own.link().pause());
    drop(listener.unwrap());
    socket.link().migrate();
    peer.until("the second came", |peer| peer.counts.upgrades.load(Ordering::SeqCst) == 2).await;
    peer.until("both are closed", |peer| peer.open() == 0).await;
    assert_eq!(socket.link().view().suspended, Some(SuspendReason::Paused));
    socket.connect().await.unwrap();
    assert!(socket.send("again").await.seq().is_some());
    assert_eq!(next(&mut incoming).await, "again");
    peer.tell(Command::Say("bye".into()));
    assert_eq!(next(&mut incoming).await, "bye", "one connection says it once");
}
