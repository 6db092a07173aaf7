//! What a link's handles and its pump share: the messages on their way in and out.

mod inbound;
mod ping;
mod serve;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use mainstay_core::config::ConfigError;
use mainstay_core::link::{Outbox, Overflow, Put, Seq};
use mainstay_core::time::Instant;
use tokio::sync::Notify;

use super::config::WebSocketConfig;
use super::message::Message;
use super::receipt::{Receipt, Receipts};
use super::stats::SocketStats;
use crate::clock;
use inbound::Inbound;
use ping::Ping;

/// Messages that a queue keeps room for.
pub(super) const KEPT: usize = 16;

/// Called with each message, by the link's own task.
pub(super) type OnMessage = Arc<dyn Fn(Message) + Send + Sync>;

pub(super) struct Line {
    inner: Mutex<Inner>,
    /// Woken when there is room again.
    room: Notify,
    /// Woken when messages have met their fate.
    settled: Notify,
}

struct Inner {
    phase: Phase,
    outbox: Outbox<Message>,
    overflow: Overflow,
    /// Whether messages are taken while there is no connection.
    buffers: bool,
    receipts: Receipts,
    inbound: Inbound,
    pump: Option<Waker>,
    /// The pump's last look at the clock.
    now: Instant,
    heard: Option<Instant>,
    ping: Ping,
    counts: Counts,
    /// The last message that was written to a connection which is no more.
    gone: Seq,
    /// Whether somebody waits for room, or for what becomes of a message.
    room_awaited: bool,
    settled_awaited: bool,
}

/// Whether messages can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Down,
    Open,
    /// The link has given up.
    Failed,
    /// Nothing more is taken; what was taken is still sent.
    Draining,
    Stopped,
}

/// Those of [`SocketStats`] that are counted.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    sent: u64,
    sent_bytes: u64,
    received: u64,
    received_bytes: u64,
    dropped: u64,
}

/// What became of a message that was put.
pub(super) enum Took {
    Taken { seq: Seq, open: bool },
    Dropped,
    Full(Message),
    TooLarge(Message),
    NotConnected(Message),
    Failed(Message),
    Stopped(Message),
}

/// Why no reply to a message will come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gone {
    /// Its connection is no more.
    Lost,
    /// It was never sent.
    Dropped,
    /// The link is over.
    Stopped,
}

/// Why the pump must give the connection up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooSlow;

impl Line {
    pub(super) fn new(config: &WebSocketConfig) -> Result<Self, ConfigError> {
        let mut outbox = config.outbox;
        let buffers = outbox.messages > 0;
        if !buffers {
            // While connected there must be a place for what is being written.
            outbox.messages = WebSocketConfig::default().outbox.messages;
        }
        let outbox = Outbox::new(&outbox).map_err(|error| error.within("outbox"))?;
        let inner = Inner {
            phase: Phase::Down,
            outbox,
            overflow: config.outbox.overflow,
            buffers,
            receipts: Receipts::default(),
            inbound: Inbound::new(config),
            pump: None,
            now: Instant::from_nanos(0),
            heard: None,
            ping: Ping::default(),
            counts: Counts::default(),
            gone: Seq(0),
            room_awaited: false,
            settled_awaited: false,
        };
        Ok(Self { inner: Mutex::new(inner), room: Notify::new(), settled: Notify::new() })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // What handles do.

    /// Gives a message to the outbox, and wakes the pump.
    pub(super) fn put(&self, message: Message, key: Option<u64>) -> Took {
        let (took, waker, settles) = {
            let mut inner = self.lock();
            let took = inner.put(message, key);
            let open = matches!(took, Took::Taken { open: true, .. });
            let waker = if open { inner.pump.take() } else { None };
            (took, waker, inner.overflow != Overflow::Error)
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        if settles {
            self.settled.notify_waiters();
        }
        took
    }

    /// The same, but waits for room where waiting helps.
    pub(super) async fn put_waiting(&self, mut message: Message, key: Option<u64>) -> Took {
        loop {
            // Only who finds no room listens for it, and then looks again.
            message = match full(self.put(message, key)) {
                Ok(message) => message,
                Err(took) => return took,
            };
            let mut room = std::pin::pin!(self.room.notified());
            room.as_mut().enable();
            if !self.awaits_room() {
                return Took::Full(message);
            }
            message = match full(self.put(message, key)) {
                Ok(message) => message,
                Err(took) => return took,
            };
            // What waits makes room when it grows too old, too.
            let expiry = self.lock().outbox.deadline().unwrap_or(Instant::MAX);
            drop(tokio::time::timeout_at(clock::to_tokio(expiry), room).await);
        }
    }

    /// Whether room will come by itself: while the peer only is slow, or by choice. If so, it is
    /// told when it has come.
    fn awaits_room(&self) -> bool {
        let mut inner = self.lock();
        inner.room_awaited = inner.overflow == Overflow::Wait || inner.phase == Phase::Open;
        inner.room_awaited
    }

    /// Waits until it is known what became of a message.
    pub(super) async fn settled(&self, seq: Seq) -> Receipt {
        loop {
            let mut settled = std::pin::pin!(self.settled.notified());
            settled.as_mut().enable();
            let expiry = {
                let mut inner = self.lock();
                inner.settled_awaited = true;
                inner.expire(clock::now());
                if let Some(receipt) = inner.receipts.of(seq) {
                    return receipt;
                }
                if inner.phase == Phase::Stopped {
                    return Receipt::Dropped;
                }
                inner.outbox.deadline().unwrap_or(Instant::MAX)
            };
            // Too early is as good as too late: it looks again.
            drop(tokio::time::timeout_at(clock::to_tokio(expiry), settled).await);
        }
    }

    /// Waits until no reply to a message can come any more.
    pub(super) async fn gone(&self, seq: Seq) -> Gone {
        loop {
            let mut settled = std::pin::pin!(self.settled.notified());
            settled.as_mut().enable();
            let expiry = {
                let mut inner = self.lock();
                inner.expire(clock::now());
                if inner.receipts.of(seq) == Some(Receipt::Dropped) {
                    return Gone::Dropped;
                }
                if inner.gone >= seq {
                    return Gone::Lost;
                }
                if inner.phase == Phase::Stopped {
                    return Gone::Stopped;
                }
                inner.outbox.deadline().unwrap_or(Instant::MAX)
            };
            // Too early is as good as too late: it looks again.
            drop(tokio::time::timeout_at(clock::to_tokio(expiry), settled).await);
        }
    }

    /// What is known of a message now.
    pub(super) fn receipt(&self, seq: Seq) -> Option<Receipt> {
        self.lock().receipts.of(seq)
    }

    /// Moves all messages that came into `taken`, which is empty, and answers how many were lost
    /// before them. None when there are no more for ever.
    pub(super) fn poll_take(
        &self,
        taken: &mut VecDeque<Message>,
        context: &Context<'_>,
    ) -> Poll<Option<u64>> {
        let mut inner = self.lock();
        let missed = std::mem::take(&mut inner.inbound.missed);
        if missed > 0 || !inner.inbound.queue.is_empty() {
            inner.inbound.bytes = 0;
            std::mem::swap(&mut inner.inbound.queue, taken);
            return Poll::Ready(Some(missed));
        }
        if inner.phase == Phase::Stopped {
            return Poll::Ready(None);
        }
        match &inner.inbound.reader {
            Some(waker) if waker.will_wake(context.waker()) => {}
            Some(_) | None => inner.inbound.reader = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// Nobody will read any more: what comes is thrown away.
    pub(super) fn reader_gone(&self) {
        let queue = {
            let mut inner = self.lock();
            inner.inbound.reader_gone = true;
            inner.inbound.bytes = 0;
            std::mem::take(&mut inner.inbound.queue)
        };
        drop(queue);
    }

    /// From now on messages go to `call` instead of the queue.
    pub(super) fn call_with_messages(&self, call: OnMessage) {
        let pump = {
            let mut inner = self.lock();
            inner.inbound.call = Some(call);
            inner.pump.take()
        };
        pump.into_iter().for_each(Waker::wake);
    }

    /// Takes no more messages.
    pub(super) fn drain(&self) {
        let mut inner = self.lock();
        if matches!(inner.phase, Phase::Open | Phase::Down) {
            inner.phase = Phase::Draining;
        }
        drop(inner);
        self.room.notify_waiters();
    }

    pub(super) fn stats(&self) -> SocketStats {
        let inner = self.lock();
        let Counts { sent, sent_bytes, received, received_bytes, dropped } = inner.counts;
        SocketStats {
            sent,
            sent_bytes,
            received,
            received_bytes,
            dropped,
            missed: inner.inbound.missed_ever,
            queued: inner.outbox.len() as u64,
            queued_bytes: inner.outbox.bytes(),
            waiting: inner.inbound.queue.len() as u64,
        }
    }

    /// Waits until messages have met their fate, or may have.
    pub(super) async fn poked(&self) {
        let mut settled = std::pin::pin!(self.settled.notified());
        settled.as_mut().enable();
        self.lock().settled_awaited = true;
        if self.is_drained() {
            return;
        }
        let expiry = self.lock().outbox.deadline().unwrap_or(Instant::MAX);
        drop(tokio::time::timeout_at(clock::to_tokio(expiry), settled).await);
        self.lock().expire(clock::now());
    }

    /// Counts messages that a layer sent or took.
    pub(super) fn carried(&self, sent: (u64, u64), received: (u64, u64)) {
        let stats = &mut self.lock().counts;
        (stats.sent, stats.sent_bytes) = (stats.sent + sent.0, stats.sent_bytes + sent.1);
        stats.received += received.0;
        stats.received_bytes += received.1;
    }

    pub(super) fn heard(&self) -> Option<Instant> {
        self.lock().heard
    }
}

/// The message that found no room, or what became of it.
fn full(took: Took) -> Result<Message, Took> {
    match took {
        Took::Full(message) => Ok(message),
        took @ (Took::Taken { .. }
        | Took::Dropped
        | Took::TooLarge(_)
        | Took::NotConnected(_)
        | Took::Failed(_)
        | Took::Stopped(_)) => Err(took),
    }
}

impl Inner {
    fn put(&mut self, message: Message, key: Option<u64>) -> Took {
        let now = match self.phase {
            Phase::Stopped | Phase::Draining => return Took::Stopped(message),
            Phase::Failed => return Took::Failed(message),
            Phase::Down if !self.buffers => return Took::NotConnected(message),
            Phase::Down => clock::now(),
            Phase::Open => self.now,
        };
        let bytes = message.weight();
        match self.outbox.put(now, message, bytes, key) {
            Put::Taken { seq, gone } => {
                for (seq, _) in &gone {
                    self.receipts.dropped(*seq);
                }
                self.counts.dropped += gone.len() as u64;
                Took::Taken { seq, open: self.phase == Phase::Open }
            }
            Put::Dropped(_) => {
                self.counts.dropped += 1;
                Took::Dropped
            }
            Put::Rejected(message) if !self.outbox.could_hold(bytes) => Took::TooLarge(message),
            Put::Rejected(message) | Put::Wait(message) => Took::Full(message),
        }
    }

    fn expire(&mut self, now: Instant) {
        for (seq, _) in self.outbox.expire(now) {
            self.receipts.dropped(seq);
            self.counts.dropped += 1;
        }
    }

    fn throw_away(&mut self) {
        for (seq, _) in self.outbox.clear() {
            self.receipts.dropped(seq);
            self.counts.dropped += 1;
        }
    }

    fn park(&mut self, context: &Context<'_>) {
        match &self.pump {
            Some(waker) if waker.will_wake(context.waker()) => {}
            Some(_) | None => self.pump = Some(context.waker().clone()),
        }
    }
}
