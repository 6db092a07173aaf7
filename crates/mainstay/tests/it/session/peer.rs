//! A server of the session protocol that keeps its sessions over many connections.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use mainstay::clock;
use mainstay::core::session::stream::StreamConfig;
use mainstay_wire::{
    Bye, Decoded, FRAME_MAX, Frame, Hello, Limits, Message as Wire, Ping, Raw, Retry, decode,
    encode,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

mod book;

use book::Book;

type Ws = WebSocketStream<TcpStream>;

/// What the server does that it should not, or need not.
#[derive(Clone, Debug)]
pub(crate) struct Mood {
    /// Messages that each new session says by itself: `0`, `1`, …
    pub(crate) says: usize,
    pub(crate) stream: StreamConfig,
    pub(crate) limits: Limits,
    /// Leaves out its message with this number, so many times.
    pub(crate) leaves_out: Option<(u64, u32)>,
    /// Closes with this code when it gets a message that contains this.
    pub(crate) chokes_on: Option<(&'static str, u16)>,
    /// Answers every `hello` with a `bye` of this code, so many times.
    pub(crate) turns_away: Option<(u16, u32)>,
    /// Says in `welcome` that it has received so much more than is true.
    pub(crate) boasts: u64,
    /// Says `replay: false` though it could.
    pub(crate) no_replay: bool,
    /// Keeps its acks to itself.
    pub(crate) silent: bool,
}

/// The server: it stops when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    book: Mutex<Book>,
    /// Woken when a connection should look again.
    changed: Notify,
}

/// What all connections are to do.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    Bye(Bye, bool),
    Close(u16),
    Reset,
    Ping(Ping),
    Tell(Raw),
    Raw(String),
}

impl Default for Mood {
    fn default() -> Self {
        let frame_bytes = u32::try_from(FRAME_MAX).unwrap();
        Self {
            says: 0,
            stream: StreamConfig {
                ack_messages: 16,
                ack_after: Duration::from_millis(5),
                ..StreamConfig::default()
            },
            limits: Limits { frame_bytes, rate_per_sec: 1_000_000 },
            leaves_out: None,
            chokes_on: None,
            turns_away: None,
            boasts: 0,
            no_replay: false,
            silent: false,
        }
    }
}

impl Server {
    pub(crate) async fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let book = Book::new(mood);
        let state = Arc::new(State { book: Mutex::new(book), changed: Notify::new() });
        let task = tokio::spawn(serve(listener, state.clone()));
        Self { address, state, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/", self.address)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.state.book.lock().unwrap()
    }

    pub(crate) fn mood(&self, change: impl FnOnce(&mut Mood)) {
        change(&mut self.book().mood);
    }

    /// All connections, now.
    pub(crate) fn order(&self, order: Order) {
        let mut book = self.book();
        book.order = Some(order);
        book.orders += 1;
        drop(book);
        self.state.changed.notify_waiters();
    }

    /// All sessions have this to say.
    pub(crate) fn say(&self, payload: &Raw) {
        let mut book = self.book();
        book.sessions.values_mut().for_each(|session| session.waiting.push_back(payload.clone()));
        drop(book);
        self.state.changed.notify_waiters();
    }

    /// It knows of no session any more, like one that was restarted; connections are cut.
    pub(crate) fn forget(&self) {
        self.book().sessions.clear();
        self.state.changed.notify_waiters();
    }

    pub(crate) fn hellos(&self) -> Vec<Hello> {
        self.book().hellos.clone()
    }

    /// What was processed, over all sessions.
    pub(crate) fn processed(&self) -> Vec<String> {
        self.book().processed.clone()
    }

    /// The same, and begins anew.
    pub(crate) fn take_processed(&self) -> Vec<String> {
        std::mem::take(&mut self.book().processed)
    }

    pub(crate) fn pongs(&self) -> Vec<(u32, u64)> {
        self.book().pongs.clone()
    }

    pub(crate) fn byes(&self) -> Vec<u16> {
        self.book().byes.clone()
    }

    /// Messages of ours that are not acknowledged, over all sessions.
    pub(crate) fn unacknowledged(&self) -> usize {
        let book = self.book();
        let waits = book.sessions.values();
        waits.map(|session| session.stream.outgoing().len() + session.waiting.len()).sum()
    }

    /// Waits until `done`, for a minute at most.
    pub(crate) async fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        for _ in 0..12_000 {
            if done(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("never: {what}; {:?}", self.book());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            taken = listener.accept() => {
                let Ok((stream, _)) = taken else { return };
                connections.spawn(connection(stream, state.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

#[expect(clippy::result_large_err, reason = "the library's own type of callback")]
async fn connection(stream: TcpStream, state: Arc<State>) {
    drop(stream.set_nodelay(true));
    let answer = |request: &Request, mut response: Response| -> Result<_, ErrorResponse> {
        assert_eq!(request.headers()["sec-websocket-protocol"], "mainstay.v1");
        let name = "mainstay.v1".parse().unwrap();
        response.headers_mut().insert("sec-websocket-protocol", name);
        Ok(response)
    };
    let Ok(mut ws) = tokio_tungstenite::accept_hdr_async(stream, answer).await else { return };
    let Some(hello) = hello(&mut ws).await else { return };
    let answer = state.book.lock().unwrap().welcome(hello);
    // Others on this session are to see that they were overtaken.
    state.changed.notify_waiters();
    match answer {
        Ok((id, welcome)) => {
            let generation = welcome.generation;
            if send(&mut ws, &Frame::Welcome(welcome)).await {
                talk(ws, &state, &id, generation).await;
            }
        }
        Err(code) => {
            let bye = Bye { code, reason: "told to".into(), retry: None };
            send(&mut ws, &Frame::Bye(bye)).await;
            close(&mut ws, code).await;
        }
    }
}

async fn hello(ws: &mut Ws) -> Option<Hello> {
    let message = ws.next().await?.ok()?;
    let Ok(Decoded::Known(Frame::Hello(hello))) = decode(message.to_text().ok()?, FRAME_MAX) else {
        panic!("no hello: {message:?}");
    };
    Some(hello)
}

async fn talk(mut ws: Ws, state: &State, id: &str, generation: u64) {
    let mut orders = state.book.lock().unwrap().orders;
    loop {
        let mut changed = std::pin::pin!(state.changed.notified());
        changed.as_mut().enable();
        let (out, order, deadline) = {
            let mut book = state.book.lock().unwrap();
            let order = book.order.clone().filter(|_| book.orders > orders);
            orders = book.orders;
            let out = book.next(id, generation);
            let deadline = book.sessions.get(id).and_then(|session| session.stream.deadline());
            let deadline = deadline.filter(|_| !book.mood.silent);
            (out, order, deadline)
        };
        let Some(out) = out else {
            // Overtaken, or a restart: then nobody says goodbye.
            if state.book.lock().unwrap().sessions.contains_key(id) {
                close(&mut ws, 4_203).await;
            }
            return;
        };
        for text in out {
            if ws.feed(Message::text(text)).await.is_err() {
                return;
            }
        }
        if ws.flush().await.is_err() || obey(&mut ws, order).await {
            return;
        }
        let deadline = deadline.map_or_else(far, clock::to_tokio);
        tokio::select! {
            () = changed => {}
            () = tokio::time::sleep_until(deadline) => {}
            message = ws.next() => {
                let Some(Ok(message)) = message else { return };
                if !message.is_text() {
                    continue;
                }
                let Ok(Decoded::Known(frame)) = decode(message.to_text().unwrap(), FRAME_MAX) else {
                    panic!("no frame: {message:?}");
                };
                let result = state.book.lock().unwrap().came(id, generation, frame);
                if let Err(code) = result {
                    return close(&mut ws, code).await;
                }
            }
        }
    }
}

/// Does as told; says whether that was the end.
async fn obey(ws: &mut Ws, order: Option<Order>) -> bool {
    match order {
        None => false,
        Some(Order::Bye(bye, closes)) => {
            let code = bye.code;
            send(ws, &Frame::Bye(bye)).await;
            if closes {
                close(ws, code).await;
            }
            true
        }
        Some(Order::Close(code)) => {
            close(ws, code).await;
            true
        }
        Some(Order::Reset) => {
            ws.get_ref().set_zero_linger().unwrap();
            true
        }
        Some(Order::Ping(ping)) => !send(ws, &Frame::Ping(ping)).await,
        Some(Order::Tell(payload)) => !send(ws, &Frame::Message(Wire { seq: None, payload })).await,
        Some(Order::Raw(text)) => ws.send(Message::text(text)).await.is_err(),
    }
}

async fn send(ws: &mut Ws, frame: &Frame) -> bool {
    ws.send(Message::text(line(frame))).await.is_ok()
}

async fn close(ws: &mut Ws, code: u16) {
    let frame = CloseFrame { code: code.into(), reason: "told to".into() };
    drop(ws.close(Some(frame)).await);
    while let Some(Ok(_)) = ws.next().await {}
}

fn line(frame: &Frame) -> String {
    let mut text = String::new();
    encode(frame, &mut text);
    text
}

fn far() -> tokio::time::Instant {
    tokio::time::Instant::now() + Duration::from_secs(3_600)
}

/// A goodbye that asks to come back soon.
pub(crate) fn bye(code: u16) -> Bye {
    let retry = Some(Retry { after_ms: 1, jitter_ms: 2 });
    Bye { code, reason: "told to".into(), retry }
}
