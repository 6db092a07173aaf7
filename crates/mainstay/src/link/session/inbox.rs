//! What waits for the application.

use std::collections::VecDeque;
use std::task::Waker;

use mainstay_core::session::stream::Position;
use mainstay_wire::Raw;

use super::incoming::{Event, Received};
use super::restart::Restarted;
use crate::link::websocket::IncomingConfig;

#[derive(Debug)]
pub(super) struct Inbox {
    queue: VecDeque<Item>,
    bytes: usize,
    messages_max: usize,
    bytes_max: usize,
    /// Messages of a restart that are kept.
    kept: usize,
    /// Handed to the application, and not known to be processed.
    handed: Option<(Position, u32)>,
    /// Not told yet.
    missed: u64,
    pub(super) reader: Option<Waker>,
    pub(super) reader_gone: bool,
}

#[derive(Debug)]
struct Item {
    event: Event,
    bytes: usize,
    /// Where a tracked message stands.
    at: Option<Position>,
}

impl Inbox {
    pub(super) const fn new(config: &IncomingConfig, kept: usize) -> Self {
        Self {
            queue: VecDeque::new(),
            bytes: 0,
            messages_max: config.messages,
            bytes_max: config.bytes,
            kept,
            handed: None,
            missed: 0,
            reader: None,
            reader_gone: false,
        }
    }

    /// Whether another of `bytes` bytes fits; one always does.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.queue.is_empty()
            || self.queue.len() < self.messages_max && self.bytes + bytes <= self.bytes_max
    }

    /// A message; says whether it was taken. A tracked one is only given when there is room.
    pub(super) fn message(&mut self, payload: Raw, at: Option<Position>) -> bool {
        let bytes = payload.as_str().len();
        let event = Event::Message(Received { payload, tracked: at.is_some() });
        self.put(Item { event, bytes, at })
    }

    /// Something without a number; says whether it was taken.
    pub(super) fn tell(&mut self, event: Event) -> bool {
        self.put(Item { event, bytes: 0, at: None })
    }

    fn put(&mut self, item: Item) -> bool {
        if self.reader_gone {
            return true;
        }
        if item.at.is_none() && !self.has_room(item.bytes) {
            self.missed += 1;
            return false;
        }
        self.bytes += item.bytes;
        self.queue.push_back(item);
        true
    }

    /// A restart is always told.
    pub(super) fn restarted(&mut self, mut restarted: Restarted) {
        if self.reader_gone {
            return;
        }
        if let Some(Item { event: Event::Restarted(_), .. }) = self.queue.back()
            && let Some(Item { event: Event::Restarted(earlier), .. }) = self.queue.pop_back()
        {
            restarted.after(earlier, self.kept);
        }
        let event = Event::Restarted(restarted);
        self.queue.push_back(Item { event, bytes: 0, at: None });
    }

    /// The next one, for the application.
    pub(super) fn pop(&mut self) -> Option<Event> {
        if self.missed > 0 {
            return Some(Event::Missed(std::mem::take(&mut self.missed)));
        }
        let Item { event, bytes, at } = self.queue.pop_front()?;
        self.bytes -= bytes;
        if let Some(at) = at {
            let length = u32::try_from(bytes).unwrap_or(u32::MAX);
            self.handed = Some((at, length));
        }
        if self.queue.is_empty() && self.queue.capacity() > 64 {
            self.queue.shrink_to(16);
        }
        Some(event)
    }

    /// What was handed over and is processed now.
    pub(super) const fn take_handed(&mut self) -> Option<(Position, u32)> {
        self.handed.take()
    }

    /// Nobody will look any more. Answers the last tracked message that nobody will process.
    pub(super) fn close(&mut self) -> Option<(Position, u32)> {
        self.reader_gone = true;
        let waiting = self.queue.iter().rev().find_map(|item| item.at);
        self.queue = VecDeque::new();
        self.bytes = 0;
        let handed = self.handed.take();
        waiting.map(|at| (at, 0)).or(handed)
    }
}
