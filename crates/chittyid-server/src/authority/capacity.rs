use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Sequences that are remembered; those of months that are over go first.
const KNOWN_MAX: usize = 1_024;
/// Below this share of its ids left, a sequence is warned about.
const WARN_BELOW: u64 = 10;

/// How many ids are left where some were given.
#[derive(Debug, Default)]
pub(crate) struct Capacity(Mutex<BTreeMap<String, Left>>);

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
    pub(super) fn note(&self, sequence: &str, limit: u64, left: u64) {
        let now = Left { sequence: sequence.to_owned(), limit, left };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.insert(sequence.to_owned(), now.clone());
        if known.len() > KNOWN_MAX {
            // Time stands in the name: the first of a letter is its oldest.
            known.pop_first();
        }
        let is_new_end = left == 0 && before.as_ref().is_none_or(|before| before.left > 0);
        let lowest = known.values().map(|one| one.left).min().unwrap_or(left);
        let shares = known.values().map(Left::share);
        let lowest_share = shares.fold(1.0, f64::min);
        drop(known);
        metrics::gauge!("chittyid_sequence_left_ratio_lowest").set(lowest_share);
        #[expect(clippy::cast_precision_loss, reason = "a gauge of at most 359 964")]
        metrics::gauge!("chittyid_sequence_left_lowest").set(lowest as f64);
        if now.is_low() && before.is_none_or(|before| !before.is_low()) {
            tracing::warn!(sequence, left, limit, "ids are running out");
        }
        if is_new_end {
            tracing::error!(sequence, limit, "all ids of a sequence are given");
        }
    }

    pub(super) fn all(&self) -> Vec<Left> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}
