//! What the pump and the probes do with a line.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, Waker};

use mainstay_core::link::Seq;
use mainstay_core::time::Instant;

use super::ping::PingState;
use super::{Line, Phase, TooSlow};
use crate::link::websocket::message::Message;
use crate::link::websocket::socket::Broken;

impl Line {
    /// A connection is ready: what waits may be written.
    pub(in crate::link::websocket) fn opened(&self, now: Instant) {
        let mut inner = self.lock();
        (inner.now, inner.heard, inner.ping.state) = (now, Some(now), PingState::Idle);
        if inner.phase == Phase::Down {
            inner.phase = Phase::Open;
        }
    }

    /// Whether the messages up to `started` get out will not be known.
    pub(in crate::link::websocket) fn uncertain(&self, started: Seq) {
        self.lock().receipts.unknown(started);
        self.settled.notify_waiters();
    }

    /// The connection is gone; what was written up to `started` and not flushed is unknown.
    pub(in crate::link::websocket) fn lost(&self, started: Seq) {
        let asker = {
            let mut inner = self.lock();
            if inner.phase == Phase::Open {
                inner.phase = Phase::Down;
            }
            inner.receipts.unknown(started);
            inner.gone = inner.gone.max(started);
            (inner.heard, inner.pump) = (None, None);
            if !inner.buffers {
                inner.throw_away();
            }
            inner.ping.finish(PingState::Lost)
        };
        asker.into_iter().for_each(Waker::wake);
        self.settled.notify_waiters();
        self.room.notify_waiters();
    }

    /// The link has given up: what waits will not be sent. Or it has not, any more.
    pub(in crate::link::websocket) fn fail(&self, failed: bool) {
        {
            let mut inner = self.lock();
            inner.phase = match (failed, inner.phase) {
                // The pump may not have been taken away yet.
                (true, Phase::Down | Phase::Open) => Phase::Failed,
                (false, Phase::Failed) => Phase::Down,
                (_, phase) => phase,
            };
            if failed {
                inner.throw_away();
            }
        }
        self.settled.notify_waiters();
        self.room.notify_waiters();
    }

    /// The user is through with the connection: what waits will not be sent.
    pub(in crate::link::websocket) fn clear(&self) {
        self.lock().throw_away();
        self.settled.notify_waiters();
        self.room.notify_waiters();
    }

    /// The link is over.
    pub(in crate::link::websocket) fn stop(&self) {
        let (reader, call) = {
            let mut inner = self.lock();
            inner.phase = Phase::Stopped;
            inner.throw_away();
            (inner.inbound.reader.take(), inner.inbound.call.take())
        };
        // It may hold a handle of this very link: neither would ever go.
        drop(call);
        reader.into_iter().for_each(Waker::wake);
        self.settled.notify_waiters();
        self.room.notify_waiters();
    }

    /// Begins a turn of the pump: answers which ping is wanted, and whether messages wait for somebody
    /// who has come to want to be called.
    pub(in crate::link::websocket) fn turn(&self, now: Instant) -> (Option<u64>, bool) {
        let mut inner = self.lock();
        inner.now = now;
        inner.expire(now);
        let owes = inner.inbound.call.is_some() && !inner.inbound.queue.is_empty();
        if inner.ping.state != PingState::Wanted {
            return (None, owes);
        }
        inner.ping.state = PingState::Sent;
        (Some(inner.ping.nonce), owes)
    }

    /// Bytes came from the peer.
    pub(in crate::link::websocket) fn hear(&self, now: Instant) {
        self.lock().heard = Some(now);
    }

    /// Hands up to `count` messages to `write`; answers how many there were. When there are fewer, the
    /// next to be sent wakes the pump.
    ///
    /// `write` only fills a buffer: for as long as it runs, senders wait.
    pub(in crate::link::websocket) fn take(
        &self,
        count: usize,
        context: &Context<'_>,
        mut write: impl FnMut(Seq, Message) -> Result<(), Broken>,
    ) -> Result<usize, Broken> {
        let mut taken = 0;
        let mut inner = self.lock();
        let (now, mut bytes, mut result) = (inner.now, 0, Ok(()));
        while taken < count && result.is_ok() {
            let Some((seq, message)) = inner.outbox.take(now) else {
                inner.park(context);
                break;
            };
            (taken, bytes) = (taken + 1, bytes + message.len() as u64);
            result = write(seq, message);
        }
        inner.counts.sent += taken as u64;
        inner.counts.sent_bytes += bytes;
        let awaited = std::mem::take(&mut inner.room_awaited);
        drop(inner);
        if awaited {
            self.room.notify_waiters();
        }
        result.map(|()| taken)
    }

    /// Whether nothing waits to be written.
    pub(in crate::link::websocket) fn is_drained(&self) -> bool {
        self.lock().outbox.is_empty()
    }

    /// All up to `seq` are with the operating system.
    pub(in crate::link::websocket) fn flushed(&self, seq: Seq) {
        let awaited = {
            let mut inner = self.lock();
            inner.receipts.written(seq);
            std::mem::take(&mut inner.settled_awaited)
        };
        if awaited {
            self.settled.notify_waiters();
        }
    }

    /// Hands messages that came, of so many `bytes`, to the application; `messages` is empty
    /// afterwards.
    pub(in crate::link::websocket) fn deliver(
        &self,
        messages: &mut VecDeque<Message>,
        bytes: usize,
    ) -> Result<(), TooSlow> {
        let (call, reader) = {
            let mut inner = self.lock();
            inner.counts.received += messages.len() as u64;
            inner.counts.received_bytes += bytes as u64;
            match inner.inbound.call.clone() {
                Some(call) => {
                    // What came before somebody wanted to be called goes first.
                    while let Some(earlier) = inner.inbound.queue.pop_back() {
                        messages.push_front(earlier);
                    }
                    inner.inbound.bytes = 0;
                    (Some(call), None)
                }
                None => {
                    inner.inbound.take(messages, bytes)?;
                    (None, inner.inbound.reader.take())
                }
            }
        };
        reader.into_iter().for_each(Waker::wake);
        if let Some(call) = call {
            for message in messages.drain(..) {
                if catch_unwind(AssertUnwindSafe(|| call(message))).is_err() {
                    tracing::error!("a listener for messages panicked");
                }
            }
        }
        Ok(())
    }

    /// A pong came.
    pub(in crate::link::websocket) fn pong(&self, payload: &[u8]) {
        let asker = {
            let mut inner = self.lock();
            let ours = payload == inner.ping.nonce.to_be_bytes();
            if ours && inner.ping.state == PingState::Sent {
                inner.ping.finish(PingState::Answered)
            } else {
                None
            }
        };
        asker.into_iter().for_each(Waker::wake);
    }

    /// Wants a ping; false when there is no connection to send it over.
    pub(in crate::link::websocket) fn want_ping(&self) -> bool {
        let pump = {
            let mut inner = self.lock();
            if inner.heard.is_none() {
                return false;
            }
            inner.ping.nonce += 1;
            inner.ping.state = PingState::Wanted;
            inner.pump.take()
        };
        pump.into_iter().for_each(Waker::wake);
        true
    }

    /// Ready when the ping was answered, or the connection lost; says whether it was answered.
    pub(in crate::link::websocket) fn poll_ping(&self, context: &Context<'_>) -> Poll<bool> {
        let mut inner = self.lock();
        match inner.ping.state {
            PingState::Answered => Poll::Ready(true),
            PingState::Lost | PingState::Idle => Poll::Ready(false),
            PingState::Wanted | PingState::Sent => {
                inner.ping.asker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}
