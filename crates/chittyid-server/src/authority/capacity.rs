use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Sequences that are remembered at a time.
const KNOWN_MAX: usize = 1_024;
/// Below this share of its ids left, a sequence is warned about.
const WARN_BELOW: u64 = 10;

/// How many ids are left where some were given. What belongs to a month or year that is over is
/// forgotten: nothing is given from it any more, so nothing can run out.
#[derive(Debug, Default)]
pub(crate) struct Capacity(Mutex<BTreeMap<String, Known>>);

/// A sequence, and the [`Plan::period`](super::plan::Plan::period) it is of.
#[derive(Debug)]
struct Known {
    period: u32,
    left: Left,
}

/// How many ids of a sequence are left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Its fields as they are printed.
    pub sequence: String,
    /// How many there are in all.
    pub limit: u64,
    /// How many are left.
    pub left: u64,
}

impl Left {
    /// The share that is left, from 0 to 1.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a sequence has far fewer than 2⁵³ ids")]
    pub fn share(&self) -> f64 {
        self.left as f64 / self.limit.max(1) as f64
    }

    /// Whether it is time to act.
    #[must_use]
    pub const fn is_low(&self) -> bool {
        self.left < self.limit / WARN_BELOW
    }
}

impl Capacity {
    pub(super) fn note(&self, (sequence, period): (&str, u32), limit: u64, left: u64) {
        let now = Left { sequence: sequence.to_owned(), limit, left };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.insert(sequence.to_owned(), Known { period, left: now.clone() });
        let before = before.map(|before| before.left);
        known.retain(|_, one| one.period >= period);
        if known.len() > KNOWN_MAX {
            known.pop_first();
        }
        show(&known, limit);
        drop(known);
        if now.is_low() && before.as_ref().is_none_or(|before| !before.is_low()) {
            tracing::warn!(sequence, left, limit, "ids are running out");
        }
        if left == 0 && before.is_none_or(|before| before.left > 0) {
            tracing::error!(sequence, limit, "all ids of a sequence are given");
        }
    }

    /// All that are known, of this period.
    pub(super) fn all(&self, period: u32) -> Vec<Left> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut over = None;
        known.retain(|_, one| {
            let stays = one.period >= period;
            if !stays {
                over = Some(one.left.limit);
            }
            stays
        });
        // The next month has as many as the last.
        over.into_iter().for_each(|limit| show(&known, limit));
        known.values().map(|one| one.left.clone()).collect()
    }
}

/// Shows the lowest; while nothing is given, all that there are.
#[expect(clippy::cast_precision_loss, reason = "a gauge of at most 359 964")]
fn show(known: &BTreeMap<String, Known>, limit: u64) {
    let all = || known.values().map(|one| &one.left);
    let share = all().map(Left::share).fold(1.0, f64::min);
    metrics::gauge!("chittyid_sequence_left_ratio_lowest").set(share);
    let lowest = all().map(|one| one.left).min().unwrap_or(limit);
    metrics::gauge!("chittyid_sequence_left_lowest").set(lowest as f64);
}
