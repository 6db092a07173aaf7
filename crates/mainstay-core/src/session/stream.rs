//! A tracked stream: messages that arrive exactly once and in order, over connections that break.
//!
//! A socket that dies takes with it whatever was on its way, and the sender cannot know what that
//! was: bytes that the system took are not bytes that the peer has seen. So both ends count.
//!
//! ```text
//!   Outgoing                              Incoming
//!   1 2 3 │ 4 5 6 7 │ 8 …                 1 2 3 4 │ 5 6 │ 7 …
//!   freed │  held   │ room                processed received
//!         ▲         ▲                             ▲     ▲
//!    acknowledged  sent                     what acks cover
//! ```
//!
//! * **Sending.** Messages are numbered from 1 and held until the peer acknowledges them. The window
//!   is bounded in messages and in bytes; when it is full the sender waits. Nothing is dropped.
//! * **Receiving.** The next number is delivered, an earlier one is a duplicate, a later one means
//!   that something is missing: give the connection up, never deliver out of order.
//! * **Acknowledging.** An ack is cumulative and covers only what the application has *processed*,
//!   so a crash between the socket and the application loses nothing. Acks are coalesced, by count,
//!   bytes and time.
//! * **Resuming.** After a reconnect each end says its [`Position`]: the numbering it counts in, and
//!   the last message it has processed. Either *every* message after that is sent again, or none is
//!   and both ends start anew at 1: a partial replay would be a silent loss.
//!
//! | the peer's position | answer |
//! |---|---|
//! | of this epoch, between acknowledged and sent | replay what comes after it |
//! | of another epoch | restart: its numbers mean other messages |
//! | after the last one sent | restart: this end lost its memory |
//! | before the last acknowledged one | restart: the peer lost its memory |
//!
//! At a restart, [`Stream::reset`] answers what was not acknowledged. The peer may have had it or
//! not: tell the application that the outcome is *unknown*, and neither *sent* nor *lost*.
//!
//! An [`Epoch`] names a numbering. Whoever accepts connections chooses a new one at each reset, for
//! instance the session's generation, and puts it into the token that the peer resumes with: a peer
//! that never learnt of a reset then shows the old one and is not believed.

use alloc::vec::Vec;

use crate::config::ConfigError;
use crate::time::Instant;

mod config;
mod incoming;
mod outgoing;

pub use config::StreamConfig;
pub use incoming::{Incoming, Received};
pub use outgoing::{NeverSent, Outgoing, Push, Refusal, Resume};

/// The number of a message in its epoch: 1 for the first. 0 stands for *none yet*.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct Seq(pub u64);

/// Names a numbering; another one after each reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct Epoch(pub u64);

/// A place in a numbering.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Position {
    /// Which numbering.
    pub epoch: Epoch,
    /// Which message in it.
    pub seq: Seq,
}

/// Both halves of one end of a tracked stream.
///
/// ```
/// use mainstay_core::session::stream::{Epoch, Push, Received, Resume, Seq, Stream, StreamConfig};
/// use mainstay_core::time::Instant;
///
/// let now = Instant::from_millis(0);
/// let mut client = Stream::new(&StreamConfig::default(), Epoch(1))?;
/// let mut server = Stream::<&str>::new(&StreamConfig::default(), Epoch(1))?;
/// assert_eq!(client.push("a", 1), Push::Held(Seq(1)));
/// assert_eq!(client.push("b", 1), Push::Held(Seq(2)));
///
/// // The first arrives and is processed; the second is lost with the connection.
/// let first = server.received(now, Seq(1));
/// assert_eq!(first, Received::Deliver);
/// server.processed(now, server.at(Seq(1)), 1);
///
/// // The connection is back, and the server says how far it got.
/// assert_eq!(client.resume(server.position()), Resume::Replay { messages: 1 });
/// let again: Vec<_> = client.unacknowledged().collect();
/// assert_eq!(again, [(Seq(2), &"b")]);
/// # Ok::<(), mainstay_core::config::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Stream<M> {
    epoch: Epoch,
    outgoing: Outgoing<M>,
    incoming: Incoming,
}

impl<M> Stream<M> {
    /// A stream in which nothing was sent or received yet.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field that makes no sense.
    pub fn new(config: &StreamConfig, epoch: Epoch) -> Result<Self, ConfigError> {
        let (outgoing, incoming) = (Outgoing::new(config)?, Incoming::new(config)?);
        Ok(Self { epoch, outgoing, incoming })
    }

    /// The numbering in use.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The place of the message `seq` in the numbering in use; keep it with a message on its way to
    /// the application, so that one delivered before a reset is not taken for one after it.
    #[must_use]
    pub const fn at(&self, seq: Seq) -> Position {
        Position { epoch: self.epoch, seq }
    }

    /// What to tell the peer when a connection starts: the last message processed.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.at(self.incoming.last_processed())
    }

    /// The half that sends, to look at.
    #[must_use]
    pub const fn outgoing(&self) -> &Outgoing<M> {
        &self.outgoing
    }

    /// The half that receives, to look at.
    #[must_use]
    pub const fn incoming(&self) -> &Incoming {
        &self.incoming
    }

    /// [`Outgoing::push`].
    pub fn push(&mut self, message: M, bytes: u32) -> Push<M> {
        self.outgoing.push(message, bytes)
    }

    /// [`Outgoing::unacknowledged`].
    pub fn unacknowledged(&self) -> impl Iterator<Item = (Seq, &M)> {
        self.outgoing.unacknowledged()
    }

    /// [`Outgoing::acknowledge`].
    ///
    /// # Errors
    ///
    /// [`NeverSent`]: the peer is broken.
    pub fn acknowledge(&mut self, seq: Seq) -> Result<usize, NeverSent> {
        self.outgoing.acknowledge(seq)
    }

    /// [`Incoming::received`].
    pub fn received(&mut self, now: Instant, seq: Seq) -> Received {
        self.incoming.received(now, seq)
    }

    /// [`Incoming::processed`]; a message of another epoch changes nothing.
    pub fn processed(&mut self, now: Instant, at: Position, bytes: u32) {
        if at.epoch == self.epoch {
            self.incoming.processed(now, at.seq, bytes);
        }
    }

    /// [`Incoming::take_ack`].
    pub fn take_ack(&mut self, now: Instant) -> Option<Seq> {
        self.incoming.take_ack(now)
    }

    /// [`Incoming::flush_ack`].
    pub const fn flush_ack(&mut self) -> Option<Seq> {
        self.incoming.flush_ack()
    }

    /// [`Incoming::deadline`].
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.incoming.deadline()
    }

    /// A new connection, on which the peer said that it has processed `peer`.
    ///
    /// A restart changes nothing here yet: [`reset`](Self::reset) does, when both ends know.
    pub fn resume(&mut self, peer: Position) -> Resume {
        if peer.epoch == self.epoch {
            self.outgoing.resume(peer.seq)
        } else {
            Resume::Restart(Refusal::OtherEpoch)
        }
    }

    /// Both halves start from 1 again, in `epoch`. Answers what was not acknowledged, in order and
    /// with the old numbers: whether the peer has it is unknown.
    #[must_use = "somebody waits to hear what became of these messages"]
    pub fn reset(&mut self, epoch: Epoch) -> Vec<(Seq, M)> {
        self.epoch = epoch;
        self.incoming.reset();
        self.outgoing.reset()
    }
}

#[cfg(test)]
mod tests;
