//! Whether levels change too often for each change to be told.

use mainstay_core::config::Ratio;
use serde::{Deserialize, Serialize};

use super::rule::Severity;

/// Changes between the last 21 levels.
const CHANGES: u32 = 20;
/// What all changes together weigh, in 76ths: 20 times 1.
const WHOLE: u32 = 20 * 76;

/// The last levels and whether they flap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Flapping {
    /// One bit for each change, the newest lowest.
    changes: u32,
    latest: Option<Severity>,
    pub(super) on: bool,
}

impl Flapping {
    /// Takes the next level; `Some` when flapping has begun or ended.
    pub(super) fn push(
        &mut self,
        level: Option<Severity>,
        start: Ratio,
        stop: Ratio,
    ) -> Option<bool> {
        let changed = u32::from(level != self.latest);
        self.latest = level;
        self.changes = ((self.changes << 1) | changed) & ((1 << CHANGES) - 1);
        let share = self.share();
        let on = if self.on { share > stop } else { share >= start };
        (std::mem::replace(&mut self.on, on) != on).then_some(on)
    }

    /// What the changes weigh: the oldest 0.75, the newest 1.25, of 20.
    pub(super) fn share(&self) -> Ratio {
        // 0.75 + 0.5 · (i − 1) / 19, in 76ths: 57 + 2 · (i − 1).
        let weight = |age: u32| 57 + 2 * (CHANGES - 1 - age);
        let bits = (0..CHANGES).filter(|age| self.changes >> age & 1 == 1);
        Ratio::of(u64::from(bits.map(weight).sum::<u32>()), u64::from(WHOLE))
    }

    /// The same without its history: too old to be judged by.
    pub(super) const fn forgotten(self) -> Self {
        Self { changes: 0, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(changed: impl Fn(usize) -> bool) -> f64 {
        let mut flapping = Flapping::default();
        let mut level = None;
        for at in 0..CHANGES as usize {
            if changed(at) {
                level = if level.is_none() { Some(Severity::High) } else { None };
            }
            let _ = flapping.push(level, Ratio::percent(30), Ratio::percent(20));
        }
        flapping.share().as_f64()
    }

    #[test]
    fn changes_weigh_by_nagios_curve() {
        assert!((share(|_| true) - 1.0).abs() < 1e-6);
        assert_eq!(share(|_| false), 0.0);
        for one in 0..20 {
            let expected = (0.75 + 0.5 * one as f64 / 19.0) / 20.0;
            assert!((share(|at| at == one) - expected).abs() < 2e-6, "{one}");
        }
    }

    #[test]
    fn it_begins_at_the_upper_edge_and_ends_at_the_lower() {
        let (start, stop) = (Ratio::percent(30), Ratio::percent(20));
        let mut flapping = Flapping::default();
        let mut turns = Vec::new();
        for at in 0..40 {
            let level = (at < 10 && at % 2 == 0).then_some(Severity::Low);
            turns.extend(flapping.push(level, start, stop).map(|on| (at, on)));
        }
        // In 76ths of 20: five changes, the newest, are 455 (29.9 %), six are 540 (35.5 %). Of all
        // ten, 16 levels later, the four oldest are left with 240 (15.8 %); one before, five: 305.
        assert_eq!(turns, [(5, true), (25, false)]);
    }
}
