//! An authority behind a real listener, mounted as a server mounts it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use chittyid_server::{Authority, AuthorityConfig, Caller, Clock, authority_routes, key_hash};
use mainstay_store::{MemoryStore, RedbStore, Store, StoreConfig, Writer};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// The keys of two callers and of an admin.
pub(crate) const ANN: &str = "ann-has-a-long-key";
pub(crate) const BOB: &str = "bob-has-a-long-key";
pub(crate) const ROOT: &str = "root-has-a-long-key";

/// No limit that a test could reach unless it wants to.
pub(crate) fn config() -> AuthorityConfig {
    AuthorityConfig { mints_per_minute: 1_000_000, ..AuthorityConfig::default() }
}

/// A store with its writer.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) writer: Arc<Writer>,
}

impl Kept {
    pub(crate) fn of(store: Arc<dyn Store>) -> Self {
        let writer = Arc::new(Writer::start(store.clone(), &StoreConfig::default()).unwrap());
        Self { store, writer }
    }

    pub(crate) fn in_memory() -> Self {
        Self::of(Arc::new(MemoryStore::new()))
    }

    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self::of(Arc::new(RedbStore::open(folder, &StoreConfig::default()).unwrap()))
    }

    pub(crate) fn authority(&self, config: AuthorityConfig, clock: &Hand) -> Authority {
        let (store, writer) = (self.store.clone(), self.writer.clone());
        Authority::with_clock(config, store, writer, clock.clock()).unwrap()
    }
}

/// A wall clock that a test moves.
#[derive(Clone)]
pub(crate) struct Hand(Arc<AtomicU64>);

impl Hand {
    /// The first second of a month in UTC.
    pub(crate) fn at(unix_secs: u64) -> Self {
        Self(Arc::new(AtomicU64::new(unix_secs)))
    }

    /// November 21st of 2026.
    pub(crate) fn usual() -> Self {
        Self::at(1_795_219_200)
    }

    pub(crate) fn set(&self, unix_secs: u64) {
        self.0.store(unix_secs, Ordering::SeqCst);
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.0.fetch_add(time.as_secs(), Ordering::SeqCst);
    }

    fn clock(&self) -> Clock {
        let hand = self.0.clone();
        Arc::new(move || -> SystemTime {
            UNIX_EPOCH + Duration::from_secs(hand.load(Ordering::SeqCst))
        })
    }
}

/// Somebody who asks without HTTP.
pub(crate) fn caller(name: &str) -> Caller {
    let key = Some(key_hash(name));
    Caller { name: name.into(), key, address: None, is_admin: false }
}

async fn known(mut request: Request, next: Next) -> Response {
    let shown = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    let key = shown.and_then(|shown| shown.strip_prefix("Bearer ")).map(String::from);
    for (name, known) in [("ann", ANN), ("bob", BOB), ("root", ROOT)] {
        if key.as_deref() == Some(known) {
            request.extensions_mut().insert(Caller {
                name: name.into(),
                key: Some(key_hash(known)),
                address: Some(Ipv4Addr::LOCALHOST.into()),
                is_admin: name == "root",
            });
        }
    }
    next.run(request).await
}

/// It answers until it is dropped.
pub(crate) struct Served {
    pub(crate) kept: Kept,
    pub(crate) authority: Arc<Authority>,
    pub(crate) clock: Hand,
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Served {
    pub(crate) async fn new(config: AuthorityConfig) -> Self {
        Self::on(config, Kept::in_memory(), Hand::usual()).await
    }

    pub(crate) async fn on(config: AuthorityConfig, kept: Kept, clock: Hand) -> Self {
        let authority = Arc::new(kept.authority(config, &clock));
        let routes: Router = authority_routes(authority.clone()).layer(from_fn(known));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { kept, authority, clock, address, serving }
    }

    /// Asks; `headers` are whole lines, and a body is JSON unless they say otherwise.
    pub(crate) async fn ask(
        &self,
        order: &str,
        key: Option<&str>,
        headers: &[&str],
        body: &str,
    ) -> Answer {
        let asked = timeout(PATIENCE, exchange(self.address, order, key, headers, body));
        asked.await.expect("it answers in time")
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), None, &[], "").await
    }

    pub(crate) async fn post(&self, path: &str, key: &str, body: &Value) -> Answer {
        self.ask(&format!("POST {path}"), Some(key), &[], &body.to_string()).await
    }

    /// Mints one id of that entity for Ann.
    pub(crate) async fn mint(&self, entity: &str) -> String {
        let answer = self.post("/v1/mint", ANN, &serde_json::json!({ "entity": entity })).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body["chittyId"].as_str().unwrap().to_owned()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    /// Null where there is no JSON.
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Asserts that it is an error in the shape that clients know, and nothing else.
    #[track_caller]
    pub(crate) fn refuses(&self, status: u16, code: &str, message: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.body["error"], code, "{self:?}");
        let said = self.body["message"].as_str().unwrap();
        assert!(said.contains(message), "{said:?} does not say {message:?}");
        let time = self.body["timestamp"].as_str().unwrap();
        assert!(time.starts_with("20") && time.ends_with('Z'), "{time}");
        assert_eq!(self.body.as_object().unwrap().len(), 3, "{self:?}");
    }
}

pub(crate) async fn exchange(
    address: SocketAddr,
    order: &str,
    key: Option<&str>,
    headers: &[&str],
    body: &str,
) -> Answer {
    let mut head = format!("{order} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    if let Some(key) = key {
        head.push_str(&format!("Authorization: Bearer {key}\r\n"));
    }
    if !headers.iter().any(|line| line.to_ascii_lowercase().starts_with("content-type:")) {
        head.push_str("Content-Type: application/json\r\n");
    }
    headers.iter().for_each(|line| head.push_str(&format!("{line}\r\n")));
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    let whole = [head.as_bytes(), body.as_bytes()].concat();
    // A body that is refused need not be read to its end; who closes this half has gone.
    let written = tokio::spawn(async move {
        drop(writing.write_all(&whole).await);
        writing
    });
    let mut answer = Vec::new();
    let read = reading.read_to_end(&mut answer).await;
    drop(written.await.unwrap());
    let answer = String::from_utf8(answer).unwrap();
    assert!(read.is_ok() || !answer.is_empty(), "{read:?}");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    let status = head.get(9..12).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head: head.to_owned(), body: serde_json::from_str(body).unwrap_or_default() }
}
