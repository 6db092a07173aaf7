//! The test cases of seed 000's connection manager, 22 of them, against a real server.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mainstay::link::{
    ConnectError, HttpConfig, HttpTransport, Link, LinkConfig, LinkEvent, LinkOptions, SharedError,
    SharedLink, StateName, TcpTransport, What,
};
use tokio::sync::broadcast::Receiver;

use crate::server::{Mode, OK, Server};

/// The seed's numbers, a hundred times faster.
fn config() -> LinkConfig {
    let mut config = LinkConfig::chittyid_reconnect();
    config.dial_timeout = Duration::from_millis(500);
    config.reconnect.backoff.base = Duration::from_millis(10);
    config.reconnect.backoff.cap = Duration::from_millis(600);
    config.health.interval = Duration::from_millis(300);
    config.health.timeout = Duration::from_millis(300);
    config
}

fn http(server: &Server) -> HttpTransport {
    HttpTransport::new(HttpConfig { system_proxy: false, ..HttpConfig::new(server.url()) }).unwrap()
}

fn options(config: LinkConfig) -> LinkOptions {
    LinkOptions::new("chittyid").config(config)
}

async fn started(mode: Mode) -> (Server, Link) {
    let server = Server::start(mode).await;
    let link = Link::open(options(config()), http(&server)).unwrap();
    (server, link)
}

/// The next event of that name.
async fn next(events: &mut Receiver<Arc<LinkEvent>>, name: &str) -> Arc<LinkEvent> {
    let search = async {
        loop {
            let event = events.recv().await.unwrap();
            if event.is_called(name) {
                return event;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), search).await.expect(name)
}

fn names(seen: &Mutex<Vec<&'static str>>) -> Vec<&'static str> {
    seen.lock().unwrap().clone()
}

// Connection management

#[tokio::test]
async fn it_initialises_in_the_disconnected_state() {
    let (server, link) = started(OK).await;
    assert_eq!(link.view().state, StateName::Disconnected);
    assert!(!link.view().healthy);
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn it_connects_to_the_service() {
    let (server, link) = started(OK).await;
    link.connect().await.unwrap();
    assert_eq!(link.view().state, StateName::Connected);
    assert!(link.view().healthy);
    assert!(server.last().starts_with("GET /health HTTP/1.1\r\n"), "{}", server.last());
}

#[tokio::test]
async fn many_connect_calls_share_one_dial_and_one_result() {
    let (server, link) = started(Mode::Slow(Duration::from_millis(50))).await;
    let (a, b, c) = tokio::join!(link.connect(), link.connect(), link.connect());
    assert_eq!((a, b, c), (Ok(()), Ok(()), Ok(())));
    assert_eq!(server.requests(), 1);

    let (server, link) = started(Mode::Answer("500 Oops", "")).await;
    let (a, b, c) = tokio::join!(link.connect(), link.connect(), link.connect());
    assert!(matches!(a, Err(ConnectError::Failed { terminal: false, .. })), "{a:?}");
    assert!(a == b && b == c);
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn it_disconnects_gracefully() {
    let (_server, link) = started(OK).await;
    link.connect().await.unwrap();
    link.disconnect().await;
    assert_eq!(link.view().state, StateName::Disconnected);
    assert!(!link.view().healthy);
}

// Health monitoring

#[tokio::test]
async fn it_performs_a_health_check_on_demand() {
    let (server, link) = started(OK).await;
    assert!(link.check_now().await);
    server.turn(Mode::Answer("503 Away", ""));
    assert!(!link.check_now().await);
    let stats = link.stats();
    assert_eq!((stats.total_health_checks, stats.successful_health_checks), (2, 1));
    assert_eq!(link.view().state, StateName::Disconnected);
}

#[tokio::test]
async fn it_starts_monitoring_after_the_connection() {
    let (server, link) = started(OK).await;
    let mut events = link.subscribe();
    link.connect().await.unwrap();
    server.turn(Mode::Answer("500 Oops", ""));
    assert_eq!(next(&mut events, "unhealthy").await.what, What::Unhealthy { failures: 1 });
    assert_eq!(link.stats().failed_health_checks, 1);
    assert_eq!(link.view().state, StateName::Reconnecting);
}

#[tokio::test]
async fn it_stops_monitoring_on_disconnect() {
    let (server, link) = started(OK).await;
    link.connect().await.unwrap();
    link.disconnect().await;
    assert_eq!(link.view().next_at, None);
    let requests = server.requests();
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!((link.stats().total_health_checks, server.requests()), (0, requests));
}

// Reconnection logic

#[tokio::test]
async fn it_schedules_a_reconnection_on_failure() {
    let (server, link) = started(Mode::Reset).await;
    let mut events = link.subscribe();
    link.connect().await.unwrap_err();
    let event = next(&mut events, "reconnecting").await;
    assert!(matches!(event.what, What::Reconnecting { attempt: 1, .. }), "{event:?}");
    server.turn(OK);
    let event = next(&mut events, "onReconnected").await;
    assert!(matches!(event.what, What::Reconnected { attempts: 1.. }), "{event:?}");
}

#[tokio::test]
async fn it_uses_exponential_backoff() {
    let (_server, link) = started(Mode::Answer("500 Oops", "")).await;
    let mut events = link.subscribe();
    link.connect().await.unwrap_err();
    let mut delays = Vec::new();
    while delays.len() < 6 {
        if let What::Reconnecting { delay, .. } = next(&mut events, "reconnecting").await.what {
            delays.push(delay.as_millis());
        }
    }
    assert_eq!(delays, [10, 20, 40, 80, 160, 320]);
}

#[tokio::test]
async fn it_respects_the_maximum_of_attempts() {
    let server = Server::start(Mode::Answer("500 Oops", "")).await;
    let mut config = config();
    config.reconnect.attempts = Some(3);
    let link = Link::open(options(config), http(&server)).unwrap();
    let mut events = link.subscribe();
    link.connect().await.unwrap_err();
    let event = next(&mut events, "maxReconnectAttemptsReached").await;
    assert_eq!(event.what, What::AttemptsExhausted { attempts: 3 });
    assert_eq!(link.view().state, StateName::Failed);
    assert_eq!(server.requests(), 4);
}

#[tokio::test]
async fn it_resets_the_attempts_on_success() {
    let (server, link) = started(Mode::Answer("500 Oops", "")).await;
    let mut events = link.subscribe();
    link.connect().await.unwrap_err();
    next(&mut events, "link.reconnect.attempt").await;
    assert!(link.stats().reconnect_attempts > 0);
    server.turn(OK);
    next(&mut events, "connected").await;
    assert_eq!(link.stats().reconnect_attempts, 0);
}

// State management

#[tokio::test]
async fn it_goes_through_the_states_in_order() {
    let (_server, link) = started(OK).await;
    let mut events = link.subscribe();
    link.connect().await.unwrap();
    link.disconnect().await;
    use StateName::{Closing, Connected, Connecting, Disconnected};
    let changes = [
        (Disconnected, Connecting),
        (Connecting, Connected),
        (Connected, Closing),
        (Closing, Disconnected),
    ];
    for (from, to) in changes {
        let event = next(&mut events, "stateChange").await;
        assert_eq!(event.what, What::StateChanged { from, to });
        let json = serde_json::to_value(&*event).unwrap();
        assert_eq!(
            (json["from"].as_str(), json["to"].as_str()),
            (Some(from.as_str()), Some(to.as_str()))
        );
        assert!(json["timestamp"].as_u64().unwrap() > 1_600_000_000_000);
    }
}

#[tokio::test]
async fn it_gives_its_current_state() {
    let (_server, link) = started(OK).await;
    link.connect().await.unwrap();
    let view = link.view();
    assert_eq!((view.state.as_str(), view.ready.as_str()), ("CONNECTED", "OPEN"));
    assert!(view.healthy && view.since.is_some());
    assert_eq!((view.attempt, view.next_at), (0, None));
}

#[tokio::test]
async fn it_tracks_statistics() {
    let (server, link) = started(OK).await;
    let mut events = link.subscribe();
    link.connect().await.unwrap();
    assert!(link.check_now().await);
    server.turn(Mode::Answer("500 Oops", ""));
    assert!(!link.check_now().await);
    next(&mut events, "link.error").await;
    server.turn(OK);
    next(&mut events, "link.reconnected").await;
    let stats = link.stats();
    assert_eq!((stats.total_connections, stats.total_reconnections), (2, 1));
    assert!(stats.total_failures >= 1);
    assert!(stats.total_reconnect_attempts >= 2);
    assert_eq!((stats.total_health_checks, stats.failed_health_checks), (2, 1));
    assert_eq!(stats.success_text(), "50.00%");
    assert_eq!(stats.current_state, StateName::Connected);
    assert!(stats.is_connected && stats.last_successful_connection.is_some());
    assert!(stats.rtt.min().is_some());
}

// Events

#[tokio::test]
async fn it_tells_when_it_is_connected() {
    let (server, link) = started(OK).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let list = seen.clone();
    let url = server.url();
    link.on("connected", move |event| {
        assert_eq!(&*event.target, url);
        list.lock().unwrap().push(event.name());
    })
    .unwrap();
    link.connect().await.unwrap();
    assert_eq!(names(&seen), ["link.connected"]);
}

#[tokio::test]
async fn it_tells_once_when_it_is_disconnected() {
    let (_server, link) = started(OK).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let list = seen.clone();
    link.on("disconnected", move |event| list.lock().unwrap().push(event.name())).unwrap();
    link.disconnect().await;
    assert!(names(&seen).is_empty());
    link.connect().await.unwrap();
    link.disconnect().await;
    link.disconnect().await;
    assert_eq!(names(&seen), ["link.disconnected"]);
}

#[tokio::test]
async fn removed_listeners_are_not_called() {
    let (_server, link) = started(OK).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = calls.clone();
    let listener = link
        .on("*", move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
        })
        .unwrap();
    assert_eq!(link.listeners(), 1);
    listener.remove();
    listener.remove();
    assert_eq!(link.listeners(), 0);
    link.connect().await.unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_listener_that_panics_disturbs_no_other() {
    let (_server, link) = started(OK).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = calls.clone();
    link.on("connected", |_| panic!("a listener's own bug")).unwrap();
    link.on("connected", move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
    })
    .unwrap();
    link.connect().await.unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert!(link.is_running() && link.view().healthy);
}

// Shared instance

#[tokio::test]
async fn it_creates_a_shared_link_that_connects_by_itself() {
    let server = Server::start(OK).await;
    let shared = SharedLink::new();
    assert!(shared.existing().is_none());
    let link = shared.get(options(config()), http(&server)).unwrap();
    link.connect().await.unwrap();
    assert_eq!(link.stats().total_connections, 1);
}

#[tokio::test]
async fn it_returns_the_same_shared_link_and_refuses_other_options() {
    static SHARED: SharedLink = SharedLink::new();
    let server = Server::start(OK).await;
    let first = SHARED.get(options(config()), http(&server)).unwrap();
    first.connect().await.unwrap();
    let second = SHARED.get(options(config()), http(&server)).unwrap();
    assert_eq!(second.stats().total_connections, 1);
    let other = SHARED.get(options(LinkConfig::default()), http(&server)).unwrap_err();
    assert_eq!(other, SharedError::Differs { field: "config" });
    let other = SHARED.get(options(config()), TcpTransport::new("127.0.0.1:1")).unwrap_err();
    assert_eq!(other, SharedError::Differs { field: "target" });
}

#[tokio::test]
async fn a_shared_link_can_be_reset() {
    let server = Server::start(OK).await;
    let shared = SharedLink::new();
    let first = shared.get(options(config()), http(&server)).unwrap();
    shared.reset().await;
    assert!(shared.existing().is_none());
    assert_eq!(first.connect().await, Err(ConnectError::Stopped));
    let second = shared.get(options(LinkConfig::default()), http(&server)).unwrap();
    second.connect().await.unwrap();
    assert_eq!(second.stats().total_connections, 1);
}

// Reset

#[tokio::test]
async fn a_reset_forgets_the_state_and_keeps_the_listeners() {
    let (_server, link) = started(OK).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = calls.clone();
    link.on("connected", move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
    })
    .unwrap();
    link.connect().await.unwrap();
    assert!(link.check_now().await);
    link.reset();
    let stats = link.stats();
    assert_eq!((stats.total_connections, stats.total_health_checks), (0, 0));
    assert_eq!((stats.last_health_check, stats.last_successful_connection), (None, None));
    assert_eq!(link.view().state, StateName::Disconnected);
    link.connect().await.unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}
