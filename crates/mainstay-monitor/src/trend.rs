//! Whether a series of one-minute values rises, falls or does neither.
//!
//! Comparing means of a recent and an earlier stretch, as is usual, is wrong a fifth to two thirds
//! of the time on series that are flat: requests are correlated from minute to minute and have
//! outliers. Two tests on ranks, both corrected for that, look at the last 30 minutes instead:
//!
//! * a **ramp**: Mann-Kendall for the direction (|z| > 2.326), Theil-Sen for the slope, and a slope
//!   that matters;
//! * a **shift**: Mann-Whitney between the last 8 and the 22 before (|z| > 2.576), and medians whose
//!   distance matters.
//!
//! Either is enough; when they contradict each other, the series is neither. What matters is told
//! by the signal: 15 % (ramp) or 20 % (shift) of a latency or of the odds of an error, 10 % *and*
//! 5 connections for a count. A move of more than twelve times the median residual is not taken for
//! wandering, and errors must also differ by their pooled counts (z > 1.645). A class changes when
//! three evaluations in a row say so.
//!
//! ```text
//!             3 × the same other class
//!  UNKNOWN ◄──────────────────────────► STABLE ◄────► RISING
//!     ▲ fewer than 15 minutes of 30        ▲             ▲
//!     └─ with enough samples (any class)   └──► FALLING ◄┘
//! ```
//!
//! On flat latencies with deviations of 10 %, correlated by ρ = 0, 0.3 and 0.6, and a spike in every
//! twentieth minute, the class was wrong 0.8, 2.4 and 4.2 % of the time; of ramps of 2 % a minute 100,
//! 99 and 95 of 100 were found within half an hour, of doublings 98, 81 and 73 (`tests/it/rates.rs`
//! draws the same series again).
//!
//! Steps are what alerts are for; a trend is advice.

use std::time::Duration;

use serde::{Deserialize, Serialize};

mod noise;
mod rank;
mod series;

pub use noise::{autocorrelation, damping};
pub use rank::{Kendall, Whitney, mann_kendall, mann_whitney, median, theil_sen};

use series::Series;

/// Minutes a trend looks at.
pub const MINUTES: usize = 30;

/// Of them, the latest, whose level is compared with that of the rest.
pub const RECENT: usize = 8;

/// Minutes that must have enough samples.
pub const MINUTES_MIN: usize = 15;

/// Samples a minute must have to count.
pub const SAMPLES_MIN: u32 = 5;

/// Evaluations in a row that must agree before the class changes.
pub const AGREE: u8 = 3;

/// What a series is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signal {
    /// How long calls take: a median or a high percentile of each minute.
    Latency,
    /// How many connections there are.
    Connections,
    /// Which share of calls fails.
    Errors,
}

/// Where a series goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Too few minutes have enough samples.
    #[default]
    Unknown,
    /// Neither up nor down.
    Stable,
    /// Up.
    Rising,
    /// Down.
    Falling,
}

impl Class {
    /// What people call it for this signal, such as `DEGRADING` for a latency that rises.
    ///
    /// ```
    /// use mainstay_monitor::trend::{Class, Signal};
    ///
    /// assert_eq!(Class::Rising.name(Signal::Latency), "DEGRADING");
    /// assert_eq!(Class::Falling.name(Signal::Connections), "DECLINING");
    /// ```
    #[must_use]
    pub const fn name(self, signal: Signal) -> &'static str {
        match (self, signal) {
            (Self::Unknown, _) => "UNKNOWN",
            (Self::Stable, _) => "STABLE",
            (Self::Rising, Signal::Latency) => "DEGRADING",
            (Self::Rising, Signal::Connections) => "GROWING",
            (Self::Rising, Signal::Errors) => "WORSENING",
            (Self::Falling, Signal::Latency | Signal::Errors) => "IMPROVING",
            (Self::Falling, Signal::Connections) => "DECLINING",
        }
    }
}

/// What one minute brought. One of another signal than the trend's counts as [`Minute::Nothing`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Minute {
    /// Nothing was measured.
    Nothing,
    /// Calls and how long they took.
    Latency {
        /// A percentile of the minute, always the same one.
        value: Duration,
        /// Calls it is made of; fewer than [`SAMPLES_MIN`] do not count.
        samples: u32,
    },
    /// Connections at the minute's end.
    Connections(u32),
    /// Calls, and how many of them failed.
    Errors {
        /// Those that failed; more than `calls` count as all.
        failed: u32,
        /// All; fewer than [`SAMPLES_MIN`] do not count.
        calls: u32,
    },
}

/// The class has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// What it was.
    pub from: Class,
    /// What it is.
    pub to: Class,
}

/// One series and what it is called: about 400 bytes, one evaluation a minute.
///
/// ```
/// use std::time::Duration;
/// use mainstay_monitor::trend::{Change, Class, Minute, Signal, Trend};
///
/// let mut trend = Trend::new(Signal::Latency);
/// let mut changes = Vec::new();
/// for minute in 0..30 {
///     let value = Duration::from_millis(100 + 5 * minute);
///     changes.extend(trend.minute(Minute::Latency { value, samples: 50 }));
/// }
/// assert_eq!(changes, [Change { from: Class::Unknown, to: Class::Rising }]);
/// assert_eq!(trend.class().name(trend.signal()), "DEGRADING");
/// assert!(trend.minutes_to(0.300).is_some_and(|minutes| minutes < 15.0), "about 300 ms then");
/// ```
#[derive(Clone, Debug)]
pub struct Trend {
    series: Series,
    class: Class,
    /// What the latest evaluations said, and how many in a row.
    said: (Class, u8),
}

impl Trend {
    /// A trend without a past: [`Class::Unknown`].
    #[must_use]
    pub const fn new(signal: Signal) -> Self {
        Self { series: Series::new(signal), class: Class::Unknown, said: (Class::Unknown, AGREE) }
    }

    /// What it is about.
    #[must_use]
    pub const fn signal(&self) -> Signal {
        self.series.signal()
    }

    /// What three evaluations in a row have last agreed on.
    #[must_use]
    pub const fn class(&self) -> Class {
        self.class
    }

    /// Takes the next minute and evaluates. Call it once for every minute, also for an empty one.
    #[must_use = "the change is told once"]
    pub fn minute(&mut self, minute: Minute) -> Option<Change> {
        self.series.push(minute);
        let now = self.series.class();
        let row = if now == self.said.0 { self.said.1.saturating_add(1) } else { 1 };
        self.said = (now, row.min(AGREE));
        if row < AGREE || now == self.class {
            return None;
        }
        let from = std::mem::replace(&mut self.class, now);
        Some(Change { from, to: now })
    }

    /// In how many minutes the series meets `threshold` if it goes on as it does, up to [`MINUTES`].
    ///
    /// `threshold` is in seconds for latencies and a share from 0 to 1 for errors. Only while those
    /// rise, and only for a threshold that lies ahead; never for connections. To be shown with an
    /// *about*; it never makes an alert.
    #[must_use]
    pub fn minutes_to(&self, threshold: f64) -> Option<f64> {
        if self.class != Class::Rising {
            return None;
        }
        let goal = match self.signal() {
            Signal::Latency => threshold.ln(),
            Signal::Errors => (threshold / (1.0 - threshold)).ln(),
            Signal::Connections => return None,
        };
        let (now, slope) = self.series.line()?;
        let minutes = (goal - now) / slope;
        (slope > 0.0 && minutes > 0.0 && minutes <= MINUTES as f64).then_some(minutes)
    }
}
