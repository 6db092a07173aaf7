//! Closing, whatever is under way: prompt, and for good.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mainstay::link::websocket::{Handshake, Provider, WebSocket, WebSocketConfig};
use mainstay::link::{ConnectError, LinkConfig, StateName};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::{Command, Do, Peer, open, open_with, quick};

const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than any test: what ends before was not waited for.
const NEVER: Duration = Duration::from_secs(3_000);

/// The phase in which a dial hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Credentials,
    Tls,
    Upgrade,
    Handshake,
    Backoff,
}

/// A link that hangs in `phase`, and what must be kept for that.
async fn hanging(phase: Phase) -> (WebSocket, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let scheme = if phase == Phase::Tls { "wss" } else { "ws" };
    let mut config = WebSocketConfig::new(format!("{scheme}://{address}/"));
    (config.provider_timeout, config.upgrade_timeout) = (NEVER, NEVER);
    (config.handshake_timeout, config.stream.tls_timeout) = (NEVER, NEVER);
    let mut link = LinkConfig { dial_timeout: NEVER, ..quick() };
    match phase {
        Phase::Credentials => {
            config.provider = Some(Provider::tokens(|_| std::future::pending()));
        }
        Phase::Handshake => {
            config.handshake = Some(Handshake::new(|mut opening| async move {
                opening.recv().await?;
                Ok(opening)
            }));
        }
        Phase::Backoff => {
            link.reconnect.backoff.base = NEVER;
            link.reconnect.backoff.cap = NEVER;
            link.reconnect.backoff.jitter = mainstay::core::policy::backoff::Jitter::None;
        }
        Phase::Tls | Phase::Upgrade => {}
    }
    let (socket, incoming) = open_with(link, config);
    drop(incoming);
    socket.link().begin();
    match phase {
        Phase::Credentials => {}
        Phase::Tls | Phase::Upgrade => {
            let (stream, _) = listener.accept().await.unwrap();
            // Held open until the runtime ends.
            tokio::spawn(async move {
                let _held = stream;
                std::future::pending::<()>().await;
            });
        }
        Phase::Handshake => {
            let (stream, _) = listener.accept().await.unwrap();
            let ws = tokio_tungstenite::accept_async(stream).await.unwrap();
            tokio::spawn(async move {
                let _held = ws;
                std::future::pending::<()>().await;
            });
        }
        Phase::Backoff => {
            drop(listener.accept().await.unwrap());
            let mut watch = socket.link().watch();
            watch.wait_for(|view| view.state == StateName::Reconnecting).await.unwrap();
        }
    }
    (socket, listener)
}

fn story(socket: &WebSocket) -> Arc<Mutex<Vec<String>>> {
    let story: Arc<Mutex<Vec<String>>> = Arc::default();
    let told = story.clone();
    let listener = socket.link().on("*", move |event| {
        told.lock().unwrap().push(event.name().to_owned());
    });
    drop(listener.unwrap());
    story
}

#[tokio::test]
async fn w36_closing_in_any_phase_is_prompt_and_nothing_is_told_after_it() {
    for phase in [Phase::Credentials, Phase::Tls, Phase::Upgrade, Phase::Handshake, Phase::Backoff]
    {
        let (socket, listener) = hanging(phase).await;
        let story = story(&socket);
        let waiting = tokio::spawn({
            let socket = socket.clone();
            async move { socket.connect().await }
        });
        if phase == Phase::Backoff {
            // A kick would dial: nobody waits here.
            waiting.abort();
        }
        tokio::task::yield_now().await;
        for _ in 0..2 {
            // Closed is closed: again is the same.
            let closed = timeout(PATIENCE, socket.link().disconnect()).await;
            closed.unwrap_or_else(|_| panic!("it hangs in {phase:?}"));
            assert_eq!(socket.link().view().state, StateName::Disconnected, "{phase:?}");
        }
        if let Ok(result) = waiting.await {
            assert_eq!(result, Err(ConnectError::Cancelled), "{phase:?}");
        }
        let told = story.lock().unwrap().clone();
        assert_eq!(told.last().unwrap(), "link.disconnected", "{phase:?}: {told:?}");
        let dialled_on = timeout(Duration::from_millis(200), listener.accept()).await;
        assert!(dialled_on.is_err(), "{phase:?}");
        assert_eq!(*story.lock().unwrap(), told, "nothing after the end of {phase:?}");
        timeout(PATIENCE, socket.shutdown()).await.unwrap();
    }
}

#[tokio::test]
async fn w35_after_the_users_close_nobody_dials() {
    let peer = Peer::start(Do::Echo).await;
    let (socket, _incoming) = open(WebSocketConfig::new(peer.url()));
    socket.connect().await.unwrap();
    // The peer's own end comes at the same time.
    peer.tell(Command::Close(1011));
    socket.link().disconnect().await;
    let attempts = peer.attempts();
    socket.link().woke();
    socket.link().resume();
    socket.link().migrate();
    socket.link().breaker_closed();
    socket.link().enable_reconnection();
    assert!(socket.try_send("for later").seq().is_some());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!((peer.attempts(), peer.open()), (attempts, 0));
    assert_eq!(socket.link().view().state, StateName::Disconnected);
    socket.shutdown().await;
    assert_eq!(socket.connect().await, Err(ConnectError::Stopped));
    assert_eq!(peer.attempts(), attempts);
}

#[tokio::test]
async fn w40_the_watch_shows_the_terminal_state_however_late_one_looks() {
    let peer = Peer::start(Do::Refuse(404, Vec::new())).await;
    let (socket, _incoming) = open(WebSocketConfig::new(peer.url()));
    let mut watch = socket.link().watch();
    let mut story = Vec::new();
    let mut events = socket.link().subscribe();
    socket.connect().await.unwrap_err();
    // Not looked at until all is over; each change has come and gone.
    assert_eq!(watch.borrow_and_update().state, StateName::Failed);
    while let Ok(event) = events.try_recv() {
        story.push((event.name(), event.generation));
    }
    let wanted = [("link.state.changed", 1), ("link.error", 1), ("link.state.changed", 1)];
    assert_eq!(story, wanted, "connecting, then failed, of one generation");
    peer.will(Do::Echo);
    socket.connect().await.unwrap();
    assert_eq!(watch.borrow_and_update().state, StateName::Connected);
    socket.shutdown().await;
    assert_eq!(watch.borrow_and_update().state, StateName::Disconnected);
}
