use mainstay_core::link::Seq;
use mainstay_wire::Raw;

/// The session could not go on where it was, and another has begun: both ends count from 1 again.
///
/// What the server had to say in the old one and what it did not hear acknowledged may be lost too;
/// only the application can ask for it again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restarted {
    /// Why; the latest reason, if it happened several times before the application looked.
    pub why: Why,
    /// What was written and not acknowledged: the server may have processed it or not. It is not
    /// sent again unless the application does so.
    pub unknown: Vec<Held>,
    /// What the server does not take: it was not processed, and is not sent again.
    pub refused: Vec<Held>,
    /// Messages that belong to `unknown` and were not kept, because the application did not look for
    /// so long: no more than a window of them is.
    pub forgotten: u64,
}

/// A message that was held for a replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its number.
    pub seq: Seq,
    /// What it says.
    pub payload: Raw,
}

/// Why a session began anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// The server does not know the session any more: it was away for too long, or the server was
    /// restarted.
    Forgotten,
    /// The server knows the session, and not its messages.
    NoReplay,
    /// The server said that the session cannot go on (close code 4106).
    Impossible,
    /// The server's numbers are not ours: one of the two has lost its memory.
    Disagreement,
    /// The server left out messages, and did so again after a resume.
    Gap,
    /// The server closed the connection over one message, again and again, or takes shorter frames
    /// than before.
    Refused,
}

impl Restarted {
    /// Takes an earlier one that nobody has looked at into this one. At most `kept` messages stay.
    pub(super) fn after(&mut self, mut earlier: Self, kept: usize) {
        std::mem::swap(&mut self.unknown, &mut earlier.unknown);
        self.unknown.append(&mut earlier.unknown);
        std::mem::swap(&mut self.refused, &mut earlier.refused);
        self.refused.append(&mut earlier.refused);
        self.forgotten += earlier.forgotten;
        let excess = self.unknown.len().saturating_sub(kept);
        self.forgotten += excess as u64;
        drop(self.unknown.drain(..excess));
        let excess = self.refused.len().saturating_sub(kept);
        drop(self.refused.drain(..excess));
    }
}
