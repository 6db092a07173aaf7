//! The servers that are compared: ours, and those that one writes with a library alone.

use std::fmt::Write as _;
use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::routing::any;
use fastwebsockets::{Frame, OpCode, Role};
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use mainstay_server::config::{Config, Environment, Flags};
use mainstay_server::session::{Handled, Handler, SendError, Session};
use mainstay_server::{Raw, Server};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, interval_at};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, accept_async, accept_async_with_config};

/// From one ping to the next: what our server begins with.
pub const EVERY: Duration = Duration::from_secs(20);

/// A server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Ours as it comes, with its sessions on disk.
    Mainstay,
    /// The same with an application that sends back what it is told; sessions in memory.
    MainstayEcho,
    /// tokio-tungstenite as it comes: waits, and sends back.
    Tungstenite,
    /// The same with small buffers.
    TungsteniteSmall,
    /// The same, which also writes once for all that came together.
    TungsteniteBatched,
    /// With small buffers; asks everybody whether they are there.
    TungstenitePings,
    Axum,
    Fast,
}

impl Kind {
    pub const ALL: [Self; 8] = [
        Self::Mainstay,
        Self::MainstayEcho,
        Self::Tungstenite,
        Self::TungsteniteSmall,
        Self::TungsteniteBatched,
        Self::TungstenitePings,
        Self::Axum,
        Self::Fast,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Mainstay => "mainstay-server",
            Self::MainstayEcho => "mainstay-server, a handler that echoes",
            Self::Tungstenite => "tokio-tungstenite",
            Self::TungsteniteSmall => "tokio-tungstenite, small buffers",
            Self::TungsteniteBatched => "tokio-tungstenite, small buffers, writes batched",
            Self::TungstenitePings => "tokio-tungstenite, small buffers, a ping every 20 s",
            Self::Axum => "axum's WebSocket",
            Self::Fast => "fastwebsockets",
        }
    }

    /// Whether it speaks `mainstay.v1`.
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::Mainstay | Self::MainstayEcho)
    }
}

/// Starts it in the runtime that is entered; it may keep files in `folder`.
pub async fn start(kind: Kind, folder: &Path) -> SocketAddr {
    match kind {
        Kind::Mainstay => bind(Server::bind(&config(folder, "")).await.expect("it starts")),
        Kind::MainstayEcho => {
            let config = config(folder, "[store]\nengine = \"memory\"\n");
            let server = Server::with_handler(&config, Arc::new(Echo)).await;
            bind(server.expect("it starts"))
        }
        Kind::Tungstenite => listen(|stream| echo(stream, WebSocketConfig::default())).await,
        Kind::TungsteniteSmall => listen(|stream| echo(stream, small())).await,
        Kind::TungsteniteBatched => listen(batched).await,
        Kind::TungstenitePings => listen(pings).await,
        Kind::Axum => axum().await,
        Kind::Fast => listen(fast).await,
    }
}

/// A configuration without a limit that a benchmark would reach.
pub fn config(folder: &Path, more: &str) -> Config {
    let mut text = String::from(
        "[api]\nrate = 1000000\nburst = 1000000\n\
         [sessions.limits]\nrate = 1000000\nburst = 1000000\n",
    );
    let _infallible = write!(text, "[server]\ndata_dir = {folder:?}\n{more}");
    let flags = Flags { listen: Some("127.0.0.1:0".into()), ..Flags::default() };
    Config::parse(&text, None, &flags, &Environment::new()).expect("it makes sense")
}

fn bind(server: Server) -> SocketAddr {
    let address = server.address();
    tokio::spawn(server.run(std::future::pending()));
    address
}

/// Sends it back; waits while the client has not acknowledged as much as is held for it.
struct Echo;

impl Handler for Echo {
    fn wants_events(&self) -> bool {
        false
    }

    fn message(&self, session: &Session, message: Raw) -> Handled {
        match session.send(&message) {
            Err(SendError::Full) => {
                let session = session.clone();
                Handled::later(async move {
                    let _sent: Result<u64, SendError> = session.send_waiting(&message).await;
                })
            }
            Ok(_) | Err(_) => Handled::Done,
        }
    }
}

/// A task for each connection.
async fn listen<F: Future<Output = ()> + Send + 'static>(
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).expect("a TCP option");
            tokio::spawn(serve(stream));
        }
    });
    address
}

fn small() -> WebSocketConfig {
    WebSocketConfig::default().read_buffer_size(1024).write_buffer_size(0)
}

async fn echo(stream: TcpStream, buffers: WebSocketConfig) {
    let upgraded = accept_async_with_config(stream, Some(buffers)).await;
    let Ok(mut socket) = upgraded else { return };
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() && socket.send(message).await.is_err() {
            return;
        }
    }
}

async fn batched(stream: TcpStream) {
    let buffers = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(16 * 1024);
    let upgraded = accept_async_with_config(stream, Some(buffers)).await;
    let Ok(mut socket) = upgraded else { return };
    while let Some(Ok(message)) = socket.next().await {
        if !message.is_text() || socket.feed(message).await.is_err() {
            return;
        }
        while let Some(Some(Ok(message))) = socket.next().now_or_never() {
            if !message.is_text() || socket.feed(message).await.is_err() {
                return;
            }
        }
        if socket.flush().await.is_err() {
            return;
        }
    }
}

async fn pings(stream: TcpStream) {
    let upgraded = accept_async_with_config(stream, Some(small())).await;
    let Ok(mut socket): Result<WebSocketStream<_>, _> = upgraded else { return };
    let mut ticks = interval_at(Instant::now() + EVERY, EVERY);
    loop {
        tokio::select! {
            item = socket.next() => match item {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
            _ = ticks.tick() => {
                let ping = Message::Ping(vec![0; 8].into());
                if socket.send(ping).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn axum() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let upgrade = async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(axum_echo);
    let router = Router::new().route(crate::raw::PATH, any(upgrade));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn axum_echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if matches!(message, axum::extract::ws::Message::Text(_))
            && socket.send(message).await.is_err()
        {
            return;
        }
    }
}

async fn fast(stream: TcpStream) {
    let Ok(upgraded) = accept_async(stream).await else { return };
    let mut socket =
        fastwebsockets::WebSocket::after_handshake(upgraded.into_inner(), Role::Server);
    while let Ok(frame) = socket.read_frame().await {
        if frame.opcode != OpCode::Text {
            return;
        }
        // A new one: the client's would go back with its mask.
        let answer = Frame::new(true, OpCode::Text, None, frame.payload);
        if socket.write_frame(answer).await.is_err() {
            return;
        }
    }
}
