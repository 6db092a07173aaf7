//! One WebSocket of a session: what comes is taken in, what is to be said is written, in one task.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::{Sink as _, Stream as _};
use mainstay::clock;
use mainstay::core::policy::rate::RateLimit;
use mainstay::core::session::stream::Position;
use mainstay::core::time::Instant;
use mainstay_registry::Key;
use mainstay_wire::{Auth, Bye, CloseCode, Decoded, Frame, Message, Pong, Raw, decode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Sleep;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message as Item, Utf8Bytes};

use super::handler::{Handled, Session};
use super::hub::Hub;
use super::peer::{Fault, Next};

/// Messages read at once, so that one connection does not hold up others.
const BATCH: u32 = 64;
/// Turns before it lets other tasks have theirs.
const TURNS: u32 = 16;
/// How long before its credentials expire a client is told so.
const WARN: Duration = Duration::from_secs(60);

/// How a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// Without a goodbye, or with one that is not the protocol's.
    Lost,
    /// The client said goodbye for good.
    Bye,
    /// The client rests.
    Rest(Option<Duration>),
    /// It is to be closed with this, since the client broke a rule.
    Violation(CloseCode),
    /// It is to be closed with this, since somebody asked for it.
    Leave(Bye),
    /// A later connection is in charge.
    Overtaken,
}

/// A connection after its greeting.
pub(super) struct Connection<S> {
    pub(super) socket: WebSocketStream<S>,
    pub(super) hub: Arc<Hub>,
    pub(super) session: Session,
    pub(super) key: Key,
    /// Until when its credentials hold.
    pub(super) expires: Option<Instant>,
    pub(super) rate: Option<RateLimit>,
    warned: bool,
    timer: Option<Pin<Box<Sleep>>>,
    handling: Option<Handling>,
    /// Messages that came while the application was at another, and their bytes.
    backlog: VecDeque<(Raw, Option<(Position, u32)>)>,
    backlog_bytes: usize,
    out: Vec<Utf8Bytes>,
    /// Since when the client has not taken what was written; none when nothing waits.
    stalled: Option<Instant>,
    unflushed: bool,
}

/// A message that the application is at.
struct Handling {
    work: Pin<Box<dyn Future<Output = ()> + Send>>,
    at: Option<(Position, u32)>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(super) const fn new(
        socket: WebSocketStream<S>,
        hub: Arc<Hub>,
        session: Session,
        key: Key,
        expires: Option<Instant>,
        rate: Option<RateLimit>,
    ) -> Self {
        Self {
            socket,
            hub,
            session,
            key,
            expires,
            rate,
            warned: false,
            timer: None,
            handling: None,
            backlog: VecDeque::new(),
            backlog_bytes: 0,
            out: Vec::new(),
            stalled: None,
            unflushed: false,
        }
    }

    /// Serves it until it ends.
    pub(super) async fn run(&mut self) -> End {
        std::future::poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<End> {
        for _ in 0..TURNS {
            let now = clock::now();
            let read = match self.read(now, context) {
                Ok(read) => read,
                Err(end) => return Poll::Ready(end),
            };
            let (wrote, deadline) = match self.write(now, context) {
                Ok(written) => written,
                Err(end) => return Poll::Ready(end),
            };
            if read || wrote {
                continue;
            }
            match self.watch(now, deadline, context) {
                Poll::Ready(Some(end)) => return Poll::Ready(end),
                Poll::Ready(None) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes in what came; says whether that was anything.
    fn read(&mut self, now: Instant, context: &mut Context<'_>) -> Result<bool, End> {
        self.work_on(now, context);
        let mut count = 0;
        while count < BATCH {
            let item = match Pin::new(&mut self.socket).poll_next(context) {
                Poll::Pending => break,
                Poll::Ready(None) => return Err(End::Lost),
                Poll::Ready(Some(Err(error))) => return Err(broken(&error)),
                Poll::Ready(Some(Ok(item))) => item,
            };
            count += 1;
            if count == 1 {
                self.hub.heard(now, self.key);
            }
            self.take_in(now, item)?;
            self.work_on(now, context);
        }
        Ok(count > 0)
    }

    /// Lets the application go on with the message it is at, and gives it the next ones. Acks and
    /// pongs are read meanwhile: it may wait for them.
    fn work_on(&mut self, now: Instant, context: &mut Context<'_>) {
        while let Some(handling) = &mut self.handling {
            if handling.work.as_mut().poll(context).is_pending() {
                return;
            }
            if let Some((at, bytes)) = handling.at {
                self.session.peer.processed(now, at, bytes);
            }
            self.handling = None;
            while self.handling.is_none()
                && let Some((payload, at)) = self.backlog.pop_front()
            {
                self.backlog_bytes -= payload.as_str().len();
                self.handle(now, payload, at);
            }
        }
    }

    fn take_in(&mut self, now: Instant, item: Item) -> Result<(), End> {
        if self.rate.as_ref().is_some_and(|rate| rate.admit(now, 1).is_err()) {
            return Err(End::Violation(CloseCode::RATE_LIMITED));
        }
        let text = match item {
            Item::Text(text) => text,
            Item::Binary(_) => return Err(End::Violation(CloseCode::BAD_FRAME)),
            // The library answers it with the next flush.
            Item::Ping(_) => {
                self.unflushed = true;
                return Ok(());
            }
            Item::Pong(_) | Item::Frame(_) => return Ok(()),
            Item::Close(_) => return Err(End::Lost),
        };
        match decode(&text, self.hub.limits().frame_max) {
            Ok(Decoded::Known(frame)) => self.frame(now, frame),
            Ok(Decoded::Unknown { .. }) => Ok(()),
            Err(error) => {
                tracing::debug!(session = %self.session.id(), %error, "a client sent no frame");
                Err(End::Violation(error.close_code()))
            }
        }
    }

    fn frame(&mut self, now: Instant, frame: Frame) -> Result<(), End> {
        let generation = self.key.generation();
        let peer = &self.session.peer;
        // What concerns the session as a whole is for the latest connection to say.
        let of_session = matches!(
            frame,
            Frame::Bye(_) | Frame::Suspend(_) | Frame::Describe(_) | Frame::Auth(_)
        );
        if of_session && !peer.is_in_charge(generation) {
            return Err(End::Overtaken);
        }
        match frame {
            Frame::Message(message) => self.message(now, message),
            Frame::Ack(ack) => peer.acknowledge(generation, ack.seq).map_err(fault),
            Frame::Ping(ping) => {
                let (number, sent_us) = (ping.number, ping.sent_us);
                peer.answer(generation, Pong { number, sent_us, client_time_ms: None, view: None });
                Ok(())
            }
            Frame::Pong(pong) => {
                if let Some(ping) = peer.answered(generation, &pong) {
                    let us = (now.as_nanos() / 1_000).saturating_sub(ping.sent_us);
                    self.hub.answered(now, self.key, Duration::from_micros(us));
                }
                Ok(())
            }
            Frame::Describe(describe) => {
                self.hub.describe(self.session.id(), describe.meta.as_str()).map_err(End::Violation)
            }
            Frame::Suspend(suspend) => Err(End::Rest(suspend.for_ms.map(Duration::from_millis))),
            Frame::Auth(Auth::Renewed(secret)) => {
                self.expires = self.hub.renew(&self.session, &secret).map_err(End::Violation)?;
                self.warned = false;
                Ok(())
            }
            Frame::Bye(_) => Err(End::Bye),
            Frame::Fault(fault) => {
                let (session, code) = (self.session.id(), fault.code);
                tracing::debug!(%session, code, "a client says that something failed");
                Ok(())
            }
            Frame::Hello(_) | Frame::Welcome(_) | Frame::Beat(_) | Frame::Auth(_) => {
                Err(End::Violation(CloseCode::BAD_FRAME))
            }
        }
    }

    fn message(&mut self, now: Instant, Message { seq, payload }: Message) -> Result<(), End> {
        let peer = &self.session.peer;
        let bytes = u32::try_from(payload.as_str().len()).unwrap_or(u32::MAX);
        let at = match seq {
            Some(seq) => match peer.received(self.key.generation(), now, seq) {
                Ok(true) => Some((peer.at(seq), bytes)),
                Ok(false) => return Ok(()),
                Err(broken) => return Err(fault(broken)),
            },
            None => None,
        };
        if self.handling.is_none() {
            self.handle(now, payload, at);
            return Ok(());
        }
        // A client holds no more than its window; whoever sends more does not wait for acks.
        self.backlog_bytes += payload.as_str().len();
        self.backlog.push_back((payload, at));
        let (messages, most) = self.hub.backlog();
        if self.backlog.len() > messages || self.backlog_bytes > most {
            return Err(End::Violation(CloseCode::RATE_LIMITED));
        }
        Ok(())
    }

    fn handle(&mut self, now: Instant, payload: Raw, at: Option<(Position, u32)>) {
        match self.hub.message(&self.session, payload) {
            Handled::Later(work) => self.handling = Some(Handling { work, at }),
            Handled::Done => {
                if let Some((at, bytes)) = at {
                    self.session.peer.processed(now, at, bytes);
                }
            }
        }
    }

    /// Writes what is to be said; says whether that was anything, and when there will be more by
    /// itself.
    fn write(
        &mut self,
        now: Instant,
        context: &mut Context<'_>,
    ) -> Result<(bool, Option<Instant>), End> {
        let mut wrote = false;
        // What the client does not take holds up what comes behind it.
        let ready = Pin::new(&mut self.socket).poll_ready(context);
        if let Poll::Ready(Err(error)) = ready {
            return Err(broken(&error));
        }
        let mut deadline = None;
        if ready.is_ready() {
            match self.session.peer.take(self.key.generation(), now, &mut self.out, context) {
                Next::GoOn { deadline: at } => deadline = at,
                Next::Leave(bye) => return Err(End::Leave(bye)),
                Next::Overtaken => return Err(End::Overtaken),
            }
            for text in self.out.drain(..) {
                let written = Pin::new(&mut self.socket).start_send(Item::Text(text));
                // A full buffer is written by the flush below, as far as the client takes it.
                if let Err(error) = written
                    && !matches!(error, Error::WriteBufferFull(_))
                {
                    return Err(broken(&error));
                }
                (wrote, self.unflushed) = (true, true);
            }
        }
        if self.unflushed {
            match Pin::new(&mut self.socket).poll_flush(context) {
                Poll::Ready(Ok(())) => (self.unflushed, self.stalled) = (false, None),
                Poll::Ready(Err(error)) => return Err(broken(&error)),
                Poll::Pending => {
                    self.stalled.get_or_insert(now);
                }
            }
        }
        Ok((wrote, deadline))
    }

    /// Waits for the next time at which something is due by itself.
    fn watch(
        &mut self,
        now: Instant,
        ack: Option<Instant>,
        context: &mut Context<'_>,
    ) -> Poll<Option<End>> {
        let slow = self.stalled.map(|since| since.after(self.hub.limits().slow_after));
        if slow.is_some_and(|at| at <= now) {
            return Poll::Ready(Some(End::Violation(CloseCode::SLOW_CONSUMER)));
        }
        if self.expires.is_some_and(|at| at <= now) {
            return Poll::Ready(Some(End::Violation(CloseCode::UNAUTHORISED)));
        }
        let warn = self.expires.filter(|_| !self.warned).map(|at| {
            let left = at.since(now);
            if left > WARN { now.after(left - WARN) } else { now }
        });
        if let Some(at) = warn.filter(|at| *at <= now) {
            let left = self.expires.map_or(Duration::ZERO, |end| end.since(at));
            let in_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
            self.warned = true;
            self.session.peer.warn(self.key.generation(), in_ms);
            return Poll::Ready(None);
        }
        // An ack that waits behind a stalled socket is not due before the socket is.
        let ack = ack.filter(|_| self.stalled.is_none());
        let next = [slow, self.expires, warn, ack].into_iter().flatten().min();
        let Some(next) = next else {
            self.timer = None;
            return Poll::Pending;
        };
        let at = clock::to_tokio(next);
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if timer.deadline() != at {
            timer.as_mut().reset(at);
        }
        ready!(timer.as_mut().poll(context));
        self.timer = None;
        Poll::Ready(None)
    }
}

fn fault(fault: Fault) -> End {
    match fault {
        Fault::Gap | Fault::Refused => End::Violation(CloseCode::BAD_FRAME),
        Fault::NeverSent => End::Violation(CloseCode::RESUME_IMPOSSIBLE),
        Fault::Overtaken => End::Overtaken,
    }
}

/// What the library found wrong.
fn broken(error: &Error) -> End {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the library's own list, which grows")]
    match error {
        Error::Capacity(_) | Error::Utf8(_) => End::Violation(CloseCode::BAD_FRAME),
        _ => End::Lost,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::SinkExt as _;
    use mainstay_registry::Beats;
    use mainstay_store::{MemoryStore, StoreConfig};
    use mainstay_wire::{Client, Hello, Resume};
    use tokio::io::DuplexStream;
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::super::config::{Messages, SessionsConfig};
    use super::super::greet::{Greeted, Owner};
    use super::super::standalone::Standalone;
    use super::*;

    fn hub() -> Arc<Hub> {
        let (config, store) = (SessionsConfig::default(), Arc::new(MemoryStore::new()));
        let handler = Arc::new(Standalone::new(Messages::Tell));
        let hub = Hub::open(&config, store, &StoreConfig::default(), Arc::default(), handler);
        Arc::new(hub.unwrap())
    }

    async fn greet(hub: &Hub, resume: Option<Resume>) -> Greeted {
        let client = Client { kind: "test".into(), version: "1".into() };
        let hello = Hello { auth: None, client, meta: None, resume, capabilities: Vec::new() };
        let owner = Owner { user: None, organisation: "default".into(), expires_at: None };
        hub.greet(&hello, &owner, Beats::Server).await.unwrap()
    }

    /// A connection with its client's end.
    async fn connection(
        hub: &Arc<Hub>,
        greeted: Greeted,
    ) -> (Connection<DuplexStream>, WebSocketStream<DuplexStream>) {
        let (server, client) = tokio::io::duplex(4096);
        let socket = WebSocketStream::from_raw_socket(server, Role::Server, None).await;
        let client = WebSocketStream::from_raw_socket(client, Role::Client, None).await;
        let Greeted { session, key, .. } = greeted;
        (Connection::new(socket, hub.clone(), session, key, None, None), client)
    }

    /// The old client spoke before the takeover, and is read after it.
    #[tokio::test]
    async fn a_connection_that_was_overtaken_says_nothing_for_the_session() {
        for said in [
            r#"{"t":"bye","code":1000,"reason":"late"}"#,
            r#"{"t":"suspend"}"#,
            r#"{"t":"meta","meta":{"late":true}}"#,
            r#"{"t":"auth","auth":"another"}"#,
        ] {
            let hub = hub();
            let first = greet(&hub, None).await;
            let token = first.welcome.token.clone();
            let received = first.welcome.received;
            let (mut old, mut client) = connection(&hub, first).await;
            client.send(Item::text(said)).await.unwrap();
            let second = greet(&hub, Some(Resume { token, received })).await;
            assert!(second.welcome.resumed);
            assert!(matches!(old.run().await, End::Overtaken), "{said}");
            let record = hub.record(second.key.session()).unwrap();
            assert!(record.ended.is_none() && record.metadata.is_empty(), "{said}: {record:?}");
        }
    }
}
