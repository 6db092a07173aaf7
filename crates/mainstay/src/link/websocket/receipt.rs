use std::collections::VecDeque;

use mainstay_core::link::Seq;

/// What became of a message that was sent.
///
/// None of these says that the peer has it: only the peer can say so, in a message of its own
/// (acknowledged delivery of `mainstay.v1`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// It left this process: the operating system has it.
    Written,
    /// The connection ended while it was on its way: the peer may have it or not. It is not sent
    /// again.
    Unknown,
    /// It was never sent: too old, displaced by another, or left over when the link stopped.
    Dropped,
}

/// Stretches that fared differently from their neighbours, remembered. What is older is `Unknown`.
const STRETCHES_MAX: usize = 128;

/// What became of every message, in little memory: one number for all that were written, and the
/// stretches that were not.
#[derive(Debug, Default)]
pub(in crate::link) struct Receipts {
    /// All up to this one have met their fate.
    settled: u64,
    /// Below this, nothing is remembered.
    forgotten: u64,
    odd: VecDeque<Stretch>,
}

#[derive(Clone, Copy, Debug)]
struct Stretch {
    first: u64,
    last: u64,
    receipt: Receipt,
}

impl Receipts {
    /// All up to `seq` are written, but for those that fared otherwise.
    pub(in crate::link) const fn written(&mut self, seq: Seq) {
        if seq.0 > self.settled {
            self.settled = seq.0;
        }
    }

    /// Those after what is settled, up to `seq`, may or may not have been written.
    pub(in crate::link) fn unknown(&mut self, seq: Seq) {
        if seq.0 > self.settled {
            self.note(self.settled + 1, seq.0, Receipt::Unknown);
            self.settled = seq.0;
        }
    }

    /// This one will not be sent.
    pub(in crate::link) fn dropped(&mut self, seq: Seq) {
        self.note(seq.0, seq.0, Receipt::Dropped);
    }

    fn note(&mut self, first: u64, last: u64, receipt: Receipt) {
        if let Some(before) = self.odd.back_mut()
            && before.receipt == receipt
            && before.last + 1 == first
        {
            before.last = last;
            return;
        }
        if self.odd.len() == STRETCHES_MAX
            && let Some(oldest) = self.odd.pop_front()
        {
            self.forgotten = self.forgotten.max(oldest.last);
        }
        self.odd.push_back(Stretch { first, last, receipt });
    }

    /// What became of `seq`; none as long as it waits.
    pub(in crate::link) fn of(&self, seq: Seq) -> Option<Receipt> {
        // The latest word counts: one that was dropped may lie in a stretch that is unknown.
        let dropped = |stretch: &&Stretch| stretch.receipt == Receipt::Dropped;
        let holds = |stretch: &&Stretch| (stretch.first..=stretch.last).contains(&seq.0);
        let found = self.odd.iter().filter(holds);
        if let Some(stretch) = found.clone().find(dropped).or_else(|| found.clone().next()) {
            return Some(stretch.receipt);
        }
        match seq.0 {
            seq if seq <= self.forgotten => Some(Receipt::Unknown),
            seq if seq <= self.settled => Some(Receipt::Written),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w29_what_was_on_its_way_is_unknown_and_never_called_written() {
        let mut receipts = Receipts::default();
        receipts.written(Seq(3));
        receipts.dropped(Seq(5));
        receipts.unknown(Seq(7));
        receipts.written(Seq(8));
        let told: Vec<_> = (1..=9).map(|seq| receipts.of(Seq(seq))).collect();
        let (written, unknown) = (Some(Receipt::Written), Some(Receipt::Unknown));
        let wanted = [written, written, written, unknown, Some(Receipt::Dropped), unknown];
        assert_eq!(told[..6], wanted);
        assert_eq!(told[6..], [unknown, written, None]);
    }

    #[test]
    fn what_is_long_ago_is_unknown() {
        let mut receipts = Receipts::default();
        for seq in (2..2_000).step_by(2) {
            receipts.dropped(Seq(seq));
            receipts.written(Seq(seq));
        }
        assert!(receipts.odd.len() <= STRETCHES_MAX);
        assert_eq!(receipts.of(Seq(2)), Some(Receipt::Unknown));
        assert_eq!(receipts.of(Seq(3)), Some(Receipt::Unknown));
        assert_eq!(receipts.of(Seq(1_998)), Some(Receipt::Dropped));
        assert_eq!(receipts.of(Seq(1_997)), Some(Receipt::Written));
    }
}
