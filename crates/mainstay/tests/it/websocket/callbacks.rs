//! Callbacks of the application that use the link they are called by, and that panic.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mainstay::link::websocket::{
    Classify, Ending, Handshake, Offer, Provider, WebSocket, WebSocketConfig,
};
use mainstay::link::{LinkEvent, Listener};
use tokio::time::timeout;

use super::{Command, Do, Peer, next, open, quick};

const PATIENCE: Duration = Duration::from_secs(60);

fn on(socket: &WebSocket, name: &str, call: impl Fn(&LinkEvent) + Send + Sync + 'static) {
    drop(socket.link().on(name, call).unwrap());
}

#[tokio::test]
async fn w39_every_command_may_be_given_from_every_callback() {
    let commands: [fn(&WebSocket); 9] = [
        |socket| socket.link().begin(),
        |socket| socket.link().reset(),
        |socket| socket.link().pause(),
        |socket| socket.link().resume(),
        |socket| socket.link().migrate(),
        |socket| socket.link().woke(),
        |socket| drop(socket.try_send("from a callback")),
        |socket| assert!(socket.subscribe("key", "from a callback")),
        |socket| socket.link().reconfigure(&quick()).unwrap(),
    ];
    for command in commands {
        let peer = Peer::start(Do::Tell(1)).await;
        let (socket, _incoming) = open(WebSocketConfig::new(peer.url()));
        let calls = Arc::new(AtomicUsize::new(0));
        let (of_link, of_message) = (socket.clone(), socket.clone());
        let (counted, counted_too) = (calls.clone(), calls.clone());
        on(&socket, "*", move |_| {
            // Twice: a command may lead to an event that leads to the command.
            if counted.fetch_add(1, Ordering::SeqCst) < 2 {
                command(&of_link);
            }
        });
        socket.on_message(move |_| {
            if counted_too.fetch_add(1, Ordering::SeqCst) < 100 {
                counted_too.fetch_add(100, Ordering::SeqCst);
                command(&of_message);
            }
        });
        socket.link().begin();
        peer.until("it was called", |_| calls.load(Ordering::SeqCst) >= 2).await;
        // It lives, and does what it is told.
        let connected = async {
            while socket.connect().await.is_err() || calls.load(Ordering::SeqCst) < 3 {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, connected).await.unwrap();
        timeout(PATIENCE, socket.shutdown()).await.unwrap();
    }
}

#[tokio::test]
async fn w39_a_callback_may_disconnect_and_wait_for_it_elsewhere() {
    let peer = Peer::start(Do::Echo).await;
    let (socket, _incoming) = open(WebSocketConfig::new(peer.url()));
    let (done, mut was_done) = super::peer::channel();
    let own = socket.clone();
    on(&socket, "link.connected", move |_| {
        let (own, done) = (own.clone(), done.clone());
        tokio::spawn(async move {
            own.link().disconnect().await;
            done.send(()).unwrap();
        });
    });
    drop(socket.connect().await);
    timeout(PATIENCE, was_done.recv()).await.unwrap().unwrap();
    peer.until("the server saw it", |peer| peer.open() == 0).await;
}

#[tokio::test]
async fn w39_a_listener_may_remove_itself_and_others_while_they_are_called() {
    let peer = Peer::start(Do::Echo).await;
    let (socket, _incoming) = open(WebSocketConfig::new(peer.url()));
    let listeners: Arc<Mutex<Vec<Listener>>> = Arc::default();
    let calls = Arc::new(AtomicUsize::new(0));
    for _ in 0..5 {
        let (all, calls) = (listeners.clone(), calls.clone());
        let listener = socket.link().on("link.connected", move |_| {
            calls.fetch_add(1, Ordering::SeqCst);
            all.lock().unwrap().iter().for_each(Listener::remove);
        });
        listeners.lock().unwrap().push(listener.unwrap());
    }
    socket.connect().await.unwrap();
    let called = calls.load(Ordering::SeqCst);
    assert_eq!(called, 5, "those that were there when it happened");
    assert_eq!(socket.link().listeners(), 0);
    peer.tell(Command::Reset);
    peer.until("a second connection", |peer| peer.counts.upgrades.load(Ordering::SeqCst) == 2)
        .await;
    socket.connect().await.unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), called);
}

#[tokio::test]
async fn w39_a_panic_in_a_listener_disturbs_nobody() {
    let peer = Peer::start(Do::Tell(3)).await;
    let (socket, _incoming) = open(WebSocketConfig::new(peer.url()));
    let heard = Arc::new(AtomicUsize::new(0));
    let counted = heard.clone();
    on(&socket, "*", |_| panic!("a listener's own bug"));
    socket.on_message(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        panic!("another's own bug");
    });
    socket.connect().await.unwrap();
    peer.until("all three came", |_| heard.load(Ordering::SeqCst) == 3).await;
    assert!(socket.link().view().healthy);
}

/// A configuration whose callback panics as long as `bug` is there, and how often it did.
fn with_bug(peer: &Peer, which: &str) -> (WebSocketConfig, Arc<AtomicUsize>) {
    let mut config = WebSocketConfig::new(peer.url());
    let left = Arc::new(AtomicUsize::new(2));
    let bug = left.clone();
    let strike = move || {
        let strikes = bug.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        assert!(strikes.is_err(), "the application's own bug");
    };
    match which {
        "provider" => {
            config.provider = Some(Provider::new(move |_| {
                strike();
                async { Ok(Offer::default()) }
            }));
        }
        "provider's future" => {
            config.provider = Some(Provider::new(move |_| {
                let strike = strike.clone();
                async move {
                    strike();
                    Ok(Offer::default())
                }
            }));
        }
        "handshake" => {
            config.handshake = Some(Handshake::new(move |opening| {
                let strike = strike.clone();
                async move {
                    strike();
                    Ok(opening)
                }
            }));
        }
        "classify" => {
            config.classify = Some(Classify::by(move |ending: &Ending<'_>| {
                strike();
                ending.reaction()
            }));
        }
        other => unreachable!("{other}"),
    }
    (config, left)
}

#[tokio::test]
async fn w39_a_panic_of_the_application_costs_an_attempt_and_not_the_link() {
    for which in ["provider", "provider's future", "handshake", "classify"] {
        let peer = Peer::start(Do::Echo).await;
        if which == "classify" {
            peer.will(Do::Refuse(503, Vec::new()));
        }
        let (config, left) = with_bug(&peer, which);
        let (socket, mut incoming) = open(config);
        socket.link().begin();
        peer.until(which, |_| left.load(Ordering::SeqCst) == 0).await;
        peer.will(Do::Echo);
        let connected = async {
            while socket.connect().await.is_err() {
                assert!(socket.link().is_running(), "{which} has ended the link");
            }
        };
        timeout(PATIENCE, connected).await.unwrap();
        assert!(socket.send("alive").await.seq().is_some());
        assert_eq!(next(&mut incoming).await, "alive", "{which}");
    }
}
