//! A server of the session protocol that keeps its sessions over many connections.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use mainstay::clock;
use mainstay::core::session::stream::{
    Epoch, Position, Push, Received, Resume, Seq, Stream, StreamConfig,
};
use mainstay_wire::{
    Ack, Beats, Bye, Decoded, FRAME_MAX, Frame, Hello, Limits, Message as Wire, Ping, Raw, Retry,
    Schedule, Secret, Welcome, decode, encode,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

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
    /// Acknowledges a message that was never sent.
    pub(crate) acknowledges: Option<u64>,
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

#[derive(Debug)]
struct Book {
    mood: Mood,
    sessions: BTreeMap<String, Session>,
    made: u64,
    hellos: Vec<Hello>,
    /// What was processed, over all sessions, in the order of processing.
    processed: Vec<String>,
    pongs: Vec<(u32, u64)>,
    byes: Vec<u16>,
    /// To be said by all connections.
    order: Option<Order>,
    orders: u64,
    dropped: Vec<String>,
}

/// What all connections are to do.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    Bye(Bye, bool),
    Close(u16),
    Reset,
    Ping(Ping),
    Say(Raw),
    Tell(Raw),
    Raw(String),
}

#[derive(Debug)]
struct Session {
    generation: u64,
    stream: Stream<String>,
    /// What the application has to say and the window has no room for.
    waiting: VecDeque<Raw>,
    /// The next number for the connection in use.
    cursor: u64,
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
            acknowledges: None,
            no_replay: false,
            silent: false,
        }
    }
}

impl Server {
    pub(crate) async fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let book = Book {
            mood,
            sessions: BTreeMap::new(),
            made: 0,
            hellos: Vec::new(),
            processed: Vec::new(),
            pongs: Vec::new(),
            byes: Vec::new(),
            order: None,
            orders: 0,
            dropped: Vec::new(),
        };
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

    /// Messages that no session will have acknowledged.
    pub(crate) fn dropped(&self) -> Vec<String> {
        self.book().dropped.clone()
    }

    pub(crate) fn pongs(&self) -> Vec<(u32, u64)> {
        self.book().pongs.clone()
    }

    pub(crate) fn byes(&self) -> Vec<u16> {
        self.book().byes.clone()
    }

    /// Messages of ours that are not acknowledged, over all sessions.
    pub(crate) fn unacknowledged(&self) -> usize {
        let waits = |session: &Session| session.stream.outgoing().len() + session.waiting.len();
        self.book().sessions.values().map(waits).sum()
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

impl Book {
    /// The answer to a `hello`: the session and its welcome, or a code.
    fn welcome(&mut self, hello: Hello) -> Result<(String, Welcome), u16> {
        self.hellos.push(hello.clone());
        if let Some((code, times)) = &mut self.mood.turns_away
            && *times > 0
        {
            *times -= 1;
            return Err(*code);
        }
        let (id, resumed, mut replay) = match hello.resume.and_then(|resume| self.find(&resume)) {
            Some((id, position)) => {
                let replay = !self.mood.no_replay && self.resume(&id, position);
                (id, true, replay)
            }
            None => (self.make(), false, false),
        };
        let session = self.sessions.get_mut(&id).unwrap();
        if resumed && !replay {
            let epoch = Epoch(session.stream.epoch().0 + 1);
            let lost = session.stream.reset(epoch);
            self.dropped.extend(lost.into_iter().map(|(_, frame)| frame));
        }
        session.generation += 1;
        session.cursor = session.stream.outgoing().last_acknowledged().0 + 1;
        replay |= false;
        let token = format!("{id}.{}.{}", session.stream.epoch().0, session.generation);
        let received = Seq(session.stream.position().seq.0 + self.mood.boasts);
        let welcome = Welcome {
            session: id.clone(),
            generation: session.generation,
            resumed,
            replay,
            token: Secret::new(token),
            grace_ms: 120_000,
            beats: Beats { interval_ms: 25_000, timeout_ms: 10_000 },
            received,
            time_ms: 0,
            limits: self.mood.limits,
            retry: Schedule { base_ms: 1, max_ms: 10, jitter_ms: 1 },
        };
        Ok((id, welcome))
    }

    /// The session that a token names, and the position it stands for.
    fn find(&self, resume: &mainstay_wire::Resume) -> Option<(String, Position)> {
        let mut parts = resume.token.expose().split('.');
        let id = parts.next()?.to_owned();
        let epoch = Epoch(parts.next()?.parse().ok()?);
        self.sessions.contains_key(&id).then_some((id, Position { epoch, seq: resume.received }))
    }

    fn resume(&mut self, id: &str, position: Position) -> bool {
        let session = self.sessions.get_mut(id).unwrap();
        matches!(session.stream.resume(position), Resume::Replay { .. })
    }

    fn make(&mut self) -> String {
        self.made += 1;
        let id = format!("s{}", self.made);
        let stream = Stream::new(&self.mood.stream, Epoch(self.made * 1_000)).unwrap();
        let waiting = (0..self.mood.says).map(|n| Raw::new(&n.to_string()).unwrap()).collect();
        let session = Session { generation: 0, stream, waiting, cursor: 1 };
        self.sessions.insert(id.clone(), session);
        id
    }

    /// What to write next; none when the connection has been overtaken.
    fn next(&mut self, id: &str, generation: u64) -> Option<Vec<String>> {
        let session = self.sessions.get_mut(id)?;
        if session.generation != generation {
            return None;
        }
        session.fill();
        let mut out = Vec::new();
        while let Some(frame) = session.stream.outgoing().message(Seq(session.cursor)) {
            let left_out = matches!(&self.mood.leaves_out, Some((n, times))
                if *n == session.cursor && *times > 0);
            if let (true, Some((_, times))) = (left_out, &mut self.mood.leaves_out) {
                *times -= 1;
            } else {
                out.push(frame.clone());
            }
            session.cursor += 1;
        }
        if !self.mood.silent
            && let Some(seq) = session.stream.take_ack(clock::now())
        {
            out.push(line(&Frame::Ack(Ack { seq })));
        }
        Some(out)
    }

    /// A frame came; the code to close with, if it is to be closed.
    fn came(&mut self, id: &str, generation: u64, frame: Frame) -> Result<(), u16> {
        let Some(session) = self.sessions.get_mut(id) else { return Err(4_106) };
        if session.generation != generation {
            return Err(4_203);
        }
        match frame {
            Frame::Message(Wire { seq: Some(seq), payload }) => {
                if let Some((text, code)) = self.mood.chokes_on
                    && payload.as_str().contains(text)
                {
                    return Err(code);
                }
                match session.stream.received(clock::now(), seq) {
                    Received::Deliver => {
                        self.processed.push(payload.as_str().to_owned());
                        let at = session.stream.at(seq);
                        session.stream.processed(clock::now(), at, 1);
                    }
                    Received::Duplicate => {}
                    Received::Gap { expected } => panic!("a gap: {seq:?}, expected {expected:?}"),
                }
            }
            Frame::Message(Wire { seq: None, payload }) => {
                self.processed.push(payload.as_str().to_owned());
            }
            Frame::Ack(Ack { seq }) => {
                session.stream.acknowledge(seq).unwrap();
            }
            Frame::Pong(pong) => self.pongs.push((pong.number, pong.sent_us)),
            Frame::Bye(bye) => self.byes.push(bye.code),
            Frame::Ping(_) => {}
            other @ (Frame::Hello(_) | Frame::Welcome(_) | Frame::Fault(_)) => panic!("{other:?}"),
        }
        Ok(())
    }
}

impl Session {
    /// Moves what waits into the window, as far as there is room.
    fn fill(&mut self) {
        while let Some(payload) = self.waiting.pop_front() {
            let seq = Seq(self.stream.outgoing().last_sent().0 + 1);
            let frame = line(&Frame::Message(Wire { seq: Some(seq), payload: payload.clone() }));
            let bytes = u32::try_from(frame.len()).unwrap();
            if let Push::Full(_) | Push::TooLarge(_) = self.stream.push(frame, bytes) {
                self.waiting.push_front(payload);
                return;
            }
        }
    }
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
            if let (Some(Order::Say(payload)), Some(session)) = (&order, book.sessions.get_mut(id))
            {
                session.waiting.push_back(payload.clone());
            }
            let out = book.next(id, generation);
            let deadline = book.sessions.get(id).and_then(|session| session.stream.deadline());
            let deadline = deadline.filter(|_| !book.mood.silent);
            (out, order, deadline)
        };
        let Some(out) = out else { return close(&mut ws, 4_203).await };
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
        None | Some(Order::Say(_)) => false,
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
