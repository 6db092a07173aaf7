//! A small HTTP server that misbehaves on request.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What the server does with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Answers with this status line and these headers.
    Answer(&'static str, &'static str),
    /// Takes the connection and never answers.
    Hang,
    /// Answers late, so often.
    Slow(Duration),
    /// Resets the connection.
    Reset,
    /// Answers well, with a body that never ends.
    Endless,
}

pub(crate) const OK: Mode = Mode::Answer("200 OK", "");

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Seen>,
    task: Option<tokio::task::JoinHandle<()>>,
}

#[derive(Default)]
struct Seen {
    mode: Mutex<Option<Mode>>,
    connections: AtomicUsize,
    requests: AtomicUsize,
    under_way: AtomicUsize,
    most: AtomicUsize,
    last: Mutex<String>,
}

impl Server {
    pub(crate) async fn start(mode: Mode) -> Self {
        let seen = Arc::new(Seen::default());
        *seen.mode.lock().unwrap() = Some(mode);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = Some(tokio::spawn(serve(listener, seen.clone())));
        Self { address, seen, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn turn(&self, mode: Mode) {
        *self.seen.mode.lock().unwrap() = Some(mode);
    }

    /// Drops the listener and every connection.
    pub(crate) async fn kill(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
        }
    }

    /// Comes back on the same port.
    pub(crate) async fn revive(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.task = Some(tokio::spawn(serve(listener, self.seen.clone())));
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> usize {
        self.seen.requests.load(Ordering::SeqCst)
    }

    /// The most requests that were under way at the same time.
    pub(crate) fn most(&self) -> usize {
        self.seen.most.load(Ordering::SeqCst)
    }

    /// The head of the last request.
    pub(crate) fn last(&self) -> String {
        self.seen.last.lock().unwrap().clone()
    }
}

async fn serve(listener: TcpListener, seen: Arc<Seen>) {
    // Dropped with this task, and all connections with it.
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        seen.connections.fetch_add(1, Ordering::SeqCst);
        connections.spawn(talk(stream, seen.clone()));
    }
}

async fn talk(mut stream: TcpStream, seen: Arc<Seen>) {
    let mut head = Vec::new();
    let mut buffer = [0_u8; 1024];
    loop {
        while !head.windows(4).any(|four| four == b"\r\n\r\n") {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(n) => head.extend_from_slice(&buffer[..n]),
            }
        }
        *seen.last.lock().unwrap() = String::from_utf8_lossy(&head).into_owned();
        head.clear();
        seen.requests.fetch_add(1, Ordering::SeqCst);
        let now = seen.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        seen.most.fetch_max(now, Ordering::SeqCst);
        let mode = seen.mode.lock().unwrap().clone().unwrap();
        let (status, headers) = match mode {
            Mode::Answer(status, headers) => (status, headers),
            Mode::Slow(wait) => {
                tokio::time::sleep(wait).await;
                ("200 OK", "")
            }
            Mode::Hang => {
                drop(stream.read(&mut buffer).await);
                seen.under_way.fetch_sub(1, Ordering::SeqCst);
                return;
            }
            Mode::Endless => {
                let head = "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n";
                let mut sent = stream.write_all(head.as_bytes()).await;
                while sent.is_ok() {
                    sent = stream.write_all(&[b'x'; 4096]).await;
                }
                seen.under_way.fetch_sub(1, Ordering::SeqCst);
                return;
            }
            Mode::Reset => {
                stream.set_zero_linger().unwrap();
                seen.under_way.fetch_sub(1, Ordering::SeqCst);
                return;
            }
        };
        let answer = format!("HTTP/1.1 {status}\r\n{headers}content-length: 2\r\n\r\nok");
        seen.under_way.fetch_sub(1, Ordering::SeqCst);
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
