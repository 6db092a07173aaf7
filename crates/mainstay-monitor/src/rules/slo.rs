use std::collections::VecDeque;

use mainstay_core::config::ConfigError;
use serde::{Deserialize, Serialize};

use super::{Kind, Matcher, Signal};
use crate::alert::Severity;
use crate::wilson::{Z_95, lower};

/// How much may fail in 30 days.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SloSpec {
    /// Its name.
    pub name: String,
    /// Shares of events: `link.checks`, `gate.errors`, `sessions.errors`, …
    pub signal: Signal,
    /// Of whom, for signals that are about one of many, with `*`; all of them together. Default all.
    #[serde(default)]
    pub of: Option<Matcher>,
    /// The share that is to go well, such as 0.999. Above 0, below 1.
    pub objective: f64,
    /// What to do: a text, or an address.
    #[serde(default)]
    pub runbook: Option<String>,
}

impl SloSpec {
    /// Checks it.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.name.is_empty() || self.name.len() > 200 {
            return Err(ConfigError::new("name", &self.name, "1 to 200 bytes"));
        }
        if self.signal.info().kind != Kind::Share {
            let name = self.signal.info().name;
            return Err(ConfigError::new("signal", name, "a share of events"));
        }
        if !(self.objective > 0.0 && self.objective < 1.0) {
            return Err(ConfigError::new("objective", self.objective, "above 0 and below 1"));
        }
        Ok(())
    }
}

/// A budget that is used up this many times too fast, over a long and a short window in minutes.
const PAIRS: [(Severity, f64, usize, usize); 4] = [
    (Severity::Critical, 14.4, 60, 5),
    (Severity::High, 6.0, 360, 30),
    (Severity::Medium, 3.0, 1_440, 120),
    (Severity::Low, 1.0, 4_320, 360),
];
/// Minutes that are remembered: the longest window.
const MINUTES: usize = 4_320;

/// How fast an error budget is used up: the minutes of three days, eight bytes each.
///
/// The windows and factors are those of Google's workbook for 30 days: 2 % of the budget in an hour
/// (14.4 times too fast), 5 % in six hours (6), 10 % in a day (3) and 10 % in three (1). The long
/// window says that it matters, the short one that it still goes on. Both must be beyond the factor
/// by the lower Wilson bound, so that few events raise nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Burn {
    /// Of each minute what failed, and all. The newest is the last.
    minutes: VecDeque<(u32, u32)>,
    /// The number of the newest since 1970.
    newest: u64,
}

impl Burn {
    /// Counts what happened in the minute with this number since 1970.
    pub fn count(&mut self, minute: u64, failed: u64, all: u64) {
        // A clock that had leapt ahead by more than is remembered is back.
        if self.newest.saturating_sub(minute) > MINUTES as u64 {
            self.minutes.clear();
        }
        if self.minutes.is_empty() {
            self.newest = minute;
        }
        let gap = usize::try_from(minute.saturating_sub(self.newest)).unwrap_or(usize::MAX);
        if gap >= MINUTES {
            self.minutes.clear();
        }
        if self.minutes.is_empty() {
            self.minutes.push_back((0, 0));
        } else {
            self.minutes.extend((0..gap).map(|_| (0, 0)));
        }
        self.newest = self.newest.max(minute);
        while self.minutes.len() > MINUTES {
            self.minutes.pop_front();
        }
        if let Some((bad, whole)) = self.minutes.back_mut() {
            let more = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
            *bad = bad.saturating_add(more(failed.min(all)));
            *whole = whole.saturating_add(more(all));
        }
    }

    /// What failed in the last `minutes`, and all.
    #[must_use]
    pub fn last(&self, minutes: usize) -> (u64, u64) {
        let latest = self.minutes.iter().rev().take(minutes);
        latest.fold((0, 0), |(bad, all), (b, a)| (bad + u64::from(*b), all + u64::from(*a)))
    }

    /// How bad it is; none while the budget lasts.
    #[must_use]
    pub fn severity(&self, objective: f64) -> Option<Severity> {
        let budget = 1.0 - objective;
        let beyond = |minutes: usize, factor: f64| {
            let (bad, all) = self.last(minutes);
            all > 0 && lower(bad, all, Z_95) > budget * factor
        };
        let burns = PAIRS
            .into_iter()
            .find(|(_, factor, long, short)| beyond(*long, *factor) && beyond(*short, *factor));
        burns.map(|(severity, ..)| severity)
    }
}

impl Burn {
    /// The minutes, the oldest first, with the number of the first.
    pub(crate) fn kept(&self) -> crate::engine::KeptBurn {
        let before = u64::try_from(self.minutes.len().saturating_sub(1)).unwrap_or(0);
        crate::engine::KeptBurn {
            first: self.newest.saturating_sub(before),
            minutes: self.minutes.iter().copied().collect(),
        }
    }
}
