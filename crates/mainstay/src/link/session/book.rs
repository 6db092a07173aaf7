//! What a session knows, and what it does about what happens. Only one may look at it at a time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Waker};

use mainstay_core::config::ConfigError;
use mainstay_core::link::Seq;
use mainstay_core::policy::rate::{NotAdmitted, RateLimit};
use mainstay_core::session::quality::Quality;
use mainstay_core::session::stream::{self, Epoch, Push, Stream};
use mainstay_core::time::Instant;
use mainstay_wire::{Ack, Bye, Decoded, FRAME_MAX, Frame, Message as Wire, Pong, Raw, Schedule};
use mainstay_wire::{Secret, decode, encode};

use super::config::SessionConfig;
use super::handle::Fate;
use super::inbox::Inbox;
use super::restart::{Held, Restarted, Why};
use super::trouble::Trouble;
use super::view::{SessionStats, SessionView};
use crate::link::websocket::{Message, Receipt, Receipts, Utf8Bytes};

/// Frames handed to the socket under one lock.
const FRAMES: usize = 16;
/// Pings that wait for their answer; a server that asks faster gets fewer.
const PONGS_MAX: usize = 8;
/// Messages remembered that the server does not take.
const REFUSED_MAX: usize = 128;

#[derive(Debug)]
pub(super) struct Book {
    pub(super) phase: Phase,
    pub(super) stream: Stream<Tracked>,
    /// Messages taken from the application, over all numberings.
    taken: u64,
    /// The last number of the numbering that was given to a socket.
    pub(super) written: u64,
    pub(super) receipts: Receipts,
    pub(super) refused: VecDeque<Seq>,
    pub(super) session: Option<Arc<str>>,
    pub(super) generation: u64,
    pub(super) token: Option<Secret>,
    pub(super) frame_max: usize,
    /// How good the server finds the connection.
    pub(super) quality: Quality,
    /// Whether new credentials can be had.
    pub(super) renews: bool,
    pub(super) schedule: Option<Schedule>,
    pub(super) line: Line,
    /// Connections that were greeted.
    pub(super) connections: u64,
    /// Greetings under way.
    pub(super) greetings: u32,
    pub(super) poison: Trouble,
    pub(super) gap: Trouble,
    pub(super) inbox: Inbox,
    pub(super) pump: Option<Waker>,
    pub(super) stats: SessionStats,
}

/// A message that is held.
#[derive(Debug)]
pub(super) struct Tracked {
    /// Its number for the application, which is none of the numbering's: that may begin anew.
    pub(super) seq: Seq,
    /// As it is written.
    pub(super) frame: Utf8Bytes,
}

/// Whether messages are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// The link has given up.
    Failed,
    /// No more are taken; those that were are still sent.
    Draining,
    Stopped,
}

/// The connection in use.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) number: u64,
    /// The next number to be written.
    pub(super) cursor: u64,
    /// Whether it began with a replay.
    pub(super) replays: bool,
    pub(super) pongs: VecDeque<Pong>,
    pub(super) bye: Option<Bye>,
    pub(super) pace: Option<RateLimit>,
    /// When the server takes the next frame.
    paced_until: Option<Instant>,
    closing: bool,
    /// Whether to say goodbye for good, and whether that was said.
    pub(super) leaving: bool,
    left: bool,
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotHeld {
    Full,
    TooLarge { bytes: usize, max: usize },
    Failed,
    Stopped,
}

impl Book {
    pub(super) fn new(config: &SessionConfig) -> Result<Self, ConfigError> {
        let stream = Stream::new(&config.stream, Epoch(1)).map_err(|e| e.within("stream"))?;
        let kept = usize::try_from(config.stream.messages).unwrap_or(usize::MAX);
        Ok(Self {
            phase: Phase::Open,
            stream,
            taken: 0,
            written: 0,
            receipts: Receipts::default(),
            refused: VecDeque::new(),
            session: None,
            generation: 0,
            token: None,
            frame_max: FRAME_MAX,
            schedule: None,
            quality: Quality::Unknown,
            renews: config.socket.provider.is_some(),
            line: Line::default(),
            connections: 0,
            greetings: 0,
            poison: Trouble::default(),
            gap: Trouble::default(),
            inbox: Inbox::new(&config.socket.incoming, kept),
            pump: None,
            stats: SessionStats::default(),
        })
    }

    /// Takes a message to be sent.
    pub(super) fn push(&mut self, payload: &Raw) -> Result<Seq, NotHeld> {
        match self.phase {
            Phase::Open => {}
            Phase::Failed => return Err(NotHeld::Failed),
            Phase::Draining | Phase::Stopped => return Err(NotHeld::Stopped),
        }
        let seq = Seq(self.taken + 1);
        self.hold(seq, payload.clone())?;
        self.taken = seq.0;
        self.stats.sent += 1;
        Ok(seq)
    }

    /// Holds a message under the next number of the numbering.
    fn hold(&mut self, seq: Seq, payload: Raw) -> Result<(), NotHeld> {
        let number = stream::Seq(self.stream.outgoing().last_sent().0 + 1);
        let frame = text(&Frame::Message(Wire { seq: Some(number), payload }));
        let (bytes, max) = (frame.len(), self.frame_max);
        if bytes > max {
            return Err(NotHeld::TooLarge { bytes, max });
        }
        match self.stream.push(Tracked { seq, frame }, u32::try_from(bytes).unwrap_or(u32::MAX)) {
            Push::Held(_) => Ok(()),
            Push::Full(_) => Err(NotHeld::Full),
            Push::TooLarge(_) => Err(NotHeld::TooLarge { bytes, max }),
        }
    }

    /// What is to be written now; with nothing, `context` is woken when there is.
    pub(super) fn take(
        &mut self,
        connection: u64,
        now: Instant,
        out: &mut Vec<Message>,
        context: &Context<'_>,
    ) {
        // A connection that another has taken the place of has nothing more to say.
        while connection == self.line.number
            && out.len() < FRAMES
            && let Some(frame) = self.next_frame(now)
        {
            out.push(Message::Text(frame));
        }
        if out.is_empty() && !self.pump.as_ref().is_some_and(|w| w.will_wake(context.waker())) {
            self.pump = Some(context.waker().clone());
        }
    }

    fn next_frame(&mut self, now: Instant) -> Option<Utf8Bytes> {
        if !self.has_frame(now) {
            return None;
        }
        self.line.paced_until = None;
        if let Some(pace) = &self.line.pace
            && let Err(NotAdmitted::NotUntil { at }) = pace.admit(now, 1)
        {
            self.line.paced_until = Some(at);
            return None;
        }
        if let Some(pong) = self.line.pongs.pop_front() {
            return Some(text(&Frame::Pong(pong)));
        }
        if let Some(seq) = self.due_ack(now) {
            return Some(text(&Frame::Ack(Ack { seq })));
        }
        if let Some(next) = self.stream.outgoing().message(stream::Seq(self.line.cursor)) {
            let frame = next.frame.clone();
            if self.line.cursor <= self.written {
                self.stats.replayed += 1;
            }
            self.written = self.written.max(self.line.cursor);
            self.line.cursor += 1;
            return Some(frame);
        }
        self.line.left = true;
        let bye = Bye { code: 1000, reason: "done".to_owned(), retry: None };
        Some(text(&Frame::Bye(bye)))
    }

    /// Whether there is something to be written now.
    pub(super) fn has_frame(&self, now: Instant) -> bool {
        let line = &self.line;
        let ack = self.stream.deadline();
        !line.pongs.is_empty()
            || ack.is_some_and(|due| line.closing || due <= now)
            || self.stream.outgoing().message(stream::Seq(line.cursor)).is_some()
            || line.closing && line.leaving && !line.left
    }

    fn due_ack(&mut self, now: Instant) -> Option<stream::Seq> {
        if self.line.closing { self.stream.flush_ack() } else { self.stream.take_ack(now) }
    }

    /// When there will be something to be written by itself.
    pub(super) fn deadline(&self, connection: u64) -> Option<Instant> {
        if connection != self.line.number {
            return None;
        }
        self.line.paced_until.or_else(|| self.stream.deadline())
    }

    pub(super) const fn closing(&mut self, connection: u64) {
        if connection == self.line.number {
            self.line.closing = true;
        }
    }

    /// A ping of the server is to be answered.
    pub(super) fn pong(&mut self, pong: Pong) {
        if self.line.pongs.len() == PONGS_MAX {
            self.line.pongs.pop_front();
        }
        self.line.pongs.push_back(pong);
    }

    /// The application has processed what it was handed.
    pub(super) fn processed(&mut self, now: Instant) {
        if let Some((at, bytes)) = self.inbox.take_handed() {
            self.stream.processed(now, at, bytes);
        }
    }

    /// The server has processed everything up to `number`; says whether it ever was sent that.
    pub(super) fn acknowledged(&mut self, number: stream::Seq) -> bool {
        if number.0 > self.written {
            return false;
        }
        let last = self.stream.outgoing().message(number).map(|message| message.seq);
        let Ok(freed) = self.stream.acknowledge(number) else { return false };
        self.stats.delivered += freed as u64;
        if let Some(last) = last {
            self.receipts.written(last);
        }
        true
    }

    /// Begins anew: what was written and not acknowledged is unknown, what was not written goes into
    /// the next session. With `poison`, the first of what was written is refused.
    pub(super) fn restart(&mut self, why: Why, poison: bool) {
        let written = std::mem::take(&mut self.written);
        let held = self.stream.reset(Epoch(self.stream.epoch().0 + 1));
        (self.line.cursor, self.token) = (1, None);
        (self.poison, self.gap) = (Trouble::default(), Trouble::default());
        let (mut unknown, mut refused) = (Vec::new(), Vec::new());
        for (number, Tracked { seq, frame }) in held {
            let Some(payload) = payload(&frame) else { continue };
            let message = Held { seq, payload };
            if number.0 <= written {
                self.receipts.unknown(seq);
                let poisoned = poison && unknown.is_empty() && refused.is_empty();
                if poisoned { refused.push(message) } else { unknown.push(message) }
            } else if self.hold(seq, message.payload.clone()).is_err() {
                // The window held it before: the server takes shorter frames now.
                refused.push(message);
            }
        }
        self.stats.unknown += unknown.len() as u64;
        self.stats.refused += refused.len() as u64;
        self.stats.restarts += 1;
        for message in &refused {
            if self.refused.len() == REFUSED_MAX {
                self.refused.pop_front();
            }
            self.refused.push_back(message.seq);
        }
        self.inbox.restarted(Restarted { why, unknown, refused, forgotten: 0 });
    }

    /// What became of a message; none as long as it is held.
    pub(super) fn fate(&self, seq: Seq) -> Option<Fate> {
        if self.refused.contains(&seq) {
            return Some(Fate::Refused);
        }
        match self.receipts.of(seq) {
            Some(Receipt::Written) => Some(Fate::Delivered),
            Some(Receipt::Unknown | Receipt::Dropped) => Some(Fate::Unknown),
            None => None,
        }
    }

    /// The link is over: what is held will not be heard of.
    pub(super) fn stop(&mut self) {
        self.phase = Phase::Stopped;
        self.receipts.unknown(Seq(self.taken));
        self.stats.unknown += self.stream.outgoing().len() as u64;
    }

    pub(super) fn view(&self) -> SessionView {
        let outgoing = self.stream.outgoing();
        SessionView {
            session: self.session.clone(),
            generation: self.generation,
            unacknowledged: outgoing.len() as u64,
            unacknowledged_bytes: outgoing.bytes(),
            frame_max: self.frame_max,
            quality: self.quality,
        }
    }
}

impl Line {
    /// A connection on which the session goes on after `acknowledged`.
    pub(super) fn new(number: u64, acknowledged: u64, written: u64, leaving: bool) -> Self {
        let cursor = acknowledged + 1;
        Self { number, cursor, replays: written >= cursor, leaving, ..Self::default() }
    }
}

/// A frame as text.
pub(super) fn text(frame: &Frame) -> Utf8Bytes {
    let mut text = String::new();
    encode(frame, &mut text);
    Utf8Bytes::from(text)
}

/// The payload of a frame of ours.
fn payload(frame: &Utf8Bytes) -> Option<Raw> {
    match decode(frame, usize::MAX) {
        Ok(Decoded::Known(Frame::Message(message))) => Some(message.payload),
        Ok(_) | Err(_) => None,
    }
}
