use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay_core::config::{ConfigError, duration_from, in_range};
use mainstay_core::link::Seq;
use tokio::sync::oneshot;

use super::handle::{RejectReason, SendStatus, WebSocket};
use super::line::Gone;
use super::message::Message;

/// What [`Requests`] are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestsConfig {
    /// Requests that wait for their reply at a time. 1 to 65536. Default 1 024.
    pub pending: usize,
    /// How long a request may take, waits for a connection included. Default 30 s.
    pub timeout: Duration,
}

impl Default for RequestsConfig {
    fn default() -> Self {
        Self { pending: 1_024, timeout: Duration::from_secs(30) }
    }
}

/// What to do with a request whose connection is lost before its reply came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// It fails: the peer may have acted on it or not.
    Never,
    /// It is sent again over the next connection: the peer may get it several times, which must not
    /// matter.
    Idempotent,
}

/// Requests and their replies over a [`WebSocket`]: each request ends exactly once, with its reply or
/// a definite error. A clone is the same set.
///
/// A request has a number that its reply repeats. Numbers are never used again, so that a reply which
/// comes too late cannot be taken for another's. The application hands over what comes:
///
/// ```no_run
/// use mainstay::link::websocket::{Incoming, Message, Repeat, Requests, RequestsConfig, WebSocket};
///
/// async fn example(
///     feed: WebSocket,
///     mut messages: Incoming,
/// ) -> Result<(), Box<dyn std::error::Error>> {
///     // Replies look like `12:what it says`.
///     let number = |message: &Message| message.as_text()?.split_once(':')?.0.parse().ok();
///     let requests = Requests::new(&feed, RequestsConfig::default(), number)?;
///     let replies = requests.clone();
///     tokio::spawn(async move {
///         while let Some(next) = messages.recv().await {
///             if let Some(other) = next.ok().and_then(|message| replies.offer(message)) {
///                 println!("{other:?}");
///             }
///         }
///     });
///     let reply = requests.call(Repeat::Idempotent, |n| format!("{n}:time").into()).await?;
///     println!("{reply:?}");
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Requests {
    socket: WebSocket,
    shared: Arc<Shared>,
}

/// Reads the number of a reply.
type Number = dyn Fn(&Message) -> Option<u64> + Send + Sync;

struct Shared {
    config: RequestsConfig,
    number: Box<Number>,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    /// The number given last.
    last: u64,
    pending: BTreeMap<u64, oneshot::Sender<Message>>,
}

/// Why a request has no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// Too many wait already; it was not sent.
    TooMany,
    /// It was not sent: the link did not take it.
    Rejected(RejectReason),
    /// It was not sent: the outbox dropped it.
    Dropped,
    /// The connection ended first: the peer may have acted on it or not.
    Lost,
    /// No reply came in time: the peer may have acted on it or not.
    TimedOut,
}

impl Requests {
    /// Requests over `socket`; `number` reads the number of a reply, and answers nothing for a
    /// message that is none.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field that makes no sense.
    pub fn new(
        socket: &WebSocket,
        config: RequestsConfig,
        number: impl Fn(&Message) -> Option<u64> + Send + Sync + 'static,
    ) -> Result<Self, ConfigError> {
        in_range("pending", config.pending, 1, 65_536)?;
        duration_from("timeout", config.timeout, Duration::from_millis(1))?;
        let (number, book) = (Box::new(number), Mutex::default());
        let shared = Arc::new(Shared { config, number, book });
        Ok(Self { socket: socket.clone(), shared })
    }

    /// Takes a message that came. Answers it if it is no reply to a request of ours; a reply that
    /// comes too late is thrown away.
    #[must_use = "what is no reply is for somebody else"]
    pub fn offer(&self, message: Message) -> Option<Message> {
        let Some(number) = (self.shared.number)(&message) else { return Some(message) };
        let waiter = {
            let mut book = self.shared.book();
            if number == 0 || number > book.last {
                return Some(message);
            }
            book.pending.remove(&number)
        };
        if let Some(waiter) = waiter {
            // Whoever waited may have stopped just now.
            drop(waiter.send(message));
        }
        None
    }

    /// Sends the request that `make` makes of its number, and waits for the reply.
    ///
    /// Dropping the future gives the request up. A connection that is replaced while it is well
    /// ([`super::WebSocketConfig::max_age`]) still brings its replies for two seconds.
    ///
    /// # Errors
    ///
    /// [`RequestError`], exactly one.
    pub async fn call(
        &self,
        repeat: Repeat,
        make: impl Fn(u64) -> Message,
    ) -> Result<Message, RequestError> {
        let (place, reply) = self.begin()?;
        let message = make(place.number);
        let exchange = self.exchange(repeat, message, reply);
        let limit = self.shared.config.timeout;
        tokio::time::timeout(limit, exchange).await.unwrap_or(Err(RequestError::TimedOut))
    }

    /// How many wait for their reply.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.shared.book().pending.len()
    }

    fn begin(&self) -> Result<(Place<'_>, oneshot::Receiver<Message>), RequestError> {
        let (sender, reply) = oneshot::channel();
        let mut book = self.shared.book();
        if book.pending.len() >= self.shared.config.pending {
            return Err(RequestError::TooMany);
        }
        book.last += 1;
        let number = book.last;
        book.pending.insert(number, sender);
        Ok((Place { shared: &self.shared, number }, reply))
    }

    async fn exchange(
        &self,
        repeat: Repeat,
        message: Message,
        mut reply: oneshot::Receiver<Message>,
    ) -> Result<Message, RequestError> {
        let mut sent = false;
        loop {
            let seq = match self.send(&message, sent).await {
                Ok(seq) => seq,
                // What became of the first one is not known.
                Err(_) if sent => return Err(RequestError::Lost),
                Err(error) => return Err(error),
            };
            let gone = tokio::select! {
                biased;
                Ok(reply) = &mut reply => return Ok(reply),
                gone = self.socket.gone(seq) => gone,
            };
            match gone {
                Gone::Lost if repeat == Repeat::Idempotent => sent = true,
                Gone::Dropped if !sent => return Err(RequestError::Dropped),
                Gone::Lost | Gone::Dropped | Gone::Stopped => return Err(RequestError::Lost),
            }
        }
    }

    /// Sends it; one that was sent before waits for a connection where nothing is kept without.
    async fn send(&self, message: &Message, again: bool) -> Result<Seq, RequestError> {
        loop {
            let rejected = match self.socket.send(message.clone()).await {
                SendStatus::Sent(seq) | SendStatus::Buffered(seq) => return Ok(seq),
                SendStatus::Dropped => return Err(RequestError::Dropped),
                SendStatus::Rejected(rejected) => rejected.reason,
            };
            if !again || rejected != RejectReason::NotConnected {
                return Err(RequestError::Rejected(rejected));
            }
            let mut watch = self.socket.link().watch();
            let back = watch.wait_for(|view| view.healthy || view.failed.is_some()).await.is_ok();
            if !back {
                return Err(RequestError::Rejected(rejected));
            }
            // The link is told a moment before its outbox is.
            tokio::task::yield_now().await;
        }
    }
}

/// A place among those that wait, given back when the wait is over.
struct Place<'a> {
    shared: &'a Shared,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        drop(self.shared.book().pending.remove(&self.number));
    }
}

impl Shared {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests").field("pending", &self.pending()).finish_non_exhaustive()
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany => f.write_str("too many requests wait for their reply"),
            Self::Rejected(reason) => write!(f, "the request was not sent: {reason}"),
            Self::Dropped => f.write_str("the request was not sent: the outbox dropped it"),
            Self::Lost => f.write_str("the connection ended before the reply"),
            Self::TimedOut => f.write_str("no reply came in time"),
        }
    }
}

impl Error for RequestError {}
