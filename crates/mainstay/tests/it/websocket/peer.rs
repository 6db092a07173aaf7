//! A WebSocket server that does as it is told, and counts.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

pub(crate) type Ws = WebSocketStream<TcpStream>;

/// What the server does with a connection.
#[derive(Clone, Debug)]
pub(crate) enum Do {
    /// Sends everything back.
    Echo,
    /// Takes everything and keeps it in [`Peer::heard`].
    Listen,
    /// Closes with this code at once.
    Close(u16),
    /// Resets the connection after the upgrade.
    Reset,
    /// Answers the upgrade with this status and these headers.
    Refuse(u16, Vec<(&'static str, String)>),
    /// Takes the connection and never answers.
    Silence,
    /// Sends so many messages, `0`, `1`, …, then listens.
    Tell(usize),
    /// The first thing with the first connection, the second with all others.
    First(Box<Self>, Box<Self>),
}

impl Do {
    pub(crate) fn then(self, then: Self) -> Self {
        Self::First(Box::new(self), Box::new(then))
    }

    fn with(self, connection: usize) -> Self {
        match self {
            Self::First(first, then) => {
                if connection == 0 {
                    *first
                } else {
                    *then
                }
            }
            other @ (Self::Echo
            | Self::Listen
            | Self::Close(_)
            | Self::Reset
            | Self::Refuse(..)
            | Self::Silence
            | Self::Tell(_)) => other,
        }
    }
}

/// Upgrades whose headers are kept.
const KEPT: usize = 1_000;

/// The server: it stops when it is dropped.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) counts: Arc<Counts>,
    what: watch::Sender<Do>,
    commands: watch::Sender<Option<Command>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Connections that came.
    pub(crate) attempts: AtomicUsize,
    /// WebSockets open now, and the most there ever were.
    pub(crate) open: AtomicUsize,
    pub(crate) most_open: AtomicUsize,
    /// Upgrades done.
    pub(crate) upgrades: AtomicUsize,
    pub(crate) heard: Mutex<Vec<String>>,
    /// Headers of the upgrades.
    pub(crate) requests: Mutex<Vec<Vec<(String, String)>>>,
    pub(crate) paths: Mutex<Vec<String>>,
}

/// What all open connections are to do.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    Close(u16),
    Say(String),
    Reset,
}

impl Peer {
    pub(crate) async fn start(what: Do) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, what)
    }

    pub(crate) fn on(listener: TcpListener, what: Do) -> Self {
        let address = listener.local_addr().unwrap();
        let counts = Arc::new(Counts::default());
        let (what, will) = watch::channel(what);
        let (commands, told) = watch::channel(None);
        let task = tokio::spawn(serve(listener, counts.clone(), will, told));
        Self { address, counts, what, commands, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/", self.address)
    }

    /// From the next connection on.
    pub(crate) fn will(&self, what: Do) {
        self.what.send_replace(what);
    }

    /// All open connections, now.
    pub(crate) fn tell(&self, command: Command) {
        self.commands.send_replace(Some(command));
    }

    pub(crate) fn attempts(&self) -> usize {
        self.counts.attempts.load(Ordering::SeqCst)
    }

    pub(crate) fn open(&self) -> usize {
        self.counts.open.load(Ordering::SeqCst)
    }

    pub(crate) fn most_open(&self) -> usize {
        self.counts.most_open.load(Ordering::SeqCst)
    }

    pub(crate) fn heard(&self) -> Vec<String> {
        self.counts.heard.lock().unwrap().clone()
    }

    /// Values of a header over all upgrades.
    pub(crate) fn header(&self, name: &str) -> Vec<Option<String>> {
        let requests = self.counts.requests.lock().unwrap();
        let find = |headers: &Vec<(String, String)>| {
            headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone())
        };
        requests.iter().map(find).collect()
    }

    /// Waits until `done`, for a minute at most.
    pub(crate) async fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        for _ in 0..6_000 {
            if done(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never: {what}; {:?}", self.counts);
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    listener: TcpListener,
    counts: Arc<Counts>,
    what: watch::Receiver<Do>,
    commands: watch::Receiver<Option<Command>>,
) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let number = counts.attempts.fetch_add(1, Ordering::SeqCst);
        let (what, counts) = (what.borrow().clone().with(number), counts.clone());
        let mut commands = commands.clone();
        commands.mark_unchanged();
        connections.spawn(connection(stream, what, counts, commands));
    }
}

async fn connection(
    stream: TcpStream,
    what: Do,
    counts: Arc<Counts>,
    commands: watch::Receiver<Option<Command>>,
) {
    if matches!(what, Do::Silence) {
        return std::future::pending().await;
    }
    let Some(mut ws) = upgrade(stream, &what, &counts).await else { return };
    counts.upgrades.fetch_add(1, Ordering::SeqCst);
    let open = counts.open.fetch_add(1, Ordering::SeqCst) + 1;
    counts.most_open.fetch_max(open, Ordering::SeqCst);
    let _open = Open(counts.clone());
    match what {
        Do::Close(code) => {
            close(&mut ws, code).await;
            while let Some(Ok(_)) = ws.next().await {}
        }
        Do::Reset => reset(&ws),
        Do::Tell(count) => {
            for n in 0..count {
                ws.feed(Message::text(n.to_string())).await.unwrap();
            }
            ws.flush().await.unwrap();
            talk(ws, false, &counts, commands).await;
        }
        Do::Echo => talk(ws, true, &counts, commands).await,
        Do::Listen => talk(ws, false, &counts, commands).await,
        Do::Refuse(..) | Do::Silence | Do::First(..) => {}
    }
}

#[expect(clippy::result_large_err, reason = "the library's own type of callback")]
async fn upgrade(stream: TcpStream, what: &Do, counts: &Counts) -> Option<Ws> {
    let answer = |request: &Request, mut response: Response| {
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into();
        let headers = request.headers();
        let headers = headers.iter().map(|(n, value)| (n.to_string(), text(value))).collect();
        let mut requests = counts.requests.lock().unwrap();
        if requests.len() < KEPT {
            requests.push(headers);
            counts.paths.lock().unwrap().push(request.uri().to_string());
        }
        drop(requests);
        if let Some(name) = request.headers().get("sec-websocket-protocol") {
            let first = name.to_str().unwrap().split(',').next().unwrap().trim().to_owned();
            response.headers_mut().insert("sec-websocket-protocol", first.parse().unwrap());
        }
        let Do::Refuse(status, headers) = what else { return Ok(response) };
        let mut refusal = ErrorResponse::new(None);
        *refusal.status_mut() = http::StatusCode::from_u16(*status).unwrap();
        for (name, value) in headers {
            refusal.headers_mut().insert(*name, value.parse().unwrap());
        }
        Err(refusal)
    };
    tokio_tungstenite::accept_hdr_async(stream, answer).await.ok()
}

async fn talk(
    mut ws: Ws,
    echo: bool,
    counts: &Counts,
    mut commands: watch::Receiver<Option<Command>>,
) {
    loop {
        tokio::select! {
            message = ws.next() => {
                let Some(Ok(message)) = message else { return };
                if !message.is_text() && !message.is_binary() {
                    continue;
                }
                if echo {
                    drop(ws.send(message).await);
                } else if let Ok(text) = message.to_text() {
                    counts.heard.lock().unwrap().push(text.to_owned());
                }
            }
            _ = commands.changed() => {
                let command = commands.borrow_and_update().clone();
                match command {
                    Some(Command::Close(code)) => close(&mut ws, code).await,
                    Some(Command::Say(text)) => drop(ws.send(Message::text(text)).await),
                    Some(Command::Reset) => return reset(&ws),
                    None => {}
                }
            }
        }
    }
}

async fn close(ws: &mut Ws, code: u16) {
    let frame = CloseFrame { code: code.into(), reason: "told to".into() };
    drop(ws.close(Some(frame)).await);
}

fn reset(ws: &Ws) {
    ws.get_ref().set_zero_linger().unwrap();
}

struct Open(Arc<Counts>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A channel that the tests fill from callbacks.
pub(crate) fn channel<T>() -> (mpsc::UnboundedSender<T>, mpsc::UnboundedReceiver<T>) {
    mpsc::unbounded_channel()
}
