use std::collections::VecDeque;
use std::task::Waker;

use mainstay::core::session::stream::Seq;
use mainstay::core::time::Instant;
use mainstay_wire::{Beat, Bye, Frame, Message, Ping, Pong, Raw, encode};
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// The connection in charge.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) generation: u64,
    /// The next number to be written.
    pub(super) cursor: u64,
    /// Whether somebody is there to write to.
    pub(super) attached: bool,
    pub(super) pongs: VecDeque<Pong>,
    pub(super) beat: Option<Beat>,
    pub(super) expires: Option<u64>,
    /// Whether the client is to be asked whether it is there.
    pub(super) asks: bool,
    pub(super) asked: Option<Ping>,
    pub(super) pings: u32,
    pub(super) bye: Option<Bye>,
    pub(super) waker: Option<Waker>,
}

impl Line {
    /// The first goodbye is the one that is said.
    pub(super) fn say_bye(&mut self, bye: Bye) -> Option<Waker> {
        if self.attached {
            self.bye.get_or_insert(bye);
        }
        self.waker.take()
    }

    /// What is said about the connection itself.
    pub(super) fn controls(&mut self, now: Instant, out: &mut Vec<Utf8Bytes>) {
        if let Some(beat) = self.beat.take() {
            out.push(text(&Frame::Beat(beat)));
        }
        if let Some(in_ms) = self.expires.take() {
            out.push(text(&Frame::Auth(mainstay_wire::Auth::Expires { in_ms })));
        }
        if std::mem::take(&mut self.asks) {
            self.pings = self.pings.wrapping_add(1);
            let ping = Ping { number: self.pings, sent_us: now.as_nanos() / 1_000 };
            self.asked = Some(ping);
            out.push(text(&Frame::Ping(ping)));
        }
        while let Some(pong) = self.pongs.pop_front() {
            out.push(text(&Frame::Pong(pong)));
        }
    }
}

pub(super) fn message(seq: Option<Seq>, payload: &Raw) -> Frame {
    Frame::Message(Message { seq, payload: payload.clone() })
}

/// A frame as it is written.
pub(crate) fn text(frame: &Frame) -> Utf8Bytes {
    // Messages are of any length, all other frames short.
    let bytes = if let Frame::Message(Message { seq, payload }) = frame {
        Message::frame_bytes(*seq, payload)
    } else {
        64
    };
    let mut text = String::with_capacity(bytes);
    encode(frame, &mut text);
    text.into()
}
