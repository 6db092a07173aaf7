//! Clients whose connections break again and again: what the server counts in the end is what its
//! stored history says.
//!
//! `MAINSTAY_FLAKY="5000 120"` makes it 5 000 clients for two minutes; `cargo xtask flaky` does that.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use mainstay::core::session::status::EndReason;
use mainstay_server::registry::{EventKind, SessionId};
use mainstay_store::{Position, RedbStore, Store as _, StoreConfig};
use rustix::process::Signal;
use serde_json::Value;

use crate::program::{PATIENCE, Program, ask, command};

const FILE: &str = "[sessions]\nmessages = \"echo\"\n\
                    retry = { base = \"50ms\", max = \"1s\", jitter = \"250ms\", drain = \"0ms\" }\n\
                    limits = { unauthenticated_max = 20000 }\n";

/// How many clients, for how many seconds.
fn size() -> (u64, u64) {
    let asked = std::env::var("MAINSTAY_FLAKY").unwrap_or_else(|_| "300 6".into());
    let (clients, seconds) = asked.split_once(' ').expect("clients and seconds");
    (clients.parse().expect("a number"), seconds.parse().expect("a number"))
}

/// How long sessions are expected back, in seconds: no longer than a test may wait, and longer than
/// so many clients take to come back on a busy machine.
const fn grace(clients: u64) -> u64 {
    if clients > 1_000 { 60 } else { 15 }
}

/// A server on the data in `folder`.
fn serve(folder: &Path, file: &str) -> (Program, String) {
    std::fs::write(folder.join("mainstay.toml"), file).unwrap();
    let mut serving = command(&["serve", "--listen", "127.0.0.1:0"]);
    serving.current_dir(folder);
    let mut program = Program::start(serving);
    let line = program.line("address", |line| line.contains(" listens on "));
    (program, line.rsplit("http://").next().unwrap().to_owned())
}

fn load(address: &str, clients: u64, args: &str) -> Program {
    let (url, clients) = (format!("ws://{address}/v1/connect"), clients.to_string());
    let line = ["load", &url, "--json", "--rate", "1000", "--connections", &clients];
    let line: Vec<&str> = line.into_iter().chain(args.split_whitespace()).collect();
    Program::start(command(&line))
}

/// Reads lines of progress until the last, the report.
fn report(mut program: Program) -> Value {
    loop {
        let line = program.line("progress or report", |_| true);
        if line.contains("load.report") {
            return serde_json::from_str(&line).unwrap();
        }
    }
}

fn counts(address: &str) -> Value {
    let (status, body) = ask(address, "GET", "/api/v1/sessions/counts", None);
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

/// Asks for the counts until they are as wanted.
fn until(address: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + PATIENCE;
    loop {
        let found = counts(address);
        if is_it(&found) {
            return found;
        }
        assert!(Instant::now() < end, "it stays {found}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Stops it, so that its store can be opened.
fn stop(mut program: Program) {
    program.signal(Signal::TERM);
    program.error_line("stopped in good order");
    assert_eq!(program.end().code, 0);
}

/// A status, as the naive model has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Status {
    Connected,
    Suspended,
    Reconnecting,
    Disconnected,
    Failed,
}

/// Every session after all that happened to it, from the first event on.
#[derive(Debug, Default)]
struct Replay {
    sessions: HashMap<SessionId, (Status, u64)>,
    resumed: u64,
}

impl Replay {
    fn of(folder: &Path) -> Self {
        let store = open(folder);
        let (mut replay, mut position) = (Self::default(), Position(0));
        loop {
            let events = store.history(position, 10_000).unwrap();
            let Some((last, _)) = events.last() else { return replay };
            position = *last;
            for (_, event) in &events {
                replay.step(event.session, event.seq, event.kind);
            }
        }
    }

    fn step(&mut self, session: SessionId, seq: u64, kind: EventKind) {
        let before = self.sessions.get(&session).copied();
        assert_eq!(seq, before.map_or(0, |(_, seq)| seq) + 1, "{session}: one after the other");
        let status = before.map(|(status, _)| status);
        let is_over = matches!(status, Some(Status::Disconnected | Status::Failed));
        assert!(!is_over, "{session}: {kind:?} after it was gone");
        assert_eq!(status.is_none(), kind == EventKind::Registered, "{session}: {kind:?}");
        let next = match kind {
            EventKind::Registered => Status::Connected,
            // It came back, before or after the server had noticed that it was gone.
            EventKind::TakenOver | EventKind::Resumed { .. } => {
                self.resumed += 1;
                Status::Connected
            }
            EventKind::Suspended { .. } => Status::Suspended,
            EventKind::Reconnecting { .. } => Status::Reconnecting,
            EventKind::Gone { reason: EndReason::Exhausted } => Status::Failed,
            EventKind::Gone { .. } => Status::Disconnected,
            EventKind::Suspected
            | EventKind::Recovered
            | EventKind::QualityChanged { .. }
            | EventKind::MetadataChanged => status.expect("it was registered"),
        };
        self.sessions.insert(session, (next, seq));
    }

    fn count(&self, wanted: Status) -> u64 {
        self.sessions.values().filter(|(status, _)| *status == wanted).count() as u64
    }

    /// Compares with what a server counted.
    fn is_counted(&self, counts: &Value) {
        for (name, status) in [
            ("connected", Status::Connected),
            ("suspended", Status::Suspended),
            ("reconnecting", Status::Reconnecting),
            ("disconnected", Status::Disconnected),
            ("failed", Status::Failed),
        ] {
            assert_eq!(counts[name], self.count(status), "{name}: {counts}");
        }
        assert_eq!(counts["total"], self.sessions.len(), "{counts}");
    }
}

fn open(folder: &Path) -> RedbStore {
    RedbStore::open(&folder.join("mainstay-data"), &StoreConfig::default()).unwrap()
}

#[test]
fn what_the_server_counts_after_flaky_clients_is_what_its_history_says() {
    let (clients, seconds) = size();
    let folder = tempfile::tempdir().unwrap();
    let grace = grace(clients);
    let file = format!("{FILE}grace = \"{grace}s\"\n");
    let (server, address) = serve(folder.path(), &file);
    let args = format!("--flaky 0.7 --flaky-every 1s --messages 2 --for {seconds}s");
    let report = report(load(&address, clients, &args));
    assert_eq!((&report["ok"], &report["sessions"]), (&true.into(), &clients.into()), "{report}");
    assert!(report["resumed_with_replay"].as_u64() > Some(clients / 2), "{report}");

    // Others are ended with their process: they are expected back.
    let lost = clients / 10;
    let mut victims = load(&address, lost, "--messages 1 --for 1h");
    victims.line("all clients", |line| line.contains(&format!("\"open\":{lost},")));
    drop(victims);
    let seen = until(&address, |counts| counts["connected"] == 0);
    assert_eq!(seen["suspended"].as_u64(), Some(lost), "{seen}");
    stop(server);
    let replay = Replay::of(folder.path());
    replay.is_counted(&seen);
    assert_eq!(replay.count(Status::Disconnected), clients);
    assert_eq!(Some(replay.resumed), report["resumed_with_replay"].as_u64(), "{report}");

    // What is stored of sessions says the same.
    let mut live = 0;
    let restored = open(folder.path()).sessions(&mut |record| {
        let status = replay.sessions[&record.session].0;
        assert_eq!(record.ended.is_some(), status == Status::Disconnected, "{record:?}");
        live += u64::from(record.ended.is_none());
    });
    assert_eq!((restored.unwrap().damaged, live), (0, lost));

    // After a restart nobody comes back to them: each is gone once, like all others.
    let (server, address) = serve(folder.path(), &file);
    std::thread::sleep(Duration::from_secs(grace));
    until(&address, |counts| counts["suspended"] == 0 && counts["reconnecting"] == 0);
    stop(server);
    let replay = Replay::of(folder.path());
    assert_eq!(replay.count(Status::Disconnected), clients + lost);
    assert_eq!(replay.sessions.len() as u64, clients + lost, "each one's end, and no other");
}
