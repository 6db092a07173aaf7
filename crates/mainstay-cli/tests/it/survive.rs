//! Sessions outlive a server that is killed: many clients, killed again and again.

use std::fs;
use std::path::Path;
use std::time::Duration;

use mainstay::link::session::{Raw, SessionConfig, SessionIncoming, SessionLink};
use mainstay::link::{LinkConfig, LinkOptions};
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::program::{PATIENCE, Program, ask, command};

const CLIENTS: usize = 40;
const KILLS: usize = 5;
const FILE: &str = "[sessions.stream]\nack_after = \"5ms\"\n";

/// Serves the folder on `address`; answers the address it got.
fn serve(folder: &Path, address: &str) -> (Program, String) {
    let mut serving = command(&["serve", "--listen", address]);
    serving.current_dir(folder);
    let mut program = Program::start(serving);
    let line = program.line("address", |line| line.contains(" listens on "));
    (program, line.rsplit("http://").next().unwrap().to_owned())
}

fn client(address: &str, nr: usize) -> (SessionLink, SessionIncoming) {
    let url = format!("ws://{address}/v1/connect");
    let config = SessionConfig::new(url, "survivor", nr.to_string());
    let mut link = LinkConfig::websocket();
    link.reconnect.backoff.base = Duration::from_millis(20);
    link.reconnect.backoff.cap = Duration::from_millis(200);
    link.reconnect.hint_cap = Duration::from_millis(200);
    SessionLink::open(LinkOptions::websocket("survivor").config(link), config).unwrap()
}

fn sessions(address: &str) -> Vec<Value> {
    let (status, body) = ask(address, "GET", "/api/v1/sessions?limit=1000", None);
    assert_eq!(status, 200, "{body}");
    let mut page: Value = serde_json::from_str(&body).unwrap();
    page["sessions"].take().as_array().unwrap().clone()
}

/// Waits until all clients are connected; answers their sessions by the number of each client.
async fn all_connected(address: &str) -> Vec<(usize, String, u64)> {
    for _ in 0..600 {
        let all = sessions(address);
        let here = all.iter().filter(|session| session["status"] == "CONNECTED");
        let mut here: Vec<_> = here
            .map(|session| {
                let nr = session["client_version"].as_str().unwrap().parse().unwrap();
                let id = session["session"].as_str().unwrap().to_owned();
                (nr, id, session["generation"].as_u64().unwrap())
            })
            .collect();
        here.sort();
        if here.len() == CLIENTS {
            assert_eq!(all.len(), CLIENTS, "nobody has two");
            return here;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("not all are back: {:?}", sessions(address).len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_welcomed_session_is_there_after_a_server_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mainstay.toml"), FILE).unwrap();
    let (mut program, address) = serve(folder.path(), "127.0.0.1:0");
    let clients: Vec<_> = (0..CLIENTS).map(|nr| client(&address, nr)).collect();
    for (link, _) in &clients {
        link.link().begin();
    }
    let first = all_connected(&address).await;
    for round in 0..KILLS {
        for (link, _) in &clients {
            link.send(&Raw::new(&round.to_string()).unwrap()).await.unwrap();
        }
        program.signal(rustix::process::Signal::KILL);
        drop(program);
        program = serve(folder.path(), &address).0;
        let now = all_connected(&address).await;
        let ids = |all: &[(usize, String, u64)]| -> Vec<(usize, String)> {
            all.iter().map(|(nr, id, _)| (*nr, id.clone())).collect()
        };
        assert_eq!(ids(&now), ids(&first), "each goes on with its own session");
        let generations = now.iter().zip(&first).all(|(now, first)| now.2 > first.2);
        assert!(generations, "each has another connection: {now:?}");
    }
    for (link, _) in &clients {
        // The server counts one as connected before its client has read the welcome.
        timeout(PATIENCE, async { while link.connect().await.is_err() {} }).await.unwrap();
        timeout(PATIENCE, link.shutdown()).await.unwrap();
    }
    let left = || sessions(&address).into_iter().find(|session| session["ended"] != "bye");
    for _ in 0..600 {
        if left().is_none() {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(left(), None, "a goodbye ends each");
    program.signal(rustix::process::Signal::TERM);
    assert_eq!(program.end().code, 0);
}
