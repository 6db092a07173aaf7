//! Seed 003's words for a WebSocket that speaks JSON.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainstay_core::config::ConfigError;
use mainstay_core::link::{LinkConfig, OutboxConfig, Reaction, ReadyState, Seq};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::config::{Classify, Ending, WebSocketConfig};
use super::handle::{Incoming, SendError, WebSocket};
use super::message::Message;
use crate::event::Events;
use crate::link::handle::{Link, LinkOptions};

/// What a [`WebSocketConnection`] is made of beside its address (`ConnectionOptions` of seed 003).
#[derive(Clone, Debug, Default)]
pub struct ConnectionOptions {
    /// Its name. Default `connection-1` and so on.
    pub id: Option<String>,
    /// How it reconnects and is pinged (`reconnectionOptions`). Default
    /// [`LinkConfig::websocket`].
    pub link: Option<LinkConfig>,
    /// Everything else. The address in it does not count.
    pub socket: WebSocketConfig,
    /// A channel that gets its events too. Default none.
    pub events: Option<Events>,
}

impl ConnectionOptions {
    /// As seed 003 has it: [`LinkConfig::streamotter`]; nothing is buffered while there is no
    /// connection; a normal close (1000) by the peer is the end, and 1002, 1003, 1007, 1008 and 1010
    /// are failures at once.
    #[must_use]
    pub fn streamotter() -> Self {
        let classify = Classify::by(|ending| match ending {
            Ending::Closed { code: 1000, .. } => Reaction::Stop,
            Ending::Closed { code: 1002 | 1003 | 1007 | 1008 | 1010, .. } => Reaction::Fail,
            Ending::Closed { .. } | Ending::Refused { .. } => ending.reaction(),
        });
        let outbox = OutboxConfig { messages: 0, ..OutboxConfig::default() };
        Self {
            link: Some(LinkConfig::streamotter()),
            socket: WebSocketConfig {
                classify: Some(classify),
                outbox,
                ..WebSocketConfig::default()
            },
            ..Self::default()
        }
    }
}

/// A WebSocket connection with a name and options of its own, which speaks JSON.
///
/// It begins to connect when it is created. A clone is the same connection.
///
/// ```no_run
/// use mainstay::link::websocket::{ConnectionOptions, create_connection, send_message};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Deserialize, Serialize)]
/// struct Heartbeat { payload: String }
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let connection = create_connection("wss://example.com/socket", ConnectionOptions::default())?;
/// connection.on_message(|message: Result<Heartbeat, _>| println!("{message:?}"));
/// connection.link().connect().await?;
/// send_message(&connection, &Heartbeat { payload: "Ping".into() })?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct WebSocketConnection {
    socket: WebSocket,
    options: Arc<ConnectionOptions>,
    /// Held so that messages that come before anybody listens are kept.
    _incoming: Arc<Incoming>,
}

/// Why a message was not sent.
#[derive(Debug)]
pub enum SendJsonError {
    /// It cannot be written as JSON.
    Json(serde_json::Error),
    /// It was not taken.
    Send(SendError),
}

/// Creates a connection to `url`, and begins to connect (`createConnection`).
///
/// # Errors
///
/// [`ConfigError`] naming the field that makes no sense.
///
/// # Panics
///
/// Outside a tokio runtime.
pub fn create_connection(
    url: &str,
    options: ConnectionOptions,
) -> Result<WebSocketConnection, ConfigError> {
    static CREATED: AtomicU64 = AtomicU64::new(0);
    let name = || format!("connection-{}", CREATED.fetch_add(1, Ordering::Relaxed) + 1);
    let id = options.id.clone().unwrap_or_else(name);
    let mut link = LinkOptions::websocket(id);
    if let Some(config) = options.link {
        link = link.config(config);
    }
    if let Some(events) = &options.events {
        link = link.events(events.clone());
    }
    let config = WebSocketConfig { url: url.into(), ..options.socket.clone() };
    let (socket, incoming) = WebSocket::open(link, config)?;
    socket.link().begin();
    let (options, _incoming) = (Arc::new(options), Arc::new(incoming));
    Ok(WebSocketConnection { socket, options, _incoming })
}

/// Sends `message` as JSON over `connection` (`sendMessage`). Never waits.
///
/// # Errors
///
/// [`SendJsonError`] when it cannot be written as JSON or was not taken.
pub fn send_message<T: Serialize + ?Sized>(
    connection: &WebSocketConnection,
    message: &T,
) -> Result<Seq, SendJsonError> {
    let text = serde_json::to_string(message).map_err(SendJsonError::Json)?;
    connection.socket.try_send(text).ok().map_err(SendJsonError::Send)
}

impl WebSocketConnection {
    /// Its name.
    #[must_use]
    pub fn id(&self) -> &str {
        self.socket.link().name()
    }

    /// Its state as seed 003 counts them: connecting, open, closing, closed.
    #[must_use]
    pub fn state(&self) -> ReadyState {
        self.socket.link().view().ready
    }

    /// What it was created with.
    #[must_use]
    pub fn options(&self) -> &ConnectionOptions {
        &self.options
    }

    /// The socket under it (`socket`), for messages that are no JSON.
    #[must_use]
    pub const fn socket(&self) -> &WebSocket {
        &self.socket
    }

    /// The link under it: events, statistics and commands.
    #[must_use]
    pub const fn link(&self) -> &Link {
        self.socket.link()
    }

    /// From now on calls `call` with each message, read as JSON (`onMessage`). What is no such JSON
    /// is an error for `call`, not for the connection; a panic of it disturbs nobody.
    ///
    /// Messages that came before anybody listened are handed over first.
    pub fn on_message<T: DeserializeOwned>(
        &self,
        call: impl Fn(Result<T, serde_json::Error>) + Send + Sync + 'static,
    ) {
        let read = move |message: Message| call(serde_json::from_slice(message.as_bytes()));
        self.socket.on_message(read);
    }

    /// Sends what waits, closes the connection in good order and ends it (`closeConnection`). What
    /// could not be sent within `deadline` is dropped; answers how many messages those were.
    pub async fn close(&self, deadline: Duration) -> u64 {
        self.socket.drain(deadline).await
    }
}

impl fmt::Debug for WebSocketConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketConnection")
            .field("id", &self.id())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for SendJsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(_) => f.write_str("the message cannot be written as JSON"),
            Self::Send(_) => f.write_str("the message was not taken"),
        }
    }
}

impl Error for SendJsonError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Json(error) => Some(error),
            Self::Send(error) => Some(error),
        }
    }
}
