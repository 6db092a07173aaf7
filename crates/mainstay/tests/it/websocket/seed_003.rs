//! Seed 003 in full: connections by name, JSON, and the manager over them.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mainstay::core::policy::backoff::{Jitter, Strategy};
use mainstay::link::websocket::{
    ConnectionOptions, RejectReason, SendError, SendJsonError, WebSocketConnection,
    create_connection, send_message,
};
use mainstay::link::{
    HealthOverrides, LinkConfig, LinkManager, LinkOverrides, ManagerConfig, ReadyState,
    ReconnectOverrides, StateName,
};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::{Command, Do, Peer, quick};

fn options(id: &str) -> ConnectionOptions {
    ConnectionOptions { id: Some(id.into()), link: Some(quick()), ..ConnectionOptions::default() }
}

fn heard(connection: &WebSocketConnection) -> mpsc::UnboundedReceiver<Result<Value, String>> {
    let (sender, receiver) = mpsc::unbounded_channel();
    connection.on_message(move |message: Result<Value, serde_json::Error>| {
        drop(sender.send(message.map_err(|error| error.to_string())));
    });
    receiver
}

#[tokio::test]
async fn a_connection_has_a_name_options_and_a_state_and_speaks_json() {
    let peer = Peer::start(Do::Echo).await;
    let connection = create_connection(&peer.url(), options("feed")).unwrap();
    assert_eq!(connection.id(), "feed");
    assert_eq!(connection.options().link, Some(quick()));
    let mut heard = heard(&connection);
    connection.link().connect().await.unwrap();
    assert_eq!(connection.state(), ReadyState::Open);
    let message = json!({ "type": "heartbeat", "payload": "Ping" });
    send_message(&connection, &message).unwrap();
    assert_eq!(heard.recv().await.unwrap(), Ok(message));
    drop(connection.socket().try_send("no json"));
    assert!(heard.recv().await.unwrap().unwrap_err().contains("expected"));
    assert_eq!(connection.close(Duration::from_secs(5)).await, 0);
    assert_eq!(connection.state(), ReadyState::Closed);
}

#[tokio::test]
async fn what_came_before_anybody_listened_is_heard_first() {
    let peer = Peer::start(Do::Tell(20)).await;
    let connection = create_connection(&peer.url(), options("early")).unwrap();
    connection.link().connect().await.unwrap();
    while connection.socket().stats().received < 20 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut heard = heard(&connection);
    peer.tell(Command::Say("20".into()));
    for wanted in 0..=20 {
        assert_eq!(heard.recv().await.unwrap(), Ok(json!(wanted)));
    }
}

#[tokio::test]
async fn w39_a_listener_that_panics_harms_nobody() {
    let peer = Peer::start(Do::Echo).await;
    let connection = create_connection(&peer.url(), options("panics")).unwrap();
    let (sender, mut receiver) = mpsc::unbounded_channel();
    connection.on_message(move |message: Result<Value, _>| {
        let message = message.unwrap();
        assert_ne!(message, json!("panic"));
        sender.send(message).unwrap();
    });
    connection.link().connect().await.unwrap();
    send_message(&connection, "panic").unwrap();
    send_message(&connection, "calm").unwrap();
    assert_eq!(receiver.recv().await.unwrap(), json!("calm"));
    assert_eq!(peer.attempts(), 1);
}

#[tokio::test]
async fn the_manager_of_seed_003_keeps_a_connection_by_its_own_options() {
    let peer = Peer::start(Do::Echo).await;
    let mut common = LinkConfig::streamotter();
    common.reconnect.backoff.base = Duration::from_millis(10);
    let config = ManagerConfig { link: common, ..ManagerConfig::default() };
    let manager = LinkManager::new(config).unwrap();
    let mut bus = manager.events().subscribe();
    let mut options = ConnectionOptions::streamotter();
    options.id = Some("socket".into());
    let connection = create_connection(&peer.url(), options).unwrap();
    manager.adopt(connection.link(), LinkOverrides::default()).unwrap();
    assert!(manager.adopt(connection.link(), LinkOverrides::default()).is_err(), "it has it");
    let custom = ReconnectOverrides {
        attempts: Some(Some(3)),
        strategy: Some(Strategy::Linear),
        base: Some(Duration::from_millis(20)),
        jitter: Some(Jitter::None),
        ..ReconnectOverrides::default()
    };
    manager.enable_reconnection("socket", Some(custom)).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let list = told.clone();
    manager
        .on_reconnecting("socket", move |attempt, delay| {
            list.lock().unwrap().push(format!("reconnecting {attempt} {}", delay.as_millis()));
        })
        .unwrap();
    let list = told.clone();
    manager.on_reconnected("socket", move || list.lock().unwrap().push("again".into())).unwrap();
    connection.link().connect().await.unwrap();
    peer.tell(Command::Reset);
    let mut watch = connection.link().watch();
    watch.wait_for(|view| !view.healthy).await.unwrap();
    watch.wait_for(|view| view.healthy).await.unwrap();
    peer.until("it was told", |_| told.lock().unwrap().len() >= 2).await;
    assert_eq!(*told.lock().unwrap(), ["reconnecting 1 20", "again"], "linear, without jitter");
    assert!(bus.recv().await.is_ok(), "its events go where those of all links go");
    manager.disable_reconnection("socket").unwrap();
    peer.tell(Command::Reset);
    watch.wait_for(|view| view.state == StateName::Disconnected).await.unwrap();
    manager.shutdown().await;
}

#[tokio::test]
async fn the_preset_of_seed_003_buffers_nothing_and_takes_a_goodbye_for_the_end() {
    let peer = Peer::start(Do::Echo).await;
    let connection = create_connection(&peer.url(), ConnectionOptions::streamotter()).unwrap();
    let rejected = |error: SendJsonError| match error {
        SendJsonError::Send(SendError::Rejected(rejected)) => rejected.reason,
        SendJsonError::Json(_) | SendJsonError::Send(SendError::Dropped) => panic!("{error:?}"),
    };
    let early = send_message(&connection, "early").unwrap_err();
    assert_eq!(rejected(early), RejectReason::NotConnected);
    connection.link().connect().await.unwrap();
    send_message(&connection, "now").unwrap();
    peer.tell(Command::Close(1000));
    let mut watch = connection.link().watch();
    watch.wait_for(|view| view.state == StateName::Disconnected).await.unwrap();
    assert_eq!(connection.state(), ReadyState::Closed);
    connection.link().connect().await.unwrap();
    peer.tell(Command::Close(1008));
    watch.wait_for(|view| view.state == StateName::Failed).await.unwrap();
}

#[tokio::test]
async fn a_pong_that_does_not_come_is_unhealthy_and_the_connection_is_made_anew() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let manager = LinkManager::new(ManagerConfig { link: quick(), ..ManagerConfig::default() });
    let manager = manager.unwrap();
    let connection = create_connection(&url, options("mute")).unwrap();
    manager.adopt(connection.link(), LinkOverrides::default()).unwrap();
    // The first to come is taken, and never read.
    let (stream, _) = listener.accept().await.unwrap();
    let _mute = tokio_tungstenite::accept_async(stream).await.unwrap();
    let peer = Peer::on(listener, Do::Echo);
    let (sender, mut verdicts) = mpsc::unbounded_channel();
    let listened = connection.link().on("unhealthy", move |_| {
        // Nobody may listen any more.
        let _told: Result<(), _> = sender.send(());
    });
    listened.unwrap();
    let soon = Some(Duration::from_millis(100));
    let health = HealthOverrides { interval: soon, timeout: soon, ..HealthOverrides::default() };
    manager.configure_health_checks("mute", health).unwrap();
    let told = tokio::time::timeout(Duration::from_secs(60), verdicts.recv()).await;
    told.unwrap().unwrap();
    let again = |_: &Peer| connection.link().stats().total_reconnections >= 1;
    peer.until("it was made anew", again).await;
}

/// An example, built beside this test.
fn example(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    assert!(path.pop() && path.pop(), "a test lives in target/*/deps");
    path.push("examples");
    path.push(name);
    assert!(path.is_file(), "`cargo build --examples` makes {}", path.display());
    path
}

#[tokio::test]
async fn the_usage_example_of_seed_003_runs_against_a_real_server() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let mut child = tokio::process::Command::new(example("streamotter"))
        .arg(url)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The first to come is turned away, so that it has to come again.
    drop(listener.accept().await.unwrap());
    let _peer = Peer::on(listener, Do::Echo);
    let mut told = Vec::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        told.push(line);
    }
    assert!(child.wait().await.unwrap().success(), "{told:?}");
    let wanted = [
        "Reconnecting attempt 1 in 500 ms...",
        "Reconnected to the WebSocket server.",
        "socket is OPEN",
        "heard {\"payload\":\"Ping\",\"type\":\"heartbeat\"}",
        "socket is CLOSED",
    ];
    assert_eq!(told, wanted);
}
