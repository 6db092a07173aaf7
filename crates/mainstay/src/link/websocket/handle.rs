use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use futures_core::Stream;
use futures_sink::Sink;
use mainstay_core::config::ConfigError;
use mainstay_core::link::{EndpointView, Seq};

use super::config::WebSocketConfig;
use super::layer::Layer;
use super::line::{Gone, KEPT, Line, Took};
use super::message::Message;
use super::receipt::Receipt;
use super::stats::SocketStats;
use super::subscriptions::Subscriptions;
use super::targets::Targets;
use super::transport::WebSocketTransport;
use crate::link::handle::{ConnectError, Link, LinkOptions};

/// A WebSocket connection that heals itself: a handle, cheap to clone.
///
/// When the last clone goes, the connection is closed and its task ends.
///
/// ```no_run
/// use mainstay::link::LinkOptions;
/// use mainstay::link::websocket::{WebSocket, WebSocketConfig};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let config = WebSocketConfig::new("wss://example.org/feed");
/// let (feed, mut messages) = WebSocket::open(LinkOptions::websocket("feed"), config)?;
/// feed.connect().await?;
/// feed.subscribe("ticks", r#"{"subscribe":"ticks"}"#);
/// let _status = feed.send("hello").await;
/// while let Some(message) = messages.recv().await {
///     println!("{message:?}");
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct WebSocket {
    link: Link,
    line: Arc<Line>,
    subscriptions: Subscriptions,
    targets: Arc<Targets>,
}

/// The messages that come over a [`WebSocket`], over all its connections, in order.
///
/// There is one reader. Dropped, what comes is thrown away.
pub struct Incoming {
    line: Arc<Line>,
    /// Messages that were taken together.
    taken: VecDeque<Message>,
}

/// Some messages were lost, because the application was too slow to take them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missed(
    /// How many.
    pub u64,
);

/// What became of a message when it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a message may have been rejected or dropped"]
pub enum SendStatus {
    /// It is on its way over the connection that is open. [`WebSocket::flushed`] tells what became
    /// of it.
    Sent(Seq),
    /// There is no connection; it waits for one, for as long as it may.
    Buffered(Seq),
    /// It was dropped, as the policy for a full outbox says.
    Dropped,
    /// It was not taken.
    Rejected(Rejected),
}

/// A message that was not taken, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The message.
    pub message: Message,
    /// Why.
    pub reason: RejectReason,
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RejectReason {
    /// The outbox has no room.
    Full,
    /// It is larger than the outbox.
    TooLarge,
    /// There is no connection, and the outbox is configured to hold nothing.
    NotConnected,
    /// The link has given up: connect it again first.
    Failed,
    /// The link was shut down or is being drained.
    Stopped,
}

impl WebSocket {
    /// A disconnected link to `config.url`, with its task, and what will come over it.
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
        config: WebSocketConfig,
    ) -> Result<(Self, Incoming), ConfigError> {
        Self::open_under(options, config, None)
    }

    /// The same under a layer, which speaks in place of the application.
    pub(in crate::link) fn open_under(
        options: LinkOptions,
        config: WebSocketConfig,
        layer: Option<Arc<dyn Layer>>,
    ) -> Result<(Self, Incoming), ConfigError> {
        let subscriptions = config.subscriptions.clone();
        let transport = Arc::new(WebSocketTransport::new(config, layer)?);
        let (line, targets) = (transport.line.clone(), transport.targets.clone());
        let link = Link::over(options, transport.clone())?;
        // Set once, right here.
        drop(transport.desk.set(link.weak_desk()));
        let incoming = Incoming { line: line.clone(), taken: VecDeque::new() };
        Ok((Self { link, line, subscriptions, targets }, incoming))
    }

    /// The link under it: its state, events, statistics and commands.
    #[must_use]
    pub const fn link(&self) -> &Link {
        &self.link
    }

    /// All addresses in the order of the configuration, without their queries, and what is known of
    /// each. Where a provider says the address, only what it was put in place of.
    #[must_use]
    pub fn endpoints(&self) -> Vec<(String, EndpointView)> {
        self.targets.views()
    }

    /// Connects, or waits for the dial that is under way: see [`Link::connect`].
    ///
    /// # Errors
    ///
    /// [`ConnectError`]; unless it is terminal, the link goes on trying.
    pub async fn connect(&self) -> Result<(), ConnectError> {
        self.link.connect().await
    }

    /// Sends a message, or keeps it until there is a connection. Never waits.
    ///
    /// What still waits when the link is disconnected or reset by the user is dropped: who connects
    /// next may be somebody else. A pause keeps it.
    pub fn try_send(&self, message: impl Into<Message>) -> SendStatus {
        status(self.line.put(message.into(), None))
    }

    /// The same for a message that makes earlier ones with the same key worthless: under
    /// [`mainstay_core::link::Overflow::LatestPerKey`] it takes their place.
    pub fn try_send_latest(&self, key: u64, message: impl Into<Message>) -> SendStatus {
        status(self.line.put(message.into(), Some(key)))
    }

    /// Sends a message, and waits for room where waiting helps: while the connection is open and the
    /// peer only is slow, or whenever the outbox is configured to wait.
    pub async fn send(&self, message: impl Into<Message>) -> SendStatus {
        status(self.line.put_waiting(message.into(), None).await)
    }

    /// Waits until it is known what became of a message that was sent or buffered.
    pub async fn flushed(&self, seq: Seq) -> Receipt {
        self.line.settled(seq).await
    }

    /// Waits until no reply to a message can come any more.
    pub(super) async fn gone(&self, seq: Seq) -> Gone {
        self.line.gone(seq).await
    }

    /// What is known of a message now; none while it waits.
    #[must_use]
    pub fn receipt(&self, seq: Seq) -> Option<Receipt> {
        self.line.receipt(seq)
    }

    /// Subscribes with `message`: now, if there is a connection, and on every later one before
    /// anything else is sent. It goes before messages that wait. Says whether there was room.
    pub fn subscribe(&self, key: &str, message: impl Into<Message>) -> bool {
        self.subscriptions.set(key, message)
    }

    /// Subscribes `key` no more, and says so with `message` if there is a connection that was told of
    /// it. Says whether it was subscribed.
    pub fn unsubscribe(&self, key: &str, message: Option<Message>) -> bool {
        self.subscriptions.take_out(key, message)
    }

    /// What is subscribed.
    #[must_use]
    pub const fn subscriptions(&self) -> &Subscriptions {
        &self.subscriptions
    }

    /// What it has carried.
    #[must_use]
    pub fn stats(&self) -> SocketStats {
        self.line.stats()
    }

    /// When the certificate of the last handshake ends to be valid; none before the first, and without
    /// TLS.
    #[must_use]
    pub fn certificate_expiry(&self) -> Option<SystemTime> {
        self.targets.expiry.get()
    }

    /// Takes no more messages, sends what it has, closes in good order and ends. What could not be
    /// sent within `deadline` is dropped; answers how many messages those were.
    pub async fn drain(&self, deadline: Duration) -> u64 {
        self.line.drain();
        let dropped = self.line.stats().dropped;
        // Messages that wait for a connection are given the chance of one.
        let flushed = async {
            while self.line.stats().queued > 0 && self.link.is_running() {
                self.line.poked().await;
            }
        };
        drop(tokio::time::timeout(deadline, flushed).await);
        self.link.shutdown().await;
        self.line.stop();
        self.line.stats().dropped - dropped
    }

    /// Closes the connection in good order and ends the link; see [`Link::shutdown`].
    pub async fn shutdown(&self) {
        self.link.shutdown().await;
    }

    /// From now on calls `call` with each message, from the link's own task, in place of
    /// [`Incoming`]; first with those that wait. It should be quick; a panic disturbs nobody.
    pub fn on_message(&self, call: impl Fn(Message) + Send + Sync + 'static) {
        self.line.call_with_messages(Arc::new(call));
    }

    /// A [`Sink`] for messages, for those who like streams; [`Incoming`] is the stream.
    #[must_use]
    pub fn sink(&self) -> Outgoing {
        Outgoing { socket: self.clone(), held: None, waiting: None }
    }
}

fn status(took: Took) -> SendStatus {
    let rejected = |message, reason| SendStatus::Rejected(Rejected { message, reason });
    match took {
        Took::Taken { seq, open: true } => SendStatus::Sent(seq),
        Took::Taken { seq, open: false } => SendStatus::Buffered(seq),
        Took::Dropped => SendStatus::Dropped,
        Took::Full(message) => rejected(message, RejectReason::Full),
        Took::TooLarge(message) => rejected(message, RejectReason::TooLarge),
        Took::NotConnected(message) => rejected(message, RejectReason::NotConnected),
        Took::Failed(message) => rejected(message, RejectReason::Failed),
        Took::Stopped(message) => rejected(message, RejectReason::Stopped),
    }
}

impl SendStatus {
    /// The number of the message, if it was taken.
    #[must_use]
    pub const fn seq(&self) -> Option<Seq> {
        match self {
            Self::Sent(seq) | Self::Buffered(seq) => Some(*seq),
            Self::Dropped | Self::Rejected(_) => None,
        }
    }

    /// The number of the message if it was taken; otherwise an error.
    ///
    /// # Errors
    ///
    /// [`SendError`] when it was dropped or rejected.
    pub fn ok(self) -> Result<Seq, SendError> {
        match self {
            Self::Sent(seq) | Self::Buffered(seq) => Ok(seq),
            Self::Dropped => Err(SendError::Dropped),
            Self::Rejected(rejected) => Err(SendError::Rejected(rejected)),
        }
    }
}

/// A message that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendError {
    /// It was dropped, as the policy for a full outbox says.
    Dropped,
    /// It was rejected; it is in here.
    Rejected(Rejected),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dropped => f.write_str("the message was dropped: the outbox is full"),
            Self::Rejected(Rejected { reason, .. }) => reason.fmt(f),
        }
    }
}

impl Error for SendError {}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the outbox is full",
            Self::TooLarge => "the message is larger than the outbox",
            Self::NotConnected => "the link is not connected",
            Self::Failed => "the link has given up",
            Self::Stopped => "the link was shut down",
        })
    }
}

impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket").field("link", &self.link).finish_non_exhaustive()
    }
}

impl Incoming {
    /// The next message, or how many were lost before it. None when the link was shut down.
    ///
    /// Dropping the future loses nothing.
    pub async fn recv(&mut self) -> Option<Result<Message, Missed>> {
        std::future::poll_fn(|context| self.poll_recv(context)).await
    }

    fn poll_recv(&mut self, context: &Context<'_>) -> Poll<Option<Result<Message, Missed>>> {
        if let Some(message) = self.taken.pop_front() {
            return Poll::Ready(Some(Ok(message)));
        }
        if self.taken.capacity() > KEPT {
            self.taken.shrink_to(KEPT);
        }
        match std::task::ready!(self.line.poll_take(&mut self.taken, context)) {
            None => Poll::Ready(None),
            Some(0) => Poll::Ready(self.taken.pop_front().map(Ok)),
            Some(missed) => Poll::Ready(Some(Err(Missed(missed)))),
        }
    }
}

impl Stream for Incoming {
    type Item = Result<Message, Missed>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_recv(context)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.line.reader_gone();
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").finish_non_exhaustive()
    }
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} messages were lost because they were not taken in time", self.0)
    }
}

impl Error for Missed {}

/// The sending half of a [`WebSocket`] as a [`Sink`].
///
/// It takes one message at a time and waits for room by itself.
pub struct Outgoing {
    socket: WebSocket,
    held: Option<Message>,
    waiting: Option<Pin<Box<dyn Future<Output = SendStatus> + Send>>>,
}

impl Outgoing {
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        if let Some(message) = self.held.take() {
            let socket = self.socket.clone();
            self.waiting = Some(Box::pin(async move { socket.send(message).await }));
        }
        let Some(waiting) = &mut self.waiting else { return Poll::Ready(Ok(())) };
        let status = std::task::ready!(waiting.as_mut().poll(context));
        self.waiting = None;
        Poll::Ready(status.ok().map(|_| ()))
    }
}

impl Sink<Message> for Outgoing {
    type Error = SendError;

    fn poll_ready(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), SendError>> {
        self.poll_send(context)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), SendError> {
        match self.socket.try_send(message) {
            SendStatus::Sent(_) | SendStatus::Buffered(_) => Ok(()),
            SendStatus::Dropped => Err(SendError::Dropped),
            SendStatus::Rejected(Rejected { message, reason: RejectReason::Full }) => {
                self.held = Some(message);
                Ok(())
            }
            SendStatus::Rejected(rejected) => Err(SendError::Rejected(rejected)),
        }
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), SendError>> {
        self.poll_send(context)
    }

    fn poll_close(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), SendError>> {
        self.poll_send(context)
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing").field("socket", &self.socket).finish_non_exhaustive()
    }
}
