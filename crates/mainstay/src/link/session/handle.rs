use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mainstay_core::config::ConfigError;
use mainstay_core::link::Seq;
use mainstay_wire::{Frame, Message as Wire, Raw};

use super::book::{NotHeld, text};
use super::config::SessionConfig;
use super::incoming::SessionIncoming;
use super::shared::Shared;
use super::view::{SessionStats, SessionView};
use crate::link::handle::{ConnectError, Link, LinkOptions};
use crate::link::websocket::{Message, SendStatus, SocketStats, WebSocket};

/// A link whose messages a server acknowledges: a handle, cheap to clone.
///
/// When the last clone goes, the session is ended and the connection closed.
#[derive(Clone)]
pub struct SessionLink {
    inner: Arc<Inner>,
}

struct Inner {
    socket: WebSocket,
    shared: Arc<Shared>,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The server has processed it.
    Delivered,
    /// The server may have processed it or not; see [`super::Restarted`].
    Unknown,
    /// The server does not take it; see [`super::Restarted`].
    Refused,
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// As much is unacknowledged as may be: wait, or use [`SessionLink::send`].
    Full,
    /// It is larger than the server takes, or than the whole window: no waiting helps.
    TooLarge {
        /// Its length as a frame, in bytes.
        bytes: usize,
        /// What the server takes, in bytes.
        max: usize,
    },
    /// The link has given up: connect it again first.
    Failed,
    /// The link was shut down or is being drained.
    Stopped,
}

impl SessionLink {
    /// A disconnected link to the server of `config`, with its task, and what will come over it.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field that makes no sense.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn open(
        options: LinkOptions,
        config: SessionConfig,
    ) -> Result<(Self, SessionIncoming), ConfigError> {
        let config = config.checked()?;
        let socket = config.socket.clone();
        let shared = Arc::new(Shared::new(config)?);
        // Nothing comes to the reader of bare messages: the session takes it all.
        let (socket, _) = WebSocket::open_under(options, socket, Some(shared.clone()))?;
        let incoming = SessionIncoming { shared: shared.clone() };
        Ok((Self { inner: Arc::new(Inner { socket, shared }) }, incoming))
    }

    /// The link under it: its state, events, statistics and commands.
    #[must_use]
    pub fn link(&self) -> &Link {
        self.inner.socket.link()
    }

    /// Connects, or waits for the dial that is under way: see [`Link::connect`].
    ///
    /// # Errors
    ///
    /// [`ConnectError`]; unless it is terminal, the link goes on trying.
    pub async fn connect(&self) -> Result<(), ConnectError> {
        self.inner.socket.connect().await
    }

    /// Sends a message, which is held until the server acknowledges it; waits while the window is
    /// full. There need not be a connection.
    ///
    /// Answers its number: the first has number 1, over all sessions of this link.
    ///
    /// # Errors
    ///
    /// [`SendError`], and never [`SendError::Full`].
    pub async fn send(&self, payload: &Raw) -> Result<Seq, SendError> {
        self.inner.shared.push_waiting(payload).await.map_err(SendError::of)
    }

    /// The same without waiting.
    ///
    /// # Errors
    ///
    /// [`SendError`].
    pub fn try_send(&self, payload: &Raw) -> Result<Seq, SendError> {
        self.inner.shared.push(payload).map_err(SendError::of)
    }

    /// Sends a message without a number: it is lost with the connection. Without a connection it
    /// waits in the outbox of the WebSocket.
    pub fn send_untracked(&self, payload: &Raw) -> SendStatus {
        let frame = Frame::Message(Wire { seq: None, payload: payload.clone() });
        self.inner.socket.try_send(Message::Text(text(&frame)))
    }

    /// Waits until it is known what became of a message.
    pub async fn delivered(&self, seq: Seq) -> Fate {
        self.inner.shared.delivered(seq).await
    }

    /// What is known of a message now; none while it is held.
    #[must_use]
    pub fn fate(&self, seq: Seq) -> Option<Fate> {
        self.inner.shared.book().fate(seq)
    }

    /// The session at a glance.
    #[must_use]
    pub fn view(&self) -> SessionView {
        self.inner.shared.book().view()
    }

    /// What it has carried.
    #[must_use]
    pub fn stats(&self) -> SessionStats {
        self.inner.shared.book().stats
    }

    /// What the WebSocket under it has carried.
    #[must_use]
    pub fn socket_stats(&self) -> SocketStats {
        self.inner.socket.stats()
    }

    /// Takes no more messages, waits until all are acknowledged, ends the session and the link.
    /// What is not acknowledged within `deadline` is unknown; answers how many messages those are.
    pub async fn drain(&self, deadline: Duration) -> u64 {
        // Either way what is left is counted.
        drop(tokio::time::timeout(deadline, self.inner.shared.drained()).await);
        let left = self.inner.shared.book().stream.outgoing().len() as u64;
        self.shutdown().await;
        left
    }

    /// Ends the session and the link in good order: says `bye`, closes, and waits for the end. What
    /// is not acknowledged is unknown.
    pub async fn shutdown(&self) {
        self.inner.shared.leave();
        self.inner.socket.shutdown().await;
    }
}

impl SendError {
    const fn of(why: NotHeld) -> Self {
        match why {
            NotHeld::Full => Self::Full,
            NotHeld::TooLarge { bytes, max } => Self::TooLarge { bytes, max },
            NotHeld::Failed => Self::Failed,
            NotHeld::Stopped => Self::Stopped,
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The token goes with us: nobody could resume.
        self.shared.leave();
    }
}

impl fmt::Debug for SessionLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLink").field("link", self.link()).finish_non_exhaustive()
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("too much is unacknowledged"),
            Self::TooLarge { bytes, max } => {
                write!(f, "a frame of {bytes} bytes, the server takes {max} and no window more")
            }
            Self::Failed => f.write_str("the link has given up"),
            Self::Stopped => f.write_str("the link was shut down"),
        }
    }
}

impl Error for SendError {}
