//! What one client has said and heard: numbers, acknowledgements, echoes. No socket, no clock.

use std::collections::VecDeque;
use std::fmt::Write as _;

use mainstay::core::session::stream::{
    Epoch, Position, Push, Received, Resume, Seq, Stream, StreamConfig,
};
use mainstay::core::time::Instant;

/// Messages on their way and back, at most: half of what a server holds for a client by default.
const WINDOW: u64 = 128;
/// Bytes of them, as frames: less than a server holds by default.
const WINDOW_BYTES: u64 = 48 << 10;
/// Bytes of a frame around a message.
const AROUND: u64 = 40;

/// What is told of one client's messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) sent: u64,
    /// Acknowledged by the server, each once.
    pub(super) acknowledged: u64,
    /// Given back when a session began anew: nobody knows whether they arrived.
    pub(super) unknown: u64,
    /// Came back, each once and in order.
    pub(super) echoed: u64,
    /// Did not come back, since a session began anew meanwhile.
    pub(super) echo_unknown: u64,
    /// Came again after a resume and were dropped by their number.
    pub(super) duplicates: u64,
}

/// A message that the server has not acknowledged.
#[derive(Clone, Copy, Debug)]
struct Sent {
    index: u64,
}

/// A message that has not come back.
#[derive(Clone, Copy, Debug)]
struct Awaited {
    index: u64,
    due: Instant,
    /// The connection it was first written on.
    connection: u64,
    /// Whether a session began anew since: it may never come.
    doubtful: bool,
}

/// What a client finds wrong with its server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// A number is missing before this one.
    Gap,
    /// What was never sent is acknowledged.
    NeverSent,
    /// A message did not come back, though a later one did.
    Lost { index: u64, came: u64 },
    /// A message came back that had come before, or that was never sent.
    Doubled { came: u64, after: u64 },
    /// A message came that is not one of this client's.
    Foreign,
}

/// A message that came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Echo {
    /// When it was due to be sent.
    pub(super) due: Instant,
    /// Whether it went and came over one connection.
    pub(super) on_one: bool,
}

/// The messages of one client.
#[derive(Debug)]
pub(super) struct Book {
    client: u64,
    size: usize,
    stream: Stream<Sent>,
    /// Numbers of numberings.
    epochs: u64,
    /// The next number to write on this connection.
    cursor: u64,
    connection: u64,
    awaited: VecDeque<Awaited>,
    /// The last message that came back.
    last_echo: u64,
    /// Up to where an acknowledgement of echoes was sent.
    echoes_acknowledged: u64,
    pub(super) account: Account,
}

impl Book {
    /// The book of client number `client`, whose messages have `size` bytes.
    pub(super) fn new(client: u64, size: usize) -> Self {
        let stream = Stream::new(&StreamConfig::default(), Epoch(0));
        Self {
            client,
            size,
            stream: stream.expect("the defaults are sound"),
            epochs: 0,
            cursor: 1,
            connection: 0,
            awaited: VecDeque::new(),
            last_echo: 0,
            echoes_acknowledged: 0,
            account: Account::default(),
        }
    }

    /// The last message of the server that was processed.
    pub(super) fn received(&self) -> Seq {
        self.stream.position().seq
    }

    /// A connection goes on with the session; the server has processed `seq`. False if it cannot.
    pub(super) fn go_on(&mut self, seq: Seq) -> bool {
        let before = self.stream.outgoing().last_acknowledged();
        let at = self.stream.at(seq);
        let Resume::Replay { .. } = self.stream.resume(at) else { return false };
        let acknowledged = self.stream.outgoing().last_acknowledged();
        self.account.acknowledged += acknowledged.0 - before.0;
        // What `hello` said of echoes is as good as an acknowledgement.
        self.echoes_acknowledged = self.last_echo;
        self.begin();
        true
    }

    /// A connection begins a session anew, or its numbers. What was not acknowledged is unknown.
    pub(super) fn begin_anew(&mut self) {
        self.epochs += 1;
        let unknown = self.stream.reset(Epoch(self.epochs));
        self.account.unknown += unknown.len() as u64;
        self.awaited.iter_mut().for_each(|awaited| awaited.doubtful = true);
        self.echoes_acknowledged = self.account.sent;
        self.begin();
    }

    fn begin(&mut self) {
        self.connection += 1;
        self.cursor = self.stream.outgoing().last_acknowledged().0 + 1;
    }

    /// Whether another message may be sent now.
    pub(super) fn has_room(&self, echoes: bool) -> bool {
        let around = self.size as u64 + AROUND;
        let most = (WINDOW_BYTES / around).clamp(1, WINDOW);
        let behind = self.account.sent.saturating_sub(self.echoes_acknowledged);
        self.stream.outgoing().has_room(u32::try_from(around).unwrap_or(u32::MAX))
            && (self.stream.outgoing().len() as u64) < most
            && (!echoes || behind < most)
    }

    /// Numbers another message, due at `due`, if there is room.
    pub(super) fn send(&mut self, due: Instant) -> bool {
        let index = self.account.sent + 1;
        let bytes = u32::try_from(self.size as u64 + AROUND).unwrap_or(u32::MAX);
        let Push::Held(_) = self.stream.push(Sent { index }, bytes) else { return false };
        self.account.sent = index;
        let awaited = Awaited { index, due, connection: self.connection, doubtful: false };
        self.awaited.push_back(awaited);
        true
    }

    /// The next message to write on this connection.
    pub(super) fn next(&mut self) -> Option<(Seq, String)> {
        let seq = Seq(self.cursor);
        let index = self.stream.outgoing().message(seq)?.index;
        self.cursor += 1;
        Some((seq, payload(self.client, index, self.size)))
    }

    /// Whether something is still to be written on this connection.
    pub(super) fn is_behind(&self) -> bool {
        self.stream.outgoing().message(Seq(self.cursor)).is_some()
    }

    /// The server has processed everything up to `seq`.
    pub(super) fn acknowledged(&mut self, seq: Seq) -> Result<(), Wrong> {
        if seq.0 >= self.cursor {
            return Err(Wrong::NeverSent);
        }
        let freed = self.stream.acknowledge(seq).map_err(|_| Wrong::NeverSent)?;
        self.account.acknowledged += freed as u64;
        Ok(())
    }

    /// A tracked message came; answers what it was, unless it was here before.
    pub(super) fn take(
        &mut self,
        now: Instant,
        seq: Seq,
        text: &str,
    ) -> Result<Option<Echo>, Wrong> {
        match self.stream.received(now, seq) {
            Received::Duplicate => {
                self.account.duplicates += 1;
                return Ok(None);
            }
            Received::Gap { .. } => return Err(Wrong::Gap),
            Received::Deliver => {}
        }
        let bytes = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let at: Position = self.stream.at(seq);
        self.stream.processed(now, at, bytes);
        let index = index(text, self.client, self.size).ok_or(Wrong::Foreign)?;
        self.echo(index).map(Some)
    }

    fn echo(&mut self, came: u64) -> Result<Echo, Wrong> {
        if came <= self.last_echo || came > self.account.sent {
            return Err(Wrong::Doubled { came, after: self.last_echo });
        }
        let mut lost = None;
        let mut found = None;
        while let Some(awaited) = self.awaited.pop_front() {
            if awaited.index == came {
                found = Some(awaited);
                break;
            }
            if awaited.doubtful {
                self.account.echo_unknown += 1;
            } else {
                lost.get_or_insert(awaited.index);
            }
        }
        self.last_echo = came;
        self.account.echoed += 1;
        match (lost, found) {
            (Some(index), _) => Err(Wrong::Lost { index, came }),
            (None, Some(Awaited { due, connection, .. })) => {
                Ok(Echo { due, on_one: connection == self.connection })
            }
            (None, None) => Err(Wrong::Doubled { came, after: self.last_echo }),
        }
    }

    /// What is to be acknowledged now.
    pub(super) fn acknowledgement(&mut self, now: Instant) -> Option<Seq> {
        let seq = self.stream.take_ack(now)?;
        self.echoes_acknowledged = self.last_echo;
        Some(seq)
    }

    /// When an acknowledgement is due by itself.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.stream.deadline()
    }

    /// Whether nothing came back so far.
    pub(super) const fn is_unanswered(&self) -> bool {
        self.last_echo == 0
    }

    /// Messages that the server has not acknowledged.
    pub(super) fn unacknowledged(&self) -> u64 {
        self.stream.outgoing().len() as u64
    }

    /// Messages that have not come back and should.
    pub(super) fn missing(&self) -> u64 {
        self.awaited.iter().filter(|awaited| !awaited.doubtful).count() as u64
    }

    /// Counts as unknown what has not come back since a session began anew.
    pub(super) fn close(&mut self) {
        self.account.echo_unknown += self.awaited.len() as u64 - self.missing();
        self.awaited.retain(|awaited| !awaited.doubtful);
    }
}

/// The text of a message: whose it is, which it is, and as much more as makes it `size` bytes long.
fn payload(client: u64, index: u64, size: usize) -> String {
    let mut text = String::with_capacity(size);
    let _infallible = write!(text, "{{\"c\":{client},\"n\":{index},\"x\":\"");
    while text.len() + 2 < size {
        text.push('x');
    }
    text.push_str("\"}");
    text
}

/// Which message of that client a text is, if it is one, byte by byte.
fn index(text: &str, client: u64, size: usize) -> Option<u64> {
    let rest = text.strip_prefix("{\"c\":")?;
    let (whose, rest) = rest.split_once(",\"n\":")?;
    let (index, rest) = rest.split_once(",\"x\":\"")?;
    let index = index.parse().ok()?;
    let padding = rest.strip_suffix("\"}")?;
    let is_whole = padding.bytes().all(|byte| byte == b'x') && text.len() >= size;
    (whose.parse() == Ok(client) && is_whole && (text.len() == size || padding.is_empty()))
        .then_some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_millis(5);

    /// A book after `count` messages were written.
    fn after(count: u64) -> Book {
        let mut book = Book::new(7, 64);
        book.begin_anew();
        for _ in 0..count {
            assert!(book.send(NOW));
            assert!(book.next().is_some());
        }
        book
    }

    fn said(index: u64) -> String {
        payload(7, index, 64)
    }

    #[test]
    fn a_message_has_the_size_that_was_asked_for() {
        for size in [48, 64, 1000] {
            for index in [1, 99, u64::from(u32::MAX)] {
                assert_eq!(payload(123_456, index, size).len(), size);
                let text = payload(123_456, index, size);
                assert_eq!(super::index(&text, 123_456, size), Some(index));
                assert_eq!(super::index(&text, 123_457, size), None, "it is another client's");
                assert_eq!(super::index(&text.replace("xx", "xy"), 123_456, size), None);
                assert_eq!(super::index(&text, 123_456, size + 1), None, "it was cut");
            }
        }
    }

    #[test]
    fn what_is_echoed_and_acknowledged_once_and_in_order_is_counted() {
        let mut book = after(3);
        for seq in 1..=3 {
            let echo = book.take(NOW, Seq(seq), &said(seq)).unwrap();
            assert_eq!(echo, Some(Echo { due: NOW, on_one: true }));
        }
        book.acknowledged(Seq(2)).unwrap();
        book.acknowledged(Seq(2)).unwrap();
        book.acknowledged(Seq(3)).unwrap();
        let account = Account { sent: 3, acknowledged: 3, echoed: 3, ..Account::default() };
        assert_eq!((book.account, book.unacknowledged(), book.missing()), (account, 0, 0));
        assert_eq!(book.acknowledged(Seq(4)), Err(Wrong::NeverSent));
    }

    #[test]
    fn what_is_lost_doubled_or_not_ours_is_told() {
        let mut book = after(3);
        assert_eq!(book.take(NOW, Seq(2), &said(1)), Err(Wrong::Gap));
        assert!(book.take(NOW, Seq(1), &said(1)).is_ok());
        assert_eq!(book.take(NOW, Seq(2), &said(1)), Err(Wrong::Doubled { came: 1, after: 1 }));
        assert_eq!(book.take(NOW, Seq(3), &said(3)), Err(Wrong::Lost { index: 2, came: 3 }));
        assert_eq!(book.take(NOW, Seq(4), &said(9)), Err(Wrong::Doubled { came: 9, after: 3 }));
        assert_eq!(book.take(NOW, Seq(5), &payload(8, 1, 64)), Err(Wrong::Foreign));
    }

    #[test]
    fn a_resume_writes_again_what_was_not_acknowledged() {
        let mut book = after(4);
        assert!(book.take(NOW, Seq(1), &said(1)).unwrap().is_some());
        assert!(book.go_on(Seq(2)), "the server has 1 and 2");
        let again: Vec<u64> = std::iter::from_fn(|| book.next()).map(|(seq, _)| seq.0).collect();
        assert_eq!((again, book.account.acknowledged), (vec![3, 4], 2));
        assert_eq!(book.take(NOW, Seq(1), &said(1)), Ok(None), "by its number");
        let echo = book.take(NOW, Seq(2), &said(2)).unwrap();
        assert!(echo.is_some_and(|echo| !echo.on_one));
        assert!(!book.go_on(Seq(1)), "behind what was acknowledged");
        assert!(!book.go_on(Seq(5)), "ahead of what was sent");
    }

    #[test]
    fn what_was_on_its_way_when_a_session_begins_anew_is_unknown() {
        let mut book = after(4);
        book.acknowledged(Seq(1)).unwrap();
        book.begin_anew();
        assert_eq!((book.account.unknown, book.missing()), (3, 0));
        assert!(book.send(NOW) && book.next().is_some_and(|(seq, _)| seq == Seq(1)));
        assert!(book.take(NOW, Seq(1), &said(5)).unwrap().is_some());
        assert_eq!((book.account.echo_unknown, book.account.echoed), (4, 1));
        book.close();
        assert_eq!(book.account.sent, book.account.echoed + book.account.echo_unknown);
    }

    #[test]
    fn no_more_is_on_its_way_than_a_server_holds() {
        for size in [64, 1_000, 16_000] {
            let mut book = Book::new(1, size);
            book.begin_anew();
            let mut count = 0;
            while book.has_room(true) {
                assert!(book.send(NOW));
                count += 1;
            }
            assert!((1..=WINDOW).contains(&count), "{size}: {count}");
            assert!(count * (size as u64 + AROUND) <= (64 << 10), "{size}: {count}");
        }
    }
}
