//! Echo through servers: the same client without a library in front of each.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{LazyLock, mpsc};
use std::time::Duration;

use mainstay_core::session::stream::StreamConfig;
use tokio::runtime::Builder;

use crate::measure::{Figure, Row, measure};
use crate::raw;
use crate::report::{Measured, Section};
use crate::servers::{Kind, start};

const CONNECTIONS: usize = 16;
/// Characters of a message beside its frame.
const SIZE: usize = 64;
const PATIENCE: Duration = Duration::from_secs(20);
const KINDS: [Kind; 4] =
    [Kind::Tungstenite, Kind::TungsteniteBatched, Kind::Fast, Kind::MainstayEcho];

pub fn sections() -> Vec<Section> {
    let note = "Each of 16 connections sends `window` messages of `mainstay.v1` and gets them back, on \
                one thread that reads and writes bytes; each server has a thread of its own. Libraries \
                send back the text as it is. Ours reads the message, gives it to a handler, numbers \
                what that sends, keeps it until the client has acknowledged it, and acknowledges what \
                came. Counted are messages, not acknowledgements.";
    [("echo through a server, window 1", 1), ("echo through a server, window 16", 16)]
        .map(|(name, window)| Section::measured(name, note, move || echo(name, window)))
        .into()
}

fn echo(section: &str, window: usize) -> Measured {
    let rows: Vec<Row> = KINDS.iter().map(|kind| row(*kind, window)).collect();
    let figures = measure(&rows);
    let mut text = String::from(
        "| server | messages a second | best | time × first | allocations a message |\n\
         |---|---|---|---|---|\n",
    );
    let each = (CONNECTIONS * window) as f64;
    let first = figures[0].nanos;
    for Figure { name, nanos, best, allocations } in &figures {
        let (per_sec, most) = (each * 1e9 / nanos, each * 1e9 / best);
        let (ratio, allocations) = (nanos / first, allocations / each);
        let _infallible =
            writeln!(text, "| {name} | {per_sec:.0} | {most:.0} | {ratio:.2} | {allocations:.1} |");
    }
    let [bare, batched, _, ours] = figures.as_slice() else { unreachable!("four rows") };
    let (ratio, to_batched) = (ours.nanos / bare.nanos, ours.nanos / batched.nanos);
    let what = format!(
        "{section}: ours takes ≤ 1.5 × a bare tokio-tungstenite server: {ratio:.2} (with writes \
         batched and small buffers: {to_batched:.2})"
    );
    Measured { text, targets: vec![(what, ratio <= 1.5)] }
}

fn row(kind: Kind, window: usize) -> Row {
    Row::new(kind.name(), move || {
        let mut clients: Vec<Client> =
            (0..CONNECTIONS).map(|_| Client::connect(address(kind), kind)).collect();
        move |_| {
            clients.iter_mut().for_each(|client| client.say(window));
            clients.iter_mut().for_each(|client| client.hear(window));
        }
    })
}

/// Where it listens, for as long as this process lives.
fn address(kind: Kind) -> SocketAddr {
    static ALL: LazyLock<[SocketAddr; KINDS.len()]> = LazyLock::new(|| KINDS.map(on_its_thread));
    let place = KINDS.iter().position(|known| *known == kind).expect("it is one of them");
    ALL[place]
}

/// Starts a server with a thread of its own.
fn on_its_thread(kind: Kind) -> SocketAddr {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            // None of them keeps files.
            tell.send(start(kind, &std::env::temp_dir()).await).expect("somebody waits");
            std::future::pending::<()>().await;
        });
    });
    told.recv().expect("the server starts")
}

/// A client that writes and reads bytes.
struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    out: Vec<u8>,
    text: String,
    padding: String,
    sent: u64,
    heard: u64,
    acknowledged: u64,
    /// How many messages it hears before it says so; never for those that do not ask for it.
    every: u64,
}

impl Client {
    fn connect(address: SocketAddr, kind: Kind) -> Self {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_nodelay(true).expect("a TCP option");
        stream.set_read_timeout(Some(PATIENCE)).expect("a TCP option");
        let every = u64::from(StreamConfig::default().ack_messages);
        let mut client = Self {
            stream,
            buffer: Vec::with_capacity(64 * 1024),
            out: Vec::with_capacity(64 * 1024),
            text: String::new(),
            padding: "x".repeat(SIZE),
            sent: 0,
            heard: 0,
            acknowledged: 0,
            every: if kind.is_ours() { every } else { u64::MAX },
        };
        client.stream.write_all(raw::upgrade().as_bytes()).expect("the server lives");
        let end = loop {
            client.read();
            if let Some(end) = raw::upgraded(&client.buffer) {
                break end;
            }
        };
        client.buffer.drain(..end);
        if kind.is_ours() {
            raw::push(&mut client.out, raw::TEXT, raw::HELLO.as_bytes());
            client.stream.write_all(&client.out).expect("the server lives");
            while raw::frame(&client.buffer).is_none() {
                client.read();
            }
            client.buffer.clear();
        }
        client
    }

    fn read(&mut self) {
        let (start, mut more) = (self.buffer.len(), [0; 16 * 1024]);
        let read = self.stream.read(&mut more).expect("the server answers in time");
        assert!(read > 0, "the server hung up after {start} bytes");
        self.buffer.extend_from_slice(&more[..read]);
    }

    /// Writes so many messages at once.
    fn say(&mut self, count: usize) {
        self.out.clear();
        for _ in 0..count {
            self.sent += 1;
            self.text.clear();
            let (seq, padding) = (self.sent, &self.padding);
            let _infallible = write!(self.text, r#"{{"t":"msg","s":{seq},"d":"{padding}"}}"#);
            raw::push(&mut self.out, raw::TEXT, self.text.as_bytes());
        }
        if self.heard - self.acknowledged >= self.every {
            self.acknowledged = self.heard;
            let ack = format!(r#"{{"t":"ack","s":{}}}"#, self.heard);
            raw::push(&mut self.out, raw::TEXT, ack.as_bytes());
        }
        self.stream.write_all(&self.out).expect("the server lives");
    }

    /// Reads until so many messages are back.
    fn hear(&mut self, count: usize) {
        let (mut used, mut left) = (0, count);
        loop {
            while let Some((_, payload)) = raw::frame(&self.buffer[used..]) {
                let text = &self.buffer[used..][payload.clone()];
                // Acknowledgements come too, and pings, which may stay unanswered for so short a time.
                if text.starts_with(br#"{"t":"msg""#) {
                    (self.heard, left) = (self.heard + 1, left - 1);
                }
                used += payload.end;
            }
            self.buffer.drain(..used);
            used = 0;
            if left == 0 {
                return;
            }
            self.read();
        }
    }
}
