//! Echo over WebSockets: the same raw server behind every client, on a core of its own.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::LazyLock;

use bytes::Bytes;
use fastwebsockets::{Frame, OpCode, Payload, Role};
use futures_util::future::join_all;
use futures_util::{SinkExt as _, StreamExt as _};
use mainstay::link::LinkOptions;
use mainstay::link::websocket::{Incoming, Message, WebSocket, WebSocketConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig as Buffers;
use tokio_tungstenite::{WebSocketStream, client_async_with_config, tungstenite};

use crate::allocations::counted;
use crate::measure::Row;
use crate::report::Section;

/// Connections of one client.
const CONNECTIONS: usize = 16;

pub fn sections() -> Vec<Section> {
    let note = "One step: each of 16 connections sends `window` messages and gets them back, on one \
                thread; the server, which only unmasks, has a thread of its own. *Bare* is the library \
                our link uses, with its writes batched, once with buffers of the link's size and once \
                with its defaults.";
    [
        ("websocket echo, 64 B, window 1", 64, 1),
        ("websocket echo, 64 B, window 16", 64, 16),
        ("websocket echo, 16 KiB, window 1", 16 * 1024, 1),
        ("websocket echo, 16 KiB, window 16", 16 * 1024, 16),
    ]
    .map(|(name, size, window)| Section::new(name, note, move || rows(size, window)))
    .into()
}

fn rows(size: usize, window: usize) -> Vec<Row> {
    vec![
        row::<Bare<true>>("bare tokio-tungstenite, small buffers", size, window),
        row::<Bare<false>>("bare tokio-tungstenite", size, window),
        row::<Ours>("mainstay link", size, window),
        row::<TokioWebsockets>("tokio-websockets", size, window),
        row::<Fast>("fastwebsockets", size, window),
    ]
}

type Turn<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// One connection of some library.
trait Client: Sized + 'static {
    fn connect(address: SocketAddr) -> impl Future<Output = Self>;
    /// Sends `window` messages and takes as many.
    fn turn<'a>(&'a mut self, payload: &'a Bytes, window: usize) -> Turn<'a>;
}

fn row<C: Client>(name: &str, size: usize, window: usize) -> Row {
    Row::new(name, move || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let mut clients: Vec<C> =
            runtime.block_on(join_all((0..CONNECTIONS).map(|_| C::connect(*SERVER))));
        let payload = Bytes::from(vec![b'x'; size]);
        move |_| step(&runtime, &mut clients, &payload, window)
    })
}

fn step<C: Client>(runtime: &Runtime, clients: &mut [C], payload: &Bytes, window: usize) {
    let turns = clients.iter_mut().map(|client| client.turn(payload, window));
    runtime.block_on(join_all(turns));
}

/// Bytes that a link holds which is connected and idle, after one message each way.
pub fn idle() -> u64 {
    held::<Ours>().saturating_sub(held::<Raw>())
}

/// The same for the library under it.
pub fn idle_bare() -> u64 {
    held::<Bare<true>>().saturating_sub(held::<Raw>())
}

/// Bytes for each of many connections, both ends together.
fn held<C: Client>() -> u64 {
    const MANY: usize = 200;
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let connect = || {
        let mut client = runtime.block_on(C::connect(*KEEPER));
        runtime.block_on(client.turn(&Bytes::from_static(b"x"), 1));
        client
    };
    // What only the first one needs.
    let first = connect();
    let (clients, allocated) = counted(|| (0..MANY).map(|_| connect()).collect::<Vec<_>>());
    // The server's side is the same for all, and is never freed while somebody counts.
    drop((first, clients));
    allocated.bytes / MANY as u64
}

/// A connection without a library.
struct Raw(TcpStream);

impl Client for Raw {
    async fn connect(address: SocketAddr) -> Self {
        Self(upgraded(address, Buffers::default()).await.into_inner())
    }

    fn turn<'a>(&'a mut self, payload: &'a Bytes, _: usize) -> Turn<'a> {
        // By hand: a masked frame, and its echo.
        Box::pin(async move {
            let length = u8::try_from(payload.len()).expect("it is short");
            let mut frame = vec![0x82, 0x80 | length, 0, 0, 0, 0];
            frame.extend_from_slice(payload);
            self.0.write_all(&frame).await.expect("the server lives");
            let mut echo = vec![0; payload.len() + 2];
            self.0.read_exact(&mut echo).await.expect("an echo");
        })
    }
}

struct Bare<const SMALL: bool>(WebSocketStream<TcpStream>);

impl<const SMALL: bool> Client for Bare<SMALL> {
    async fn connect(address: SocketAddr) -> Self {
        let small = Buffers::default().read_buffer_size(4 * 1024).write_buffer_size(16 * 1024);
        Self(upgraded(address, if SMALL { small } else { Buffers::default() }).await)
    }

    fn turn<'a>(&'a mut self, payload: &'a Bytes, window: usize) -> Turn<'a> {
        Box::pin(async move {
            for _ in 0..window {
                let message = tungstenite::Message::Binary(payload.clone());
                self.0.feed(message).await.expect("the server lives");
            }
            self.0.flush().await.expect("the server lives");
            for _ in 0..window {
                self.0.next().await.expect("an echo").expect("the server lives");
            }
        })
    }
}

struct Ours(WebSocket, Incoming);

impl Client for Ours {
    async fn connect(address: SocketAddr) -> Self {
        let config = WebSocketConfig::new(format!("ws://{address}/"));
        let (socket, incoming) =
            WebSocket::open(LinkOptions::websocket("bench"), config).expect("it makes sense");
        socket.connect().await.expect("the server lives");
        Self(socket, incoming)
    }

    fn turn<'a>(&'a mut self, payload: &'a Bytes, window: usize) -> Turn<'a> {
        Box::pin(async move {
            for _ in 0..window {
                let status = self.0.send(Message::Binary(payload.clone())).await;
                assert!(status.seq().is_some(), "the link is open");
            }
            for _ in 0..window {
                self.1.recv().await.expect("the link lives").expect("nothing is missed");
            }
        })
    }
}

struct TokioWebsockets(tokio_websockets::WebSocketStream<TcpStream>);

impl Client for TokioWebsockets {
    async fn connect(address: SocketAddr) -> Self {
        let stream = upgraded(address, Buffers::default()).await.into_inner();
        Self(tokio_websockets::ClientBuilder::new().take_over(stream))
    }

    fn turn<'a>(&'a mut self, payload: &'a Bytes, window: usize) -> Turn<'a> {
        Box::pin(async move {
            for _ in 0..window {
                let message = tokio_websockets::Message::binary(payload.clone());
                self.0.feed(message).await.expect("the server lives");
            }
            self.0.flush().await.expect("the server lives");
            for _ in 0..window {
                self.0.next().await.expect("an echo").expect("the server lives");
            }
        })
    }
}

struct Fast(fastwebsockets::WebSocket<TcpStream>);

impl Client for Fast {
    async fn connect(address: SocketAddr) -> Self {
        let stream = upgraded(address, Buffers::default()).await.into_inner();
        Self(fastwebsockets::WebSocket::after_handshake(stream, Role::Client))
    }

    fn turn<'a>(&'a mut self, payload: &'a Bytes, window: usize) -> Turn<'a> {
        Box::pin(async move {
            for _ in 0..window {
                let payload = Payload::Borrowed(payload);
                let frame = Frame::new(true, OpCode::Binary, None, payload);
                self.0.write_frame(frame).await.expect("the server lives");
            }
            self.0.flush().await.expect("the server lives");
            for _ in 0..window {
                self.0.read_frame().await.expect("an echo");
            }
        })
    }
}

async fn upgraded(address: SocketAddr, buffers: Buffers) -> WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(address).await.expect("the server listens");
    stream.set_nodelay(true).expect("a TCP option");
    let request = format!("ws://{address}/");
    let upgraded = client_async_with_config(request, stream, Some(buffers)).await;
    upgraded.expect("the server upgrades").0
}

/// The server that all clients share, for as long as the process lives.
static SERVER: LazyLock<SocketAddr> = LazyLock::new(|| server(echo));
/// One that answers once, and keeps everything it has ever made.
static KEEPER: LazyLock<SocketAddr> = LazyLock::new(|| server(keep));

fn server<F: Future<Output = ()> + Send + 'static>(serve: fn(TcpStream) -> F) -> SocketAddr {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            tell.send(listener.local_addr().expect("it is bound")).expect("somebody waits");
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).expect("a TCP option");
                tokio::spawn(serve(stream));
            }
        });
    });
    told.recv().expect("the server starts")
}

async fn keep(stream: TcpStream) {
    let Ok(mut upgraded) = tokio_tungstenite::accept_async(stream).await else { return };
    if let Some(Ok(message)) = upgraded.next().await {
        drop(upgraded.send(message).await);
    }
    std::mem::forget(upgraded);
}

/// Sends every frame back, unmasked: as little work as can be.
async fn echo(stream: TcpStream) {
    let Ok(upgraded) = tokio_tungstenite::accept_async(stream).await else { return };
    let mut stream = upgraded.into_inner();
    const ROOM: usize = 512 * 1024;
    let (mut buffer, mut out) = (Vec::with_capacity(ROOM), Vec::with_capacity(ROOM));
    loop {
        let mut used = 0;
        while let Some(length) = unmask(&buffer[used..], &mut out) {
            used += length;
        }
        buffer.drain(..used);
        if !out.is_empty() {
            if stream.write_all(&out).await.is_err() {
                return;
            }
            out.clear();
        }
        match stream.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

/// Takes one masked frame from `bytes` and appends it to `out` without its mask; answers its
/// length, or none when it is not complete.
fn unmask(bytes: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    let short = usize::from(bytes.get(1)? & 0x7f);
    let (head, length) = match short {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?),
        short => (2, short),
    };
    let payload = bytes.get(head + 4..head + 4 + length)?;
    let mask: [u8; 4] = bytes[head..head + 4].try_into().ok()?;
    out.extend_from_slice(&bytes[..head]);
    let start = out.len();
    out[start - head + 1] &= 0x7f;
    out.extend_from_slice(payload);
    for chunk in out[start..].chunks_mut(4) {
        for (byte, mask) in chunk.iter_mut().zip(mask) {
            *byte ^= mask;
        }
    }
    Some(head + 4 + length)
}
