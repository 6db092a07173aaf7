//! Attempts: how long each may take, how many there are at a time, and what is left of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mainstay::core::config::Ratio;
use mainstay::core::policy::breaker::BreakerConfig;
use mainstay::core::policy::gate::GateConfig;
use mainstay::gate::Gates;
use mainstay::link::websocket::{
    Guard, Handshake, HandshakeConfig, HandshakeLimiter, Incoming, WebSocket, WebSocketConfig,
};
use mainstay::link::{LinkConfig, StateName, SuspendReason};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

use super::{Do, Peer, open, open_with, quick};

const PATIENCE: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_millis(100);

/// A handshake that waits for what never comes.
fn waiting() -> Handshake {
    Handshake::new(|mut opening| async move {
        opening.recv().await?;
        Ok(opening)
    })
}

#[tokio::test]
async fn w11_upgrade_and_handshake_end_each_at_its_own_deadline() {
    let silent = Peer::start(Do::Silence).await;
    let mute = Peer::start(Do::Listen).await;
    let mut upgrade = WebSocketConfig::new(silent.url());
    upgrade.upgrade_timeout = SOON;
    let mut handshake = WebSocketConfig::new(mute.url());
    (handshake.handshake, handshake.handshake_timeout) = (Some(waiting()), SOON);
    let cases = [
        (upgrade, "the upgrade took longer than 100ms"),
        (handshake, "the application's handshake took longer than 100ms"),
    ];
    for (config, wanted) in cases {
        let (socket, _incoming) = open(config);
        let error = timeout(PATIENCE, socket.connect()).await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), format!("the dial failed: {wanted}"));
    }
}

#[tokio::test]
async fn w11_all_phases_together_end_at_the_deadline_of_the_attempt() {
    let silent = Peer::start(Do::Silence).await;
    let mute = Peer::start(Do::Listen).await;
    let mut handshake = WebSocketConfig::new(mute.url());
    (handshake.handshake, handshake.handshake_timeout) = (Some(waiting()), PATIENCE);
    let mut upgrade = WebSocketConfig::new(silent.url());
    upgrade.upgrade_timeout = PATIENCE;
    for config in [upgrade, handshake] {
        let link = LinkConfig { dial_timeout: SOON, ..quick() };
        let (socket, _incoming) = open_with(link, config);
        let error = timeout(PATIENCE, socket.connect()).await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), "the dial failed: timed out");
    }
    mute.until("their sockets are closed", |peer| peer.open() <= 1).await;
}

#[tokio::test]
async fn w12_an_attempt_that_is_cancelled_closes_its_socket_and_is_heard_of_no_more() {
    let peer = Peer::start(Do::Listen).await;
    let mut config = WebSocketConfig::new(peer.url());
    config.handshake = Some(Handshake::new(|opening| async move {
        tokio::time::sleep(SOON).await;
        Ok(opening)
    }));
    let (socket, _incoming) = open(config);
    for round in 1..=5 {
        socket.link().begin();
        peer.until("the upgrade", |peer| peer.counts.upgrades.load(Ordering::SeqCst) == round)
            .await;
        socket.link().disconnect().await;
        peer.until("it is closed", |peer| peer.open() == 0).await;
    }
    let mut watch = socket.link().watch();
    let late = timeout(SOON * 3, watch.wait_for(|view| view.state != StateName::Disconnected));
    assert!(late.await.is_err(), "no late connection");
    assert_eq!(socket.link().stats().total_connections, 0);
}

#[tokio::test]
async fn w18_commands_during_a_slow_handshake_never_make_a_second_socket() {
    let peer = Peer::start(Do::Listen).await;
    let mut config = WebSocketConfig::new(peer.url());
    config.handshake = Some(Handshake::new(|opening| async move {
        tokio::time::sleep(Duration::from_millis(30)).await;
        Ok(opening)
    }));
    let (socket, _incoming) = open(config);
    for round in 0..60_u64 {
        socket.link().begin();
        if round % 3 != 0 {
            tokio::time::sleep(Duration::from_millis(round % 20)).await;
        }
        match round % 6 {
            0 => socket.link().begin(),
            1 => drop(tokio::spawn({
                let socket = socket.clone();
                async move { socket.link().check_now().await }
            })),
            2 => socket.link().reset(),
            3 => socket.link().woke(),
            4 => {
                socket.link().pause();
                socket.link().resume();
            }
            _ => {
                socket.link().disconnect().await;
                // It is checked without being connected: that takes a socket, too.
                let check = tokio::spawn({
                    let socket = socket.clone();
                    async move { socket.link().check_now().await }
                });
                tokio::task::yield_now().await;
                socket.link().begin();
                drop(check);
            }
        }
    }
    timeout(PATIENCE, async { while socket.connect().await.is_err() {} }).await.unwrap();
    peer.until("one is left", |peer| peer.open() == 1).await;
    // The end of one and the beginning of the next meet at the server: it sees both for a moment.
    assert!(peer.most_open() <= 2, "{} at a time", peer.most_open());
}

/// Links to `peer` that share one breaker, which opens at the third failure.
fn guarded(peer: &Peer, links: usize, open_for: Duration) -> Vec<(WebSocket, Incoming)> {
    let mut breaker = BreakerConfig { consecutive_failures: 3, ..BreakerConfig::default() };
    (breaker.open.base, breaker.open.jitter) = (open_for, Ratio::percent(0));
    (breaker.half_open.probes, breaker.half_open.lease) = (1, Some(PATIENCE));
    let gate = GateConfig { breaker: Some(breaker), budget: None, ..GateConfig::default() };
    let guard = Guard::new(Gates::default(), gate);
    let mut link = quick();
    link.reconnect.attempts = Some(8);
    let open = |_| {
        let mut config = WebSocketConfig::new(peer.url());
        config.guard = Some(guard.clone());
        open_with(link, config)
    };
    (0..links).map(open).collect()
}

#[tokio::test]
async fn w15_an_open_breaker_opens_no_socket_for_any_link_and_uses_up_no_attempt() {
    let peer = Peer::start(Do::Refuse(503, Vec::new())).await;
    let links = guarded(&peer, 10, PATIENCE);
    let held = |(socket, _): &(WebSocket, Incoming)| {
        socket.link().view().suspended == Some(SuspendReason::BreakerOpen)
    };
    // One link opens the breaker alone: of two, one may dial while the other fails for the third time.
    links[0].0.connect().await.unwrap_err();
    peer.until("the first is held back", |_| held(&links[0])).await;
    for (socket, _) in &links[1..] {
        socket.connect().await.unwrap_err();
    }
    peer.until("all are held back", |_| links.iter().all(held)).await;
    let attempts = peer.attempts();
    assert_eq!(attempts, 3);
    for (socket, _) in &links {
        // Neither a kick nor time goes round it.
        socket.link().begin();
        socket.link().woke();
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(peer.attempts(), attempts);
    let used: u32 = links.iter().map(|(socket, _)| socket.link().view().attempt).sum();
    assert!(used <= 3, "{used} attempts are used up");
}

#[tokio::test]
async fn w15_a_half_open_breaker_lets_one_of_many_links_through() {
    let peer = Peer::start(Do::Refuse(503, Vec::new())).await;
    let links = guarded(&peer, 10, Duration::from_millis(300));
    for (socket, _) in &links {
        drop(socket.connect().await);
    }
    // From now on a dial hangs: whoever is let through keeps the place.
    peer.will(Do::Silence);
    let attempts = peer.attempts();
    peer.until("one is let through", |peer| peer.attempts() > attempts).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(peer.attempts(), attempts + 1, "and no other");
    let failed = links.iter().filter(|(socket, _)| socket.link().view().failed.is_some());
    assert_eq!(failed.count(), 0, "being turned away uses up no attempts");
}

#[tokio::test]
async fn w16_a_storm_of_links_is_bounded_in_number_and_in_rate() {
    const LINKS: usize = 300;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut times = Vec::new();
    let limits = HandshakeConfig { per_second: 200, burst: 20, at_once: 8 };
    let limiter = HandshakeLimiter::new(&limits).unwrap();
    let begun = Instant::now();
    let links: Vec<_> = (0..LINKS)
        .map(|_| {
            let mut config = WebSocketConfig::new(format!("ws://{address}/"));
            config.limiter = limiter.clone();
            let link = super::open(config);
            link.0.link().begin();
            link
        })
        .collect();
    for _ in 0..LINKS {
        let accepted = timeout(PATIENCE, listener.accept()).await.expect("all come");
        times.push(begun.elapsed());
        let (stream, _) = accepted.unwrap();
        let (open, most) = (open.clone(), most.clone());
        tokio::spawn(async move {
            most.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // The handshake takes its time; then there is one less.
            tokio::time::sleep(Duration::from_millis(5)).await;
            open.fetch_sub(1, Ordering::SeqCst);
            let ws = tokio_tungstenite::accept_async(stream).await;
            std::future::pending::<()>().await;
            drop(ws);
        });
    }
    assert!(most.load(Ordering::SeqCst) <= 8, "{} at once", most.load(Ordering::SeqCst));
    // No faster than the rate allows, with the burst it began with.
    for (n, at) in times.iter().enumerate() {
        let earliest = Duration::from_secs(1) * u32::try_from(n.saturating_sub(20)).unwrap() / 200;
        assert!(*at + Duration::from_millis(50) >= earliest, "number {n} after {at:?}");
    }
    for (socket, _) in &links {
        timeout(PATIENCE, async { while socket.connect().await.is_err() {} }).await.unwrap();
    }
    assert_eq!(limiter.free(), 8, "every turn was given back");
}
