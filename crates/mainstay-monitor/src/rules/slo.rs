use std::collections::VecDeque;
use std::time::Duration;

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
        if self.name.is_empty() || self.name.len() > 200 || self.name.contains(char::is_control) {
            return Err(ConfigError::new(
                "name",
                &self.name,
                "1 to 200 bytes without control characters",
            ));
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
const PAIRS: [(Severity, f64, u32, u32); 4] = [
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
        self.rates(objective).into_iter().find(|rate| rate.beyond).map(|rate| rate.severity)
    }

    /// How fast the budget of an objective is used up, over each pair of windows, the worst first.
    ///
    /// ```
    /// use mainstay_monitor::rules::Burn;
    ///
    /// let mut burn = Burn::default();
    /// burn.count(0, 200, 10_000);
    /// let [critical, ..] = burn.rates(0.999);
    /// // 2 % failed where 0.1 % may: the budget of 30 days would last a day and a half.
    /// assert!((critical.short_rate.unwrap() - 20.0).abs() < 1e-9);
    /// assert!(critical.beyond);
    /// ```
    #[must_use]
    pub fn rates(&self, objective: f64) -> [BurnRate; 4] {
        let budget = 1.0 - objective;
        PAIRS.map(|(severity, factor, long, short)| {
            let seen = |minutes: u32| {
                let (bad, all) = self.last(minutes as usize);
                let beyond = all > 0 && lower(bad, all, Z_95) > budget * factor;
                (share(bad, all).map(|share| share / budget), beyond)
            };
            let ((long_rate, long_beyond), (short_rate, short_beyond)) = (seen(long), seen(short));
            let beyond = long_beyond && short_beyond;
            let [long, short] = [long, short].map(|minutes| Duration::from_secs(60) * minutes);
            BurnRate { severity, factor, long, short, long_rate, short_rate, beyond }
        })
    }
}

/// How fast a budget is used up over one pair of windows.
///
/// A rate of 1 uses up the budget of 30 days in 30 days; none: nothing happened in the window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BurnRate {
    /// How bad it is when both windows are beyond the factor.
    pub severity: Severity,
    /// From which rate on it is too fast.
    pub factor: f64,
    /// The window that says whether it matters.
    pub long: Duration,
    /// The window that says whether it still goes on.
    pub short: Duration,
    /// The rate over the long one.
    pub long_rate: Option<f64>,
    /// The rate over the short one.
    pub short_rate: Option<f64>,
    /// Whether both are beyond the factor for certain.
    pub beyond: bool,
}

/// What happened over the window of an objective, and what of its budget that leaves.
///
/// ```
/// use mainstay_monitor::rules::Budget;
///
/// let budget = Budget { failed: 25, all: 100_000 };
/// assert_eq!(budget.allowed(0.999), 100);
/// assert!((budget.left(0.999).unwrap() - 0.75).abs() < 1e-9);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// What failed.
    pub failed: u64,
    /// What failed and what did not.
    pub all: u64,
}

impl Budget {
    /// What objectives are about: 30 days.
    pub const WINDOW: Duration = Duration::from_secs(30 * 86_400);

    /// Adds what happened at another time.
    pub const fn add(&mut self, failed: u64, all: u64) {
        self.failed = self.failed.saturating_add(failed);
        self.all = self.all.saturating_add(all);
    }

    /// The share that went well, 0 to 1; none where nothing happened.
    #[must_use]
    pub fn success(&self) -> Option<f64> {
        share(self.all.saturating_sub(self.failed), self.all)
    }

    /// How many of what happened may fail.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a count is a count, and counts beyond 2⁵³ need no exact share"
    )]
    pub fn allowed(&self, objective: f64) -> u64 {
        // 1 − 0.999 is a little more than 0.001 or a little less: a millionth of one is no failure.
        ((1.0 - objective) * self.all as f64 + 1e-6).floor().max(0.0) as u64
    }

    /// Which share of the budget is left: 1 is all of it, 0 none, below 0 more failed than may. None
    /// where nothing happened.
    #[must_use]
    pub fn left(&self, objective: f64) -> Option<f64> {
        share(self.failed, self.all).map(|failed| 1.0 - failed / (1.0 - objective))
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts beyond 2⁵³ need no exact share")]
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
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
