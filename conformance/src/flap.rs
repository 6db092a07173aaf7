//! How often a client dials a server that takes every connection and drops it, in 20 s.
//!
//! Real clients with their defaults, against a real server on loopback, in real time: all columns
//! at once.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use mainstay::link::LinkOptions;
use mainstay::link::websocket::{HandshakeConfig, HandshakeLimiter, WebSocket, WebSocketConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

const TIME: Duration = Duration::from_secs(20);
/// What we hold ourselves to.
const MOST: usize = 12;

/// What the server does.
#[derive(Clone, Copy)]
enum Column {
    Close(u16),
    Reset,
    Unavailable,
    Silence,
}

const COLUMNS: [(&str, Column); 5] = [
    ("close 1000", Column::Close(1000)),
    ("close 1011", Column::Close(1011)),
    ("TCP RST after 5 ms", Column::Reset),
    ("HTTP 503 on upgrade", Column::Unavailable),
    ("upgrade never answered", Column::Silence),
];

/// Begins to connect to `url`, for ever.
type Client = fn(String) -> JoinHandle<()>;

/// Attempts of each client in each column.
pub struct Flap {
    rows: Vec<(&'static str, Vec<usize>)>,
}

/// Runs all of it; the first client is ours.
pub fn run(only_ours: bool) -> Flap {
    let mut clients: Vec<(&'static str, Client)> = vec![("**mainstay link**", ours)];
    if !only_ours {
        clients.push(("ezsockets 0.7", ezsockets));
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let rows = clients.into_iter().map(|(name, client)| {
        eprintln!("flapping {name} for {} s", TIME.as_secs());
        (name, runtime.block_on(all(client)))
    });
    let rows = rows.collect();
    runtime.shutdown_background();
    Flap { rows }
}

impl Flap {
    pub fn ours_is_calm(&self) -> bool {
        self.rows[0].1.iter().all(|attempts| (1..=MOST).contains(attempts))
    }

    pub fn table(&self) -> String {
        let mut text = String::from("| client, defaults |");
        for (name, _) in COLUMNS {
            let _infallible = write!(text, " {name} |");
        }
        text += "\n|---|---|---|---|---|---|\n";
        for (name, attempts) in &self.rows {
            let cells: Vec<String> = attempts.iter().map(usize::to_string).collect();
            let _infallible = writeln!(text, "| {name} | {} |", cells.join(" | "));
        }
        text
    }

    /// For the page.
    pub fn section(&self) -> String {
        format!(
            "## A server that takes connections and drops them\n\n\
             Connection attempts in {} s, of real clients with their defaults against a real server on \
             loopback\n(`cargo xtask flap`). Resetting the attempts as soon as a connection opens is the most \
             common defect of\nreconnecting clients: it turns a server that is in trouble into one that is \
             under attack. A link of ours resets\nthem only after 10 s of holding, and never makes more \
             than {MOST} attempts here.\n\n{}\n\
             `cargo xtask autobahn` runs the Autobahn suite against the link, where there is a Python 2.7.\n",
            TIME.as_secs(),
            self.table()
        )
    }
}

async fn all(client: Client) -> Vec<usize> {
    let runs = COLUMNS.map(|(_, column)| tokio::spawn(one(client, column)));
    let mut attempts = Vec::new();
    for run in runs {
        attempts.push(run.await.expect("no run panics"));
    }
    attempts
}

async fn one(client: Client, column: Column) -> usize {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let attempts = Arc::new(AtomicUsize::new(0));
    let server = tokio::spawn(serve(listener, column, attempts.clone()));
    let running = client(url(address));
    tokio::time::sleep(TIME).await;
    running.abort();
    server.abort();
    attempts.load(Ordering::SeqCst)
}

fn url(address: SocketAddr) -> String {
    format!("ws://{address}/")
}

fn ours(url: String) -> JoinHandle<()> {
    tokio::spawn(async move {
        let limiter = HandshakeLimiter::new(&HandshakeConfig::default()).expect("it makes sense");
        let config = WebSocketConfig { limiter, ..WebSocketConfig::new(url) };
        let (socket, _messages) =
            WebSocket::open(LinkOptions::websocket("flap"), config).expect("it makes sense");
        socket.link().begin();
        std::future::pending::<()>().await;
    })
}

struct Deaf;

#[async_trait::async_trait]
impl ezsockets::ClientExt for Deaf {
    type Call = ();

    async fn on_text(&mut self, _: ezsockets::Utf8Bytes) -> Result<(), ezsockets::Error> {
        Ok(())
    }

    async fn on_binary(&mut self, _: ezsockets::Bytes) -> Result<(), ezsockets::Error> {
        Ok(())
    }

    async fn on_call(&mut self, (): ()) -> Result<(), ezsockets::Error> {
        Ok(())
    }
}

fn ezsockets(url: String) -> JoinHandle<()> {
    tokio::spawn(async move {
        let config = ezsockets::ClientConfig::new(url.as_str());
        let (_handle, running) = ezsockets::connect(|_| Deaf, config).await;
        drop(running.await);
        std::future::pending::<()>().await;
    })
}

async fn serve(listener: TcpListener, column: Column, attempts: Arc<AtomicUsize>) {
    let mut held = Vec::new();
    while let Ok((stream, _)) = listener.accept().await {
        attempts.fetch_add(1, Ordering::SeqCst);
        match column {
            Column::Silence => held.push(stream),
            Column::Unavailable => drop(tokio::spawn(refuse(stream))),
            Column::Close(code) => drop(tokio::spawn(close(stream, code))),
            Column::Reset => drop(tokio::spawn(reset(stream))),
        }
    }
}

async fn refuse(mut stream: TcpStream) {
    let mut request = [0; 2048];
    // One read brings the whole request on loopback.
    if stream.read(&mut request).await.is_ok() {
        let answer =
            b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        drop(stream.write_all(answer).await);
    }
}

async fn close(stream: TcpStream, code: u16) {
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
    let frame = CloseFrame { code: code.into(), reason: "".into() };
    drop(socket.send(Message::Close(Some(frame))).await);
    while let Some(Ok(_)) = socket.next().await {}
}

async fn reset(stream: TcpStream) {
    let Ok(socket) = tokio_tungstenite::accept_async(stream).await else { return };
    tokio::time::sleep(Duration::from_millis(5)).await;
    drop(socket.get_ref().set_zero_linger());
}
