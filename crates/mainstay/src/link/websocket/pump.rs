//! Moves the messages of one connection: in, out, and one flush for all that came together.

mod goodbye;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use mainstay_core::link::{Reaction, Seq};
use mainstay_core::policy::outcome::Outcome;
use mainstay_core::time::Instant;
use tokio::time::Sleep;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use goodbye::{Bye, close, leave};

use super::config::{Ending, Rules};
use super::ending::{closed_as, ended};
use super::layer::{GiveUp, Layer};
use super::line::{KEPT, Line, TooSlow};
use super::message::Message;
use super::opening::Opening;
use super::socket::{Broken, Frame, Socket};
use crate::clock;
use crate::link::transport::DialError;

/// Messages written, or read, before it is the other's turn.
const BATCH: usize = 64;
/// Rounds of reading and writing before others get their turn.
const ROUNDS_MAX: usize = 8;
const TOO_SLOW: (u16, &str) = (1008, "too slow");

/// One connection that serves, and perhaps an earlier one that is drained.
pub(super) struct Pump {
    config: Arc<Rules>,
    line: Arc<Line>,
    socket: Box<dyn Socket>,
    /// Apart, as everything that most connections do not have.
    above: Option<Box<Above>>,
    /// An earlier connection: what it still says comes before what this one says.
    old: Option<Box<Old>>,
    /// The last message given to the socket, and the last that was flushed.
    started: Seq,
    flushed: Seq,
    /// When a message last came.
    data_at: Instant,
    /// When this connection is to be replaced.
    replace_at: Option<Instant>,
    /// When a better endpoint is to be tried.
    return_at: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    bye: Bye,
    asked_to_return: bool,
    /// Messages on their way to the application; empty between turns.
    arrived: VecDeque<Message>,
    /// The last change of the subscriptions that this connection was told.
    subscribed: u64,
    /// Since which call it waits for a change of the subscriptions.
    listening: Option<u64>,
}

/// The layer above a connection, and which of its connections that is.
struct Above {
    layer: Arc<dyn Layer>,
    connection: u64,
    /// What the layer has to say, for the moment.
    frames: Vec<Message>,
}

struct Old {
    socket: Box<dyn Socket>,
    above: Option<Box<Above>>,
    until: Instant,
    bye: Bye,
}

/// What ended the reading of a batch.
enum Read {
    /// There is nothing more for now.
    Idle,
    /// There may be more.
    More,
    Closed(u16, Utf8Bytes),
    Broken(Broken),
    /// The layer gives it up.
    GivenUp(DialError),
}

/// What a pump has to say.
pub(super) enum Said {
    /// The connection is over.
    Over(DialError),
    /// It is old enough to be replaced.
    Replace,
}

impl Pump {
    pub(super) fn new(
        config: Arc<Rules>,
        line: Arc<Line>,
        layer: Option<Arc<dyn Layer>>,
        opening: Opening,
    ) -> Self {
        let subscribed = opening.subscribed;
        let (socket, connection) = opening.into_parts();
        let now = clock::now();
        let drawn = |age| now.after(mainstay_core::link::lifetime(age, clock::draw()));
        let replace_at = config.max_age.map(drawn);
        Self {
            config,
            line,
            socket,
            above: layer.map(|layer| Box::new(Above { layer, connection, frames: Vec::new() })),
            old: None,
            started: Seq(0),
            flushed: Seq(0),
            data_at: now,
            replace_at,
            return_at: None,
            timer: None,
            bye: Bye::Unsaid,
            asked_to_return: false,
            arrived: VecDeque::new(),
            subscribed,
            listening: None,
        }
    }

    /// Puts a new connection in place of the one that served, which is drained until `until`.
    pub(super) fn replace(&mut self, new: Self, until: Instant) {
        let old = std::mem::replace(&mut self.socket, new.socket);
        let above = std::mem::replace(&mut self.above, new.above);
        if self.flushed < self.started {
            // The earlier connection may still bring them out, but nobody will know.
            self.flushed = self.started;
            self.line.uncertain(self.started);
        }
        // A connection that was still being drained has had its time.
        self.old = Some(Box::new(Old { socket: old, above, until, bye: Bye::Unsaid }));
        (self.data_at, self.replace_at) = (new.data_at, new.replace_at);
        (self.timer, self.bye, self.subscribed) = (None, Bye::Unsaid, new.subscribed);
    }

    /// When a better endpoint is to be tried.
    pub(super) const fn return_at(&mut self, at: Option<Instant>) {
        self.return_at = at;
    }

    /// Serves until there is something to say.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Said> {
        let now = clock::now();
        let said = self.serve(now, context);
        // Told at once: later it would seem to have come later, and could answer a ping that was
        // sent meanwhile.
        if self.socket.take_heard() {
            self.line.hear(now);
        }
        said
    }

    fn serve(&mut self, now: Instant, context: &mut Context<'_>) -> Poll<Said> {
        if self.above.as_ref().is_some_and(|a| !a.layer.is_current(a.connection)) {
            // The later one did not come to serve: this one is mute, and nobody would notice.
            let error = DialError::new(Outcome::TRANSIENT, "another connection took over");
            return Poll::Ready(Said::Over(error));
        }
        let (ping, owes_calls) = self.line.turn(now);
        if owes_calls {
            // Nothing is kept that could be too much.
            let _kept: Result<(), TooSlow> = self.line.deliver(&mut self.arrived, 0);
        }
        if let Some(nonce) = ping {
            let ping = Frame::Ping(Bytes::copy_from_slice(&nonce.to_be_bytes()));
            if let Err(broken) = self.socket.start_send(ping) {
                return Poll::Ready(self.over(broken));
            }
        }
        self.drain_old(now, context);
        for _ in 0..ROUNDS_MAX {
            let wrote = match self.write(now, context) {
                Ok(wrote) => wrote,
                Err(broken) => return Poll::Ready(self.over(broken)),
            };
            // What the old connection still has to say goes first.
            let read = if self.old.is_some() { Read::Idle } else { self.read(now, context) };
            match read {
                Read::Idle if !wrote => return self.rest(now, context),
                Read::Idle | Read::More => {}
                Read::Closed(code, reason) => {
                    return Poll::Ready(self.closed(code, &reason, context));
                }
                Read::Broken(broken) => return Poll::Ready(self.broke(broken, context)),
                Read::GivenUp(error) => return Poll::Ready(Said::Over(error)),
            }
        }
        if let Poll::Ready(Err(broken)) = self.flush(context) {
            return Poll::Ready(self.over(broken));
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Says goodbye once all is written, and waits for the peer's.
    pub(super) fn poll_close(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let now = clock::now();
        self.drain_old(now, context);
        // It is closing: an error only says that it is closed.
        if self.bye == Bye::Unsaid {
            self.above.iter().for_each(|above| above.layer.closing(above.connection));
            loop {
                match self.write(now, context) {
                    Ok(true) => {}
                    Ok(false) if self.line.is_drained() => break,
                    Ok(false) => return Poll::Pending,
                    Err(_) => return Poll::Ready(()),
                }
            }
        }
        match close(&mut *self.socket, &mut self.bye, context) {
            Poll::Ready(Err(_)) => return Poll::Ready(()),
            Poll::Ready(Ok(())) if self.flushed < self.started => {
                self.flushed = self.started;
                self.line.flushed(self.started);
            }
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        loop {
            match self.read(now, context) {
                Read::More => {}
                Read::Idle => return Poll::Pending,
                Read::Closed(..) | Read::Broken(_) | Read::GivenUp(_) => return Poll::Ready(()),
            }
        }
    }

    /// The last message that may not have reached the operating system.
    pub(super) const fn started(&self) -> Seq {
        self.started
    }

    /// Everything is done for now: flushes, and says when to come back.
    fn rest(&mut self, now: Instant, context: &mut Context<'_>) -> Poll<Said> {
        if let Poll::Ready(Err(broken)) = self.flush(context) {
            return Poll::Ready(self.over(broken));
        }
        if self.replace_at.is_some_and(|at| at <= now) {
            self.replace_at = None;
            return Poll::Ready(Said::Replace);
        }
        if self.return_at.is_some_and(|at| at <= now) && !self.asked_to_return {
            self.asked_to_return = true;
            return Poll::Ready(Said::Replace);
        }
        self.asked_to_return &= self.return_at.is_some_and(|at| at <= now);
        let idle_at = self.config.data_idle.map(|limit| self.data_at.after(limit));
        if idle_at.is_some_and(|at| at <= now) {
            let error = DialError::new(Outcome::TRANSIENT, "no message came for too long");
            return Poll::Ready(Said::Over(error));
        }
        let retry_at = self.config.subscriptions.deadline(context.waker(), &mut self.listening);
        let due = retry_at.is_some_and(|at| at <= now);
        if due || (self.above.is_none() && self.config.subscriptions.changed_since(self.subscribed))
        {
            let again = if due { self.config.subscriptions.due(now) } else { Vec::new() };
            if let Err(broken) = self.say(again) {
                return Poll::Ready(self.over(broken));
            }
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let drained_at = self.old.as_ref().map(|old| old.until);
        let said_at = self.above.as_ref().and_then(|above| above.layer.deadline(above.connection));
        let return_at = self.return_at.filter(|_| !self.asked_to_return);
        let next = [self.replace_at, return_at, idle_at, retry_at, drained_at, said_at];
        let next = next.into_iter().flatten().min();
        self.sleep(next, context);
        Poll::Pending
    }

    fn sleep(&mut self, until: Option<Instant>, context: &mut Context<'_>) {
        let Some(until) = until else {
            self.timer = None;
            return;
        };
        let at = clock::to_tokio(until);
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if timer.deadline() != at {
            timer.as_mut().reset(at);
        }
        if timer.as_mut().poll(context).is_ready() {
            context.waker().wake_by_ref();
        }
    }

    /// Gives waiting messages to the socket; says whether there were any.
    fn write(&mut self, now: Instant, context: &mut Context<'_>) -> Result<bool, Broken> {
        match self.socket.poll_ready(context) {
            Poll::Ready(result) => result?,
            // The socket wakes us.
            Poll::Pending => return Ok(false),
        }
        let layered = self.write_frames(now, context)? | self.write_subscriptions(now)?;
        let Self { line, socket, started, .. } = self;
        let count = line.take(BATCH, context, |seq, message| {
            // It is taken: if the socket breaks at it, it is unknown.
            *started = seq;
            socket.start_send(Frame::Message(message))
        })?;
        Ok(count > 0 || layered)
    }

    /// Gives the socket what the layer has to say; says whether that was anything.
    fn write_frames(&mut self, now: Instant, context: &Context<'_>) -> Result<bool, Broken> {
        let Some(above) = &mut self.above else { return Ok(false) };
        let Above { layer, connection, frames } = &mut **above;
        layer.take(*connection, now, frames, context);
        if frames.is_empty() {
            return Ok(false);
        }
        let bytes = frames.iter().map(|message| message.len() as u64).sum();
        self.line.carried((frames.len() as u64, bytes), (0, 0));
        for message in frames.drain(..) {
            self.socket.start_send(Frame::Message(message))?;
        }
        Ok(true)
    }

    /// Gives the socket what has changed in the subscriptions; says whether that was anything.
    fn write_subscriptions(&mut self, now: Instant) -> Result<bool, Broken> {
        let subscriptions = &self.config.subscriptions;
        if self.above.is_some() || !subscriptions.changed_since(self.subscribed) {
            return Ok(false);
        }
        let (changes, told) = subscriptions.changes(now, self.subscribed);
        self.subscribed = told;
        self.say(changes)
    }

    /// Gives the socket messages that are nobody's to wait for; says whether there were any.
    fn say(&mut self, messages: Vec<Message>) -> Result<bool, Broken> {
        let bytes = messages.iter().map(|message| message.len() as u64).sum();
        self.line.carried((messages.len() as u64, bytes), (0, 0));
        let any = !messages.is_empty();
        for message in messages {
            self.socket.start_send(Frame::Message(message))?;
        }
        Ok(any)
    }

    fn flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        ready!(self.socket.poll_flush(context))?;
        if self.flushed < self.started {
            self.flushed = self.started;
            self.line.flushed(self.started);
        }
        Poll::Ready(Ok(()))
    }

    /// Reads a batch of messages and hands it over.
    fn read(&mut self, now: Instant, context: &mut Context<'_>) -> Read {
        let Self { socket, line, above, arrived, .. } = self;
        let (read, count) = read(&mut **socket, above.as_deref(), line, arrived, now, context);
        if count > 0 {
            self.data_at = now;
        }
        read
    }

    /// Lets an earlier connection finish.
    fn drain_old(&mut self, now: Instant, context: &mut Context<'_>) {
        let Some(old) = &mut self.old else { return };
        let closed = close(&mut *old.socket, &mut old.bye, context);
        let over = old.until <= now
            || matches!(closed, Poll::Ready(Err(_)))
            || loop {
                let above = old.above.as_deref();
                match read(&mut *old.socket, above, &self.line, &mut self.arrived, now, context).0 {
                    Read::More => {}
                    Read::Idle => break false,
                    Read::Closed(..) | Read::Broken(_) | Read::GivenUp(_) => break true,
                }
            };
        if over {
            self.old = None;
        }
    }

    fn closed(&mut self, code: u16, reason: &str, context: &mut Context<'_>) -> Said {
        // The answer to the goodbye; whether it still can be sent changes nothing.
        drop(self.flush(context));
        let reaction = self.reaction(&Ending::Closed { code, reason });
        Said::Over(closed_as(code, reason, reaction))
    }

    /// Tells the peer what it did wrong, if that can be told without waiting.
    fn broke(&mut self, broken: Broken, context: &mut Context<'_>) -> Said {
        if let Broken::Protocol(code, _) = &broken {
            let goodbye = Frame::Close(*code, Utf8Bytes::default());
            if self.socket.start_send(goodbye).is_ok() {
                drop(self.flush(context));
            }
        }
        self.over(broken)
    }

    fn over(&self, broken: Broken) -> Said {
        let ours = matches!(broken, Broken::Protocol(..));
        Said::Over(ended(broken, |ending| {
            // A code that we gave says nothing about what the layer sent.
            if ours { self.config.reaction(ending) } else { self.reaction(ending) }
        }))
    }

    /// What the peer's ending means here.
    fn reaction(&self, ending: &Ending<'_>) -> Reaction {
        let usual = self.config.reaction(ending);
        match &self.above {
            Some(above) => above.layer.ended(above.connection, ending, usual),
            None => usual,
        }
    }
}

/// Reads some messages from `socket` and hands them over; answers how many there were.
fn read(
    socket: &mut dyn Socket,
    above: Option<&Above>,
    line: &Line,
    arrived: &mut VecDeque<Message>,
    now: Instant,
    context: &mut Context<'_>,
) -> (Read, usize) {
    let mut bytes = 0;
    let read = loop {
        if arrived.len() == BATCH {
            break Read::More;
        }
        match socket.poll_recv(context) {
            Poll::Pending => break Read::Idle,
            Poll::Ready(Err(broken)) => break Read::Broken(broken),
            Poll::Ready(Ok(Frame::Message(message))) => {
                bytes += message.len();
                arrived.push_back(message);
            }
            Poll::Ready(Ok(Frame::Pong(payload))) => line.pong(&payload),
            // Answered by the socket with the next flush.
            Poll::Ready(Ok(Frame::Ping(_))) => {}
            Poll::Ready(Ok(Frame::Close(code, reason))) => break Read::Closed(code, reason),
        }
    };
    let count = arrived.len();
    if count == 0 {
        return (read, 0);
    }
    if let Some(Above { layer, connection, .. }) = above {
        line.carried((0, 0), (count as u64, bytes as u64));
        let delivered = layer.deliver(*connection, now, &mut arrived.drain(..));
        let Err(GiveUp { code, reason, error }) = delivered else { return (read, count) };
        leave(socket, (code, reason), context);
        return (Read::GivenUp(error), count);
    }
    let delivered = line.deliver(arrived, bytes);
    if arrived.capacity() > KEPT {
        arrived.shrink_to(KEPT);
    }
    match delivered {
        Ok(()) => (read, count),
        Err(TooSlow) => {
            leave(socket, TOO_SLOW, context);
            (Read::Closed(4_104, Utf8Bytes::from_static("we were too slow")), count)
        }
    }
}

#[cfg(test)]
mod tests;
