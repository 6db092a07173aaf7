//! What a session has to say and has heard, over all its connections.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use mainstay::core::config::ConfigError;
use mainstay::core::session::quality::Quality;
use mainstay::core::session::stream::{
    Epoch, Position, Push, Received, Resume, Seq, Stream, StreamConfig,
};
use mainstay::core::time::Instant;
use mainstay_registry::SessionId;
use mainstay_wire::{Ack, Beat, Beats, Bye, Frame, Message, Ping, Pong, Raw};
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Utf8Bytes;

mod line;

pub(crate) use line::text;
use line::{Line, message};

/// Messages without a number that wait; what does not fit is lost, as they always may be.
const UNTRACKED_MAX: usize = 64;
/// Pongs that wait: a client that asks faster than it reads has no use for more.
const PONGS_MAX: usize = 4;
/// Frames taken at once, so that one connection does not hold up others.
const BATCH: usize = 64;

/// One session's messages. Shared by its connection, the API and whoever sends to it.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) session: SessionId,
    state: Mutex<State>,
    /// Told when there may be room for another message.
    room: Notify,
}

#[derive(Debug)]
struct State {
    stream: Stream<Raw>,
    frame_max: usize,
    /// The last number that was ever written: what comes after it cannot have arrived.
    written: u64,
    untracked: VecDeque<Utf8Bytes>,
    line: Line,
    over: bool,
}

/// Where the messages go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Joined {
    /// Whether they go on where they stopped.
    pub(crate) replay: bool,
    /// The last message of the client that was processed.
    pub(crate) received: Seq,
    /// The numbering in use.
    pub(crate) epoch: Epoch,
    /// Messages of the server of which nobody knows whether they arrived.
    pub(crate) unknown: usize,
}

/// What a connection does next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// It writes what it was given, and goes on.
    GoOn {
        /// When there will be something to write by itself.
        deadline: Option<Instant>,
    },
    /// It says this and closes.
    Leave(Bye),
    /// A later connection is in charge.
    Overtaken,
}

/// Why a message cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// As much is unacknowledged as may be: send it later.
    Full,
    /// It is longer than a frame may be.
    TooLarge {
        /// Its length as a frame, in bytes.
        bytes: usize,
        /// The most allowed.
        max: usize,
    },
    /// The session is over.
    Gone,
}

/// What a client sent that it must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It left out a message.
    Gap,
    /// It acknowledged what it was never sent.
    NeverSent,
    /// It speaks on a connection that is not in charge any more.
    Overtaken,
    /// It sent a frame that is not for a client to send.
    Refused,
}

impl Peer {
    pub(crate) fn new(
        session: SessionId,
        config: &StreamConfig,
        frame_max: usize,
        epoch: Epoch,
    ) -> Result<Self, ConfigError> {
        let state = State {
            stream: Stream::new(config, epoch)?,
            frame_max,
            written: 0,
            untracked: VecDeque::new(),
            line: Line::default(),
            over: false,
        };
        Ok(Self { session, state: Mutex::new(state), room: Notify::new() })
    }

    /// Whether messages can go on where the client says it is.
    pub(crate) fn agrees(&self, shown: Position) -> bool {
        self.state().agrees(shown)
    }

    /// A connection of that generation takes charge, unless a later one has. `shown` is where the
    /// client says it is; none when it begins. Without agreement the messages begin anew, in the
    /// numbering `epoch`: what was never written goes out under new numbers.
    pub(crate) fn join(
        &self,
        generation: u64,
        shown: Option<Position>,
        epoch: Epoch,
    ) -> Option<Joined> {
        let mut guard = self.state();
        let state = &mut *guard;
        if generation <= state.line.generation {
            return None;
        }
        let agreed = shown.is_some_and(|at| state.agrees(at));
        let unknown = match shown {
            Some(at) if agreed => {
                let _freed: Result<usize, _> = state.stream.acknowledge(at.seq);
                0
            }
            Some(_) | None => state.restart(epoch),
        };
        let cursor = state.stream.outgoing().last_acknowledged().0 + 1;
        let line = Line { generation, cursor, attached: true, ..Line::default() };
        let before = std::mem::replace(&mut state.line, line);
        let Position { epoch, seq } = state.stream.position();
        drop(guard);
        wake(before.waker);
        self.room.notify_waiters();
        Some(Joined { replay: agreed, received: seq, epoch, unknown })
    }

    /// The connection of that generation is no more. What has no number is lost with it.
    pub(crate) fn leave(&self, generation: u64) {
        let mut state = self.state();
        if state.line.generation == generation {
            state.line.attached = false;
            state.line.waker = None;
            state.untracked.clear();
        }
    }

    /// The session is over: nothing more is sent, and a connection that is there says `bye`.
    pub(crate) fn end(&self, bye: Bye) {
        let mut state = self.state();
        state.over = true;
        let waker = state.line.say_bye(bye);
        drop(state);
        wake(waker);
        self.room.notify_waiters();
    }

    /// The connection in charge says `bye` and closes; the session stays.
    pub(crate) fn dismiss(&self, bye: Bye) {
        let waker = self.state().line.say_bye(bye);
        wake(waker);
    }

    /// The connection of that generation says `bye` and closes, if it is still in charge.
    pub(crate) fn dismiss_from(&self, generation: u64, bye: Bye) {
        let mut state = self.state();
        if state.line.generation == generation {
            let waker = state.line.say_bye(bye);
            drop(state);
            wake(waker);
        }
    }

    /// Sends a message that arrives once and in order, over this connection or a later one.
    pub(crate) fn send(&self, payload: &Raw) -> Result<Seq, SendError> {
        let mut state = self.state();
        if state.over {
            return Err(SendError::Gone);
        }
        let seq = Seq(state.stream.outgoing().last_sent().0 + 1);
        let bytes = state.fitting(Some(seq), payload)?;
        match state.stream.push(payload.clone(), u32::try_from(bytes).unwrap_or(u32::MAX)) {
            Push::Held(seq) => {
                let waker = state.line.waker.take();
                drop(state);
                wake(waker);
                Ok(seq)
            }
            Push::Full(_) => Err(SendError::Full),
            Push::TooLarge(_) => Err(SendError::TooLarge { bytes, max: state.frame_max }),
        }
    }

    /// The same, and waits while as much is unacknowledged as may be.
    pub(crate) async fn send_waiting(&self, payload: &Raw) -> Result<Seq, SendError> {
        loop {
            let mut room = pin!(self.room.notified());
            room.as_mut().enable();
            match self.send(payload) {
                Err(SendError::Full) => room.await,
                result => return result,
            }
        }
    }

    /// Whether the connection of that generation is the one in charge.
    pub(crate) fn is_in_charge(&self, generation: u64) -> bool {
        self.state().line.generation == generation
    }

    /// Sends a message that may be lost; says whether somebody is there to be told.
    pub(crate) fn tell(&self, payload: &Raw) -> Result<bool, SendError> {
        let mut state = self.state();
        if state.over {
            return Err(SendError::Gone);
        }
        let _bytes: usize = state.fitting(None, payload)?;
        if !state.line.attached || state.untracked.len() == UNTRACKED_MAX {
            return Ok(false);
        }
        state.untracked.push_back(text(&message(None, payload)));
        let waker = state.line.waker.take();
        drop(state);
        wake(waker);
        Ok(true)
    }

    /// The connection in charge asks whether the client is there, unless it has just done so.
    pub(crate) fn ask(&self, generation: u64) {
        self.order(generation, |line| line.asks = true);
    }

    /// The client is told when it will be asked from now on.
    pub(crate) fn announce(&self, generation: u64, beats: Beats, quality: Quality) {
        self.order(generation, |line| line.beat = Some(Beat { beats, quality }));
    }

    /// The client is told that its credentials expire.
    pub(crate) fn warn(&self, generation: u64, in_ms: u64) {
        self.order(generation, |line| line.expires = Some(in_ms));
    }

    /// The client asked, and gets an answer.
    pub(crate) fn answer(&self, generation: u64, pong: Pong) {
        self.order(generation, |line| {
            if line.pongs.len() == PONGS_MAX {
                line.pongs.pop_front();
            }
            line.pongs.push_back(pong);
        });
    }

    fn order(&self, generation: u64, change: impl FnOnce(&mut Line)) {
        let mut state = self.state();
        if state.line.generation != generation || !state.line.attached {
            return;
        }
        change(&mut state.line);
        let waker = state.line.waker.take();
        drop(state);
        wake(waker);
    }

    /// Whether the answer is that to the last question; then what was asked.
    pub(crate) fn answered(&self, generation: u64, pong: &Pong) -> Option<Ping> {
        let mut state = self.state();
        let line = &mut state.line;
        let is_it = |asked: &Ping| (asked.number, asked.sent_us) == (pong.number, pong.sent_us);
        if line.generation != generation {
            return None;
        }
        line.asked.take_if(|asked| is_it(asked))
    }

    /// The client has processed everything up to `seq`.
    pub(crate) fn acknowledge(&self, generation: u64, seq: Seq) -> Result<(), Fault> {
        let mut state = self.in_charge(generation)?;
        // What was never written cannot have been processed.
        if seq.0 >= state.line.cursor {
            return Err(Fault::NeverSent);
        }
        let freed = state.stream.acknowledge(seq).map_err(|_| Fault::NeverSent)?;
        drop(state);
        if freed > 0 {
            self.room.notify_waiters();
        }
        Ok(())
    }

    /// A message of that number came; says whether it is to be processed.
    pub(crate) fn received(&self, generation: u64, now: Instant, seq: Seq) -> Result<bool, Fault> {
        let mut state = self.in_charge(generation)?;
        match state.stream.received(now, seq) {
            Received::Deliver => Ok(true),
            Received::Duplicate => Ok(false),
            Received::Gap { .. } => Err(Fault::Gap),
        }
    }

    /// The message of that number, of `bytes` bytes, was processed. Holds for whichever connection
    /// is in charge by now.
    pub(crate) fn processed(&self, now: Instant, at: Position, bytes: u32) {
        let mut state = self.state();
        state.stream.processed(now, at, bytes);
    }

    /// Where a message of that number stands.
    pub(crate) fn at(&self, seq: Seq) -> Position {
        self.state().stream.at(seq)
    }

    /// Puts what is to be written now into `out`. If that is nothing, the next thing to be written
    /// wakes `context`.
    pub(crate) fn take(
        &self,
        generation: u64,
        now: Instant,
        out: &mut Vec<Utf8Bytes>,
        context: &Context<'_>,
    ) -> Next {
        let mut guard = self.state();
        let State { stream, untracked, line, written, .. } = &mut *guard;
        if line.generation != generation {
            return Next::Overtaken;
        }
        if let Some(bye) = line.bye.take() {
            line.attached = false;
            return Next::Leave(bye);
        }
        line.controls(now, out);
        if let Some(seq) = stream.take_ack(now) {
            out.push(text(&Frame::Ack(Ack { seq })));
        }
        while out.len() < BATCH
            && let Some(payload) = stream.outgoing().message(Seq(line.cursor))
        {
            out.push(text(&message(Some(Seq(line.cursor)), payload)));
            *written = (*written).max(line.cursor);
            line.cursor += 1;
        }
        while out.len() < BATCH
            && let Some(frame) = untracked.pop_front()
        {
            out.push(frame);
        }
        if !line.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            line.waker = Some(context.waker().clone());
        }
        Next::GoOn { deadline: stream.deadline() }
    }

    /// Messages after `received` for a client that asks for them, with the last goodbye. `first` is
    /// whether the request has not waited yet.
    pub(crate) fn fetch(
        &self,
        generation: u64,
        received: Seq,
        max: usize,
        first: bool,
        context: &Context<'_>,
    ) -> Result<(Vec<Utf8Bytes>, Option<Bye>), Fault> {
        let mut guard = self.state();
        let State { stream, untracked, line, written, .. } = &mut *guard;
        if line.generation != generation {
            return Err(Fault::Overtaken);
        }
        // A later request takes the place of one that still waits.
        let mine = line.waker.as_ref().is_none_or(|waker| waker.will_wake(context.waker()));
        if !first && !mine {
            return Err(Fault::Overtaken);
        }
        if stream.outgoing().last_acknowledged() < received {
            stream.acknowledge(received).map_err(|_| Fault::NeverSent)?;
            self.room.notify_waiters();
        }
        let mut out: Vec<Utf8Bytes> = Vec::new();
        let mut seq = stream.outgoing().last_acknowledged().0 + 1;
        while out.len() < max
            && let Some(payload) = stream.outgoing().message(Seq(seq))
        {
            out.push(text(&message(Some(Seq(seq)), payload)));
            *written = (*written).max(seq);
            seq += 1;
        }
        line.cursor = line.cursor.max(seq);
        let room = max - out.len();
        out.extend(untracked.drain(..room.min(untracked.len())));
        let bye = line.bye.take();
        let before = line.waker.take();
        if out.is_empty() && bye.is_none() {
            line.waker = Some(context.waker().clone());
        }
        drop(guard);
        // One that waited before this one hears that it was overtaken.
        if first {
            wake(before);
        }
        Ok((out, bye))
    }

    /// The last message of the client that was processed.
    pub(crate) fn last_processed(&self) -> Seq {
        self.state().stream.position().seq
    }

    /// Messages that are not acknowledged.
    pub(crate) fn unacknowledged(&self) -> usize {
        self.state().stream.outgoing().len()
    }

    fn in_charge(&self, generation: u64) -> Result<MutexGuard<'_, State>, Fault> {
        let state = self.state();
        if state.line.generation == generation { Ok(state) } else { Err(Fault::Overtaken) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// How long the frame of a message is, if that is not too long.
    fn fitting(&self, seq: Option<Seq>, payload: &Raw) -> Result<usize, SendError> {
        let bytes = Message::frame_bytes(seq, payload);
        let max = self.frame_max;
        if bytes > max { Err(SendError::TooLarge { bytes, max }) } else { Ok(bytes) }
    }

    fn agrees(&mut self, shown: Position) -> bool {
        // What was never written cannot have been processed.
        shown.seq.0 <= self.written && matches!(self.stream.resume(shown), Resume::Replay { .. })
    }

    /// Begins anew. Answers how many messages nobody knows the fate of.
    fn restart(&mut self, epoch: Epoch) -> usize {
        let (written, mut unknown) = (self.written, 0);
        self.written = 0;
        for (seq, payload) in self.stream.reset(epoch) {
            if seq.0 <= written {
                unknown += 1;
                continue;
            }
            let next = Seq(self.stream.outgoing().last_sent().0 + 1);
            let bytes = text(&message(Some(next), &payload)).len();
            // There is room: more than these were held before.
            let _held: Push<Raw> =
                self.stream.push(payload, u32::try_from(bytes).unwrap_or(u32::MAX));
        }
        unknown
    }
}

/// Outside of the lock, so that whoever is woken does not wait for it.
fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl std::fmt::Display for SendError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Full => f.write_str("as much is unacknowledged as may be"),
            Self::TooLarge { bytes, max } => write!(f, "{bytes} bytes as a frame, allowed: {max}"),
            Self::Gone => f.write_str("the session is over"),
        }
    }
}

impl std::error::Error for SendError {}
