use std::collections::VecDeque;
use std::task::Waker;

use super::{OnMessage, TooSlow};
use crate::link::websocket::config::{Slow, WebSocketConfig};
use crate::link::websocket::message::Message;

/// Messages that wait for the application.
pub(super) struct Inbound {
    pub(super) queue: VecDeque<Message>,
    pub(super) bytes: usize,
    pub(super) messages_max: usize,
    pub(super) bytes_max: usize,
    pub(super) slow: Slow,
    /// Not told yet.
    pub(super) missed: u64,
    pub(super) missed_ever: u64,
    pub(super) reader: Option<Waker>,
    pub(super) reader_gone: bool,
    pub(super) call: Option<OnMessage>,
}

impl Inbound {
    pub(super) fn new(config: &WebSocketConfig) -> Self {
        Self {
            queue: VecDeque::new(),
            bytes: 0,
            messages_max: config.incoming.messages,
            bytes_max: config.incoming.bytes,
            slow: config.incoming.slow,
            missed: 0,
            missed_ever: 0,
            reader: None,
            reader_gone: false,
            call: None,
        }
    }

    pub(super) fn take(
        &mut self,
        messages: &mut VecDeque<Message>,
        bytes: usize,
    ) -> Result<(), TooSlow> {
        if self.reader_gone {
            messages.clear();
            return Ok(());
        }
        if self.queue.is_empty() && messages.len() <= self.messages_max && bytes <= self.bytes_max {
            // The usual case: the reader has taken what came before.
            self.bytes = bytes;
            std::mem::swap(&mut self.queue, messages);
            return Ok(());
        }
        messages.drain(..).try_for_each(|message| self.push(message))
    }

    fn push(&mut self, message: Message) -> Result<(), TooSlow> {
        while !self.queue.is_empty()
            && (self.queue.len() >= self.messages_max
                || self.bytes + message.len() > self.bytes_max)
        {
            match self.slow {
                Slow::Disconnect => return Err(TooSlow),
                Slow::DropNewest => {
                    self.miss();
                    return Ok(());
                }
                Slow::DropOldest => {
                    drop(self.pop());
                    self.miss();
                }
            }
        }
        self.bytes += message.len();
        self.queue.push_back(message);
        Ok(())
    }

    const fn miss(&mut self) {
        self.missed += 1;
        self.missed_ever += 1;
    }

    pub(super) fn pop(&mut self) -> Option<Message> {
        let message = self.queue.pop_front()?;
        self.bytes -= message.len();
        Some(message)
    }
}
