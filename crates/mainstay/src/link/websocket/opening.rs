use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;

use mainstay_core::link::Reaction;
use mainstay_core::policy::outcome::Outcome;

use super::ending::ended;
use super::message::Message;
use super::socket::{Frame, Socket};
use crate::link::transport::DialError;

/// A connection whose upgrade is done, in the hands of the application's [`Handshake`]: nobody else
/// sends or receives yet.
pub struct Opening {
    socket: Box<dyn Socket>,
    subprotocol: Option<String>,
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
    /// Whatever `shake` does with a connection that it gives back when all is well.
    #[must_use]
    pub fn new<F, Fut>(shake: F) -> Self
    where
        F: Fn(Opening) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Opening, DialError>> + Send + 'static,
    {
        Self(Arc::new(move |opening| Box::pin(shake(opening))))
    }

    pub(super) fn shake(&self, opening: Opening) -> Shaken {
        (self.0)(opening)
    }
}

impl Opening {
    pub(super) const fn new(socket: Box<dyn Socket>, subprotocol: Option<String>) -> Self {
        Self { socket, subprotocol }
    }

    pub(super) fn into_socket(self) -> Box<dyn Socket> {
        self.socket
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
        loop {
            let frame = poll_fn(|context| self.socket.poll_recv(context)).await;
            match frame.map_err(|broken| ended(broken, |ending| ending.reaction()))? {
                Frame::Message(message) => return Ok(message),
                Frame::Ping(_) => self.flush().await?,
                Frame::Pong(_) => {}
                Frame::Close(code, reason) => return Err(super::ending::closed(code, &reason)),
            }
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
        sent.map_err(|broken| ended(broken, |ending| ending.reaction()))
    }

    pub(super) async fn flush(&mut self) -> Result<(), DialError> {
        let flushed = poll_fn(|context| self.socket.poll_flush(context)).await;
        flushed.map_err(|broken| ended(broken, |ending| ending.reaction()))
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
