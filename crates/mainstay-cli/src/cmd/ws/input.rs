//! What is typed, on its way to the peer.

use std::collections::VecDeque;

use mainstay::core::link::Seq;
use mainstay::link::websocket::{Receipt, RejectReason, Rejected, SendStatus, WebSocket};
use tokio::io::{BufReader, stdin};
use tokio::sync::mpsc::Sender;

use crate::lines::{Line, Lines};

/// What became of a line.
#[derive(Debug)]
pub(super) enum Note {
    Sent(Seq),
    Queued(Seq),
    /// It waits for room in the queue.
    Waits,
    /// It was not taken, and why.
    Refused(String),
    /// There are no more.
    Ended,
}

/// Sends every line of standard input.
pub(super) async fn read(socket: WebSocket, notes: Sender<Note>, line_max: usize) {
    let mut lines = Lines::new(BufReader::new(stdin()), line_max);
    let mut number = 0_u64;
    loop {
        number += 1;
        let note = match lines.next().await {
            Ok(Some(Line::Text(text))) => send(&socket, text, &notes).await,
            Ok(Some(Line::TooLong)) => Note::Refused(format!(
                "line {number} is longer than {line_max} bytes (--max-message): not sent"
            )),
            Ok(Some(Line::NoText)) => {
                Note::Refused(format!("line {number} is no UTF-8 text: not sent"))
            }
            Ok(None) => Note::Ended,
            Err(error) => {
                let told = Note::Refused(format!("standard input cannot be read: {error}"));
                drop(notes.send(told).await);
                Note::Ended
            }
        };
        let over = matches!(note, Note::Ended);
        if notes.send(note).await.is_err() || over {
            return;
        }
    }
}

async fn send(socket: &WebSocket, text: String, notes: &Sender<Note>) -> Note {
    let status = match socket.try_send(text) {
        SendStatus::Rejected(Rejected { message, reason: RejectReason::Full }) => {
            drop(notes.send(Note::Waits).await);
            socket.send(message).await
        }
        status @ (SendStatus::Sent(_)
        | SendStatus::Buffered(_)
        | SendStatus::Dropped
        | SendStatus::Rejected(_)) => status,
    };
    match status {
        SendStatus::Sent(seq) => Note::Sent(seq),
        SendStatus::Buffered(seq) => Note::Queued(seq),
        SendStatus::Dropped => Note::Refused("the queue is full: not sent".into()),
        SendStatus::Rejected(rejected) => Note::Refused(format!("{}: not sent", rejected.reason)),
    }
}

/// What became of the messages that were taken.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// Those of which it is not known yet, in order.
    open: VecDeque<Seq>,
    /// Never sent.
    pub(super) unsent: u64,
    /// Sent, and perhaps lost.
    pub(super) unknown: u64,
}

impl Account {
    pub(super) fn add(&mut self, seq: Seq) {
        self.open.push_back(seq);
    }

    /// The last message of which it is not known yet what became of it.
    pub(super) fn last(&self) -> Option<Seq> {
        self.open.back().copied()
    }

    /// Learns what is known by now; answers how many are newly known to be perhaps lost.
    pub(super) fn settle(&mut self, receipt: impl Fn(Seq) -> Option<Receipt>) -> u64 {
        let before = self.unknown;
        while let Some(receipt) = self.open.front().and_then(|seq| receipt(*seq)) {
            self.open.pop_front();
            match receipt {
                Receipt::Written => {}
                Receipt::Unknown => self.unknown += 1,
                Receipt::Dropped => self.unsent += 1,
            }
        }
        self.unknown - before
    }

    /// Counts as not sent what is still open: there will be no more connection.
    pub(super) fn close(&mut self) {
        self.unsent += std::mem::take(&mut self.open).len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_counted_once_when_its_fate_is_known() {
        let mut account = Account::default();
        (1..=4).for_each(|seq| account.add(Seq(seq)));
        let known = |upto: u64| {
            move |seq: Seq| match seq.0 {
                found if found > upto => None,
                2 => Some(Receipt::Unknown),
                3 => Some(Receipt::Dropped),
                _ => Some(Receipt::Written),
            }
        };
        assert_eq!((account.settle(known(2)), account.settle(known(2))), (1, 0));
        assert_eq!((account.settle(known(3)), account.last()), (0, Some(Seq(4))));
        account.close();
        assert_eq!((account.unsent, account.unknown, account.last()), (2, 1, None));
    }
}
