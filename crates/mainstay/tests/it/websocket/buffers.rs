//! What becomes of messages while there is no connection, and when there is one again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mainstay::link::websocket::{
    Handshake, OutboxConfig, Overflow, Receipt, RejectReason, Rejected, SendStatus, Seq, WebSocket,
    WebSocketConfig,
};
use mainstay::link::{FailReason, StateName};
use mainstay_fault::{Fault, FaultProxy};
use tokio::time::timeout;

use super::{Command, Do, Peer, open};

const PATIENCE: Duration = Duration::from_secs(60);

fn holding(peer: &Peer, messages: u32, overflow: Overflow) -> WebSocketConfig {
    let mut config = WebSocketConfig::new(peer.url());
    config.outbox = OutboxConfig { messages, bytes: 100, age: None, overflow };
    config
}

fn reason(status: SendStatus) -> Option<RejectReason> {
    match status {
        SendStatus::Rejected(Rejected { reason, .. }) => Some(reason),
        SendStatus::Sent(_) | SendStatus::Buffered(_) | SendStatus::Dropped => None,
    }
}

#[tokio::test]
async fn w26_the_sender_is_told_what_the_policy_did_and_that_is_what_arrives() {
    let full = Some(RejectReason::Full);
    let cases: [(Overflow, _, bool, &[&str]); 4] = [
        (Overflow::Error, full, false, &["one", "two"]),
        (Overflow::DropNewest, None, true, &["one", "two"]),
        (Overflow::DropOldest, None, false, &["two", "three"]),
        (Overflow::LatestPerKey, full, false, &["one", "two"]),
    ];
    for (overflow, wanted, dropped, arrives) in cases {
        let peer = Peer::start(Do::Listen).await;
        let (socket, _incoming) = open(holding(&peer, 2, overflow));
        assert_eq!(socket.try_send("one"), SendStatus::Buffered(Seq(1)), "{overflow:?}");
        assert_eq!(socket.try_send("two"), SendStatus::Buffered(Seq(2)), "{overflow:?}");
        let third = socket.try_send("three");
        assert_eq!(third == SendStatus::Dropped, dropped, "{overflow:?}");
        assert_eq!(reason(third), wanted, "{overflow:?}");
        if overflow == Overflow::DropOldest {
            assert_eq!(socket.receipt(Seq(1)), Some(Receipt::Dropped));
        }
        socket.connect().await.unwrap();
        peer.until("all arrived", |peer| peer.heard().len() == 2).await;
        assert_eq!(peer.heard(), arrives, "{overflow:?}");
    }
}

#[tokio::test]
async fn w26_the_latest_of_a_key_takes_the_place_of_the_one_before() {
    let peer = Peer::start(Do::Listen).await;
    let (socket, _incoming) = open(holding(&peer, 3, Overflow::LatestPerKey));
    for (key, text) in [(1, "a1"), (2, "b1"), (1, "a2"), (1, "a3")] {
        assert!(socket.try_send_latest(key, text).seq().is_some());
    }
    assert_eq!(socket.receipt(Seq(1)), Some(Receipt::Dropped), "it was displaced");
    socket.connect().await.unwrap();
    peer.until("both arrived", |peer| peer.heard().len() == 2).await;
    assert_eq!(peer.heard(), ["a3", "b1"]);
}

#[tokio::test]
async fn w26_a_message_that_never_fits_is_too_large_whatever_waits() {
    for overflow in [
        Overflow::Error,
        Overflow::Wait,
        Overflow::DropNewest,
        Overflow::DropOldest,
        Overflow::LatestPerKey,
    ] {
        let peer = Peer::start(Do::Listen).await;
        let (socket, _incoming) = open(holding(&peer, 5, overflow));
        for waiting in 0..2 {
            let large = "x".repeat(101);
            let sent = timeout(PATIENCE, socket.send(large)).await.expect("it does not wait");
            assert_eq!(reason(sent), Some(RejectReason::TooLarge), "{overflow:?}, {waiting} wait");
            assert!(socket.try_send("small").seq().is_some());
        }
    }
}

#[tokio::test]
async fn w26_a_sender_that_waits_goes_on_when_there_is_room_by_time_or_by_a_connection() {
    let peer = Peer::start(Do::Listen).await;
    let mut config = holding(&peer, 1, Overflow::Wait);
    config.outbox.age = Some(Duration::from_millis(100));
    let (socket, _incoming) = open(config);
    assert!(socket.try_send("too old").seq().is_some());
    let second = timeout(PATIENCE, socket.send("second")).await.expect("the first grows old");
    assert_eq!(second, SendStatus::Buffered(Seq(2)));
    assert_eq!(socket.flushed(Seq(1)).await, Receipt::Dropped);

    let (socket, _incoming) = open(holding(&peer, 1, Overflow::Wait));
    assert!(socket.try_send("first").seq().is_some());
    let (sent, connected) = tokio::join!(socket.send("next"), async {
        tokio::task::yield_now().await;
        socket.connect().await
    });
    connected.unwrap();
    assert_eq!(socket.flushed(sent.seq().unwrap()).await, Receipt::Written);
    peer.until("both arrived", |peer| peer.heard().len() == 2).await;
    assert_eq!(peer.heard(), ["first", "next"]);
}

#[tokio::test]
async fn w27_handshake_and_subscriptions_come_before_what_waits_on_every_connection() {
    let peer = Peer::start(Do::Listen).await;
    let mut config = WebSocketConfig::new(peer.url());
    config.handshake = Some(Handshake::new(|mut opening| async move {
        opening.send("hello").await?;
        Ok(opening)
    }));
    let (socket, _incoming) = open(config);
    assert!(socket.try_send("early").seq().is_some());
    assert!(socket.subscribe("a", "subscribe a"));
    assert!(socket.subscribe("b", "subscribe b"));
    socket.connect().await.unwrap();
    let opening = ["hello", "subscribe a", "subscribe b", "early"];
    peer.until("all arrived", |peer| peer.heard().len() == 4).await;
    assert_eq!(peer.heard(), opening);
    peer.tell(Command::Reset);
    let mut watch = socket.link().watch();
    watch.wait_for(|view| !view.healthy).await.unwrap();
    assert!(socket.try_send("later").seq().is_some());
    peer.until("all arrived again", |peer| peer.heard().len() == 8).await;
    assert_eq!(peer.heard()[4..], ["hello", "subscribe a", "subscribe b", "later"]);
}

#[tokio::test]
async fn w27_a_subscription_goes_before_what_is_sent_after_it() {
    let peer = Peer::start(Do::Listen).await;
    let (socket, _incoming) = open(WebSocketConfig::new(peer.url()));
    socket.connect().await.unwrap();
    for n in 0..50 {
        let (key, message) = (format!("{n}"), format!("+{n}"));
        assert!(socket.subscribe(&key, message));
        assert!(socket.try_send(format!("uses {n}")).seq().is_some());
    }
    peer.until("all arrived", |peer| peer.heard().len() == 100).await;
    let heard = peer.heard();
    let place = |text: String| heard.iter().position(|other| *other == text).expect("it came");
    for n in 0..50 {
        assert!(place(format!("+{n}")) < place(format!("uses {n}")), "{heard:?}");
    }
}

#[tokio::test]
async fn w27_nothing_that_waits_is_sent_before_the_connection_is_ready() {
    let peer = Peer::start(Do::Listen).await;
    let open_the_door = Arc::new(AtomicBool::new(false));
    let door = open_the_door.clone();
    let mut config = WebSocketConfig::new(peer.url());
    config.handshake = Some(Handshake::new(move |mut opening| {
        let door = door.clone();
        async move {
            opening.send("hello").await?;
            while !door.load(Ordering::SeqCst) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Ok(opening)
        }
    }));
    let (socket, _incoming) = open(config);
    socket.link().begin();
    peer.until("the handshake is under way", |peer| peer.heard().len() == 1).await;
    let SendStatus::Buffered(seq) = socket.try_send("too early") else { panic!("not ready") };
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!((peer.heard().len(), socket.receipt(seq)), (1, None));
    open_the_door.store(true, Ordering::SeqCst);
    peer.until("it is sent", |peer| peer.heard() == ["hello", "too early"]).await;
}

#[tokio::test]
async fn w27_what_waits_is_thrown_away_when_the_credentials_are_refused() {
    let peer = Peer::start(Do::Refuse(401, Vec::new())).await;
    let (socket, _incoming) = open(WebSocketConfig::new(peer.url()));
    let SendStatus::Buffered(seq) = socket.try_send("for another") else { panic!("it is down") };
    socket.link().begin();
    assert_eq!(timeout(PATIENCE, socket.flushed(seq)).await.unwrap(), Receipt::Dropped);
    let mut watch = socket.link().watch();
    watch.wait_for(|view| view.state == StateName::Failed).await.unwrap();
    assert_eq!(socket.link().view().failed, Some(FailReason::CredentialsRefused));
    assert_eq!(reason(socket.try_send("again")), Some(RejectReason::Failed));
    peer.will(Do::Listen);
    socket.connect().await.unwrap();
    assert!(socket.send("mine").await.seq().is_some());
    peer.until("only that arrives", |peer| peer.heard() == ["mine"]).await;
}

#[tokio::test]
async fn w29_what_the_system_took_or_may_have_taken_is_not_sent_again() {
    let peer = Peer::start(Do::Listen).await;
    let proxy = FaultProxy::start(peer.address).await.unwrap();
    let mut config = WebSocketConfig::new(format!("ws://{}/", proxy.address()));
    config.outbox.bytes = 64 << 20;
    let (socket, _incoming) = open(config);
    socket.connect().await.unwrap();
    proxy.set(Fault::frozen());
    // More than the system takes of it.
    let large = |n: usize| format!("{n}:{}", "x".repeat(1 << 20));
    let sent: Vec<_> = (0..24).map(|n| socket.try_send(large(n)).seq().unwrap()).collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    proxy.cut_all();
    proxy.set(Fault::NONE);
    let mut fates = Vec::new();
    for seq in sent {
        fates.push(timeout(PATIENCE, socket.flushed(seq)).await.expect("it has a fate"));
    }
    assert!(fates.contains(&Receipt::Unknown), "{fates:?}");
    assert!(!fates.contains(&Receipt::Dropped), "{fates:?}");
    // Nothing that was unknown comes again, and what comes has been said to be written.
    assert!(socket.send("end").await.seq().is_some());
    peer.until("the end", |peer| peer.heard().last().is_some_and(|last| last == "end")).await;
    let heard = peer.heard();
    let numbers = heard.iter().filter_map(|text| text.split_once(':')?.0.parse::<usize>().ok());
    let numbers: Vec<_> = numbers.collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "none twice: {numbers:?}");
    for number in numbers {
        assert_eq!(fates[number], Receipt::Written, "{number}");
    }
}

/// A link whose handshake waits until the door is open.
fn with_door(peer: &Peer) -> (WebSocket, mainstay::link::websocket::Incoming, Arc<AtomicBool>) {
    let door = Arc::new(AtomicBool::new(true));
    let opened = door.clone();
    let mut config = WebSocketConfig::new(peer.url());
    config.subscriptions.set("old", "+old");
    config.subscriptions.set("gone", "+gone");
    // The first subscriptions are said by then: it is slow to be ready after them.
    config.provider = Some(mainstay::link::websocket::Provider::new(move |_| {
        let door = opened.clone();
        async move {
            while !door.load(Ordering::SeqCst) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Ok(mainstay::link::websocket::Offer::default())
        }
    }));
    let (socket, incoming) = open(config);
    (socket, incoming, door)
}

/// What is subscribed at a server that heard these.
fn subscribed(heard: &[String]) -> Vec<&str> {
    let mut set = Vec::new();
    for text in heard {
        match text.split_at(1) {
            ("+", key) => {
                assert!(!set.contains(&key), "{key} is subscribed twice: {heard:?}");
                set.push(key);
            }
            ("-", key) => {
                assert!(set.contains(&key), "{key} was not subscribed: {heard:?}");
                set.retain(|other| *other != key);
            }
            _ => {}
        }
    }
    set
}

#[tokio::test]
async fn w32_what_is_subscribed_is_exactly_what_is_wanted_whenever_that_changes() {
    let peer = Peer::start(Do::Listen).await;
    let (socket, _incoming, _door) = with_door(&peer);
    socket.connect().await.unwrap();
    peer.until("the first two", |peer| subscribed(&peer.heard()) == ["old", "gone"]).await;
    assert!(socket.subscribe("live", "+live"));
    assert!(socket.unsubscribe("gone", Some("-gone".into())));
    peer.until("changed", |peer| subscribed(&peer.heard()) == ["old", "live"]).await;
    let before = peer.heard().len();
    // While it is down.
    socket.link().disconnect().await;
    assert!(socket.unsubscribe("old", Some("-old".into())));
    assert!(socket.subscribe("new", "+new"));
    assert!(!socket.unsubscribe("never", Some("-never".into())));
    socket.connect().await.unwrap();
    assert!(socket.send("end").await.seq().is_some());
    peer.until("it is back", |peer| peer.heard().last().is_some_and(|last| last == "end")).await;
    assert_eq!(peer.heard()[before..], ["+live", "+new", "end"]);
}

#[tokio::test]
async fn w32_a_change_that_meets_a_lost_connection_is_said_once_on_the_next() {
    let peer = Peer::start(Do::Listen).await;
    let (socket, _incoming, door) = with_door(&peer);
    socket.connect().await.unwrap();
    peer.until("the first two", |peer| peer.heard().len() == 2).await;
    door.store(false, Ordering::SeqCst);
    peer.tell(Command::Reset);
    peer.until("it is lost", |peer| peer.open() == 0).await;
    // The link may know of it, or not yet.
    assert!(socket.subscribe("late", "+late"));
    assert!(socket.unsubscribe("gone", Some("-gone".into())));
    door.store(true, Ordering::SeqCst);
    peer.until("another connection", |peer| peer.open() == 1).await;
    socket.connect().await.unwrap();
    assert!(socket.send("end").await.seq().is_some());
    peer.until("the end", |peer| peer.heard().last().is_some_and(|last| last == "end")).await;
    assert_eq!(peer.heard()[2..], ["+old", "+late", "end"]);
}

#[tokio::test]
async fn w32_what_changes_while_the_subscriptions_are_on_their_way_is_said_after_them() {
    let peer = Peer::start(Do::Listen).await;
    let proxy = FaultProxy::start(peer.address).await.unwrap();
    let config = WebSocketConfig::new(format!("ws://{}/", proxy.address()));
    // More than the system takes: it is on its way for as long as the network stands still.
    let large = format!("+large{}", "x".repeat(12 << 20));
    config.subscriptions.set("large", large.clone());
    config.subscriptions.set("gone", "+gone");
    let (socket, _incoming) = open(config);
    socket.link().begin();
    peer.until("the upgrade", |peer| peer.counts.upgrades.load(Ordering::SeqCst) == 1).await;
    proxy.set(Fault::frozen());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(socket.subscribe("late", "+late"));
    assert!(socket.unsubscribe("gone", Some("-gone".into())));
    proxy.set(Fault::NONE);
    socket.connect().await.unwrap();
    assert!(socket.send("end").await.seq().is_some());
    peer.until("the end", |peer| peer.heard().last().is_some_and(|last| last == "end")).await;
    assert_eq!(subscribed(&peer.heard()), [&large[1..], "late"]);
}

#[tokio::test]
async fn w38_what_waits_goes_with_a_disconnect_and_stays_in_a_pause() {
    let peer = Peer::start(Do::Listen).await;
    let (socket, _incoming) = open(WebSocketConfig::new(peer.url()));
    socket.connect().await.unwrap();
    socket.link().pause();
    let kept = socket.try_send("kept").seq().unwrap();
    socket.link().resume();
    assert_eq!(timeout(PATIENCE, socket.flushed(kept)).await.unwrap(), Receipt::Written);
    socket.link().pause();
    let private = socket.try_send("of the last user").seq().unwrap();
    socket.link().disconnect().await;
    assert_eq!(timeout(PATIENCE, socket.flushed(private)).await.unwrap(), Receipt::Dropped);
    socket.connect().await.unwrap();
    let next = socket.send("of the next user").await.seq().unwrap();
    assert_eq!(timeout(PATIENCE, socket.flushed(next)).await.unwrap(), Receipt::Written);
    peer.until("it arrived", |peer| peer.heard().len() >= 2).await;
    assert_eq!(peer.heard(), ["kept", "of the next user"]);
}
