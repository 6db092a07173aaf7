//! What is left of links that are gone: nothing.

use std::sync::{Arc, Weak};
use std::time::Duration;

use mainstay::link::websocket::{HandshakeConfig, HandshakeLimiter, WebSocketConfig};
use tokio::runtime::Handle;

use super::{Do, Peer, open, open_with, quick};

const CYCLES: usize = 10_000;
const HANDLES: usize = 1_000;

fn unlimited(peer: &Peer) -> WebSocketConfig {
    let mut config = WebSocketConfig::new(peer.url());
    let limits = HandshakeConfig { per_second: 1_000_000, burst: 1_000_000, at_once: 4_096 };
    config.limiter = HandshakeLimiter::new(&limits).unwrap();
    config
}

/// Whether this process runs this test alone, so that what it holds can be counted. If not, the test
/// is run in a process of its own.
fn alone(test: &str) -> bool {
    if ["NEXTEST", "MAINSTAY_TEST_ALONE"].iter().any(|name| std::env::var_os(name).is_some()) {
        return true;
    }
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.arg(format!("websocket::leaks::{test}")).args(["--exact", "--nocapture"]);
    let status = command.env("MAINSTAY_TEST_ALONE", "1").status().unwrap();
    assert!(status.success(), "{test} failed in a process of its own");
    false
}

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

#[cfg(target_os = "linux")]
fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[cfg(not(target_os = "linux"))]
fn open_files() -> usize {
    0
}

/// Bytes that the process holds in memory.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

#[cfg(not(target_os = "linux"))]
fn resident() -> usize {
    0
}

async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.expect(what);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w37_ten_thousand_connections_that_were_reset_leave_no_task_file_or_memory() {
    if !alone("w37_ten_thousand_connections_that_were_reset_leave_no_task_file_or_memory") {
        return;
    }
    let peer = Peer::start(Do::Reset).await;
    let mut link = quick();
    link.reconnect.backoff.base = Duration::from_nanos(1_000);
    link.reconnect.backoff.cap = Duration::from_micros(1);
    let links: Vec<_> = (0..8).map(|_| open_with(link, unlimited(&peer))).collect();
    links.iter().for_each(|(socket, _)| socket.link().begin());
    peer.until("warm", |peer| peer.attempts() >= CYCLES / 10).await;
    let (files, memory) = (open_files(), resident());
    peer.until("all cycles", |peer| peer.attempts() >= CYCLES).await;
    // Those of the moment, on both sides, may be a few more or less.
    let grown = open_files().saturating_sub(files);
    assert!(grown <= 64, "{grown} more open files");
    let grown = resident().saturating_sub(memory);
    assert!(grown < 16 << 20, "{grown} more bytes");
    drop(links);
    let server = 1;
    eventually("all tasks end", || tasks() <= server).await;
    eventually("all files are closed", || open_files() <= files).await;
    let attempts = peer.attempts();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(peer.attempts(), attempts, "nobody dials any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w37_a_thousand_handles_that_were_dropped_in_any_state_leave_nothing() {
    if !alone("w37_a_thousand_handles_that_were_dropped_in_any_state_leave_nothing") {
        return;
    }
    let peer = Peer::start(Do::Echo).await;
    let before = tasks();
    let files = open_files();
    for round in 0..HANDLES {
        let (socket, incoming) = open(unlimited(&peer));
        match round % 4 {
            0 => {}
            1 => socket.link().begin(),
            2 => socket.connect().await.unwrap(),
            _ => {
                socket.connect().await.unwrap();
                drop(socket.try_send("on its way"));
            }
        }
        drop(incoming);
    }
    eventually("all connections are closed", || peer.open() == 0).await;
    eventually("all tasks end", || tasks() <= before).await;
    // The server's ends are closed a moment later.
    eventually("all files are closed", || open_files() <= files).await;
}

#[tokio::test]
async fn w37_callbacks_that_hold_their_own_link_go_with_its_shutdown() {
    let peer = Peer::start(Do::Echo).await;
    let (socket, incoming) = open(unlimited(&peer));
    let held: Arc<()> = Arc::default();
    let watch: Weak<()> = Arc::downgrade(&held);
    let (own, of_link) = (socket.clone(), (socket.clone(), held.clone()));
    socket.on_message(move |message| {
        let _held = &held;
        drop(own.try_send(message));
    });
    let listener = socket.link().on("*", move |_| {
        let _held = &of_link;
    });
    drop(listener.unwrap());
    socket.connect().await.unwrap();
    socket.shutdown().await;
    drop((socket, incoming));
    eventually("both are gone", || watch.strong_count() == 0).await;
}
