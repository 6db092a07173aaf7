//! Requests to a server that runs, and streams of its events.

use mainstay_server::auth::KeyHash;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::running::{PATIENCE, Running, start};

pub(crate) const ADMIN: &str = "msk_admin";
pub(crate) const OPERATOR: &str = "msk_operator";
pub(crate) const CLIENT: &str = "msk_client";

/// An answer; its body is null where it is no JSON.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Value,
}

/// A server that knows one key of each role, with more in its configuration.
pub(crate) async fn with_keys(rest: &str) -> Running {
    let key = |name: &str, key: &str| {
        let hash = KeyHash::of(key);
        format!("[[auth.key]]\nname = \"{name}\"\nhash = \"{hash}\"\nrole = \"{name}\"\n")
    };
    let keys = [("admin", ADMIN), ("operator", OPERATOR), ("client", CLIENT)];
    let keys: String = keys.iter().map(|(name, shown)| key(name, shown)).collect();
    start(&format!("{rest}\n{keys}")).await
}

/// Asks as whoever has `key`, with `body` as JSON.
pub(crate) async fn ask_as(
    running: &Running,
    key: &str,
    method: &str,
    path: &str,
    body: &Value,
) -> Answer {
    ask_with(running, method, path, &format!("Authorization: Bearer {key}\r\n"), body).await
}

/// Asks a server that is open to this machine.
pub(crate) async fn ask(running: &Running, method: &str, path: &str, body: &Value) -> Answer {
    ask_with(running, method, path, "", body).await
}

pub(crate) async fn ask_with(
    running: &Running,
    method: &str,
    path: &str,
    headers: &str,
    body: &Value,
) -> Answer {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let kind = if body.is_null() { "" } else { "Content-Type: application/json\r\n" };
    let (address, length) = (&running.address, text.len());
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\n{headers}{kind}Content-Length: {length}\r\n\
         Connection: close\r\n\r\n{text}"
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head[9..12].parse().unwrap();
    let body = serde_json::from_str(body).unwrap_or_default();
    Answer { status, head: head.to_owned(), body }
}

/// A session over HTTP; answers its `welcome`.
pub(crate) async fn register(running: &Running, user: &str, organisation: &str) -> Value {
    let hello = json!({
        "v": 1, "client": { "type": "WEB_APP", "version": "1" }, "user": user,
        "organisation": organisation,
    });
    let answer = ask(running, "POST", "/api/v1/sessions", &hello).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.body
}

/// The public name of a session.
pub(crate) fn id(welcome: &Value) -> String {
    welcome["session"].as_str().unwrap().to_owned()
}

/// A stream of events.
pub(crate) struct Stream(BufReader<TcpStream>);

/// One of them.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) id: Option<u64>,
    pub(crate) event: String,
    pub(crate) data: Value,
}

/// Begins to listen.
pub(crate) async fn listen(running: &Running, path: &str, headers: &str) -> Stream {
    let mut stream = TcpStream::connect(&running.address).await.unwrap();
    let address = &running.address;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut stream = Stream(BufReader::new(stream));
    let first = stream.line().await.unwrap();
    assert!(first.starts_with("HTTP/1.1 200"), "{first}");
    while !stream.line().await.unwrap().is_empty() {}
    stream
}

impl Stream {
    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = timeout(PATIENCE, self.0.read_line(&mut line)).await.expect("it comes").unwrap();
        (read > 0).then(|| line.trim_end().to_owned())
    }

    /// The next event that says something; none at the end.
    pub(crate) async fn next(&mut self) -> Option<Told> {
        let mut told = Told::default();
        loop {
            let line = self.line().await?;
            // Lengths of chunks stand in between; they are no fields.
            if let Some(id) = line.strip_prefix("id: ") {
                told.id = id.parse().ok();
            } else if let Some(name) = line.strip_prefix("event: ") {
                name.clone_into(&mut told.event);
            } else if let Some(data) = line.strip_prefix("data: ") {
                told.data = serde_json::from_str(data).unwrap();
                return Some(told);
            }
        }
    }

    /// The names of the next events.
    pub(crate) async fn names(&mut self, count: usize) -> Vec<String> {
        let mut names = Vec::new();
        for _ in 0..count {
            names.push(self.next().await.expect("it goes on").event);
        }
        names
    }
}
