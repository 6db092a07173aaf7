//! Ids outlive an authority that is killed: many clients mint while it is killed again and again.
//!
//! `MAINSTAY_MINT_KILLS=200` makes it 200 kills; `cargo xtask mint-kills` does that.

use std::collections::{HashMap, HashSet};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::program::{PATIENCE, Program, command};

const KILLS: u64 = 8;
const CLIENTS: u64 = 8;
const TOKEN: &str = "a-token-for-all-clients";
const FILE: &str = "[server]\ntoken_env = \"MAINSTAY_TOKEN\"\n\
                    [chittyid.authority]\nmints_per_minute = 1000000\n";

fn start(folder: &Path, address: &str) -> Program {
    let mut serving = command(&["serve", "--listen", address]);
    serving.current_dir(folder).env("MAINSTAY_TOKEN", TOKEN);
    Program::start(serving)
}

fn address(program: &mut Program) -> String {
    let line = program.line("address", |line| line.contains(" listens on "));
    line.rsplit("http://").next().unwrap().to_owned()
}

/// What came back: status, head and body; none when nothing whole did.
fn exchange(address: &str, order: &str, key: &str, body: &str) -> Option<(u16, String, Value)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let key = if key.is_empty() { String::new() } else { format!("Idempotency-Key: {key}\r\n") };
    let length = body.len();
    write!(
        stream,
        "{order} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {TOKEN}\r\n{key}\
         Content-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n\
         {body}"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.get(9..12)?.parse().ok()?;
    Some((status, head.to_owned(), serde_json::from_str(body).ok()?))
}

fn get(address: &str, path: &str) -> Value {
    let (status, _, body) = exchange(address, &format!("GET {path}"), "", "").expect("it runs");
    assert_eq!(status, 200, "{path}: {body}");
    body
}

/// Something that was acknowledged.
struct Acknowledged {
    key: String,
    /// The metadata of each, and its id.
    ids: Vec<(Value, String)>,
}

#[derive(Default)]
struct Shared {
    over: AtomicBool,
    acknowledged: AtomicU64,
    /// Acknowledged only when asked for again: the kill came after the commit and before the answer.
    found_again: AtomicU64,
    failures: AtomicU64,
}

impl Shared {
    /// Asks under this key until it is answered.
    fn mint(&self, address: &str, key: &str, metadata: &[Value]) -> Acknowledged {
        let requests: Vec<Value> =
            metadata.iter().map(|one| json!({ "entity": "INFO", "metadata": one })).collect();
        let (order, body) = if let [one] = &requests[..] {
            ("POST /v1/mint", one.clone())
        } else {
            ("POST /v1/mint/batch", json!({ "requests": requests }))
        };
        let end = Instant::now() + 4 * PATIENCE;
        loop {
            match exchange(address, order, key, &body.to_string()) {
                Some((200, head, answer)) => {
                    if head.contains("idempotency-replayed") {
                        self.found_again.fetch_add(1, Ordering::Relaxed);
                    }
                    return acknowledged(key, metadata, &answer);
                }
                None | Some((503, ..)) => {}
                Some((status, _, answer)) => panic!("{key}: {status} {answer}"),
            }
            self.failures.fetch_add(1, Ordering::Relaxed);
            assert!(Instant::now() < end, "{key} is never answered");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Mints one after the other until it is over.
    fn live(&self, address: &str, nr: u64) -> Vec<Acknowledged> {
        let mut all = Vec::new();
        for round in 0_u64.. {
            if self.over.load(Ordering::Relaxed) {
                break;
            }
            let count = if round.is_multiple_of(5) { 3 } else { 1 };
            let metadata: Vec<Value> = (0..count)
                .map(|place| json!({ "client": nr, "round": round, "place": place }))
                .collect();
            all.push(self.mint(address, &format!("{nr}-{round}"), &metadata));
            self.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
        all
    }
}

fn acknowledged(key: &str, metadata: &[Value], answer: &Value) -> Acknowledged {
    let id = |id: &Value| id.as_str().expect("an id is a text").to_owned();
    let ids: Vec<String> = match answer["chittyIds"].as_array() {
        Some(all) => all.iter().map(id).collect(),
        None => vec![id(&answer["chittyId"])],
    };
    assert_eq!(ids.len(), metadata.len(), "all or none: {answer}");
    Acknowledged { key: key.to_owned(), ids: metadata.iter().cloned().zip(ids).collect() }
}

/// Kills it again and again, at work or while it begins; answers the last one, which runs.
fn kill_again_and_again(folder: &Path, address: &str, first: Program, shared: &Shared) -> Program {
    let kills = std::env::var("MAINSTAY_MINT_KILLS").ok().and_then(|kills| kills.parse().ok());
    let mut program = first;
    for nr in 0..kills.unwrap_or(KILLS) {
        if !nr.is_multiple_of(5) {
            let (before, end) =
                (shared.acknowledged.load(Ordering::Relaxed), Instant::now() + PATIENCE);
            while shared.acknowledged.load(Ordering::Relaxed) <= before + CLIENTS {
                assert!(Instant::now() < end, "nobody is answered");
                thread::sleep(Duration::from_millis(1));
            }
        }
        thread::sleep(Duration::from_micros(nr * 7_919 % 40_000));
        program.signal(Signal::KILL);
        drop(program);
        program = start(folder, address);
    }
    self::address(&mut program);
    program
}

#[test]
fn every_acknowledged_id_is_there_once_after_an_authority_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mainstay.toml"), FILE).unwrap();
    let mut program = start(folder.path(), "127.0.0.1:0");
    let address = address(&mut program);
    let shared = Arc::new(Shared::default());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|nr| {
            let (shared, address) = (shared.clone(), address.clone());
            thread::spawn(move || shared.live(&address, nr))
        })
        .collect();
    let mut program = kill_again_and_again(folder.path(), &address, program, &shared);
    shared.over.store(true, Ordering::Relaxed);
    let all: Vec<Acknowledged> =
        clients.into_iter().flat_map(|client| client.join().expect("a client ends")).collect();

    let mut ids = HashMap::new();
    for (metadata, id) in all.iter().flat_map(|one| &one.ids) {
        assert!(ids.insert(id.clone(), metadata.clone()).is_none(), "{id} was given twice");
    }
    let found_again = shared.found_again.load(Ordering::Relaxed);
    // Each key has the ids that it had, also after one more start.
    program.signal(Signal::KILL);
    drop(program);
    program = start(folder.path(), &address);
    self::address(&mut program);
    for one in all.iter().rev().step_by(1 + all.len() / 400) {
        let metadata: Vec<Value> = one.ids.iter().map(|(metadata, _)| metadata.clone()).collect();
        assert_eq!(shared.mint(&address, &one.key, &metadata).ids, one.ids, "{}", one.key);
    }
    is_known(&address, &ids);
    is_logged(&address, &ids);
    println!(
        "{} ids under {} keys; {} attempts failed, {found_again} answers were found again",
        ids.len(),
        all.len(),
        shared.failures.load(Ordering::Relaxed),
    );
    program.signal(Signal::TERM);
    assert_eq!(program.end().code, 0);
}

fn is_known(address: &str, ids: &HashMap<String, Value>) {
    for (id, metadata) in ids {
        let said = get(address, &format!("/v1/validate/{id}"));
        assert_eq!(said["valid"], true, "acknowledged and lost: {said}");
        let info = get(address, &format!("/v1/{id}/info"));
        assert_eq!(&info["metadata"], metadata, "{id}");
    }
}

/// The audit log has each id once, and none that nobody was told of; and no number was lost.
fn is_logged(address: &str, ids: &HashMap<String, Value>) {
    let (mut logged, mut after) = (HashSet::new(), String::new());
    loop {
        let page = get(address, &format!("/v1/audit?limit=1000{after}"));
        for entry in page["entries"].as_array().unwrap() {
            assert!(!entry.to_string().contains(TOKEN), "{entry}");
            for id in entry["ids"].as_array().unwrap() {
                let id = id.as_str().unwrap();
                assert!(logged.insert(id.to_owned()), "{id} stands in the log twice");
                assert!(ids.contains_key(id), "{id} was minted, and no client has it");
            }
        }
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(logged.len(), ids.len());
    // Numbers follow each other: 9 999 for each extension.
    let number = |id: &String| {
        let parts: Vec<&str> = id.split('-').collect();
        let round = u64::from_str_radix(parts[7], 36).unwrap();
        round * 9_999 + parts[3].parse::<u64>().unwrap()
    };
    assert_eq!(logged.iter().map(number).max(), Some(ids.len() as u64), "a number was lost");
}
