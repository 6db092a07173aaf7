use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use mainstay_core::link::Reaction;
use mainstay_core::policy::outcome::Outcome;

use super::config::{Ending, Rules};
use super::ending::{closed_as, ended};
use super::message::{Message, Utf8Bytes};
use super::socket::{Frame, Socket};
use super::unpanicked::unpanicked;
use crate::link::transport::DialError;

/// A connection whose upgrade is done, in the hands of the application's [`Handshake`]: nobody else
/// sends or receives yet.
pub struct Opening {
    socket: Box<dyn Socket>,
    subprotocol: Option<String>,
    config: Arc<Rules>,
    /// Which connection of its layer it is.
    connection: u64,
    /// The last change of the subscriptions that it was told.
    pub(super) subscribed: u64,
}

/// What comes while a connection is being opened.
#[derive(Debug)]
pub(in crate::link) enum Said {
    Message(Message),
    /// A close code, 1005 when there was none, and the reason.
    Close(u16, Utf8Bytes),
}

/// The application's own handshake: what has to be said before anything else, such as who is there.
///
/// ```
/// use mainstay::link::websocket::{Handshake, Message};
///
/// let hello = Handshake::new(|mut opening| async move {
///     opening.send(r#"{"type":"connection_init"}"#).await?;
///     match opening.recv().await? {
///         Message::Text(answer) if answer.contains("connection_ack") => Ok(opening),
///         _ => Err(opening.refused("the server did not acknowledge")),
///     }
/// });
/// # drop(hello);
/// ```
#[derive(Clone)]
pub struct Handshake(Arc<Shake>);

type Shaken = Pin<Box<dyn Future<Output = Result<Opening, DialError>> + Send>>;
type Shake = dyn Fn(Opening) -> Shaken + Send + Sync;

impl Handshake {
    /// Whatever `shake` does with a connection that it gives back when all is well. If it panics, the
    /// attempt has failed, and the next tries again.
    #[must_use]
    pub fn new<F, Fut>(shake: F) -> Self
    where
        F: Fn(Opening) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Opening, DialError>> + Send + 'static,
    {
        Self(Arc::new(move |opening| Box::pin(shake(opening))))
    }

    pub(super) async fn shake(&self, opening: Opening) -> Result<Opening, DialError> {
        unpanicked(|| (self.0)(opening)).await.unwrap_or_else(|panicked| {
            let what = "the application's handshake failed";
            Err(DialError::new(Outcome::TRANSIENT, what).because(panicked))
        })
    }
}

impl Opening {
    pub(super) const fn new(
        socket: Box<dyn Socket>,
        subprotocol: Option<String>,
        config: Arc<Rules>,
    ) -> Self {
        Self { socket, subprotocol, config, connection: 0, subscribed: 0 }
    }

    /// The socket, and which connection of its layer it is.
    pub(super) fn into_parts(self) -> (Box<dyn Socket>, u64) {
        (self.socket, self.connection)
    }

    /// Names the connection to its layer.
    pub(in crate::link) const fn number(&mut self, connection: u64) {
        self.connection = connection;
    }

    /// The subprotocol that the peer chose.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// Sends a message at once.
    ///
    /// # Errors
    ///
    /// [`DialError`] when the connection is gone: hand it on.
    pub async fn send(&mut self, message: impl Into<Message>) -> Result<(), DialError> {
        self.feed(message.into()).await?;
        self.flush().await
    }

    /// The next message.
    ///
    /// # Errors
    ///
    /// [`DialError`] when the connection is gone or was closed: hand it on.
    pub async fn recv(&mut self) -> Result<Message, DialError> {
        match self.hear().await? {
            Said::Message(message) => Ok(message),
            Said::Close(code, reason) => {
                let reaction = self.config.reaction(&Ending::Closed { code, reason: &reason });
                Err(closed_as(code, &reason, reaction))
            }
        }
    }

    /// The next message, or the peer's goodbye.
    pub(in crate::link) async fn hear(&mut self) -> Result<Said, DialError> {
        loop {
            let frame = poll_fn(|context| self.socket.poll_recv(context)).await;
            match frame.map_err(|broken| ended(broken, |ending| self.config.reaction(ending)))? {
                Frame::Message(message) => return Ok(Said::Message(message)),
                Frame::Ping(_) => self.flush().await?,
                Frame::Pong(_) => {}
                Frame::Close(code, reason) => return Ok(Said::Close(code, reason)),
            }
        }
    }

    /// Says goodbye, if that can be done without waiting; the connection is given up in any case.
    pub(in crate::link) async fn leave(mut self, code: u16, reason: &'static str) {
        let goodbye = Frame::Close(code, Utf8Bytes::from_static(reason));
        if self.socket.start_send(goodbye).is_ok() {
            drop(poll_fn(|context| Poll::Ready(self.socket.poll_flush(context))).await);
        }
    }

    /// An error that says the peer does not want us: new credentials are asked for once, then the
    /// link fails.
    #[must_use]
    pub fn refused(&self, why: impl Into<String>) -> DialError {
        DialError::new(Outcome::Refused, why).reaction(Reaction::Refresh)
    }

    pub(super) async fn feed(&mut self, message: Message) -> Result<(), DialError> {
        let ready = poll_fn(|context| self.socket.poll_ready(context)).await;
        let sent = ready.and_then(|()| self.socket.start_send(Frame::Message(message)));
        sent.map_err(|broken| ended(broken, |ending| self.config.reaction(ending)))
    }

    pub(super) async fn flush(&mut self) -> Result<(), DialError> {
        let flushed = poll_fn(|context| self.socket.poll_flush(context)).await;
        flushed.map_err(|broken| ended(broken, |ending| self.config.reaction(ending)))
    }
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening").field("subprotocol", &self.subprotocol).finish_non_exhaustive()
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handshake(…)")
    }
}
