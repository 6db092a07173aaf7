//! Peers that are there no more, and peers that only are slow.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use mainstay::link::websocket::{RejectReason, SendStatus, WebSocketConfig};
use mainstay::link::{FailReason, LinkConfig, StateName};
use mainstay_fault::{Direction, Fault, FaultProxy};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::{Do, Peer, next, open_with, quick};

const INTERVAL: Duration = Duration::from_millis(300);
const TIMEOUT: Duration = Duration::from_millis(200);
/// What a machine under load may take beyond the promised half second.
const PATIENCE: Duration = Duration::from_secs(20);

/// Pings after 300 ms of silence that may take 200 ms.
fn watchful() -> LinkConfig {
    let mut config = quick();
    config.health.interval = INTERVAL;
    config.health.timeout = TIMEOUT;
    config
}

/// Waits until the link is down; answers how long that took.
async fn noticed(link: &mainstay::link::Link) -> Duration {
    let begun = Instant::now();
    let mut watch = link.watch();
    let down = watch.wait_for(|view| !view.healthy);
    timeout(PATIENCE, down).await.expect("it is noticed").unwrap();
    begun.elapsed()
}

#[tokio::test]
async fn w20_a_black_hole_is_noticed_and_the_link_comes_back_after_it() {
    let peer = Peer::start(Do::Echo).await;
    let proxy = FaultProxy::start(peer.address).await.unwrap();
    let config = WebSocketConfig::new(format!("ws://{}/", proxy.address()));
    let (socket, mut incoming) = open_with(watchful(), config);
    socket.connect().await.unwrap();
    assert!(socket.send("before").await.seq().is_some());
    assert_eq!(next(&mut incoming).await, "before");
    proxy.set(Fault::black_hole());
    noticed(socket.link()).await;
    proxy.set(Fault::NONE);
    timeout(PATIENCE, async { while socket.connect().await.is_err() {} }).await.unwrap();
    assert!(socket.send("after").await.seq().is_some());
    assert_eq!(next(&mut incoming).await, "after");
}

/// Not a test of its own: the server of the next one, in a process that can be stopped.
#[test]
fn the_process_that_is_stopped_serves() {
    if std::env::var_os("MAINSTAY_TEST_PEER").is_none() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let peer = Peer::start(Do::Echo).await;
        println!("\nlistening {}", peer.url());
        std::future::pending::<()>().await;
    });
}

/// A server in a process of its own, killed when dropped.
struct Process {
    child: Child,
    url: String,
}

impl Process {
    fn start() -> Self {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        let test = "websocket::dead::the_process_that_is_stopped_serves";
        command.args([test, "--exact", "--nocapture"]).env("MAINSTAY_TEST_PEER", "1");
        let mut child = command.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = lines.find_map(|line| line.unwrap().strip_prefix("listening ").map(Into::into));
        Self { child, url: url.expect("it says where it listens") }
    }

    fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.child.id());
        let status = std::process::Command::new("sh").args(["-c", &command]).status().unwrap();
        assert!(status.success(), "{command}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[cfg(unix)]
#[tokio::test]
async fn w20_a_peer_that_is_stopped_is_noticed_although_its_system_still_answers() {
    let process = Process::start();
    let (socket, mut incoming) = open_with(watchful(), WebSocketConfig::new(process.url.clone()));
    socket.connect().await.unwrap();
    assert!(socket.send("before").await.seq().is_some());
    assert_eq!(next(&mut incoming).await, "before");
    process.signal("STOP");
    // The kernel acknowledges what is sent to it: only the missing pong tells.
    assert!(socket.send("into the void").await.seq().is_some());
    noticed(socket.link()).await;
    process.signal("CONT");
    timeout(PATIENCE, async { while socket.connect().await.is_err() {} }).await.unwrap();
}

#[tokio::test]
async fn w26_a_link_that_gave_a_dead_peer_up_takes_no_more_messages() {
    let peer = Peer::start(Do::Echo).await;
    let proxy = FaultProxy::start(peer.address).await.unwrap();
    let mut link = watchful();
    link.reconnect.attempts = Some(0);
    let config = WebSocketConfig::new(format!("ws://{}/", proxy.address()));
    let (socket, _incoming) = open_with(link, config);
    socket.connect().await.unwrap();
    proxy.set(Fault::black_hole());
    noticed(socket.link()).await;
    assert_eq!(socket.link().view().failed, Some(FailReason::AttemptsExhausted));
    // The watch may know it a moment before those who take messages do.
    let rejected = async {
        loop {
            match socket.try_send("too late") {
                SendStatus::Rejected(rejected) => return rejected.reason,
                SendStatus::Sent(_) | SendStatus::Buffered(_) | SendStatus::Dropped => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    };
    let reason = timeout(PATIENCE, rejected).await.expect("they are told");
    assert_eq!((reason, socket.stats().queued), (RejectReason::Failed, 0));
    proxy.set(Fault::NONE);
    socket.connect().await.unwrap();
    assert!(matches!(socket.try_send("again"), SendStatus::Sent(_)));
}

#[tokio::test]
async fn w19_closing_a_dead_link_takes_no_longer_than_it_may() {
    let peer = Peer::start(Do::Echo).await;
    let proxy = FaultProxy::start(peer.address).await.unwrap();
    let mut link = quick();
    link.close_timeout = Duration::from_millis(300);
    let config = WebSocketConfig::new(format!("ws://{}/", proxy.address()));
    let (socket, mut incoming) = open_with(link, config);
    socket.connect().await.unwrap();
    for fault in [Fault::black_hole(), Fault::frozen()] {
        proxy.set(fault);
        assert!(socket.send("x".repeat(4 << 20)).await.seq().is_none(), "larger than the outbox");
        for _ in 0..20 {
            // More than the system takes: there is something left to be written for ever.
            drop(socket.try_send("x".repeat(500_000)));
        }
        timeout(PATIENCE, socket.link().disconnect()).await.expect("it ends");
        assert_eq!(socket.link().view().state, StateName::Disconnected);
        proxy.set(Fault::NONE);
        timeout(PATIENCE, socket.connect()).await.expect("it is dialled anew").unwrap();
        assert!(socket.send("again").await.seq().is_some());
        while next(&mut incoming).await != "again" {}
    }
}

#[tokio::test]
async fn w19_a_dead_link_is_left_behind_and_the_next_is_dialled_at_once() {
    let peer = Peer::start(Do::Echo).await;
    let proxy = FaultProxy::start(peer.address).await.unwrap();
    let config = WebSocketConfig::new(format!("ws://{}/", proxy.address()));
    let mut link = watchful();
    // Were the dead connection closed in good order, this would be waited for.
    link.close_timeout = Duration::from_secs(3_600);
    let (socket, _incoming) = open_with(link, config);
    socket.connect().await.unwrap();
    proxy.set(Fault::frozen());
    noticed(socket.link()).await;
    proxy.set(Fault::NONE);
    timeout(PATIENCE, async { while socket.connect().await.is_err() {} }).await.unwrap();
}

#[tokio::test]
async fn w21_a_slow_large_message_is_life_while_its_bytes_come() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut ws = tokio_tungstenite::accept_async(stream).await.unwrap();
        ws.send(Message::text("x".repeat(60_000))).await.unwrap();
        ws.next().await
    });
    let proxy = FaultProxy::start(address).await.unwrap();
    let mut link = watchful();
    link.health.interval = Duration::from_millis(500);
    link.health.timeout = Duration::from_millis(500);
    let (socket, mut incoming) =
        open_with(link, WebSocketConfig::new(format!("ws://{}/", proxy.address())));
    let piece = Direction { bytes_per_sec: Some(20_000), fragment: Some(400), ..Direction::CLEAR };
    proxy.set(Fault { down: piece, ..Fault::NONE });
    socket.connect().await.unwrap();
    // Three seconds, in which no pong can come: it stands in line behind the message.
    assert_eq!(next(&mut incoming).await.len(), 60_000);
    let stats = socket.link().stats();
    assert_eq!((stats.total_connections, stats.failed_health_checks), (1, 0));
    drop((socket, server));
}

#[tokio::test]
async fn w21_pongs_are_no_life_where_data_is_wanted() {
    let peer = Peer::start(Do::Listen).await;
    let mut config = WebSocketConfig::new(peer.url());
    config.data_idle = Some(Duration::from_millis(900));
    let mut link = watchful();
    link.health.interval = Duration::from_millis(200);
    let (socket, _incoming) = open_with(link, config);
    let mut events = socket.link().subscribe();
    socket.connect().await.unwrap();
    let error = loop {
        let event = timeout(PATIENCE, events.recv()).await.expect("it is given up").unwrap();
        if event.is_called("error") {
            break event.error.clone().unwrap();
        }
    };
    assert_eq!(&*error, "no message came for too long");
    assert!(socket.link().stats().successful_health_checks > 0, "and yet it answered pings");
}

#[tokio::test]
async fn w22_an_idle_peer_that_answers_is_kept() {
    let peer = Peer::start(Do::Listen).await;
    let mut link = watchful();
    link.health.interval = Duration::from_millis(50);
    link.health.timeout = Duration::from_millis(50);
    // A machine under load may miss one; nobody healthy misses many in a row.
    link.health.down = 100;
    let (socket, _incoming) = open_with(link, WebSocketConfig::new(peer.url()));
    socket.connect().await.unwrap();
    while socket.link().stats().successful_health_checks < 40 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!((peer.attempts(), socket.link().stats().total_connections), (1, 1));
}
