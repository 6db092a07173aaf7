//! What the handles of a session, its reader and its link share.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use mainstay_core::config::ConfigError;
use mainstay_core::link::{Reaction, Seq, Wait};
use mainstay_core::policy::outcome::Outcome;
use mainstay_core::session::stream::Received as Arrival;
use mainstay_core::time::Instant;
use mainstay_wire::{Auth, CloseCode, Decoded, Frame, Message as Wire, Ping, Pong, RETRY_MAX, Raw};
use mainstay_wire::{Schedule, Verdict, decode, reaction};
use tokio::sync::Notify;

use super::book::{Book, NotHeld, Phase};
use super::config::SessionConfig;
use super::handle::Fate;
use super::incoming::Event;
use super::restart::Why;
use crate::clock;
use crate::link::transport::DialError;
use crate::link::websocket::layer::{GiveUp, Greeting, Layer};
use crate::link::websocket::{Ending, Message, Opening};

/// Closes over the same message, right after a replay, before it is failed.
const POISON: u32 = 2;
/// Gaps in the same place before the session is given up.
const GAPS: u32 = 2;
/// Redials after something that the protocol does not know.
const FEW: Reaction = Reaction::RedialFew { limit: 3, blames_message: false };

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: SessionConfig,
    book: Mutex<Book>,
    /// Woken when there is room again.
    room: Notify,
    /// Woken when it is known what became of messages.
    settled: Notify,
}

/// Who is to be woken once the book is closed again.
#[derive(Debug, Default)]
pub(super) struct Wakes {
    reader: Option<Waker>,
    pump: Option<Waker>,
    settled: bool,
}

impl Wakes {
    /// Everybody: much may have changed.
    pub(super) const fn all(book: &mut Book) -> Self {
        Self { reader: book.inbox.reader.take(), pump: book.pump.take(), settled: true }
    }
}

impl Shared {
    pub(super) fn new(config: SessionConfig) -> Result<Self, ConfigError> {
        let book = Mutex::new(Book::new(&config)?);
        Ok(Self { config, book, room: Notify::new(), settled: Notify::new() })
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wake(&self, wakes: Wakes) {
        wakes.reader.into_iter().chain(wakes.pump).for_each(Waker::wake);
        if wakes.settled {
            self.settled.notify_waiters();
            self.room.notify_waiters();
        }
    }

    // What handles do.

    /// Takes a message, and wakes the pump if it can be written.
    pub(super) fn push(&self, payload: &Raw) -> Result<Seq, NotHeld> {
        let (seq, pump) = {
            let mut book = self.book();
            let seq = book.push(payload)?;
            (seq, book.pump.take())
        };
        pump.into_iter().for_each(Waker::wake);
        Ok(seq)
    }

    /// The same, but waits for room.
    pub(super) async fn push_waiting(&self, payload: &Raw) -> Result<Seq, NotHeld> {
        loop {
            let mut room = std::pin::pin!(self.room.notified());
            room.as_mut().enable();
            match self.push(payload) {
                Err(NotHeld::Full) => room.await,
                other => return other,
            }
        }
    }

    /// Waits until it is known what became of a message.
    pub(super) async fn delivered(&self, seq: Seq) -> Fate {
        loop {
            let mut settled = std::pin::pin!(self.settled.notified());
            settled.as_mut().enable();
            {
                let book = self.book();
                if let Some(fate) = book.fate(seq) {
                    return fate;
                }
                if book.phase == Phase::Stopped {
                    return Fate::Unknown;
                }
            }
            settled.await;
        }
    }

    /// Takes no more messages, and waits until none is held or the link is over.
    pub(super) async fn drained(&self) {
        loop {
            let mut settled = std::pin::pin!(self.settled.notified());
            settled.as_mut().enable();
            {
                let mut book = self.book();
                if book.phase == Phase::Open || book.phase == Phase::Failed {
                    book.phase = Phase::Draining;
                }
                if book.stream.outgoing().is_empty() || book.phase == Phase::Stopped {
                    return;
                }
            }
            self.room.notify_waiters();
            settled.await;
        }
    }

    /// The session will not be gone on with: its end is to be said.
    pub(super) fn leave(&self) {
        self.book().line.leaving = true;
    }

    // What the reader does.

    pub(super) fn poll_next(&self, context: &Context<'_>) -> Poll<Option<Event>> {
        let now = clock::now();
        let (next, pump) = {
            let mut book = self.book();
            let pump = processed(&mut book, now);
            let next = match book.inbox.pop() {
                Some(event) => Poll::Ready(Some(event)),
                None if book.phase == Phase::Stopped => Poll::Ready(None),
                None => {
                    book.inbox.reader = Some(context.waker().clone());
                    Poll::Pending
                }
            };
            (next, pump)
        };
        pump.into_iter().for_each(Waker::wake);
        next
    }

    pub(super) fn done(&self) {
        let pump = processed(&mut self.book(), clock::now());
        pump.into_iter().for_each(Waker::wake);
    }

    pub(super) fn reader_gone(&self) {
        let pump = {
            let mut book = self.book();
            if let Some((at, bytes)) = book.inbox.close() {
                book.stream.processed(clock::now(), at, bytes);
            }
            book.pump.take()
        };
        pump.into_iter().for_each(Waker::wake);
    }
}

/// What was handed over is processed; answers the pump if an ack has come to be due, now or later.
fn processed(book: &mut Book, now: Instant) -> Option<Waker> {
    let before = book.stream.deadline();
    book.processed(now);
    let after = book.stream.deadline();
    if after == before { None } else { book.pump.take() }
}

impl Layer for Shared {
    fn greet(&self, opening: Opening, token: Option<String>) -> Greeting<'_> {
        Box::pin(self.say_hello(opening, token))
    }

    fn take(&self, connection: u64, now: Instant, out: &mut Vec<Message>, context: &Context<'_>) {
        self.book().take(connection, now, out, context);
    }

    fn is_current(&self, connection: u64) -> bool {
        self.book().line.number == connection
    }

    fn deadline(&self, connection: u64) -> Option<Instant> {
        self.book().deadline(connection)
    }

    fn deliver(
        &self,
        connection: u64,
        now: Instant,
        messages: &mut dyn Iterator<Item = Message>,
    ) -> Result<(), GiveUp> {
        let max = self.config.socket.message_max;
        let mut wakes = Wakes::default();
        let mut book = self.book();
        // What an earlier connection still says comes again over the one that took its place.
        let is_ours = connection == book.line.number;
        let mut result = Ok(());
        while let Some(message) = messages.next().filter(|_| is_ours && result.is_ok()) {
            result = take_in(&mut book, now, &message, max, &mut wakes);
        }
        if book.has_frame(now) {
            wakes.pump = book.pump.take();
        }
        wakes.reader = book.inbox.reader.take();
        drop(book);
        self.wake(wakes);
        result
    }

    fn ended(&self, connection: u64, ending: &Ending<'_>, usual: Reaction) -> Reaction {
        let mut wakes = Wakes::default();
        let reaction = {
            let mut book = self.book();
            let reaction = ended(&mut book, connection, ending, usual);
            wakes.reader = book.inbox.reader.take();
            wakes.settled = true;
            reaction
        };
        self.wake(wakes);
        reaction
    }

    fn closing(&self, connection: u64) {
        self.book().closing(connection);
    }

    fn failed(&self, failed: bool) {
        {
            let mut book = self.book();
            book.phase = match (failed, book.phase) {
                (true, Phase::Open) => Phase::Failed,
                (false, Phase::Failed) => Phase::Open,
                (_, phase) => phase,
            };
        }
        self.room.notify_waiters();
    }

    fn stop(&self) {
        let mut wakes = Wakes { settled: true, ..Wakes::default() };
        {
            let mut book = self.book();
            book.stop();
            wakes.reader = book.inbox.reader.take();
        }
        self.wake(wakes);
    }
}

/// Takes in one message of the server.
fn take_in(
    book: &mut Book,
    now: Instant,
    message: &Message,
    max: usize,
    wakes: &mut Wakes,
) -> Result<(), GiveUp> {
    let Some(text) = message.as_text() else { return Err(bad("a binary message", None)) };
    let frame = match decode(text, max) {
        Ok(Decoded::Known(frame)) => frame,
        Ok(Decoded::Unknown { .. }) => return Ok(()),
        Err(error) => return Err(bad("no frame", Some(error))),
    };
    match frame {
        Frame::Message(message) => message_came(book, now, message, wakes)?,
        Frame::Ack(ack) => {
            if !book.acknowledged(ack.seq) {
                book.restart(Why::Disagreement, false);
                wakes.settled = true;
                let what = "the peer acknowledged what it was never sent";
                return Err(give_up(CloseCode::RESUME_IMPOSSIBLE, "never sent", what, FEW));
            }
            wakes.settled = true;
        }
        Frame::Ping(ping) => book.pong(answer(ping)),
        Frame::Bye(bye) => book.line.bye = Some(bye),
        Frame::Fault(fault) => {
            if !book.inbox.tell(Event::Fault(fault)) {
                book.stats.missed += 1;
            }
        }
        Frame::Beat(beat) => book.quality = beat.quality,
        // What is not acknowledged goes on over the connection that has the new ones.
        Frame::Auth(Auth::Expires { .. }) if book.renews => {
            let what = "the credentials expire";
            let error = DialError::new(Outcome::TRANSIENT, what).reaction(Reaction::Refresh);
            return Err(GiveUp { code: 1_000, reason: "for new credentials", error });
        }
        Frame::Pong(_) | Frame::Auth(Auth::Expires { .. }) => {}
        Frame::Hello(_)
        | Frame::Welcome(_)
        | Frame::Describe(_)
        | Frame::Suspend(_)
        | Frame::Auth(Auth::Renewed(_)) => return Err(bad("a frame out of place", None)),
    }
    Ok(())
}

fn message_came(
    book: &mut Book,
    now: Instant,
    message: Wire,
    wakes: &mut Wakes,
) -> Result<(), GiveUp> {
    let Some(seq) = message.seq else {
        if !book.inbox.message(message.payload, None) {
            book.stats.missed += 1;
        }
        return Ok(());
    };
    let fits = book.inbox.has_room(message.payload.as_str().len());
    let next = seq.0 == book.stream.incoming().last_received().0.saturating_add(1);
    if next && !fits {
        let what = "the application takes its messages too slowly";
        return Err(give_up(CloseCode::SLOW_CONSUMER, "too slow", what, USUAL));
    }
    match book.stream.received(now, seq) {
        Arrival::Deliver => {
            book.stats.received += 1;
            let at = book.stream.at(seq);
            let bytes = u32::try_from(message.payload.as_str().len()).unwrap_or(u32::MAX);
            if book.inbox.reader_gone {
                book.stream.processed(now, at, bytes);
            } else {
                book.inbox.message(message.payload, Some(at));
            }
            Ok(())
        }
        Arrival::Duplicate => {
            book.stats.duplicates += 1;
            Ok(())
        }
        Arrival::Gap { expected } => {
            let what = "the peer left out messages";
            if book.gap.again(expected.0) < GAPS {
                return Err(give_up(CloseCode::BAD_FRAME, "a gap", what, USUAL));
            }
            book.restart(Why::Gap, false);
            wakes.settled = true;
            Err(give_up(CloseCode::RESUME_IMPOSSIBLE, "a gap again", what, USUAL))
        }
    }
}

const USUAL: Reaction = Reaction::Redial { at_least: Wait::Usual };

fn bad(what: &str, error: Option<mainstay_wire::DecodeError>) -> GiveUp {
    let code = error.as_ref().map_or(CloseCode::BAD_FRAME, mainstay_wire::DecodeError::close_code);
    let mut give_up = give_up(code, "bad frame", &format!("the peer sent {what}"), FEW);
    if let Some(error) = error {
        give_up.error = give_up.error.because(error);
    }
    give_up
}

fn give_up(code: CloseCode, reason: &'static str, what: &str, reaction: Reaction) -> GiveUp {
    let error = DialError::new(Outcome::TRANSIENT, what).reaction(reaction);
    GiveUp { code: code.code, reason, error }
}

/// The answer to a ping.
pub(super) fn answer(ping: Ping) -> Pong {
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok();
    let client_time_ms = wall.and_then(|wall| u64::try_from(wall.as_millis()).ok());
    Pong { number: ping.number, sent_us: ping.sent_us, client_time_ms, view: None }
}

/// What to do about the end of a connection.
fn ended(book: &mut Book, connection: u64, ending: &Ending<'_>, usual: Reaction) -> Reaction {
    let Ending::Closed { code, .. } = ending else { return usual };
    let overtakes = book.greetings > 0 && *code == CloseCode::SUPERSEDED.code;
    if connection != book.line.number || overtakes {
        // A connection of our own took its place.
        return USUAL;
    }
    let (code, retry) = match book.line.bye.take() {
        Some(bye) if matches!(code, 1000 | 1005 | 1006) || bye.code == *code => {
            (bye.code, bye.retry)
        }
        Some(_) | None => (*code, None),
    };
    if code == CloseCode::RESUME_IMPOSSIBLE.code {
        book.restart(Why::Impossible, false);
    }
    if let (1007 | 1009, true) = (code, book.line.replays) {
        let acknowledged = book.stream.outgoing().last_acknowledged().0;
        if book.poison.again(acknowledged) >= POISON {
            book.restart(Why::Refused, true);
            return USUAL;
        }
    }
    match (Verdict::of(code), usual) {
        (Some(_), _) => reaction(code, retry),
        (None, Reaction::Redial { at_least: Wait::Usual }) => {
            Reaction::Redial { at_least: first_wait(book.schedule) }
        }
        (None, _) => usual,
    }
}

/// The first wait after a connection that broke without a goodbye, as the server wishes it.
fn first_wait(schedule: Option<Schedule>) -> Wait {
    let Some(Schedule { base_ms, jitter_ms, .. }) = schedule else { return Wait::Usual };
    let limited = |ms| Duration::from_millis(ms).min(RETRY_MAX);
    Wait::Between(Duration::ZERO, limited(base_ms) + limited(jitter_ms))
}
