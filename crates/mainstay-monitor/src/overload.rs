//! Whether this machine is overloaded: by its own lag first, with what the system says as context.
//!
//! A busy machine is not an overloaded one: at a load of 10 on two processors a timer that mostly
//! sleeps was late by 5 ms at the 99th percentile. What proves harm is that our own timers fire late.
//!
//! | condition | begins | ends | makes it |
//! |---|---|---|---|
//! | lag, 99th percentile | 50 ms | 25 ms | elevated |
//! | memory pressure, some | 10 % | 5 % | elevated |
//! | IO pressure, full | 20 % | 10 % | elevated |
//! | file descriptors | 80 % | 60 % | elevated |
//! | memory | 85 % | 80 % | elevated |
//! | lag, 99th percentile | 200 ms | 100 ms | overloaded |
//! | memory pressure, full | 10 % | 5 % | overloaded |
//! | file descriptors | 90 % | 85 % | overloaded |
//! | memory of the group | 95 % | 90 % | overloaded |
//! | processor pressure, some | 60 % | 40 % | busy, which is context |
//!
//! ```text
//!           a condition             3 of the last 5
//!  NORMAL ─────────────► ELEVATED ──────────────────► OVERLOADED
//!     ▲                      │ ▲                           │
//!     └──────────────────────┘ └───────────────────────────┘
//!           none holds                  0 of the last 5
//! ```
//!
//! Each evaluation (every 10 s) that is overloaded adds one to the **stress**, up to 7, and each other
//! takes one away. Heartbeats are spread by it: whoever is overloaded asks for fewer.

use std::time::Duration;

use mainstay_core::time::Instant;
use serde::Serialize;

/// How far a machine is overloaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// It is not.
    #[default]
    Normal,
    /// It will be, if this goes on.
    Elevated,
    /// It is, and does harm.
    Overloaded,
}

/// What was measured. Shares are 0 to 1; what cannot be known here is none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// How late our own timers fired in the last 10 s, 99th percentile.
    pub lag: Duration,
    /// Share of time that something waited for a processor.
    pub cpu_some: Option<f64>,
    /// Share of time that something waited for memory.
    pub memory_some: Option<f64>,
    /// Share of time that everything waited for memory.
    pub memory_full: Option<f64>,
    /// Share of time that everything waited for disks.
    pub io_full: Option<f64>,
    /// File descriptors in use, of those allowed.
    pub descriptors: Option<f64>,
    /// Memory in use, of the machine's.
    pub memory: Option<f64>,
    /// Memory in use, of what the control group may have.
    pub group_memory: Option<f64>,
}

/// What can hold.
#[derive(Clone, Copy, Debug)]
struct Condition {
    name: &'static str,
    enter: f64,
    exit: f64,
    read: fn(&Sample) -> Option<f64>,
}

const fn condition(
    name: &'static str,
    enter: f64,
    exit: f64,
    read: fn(&Sample) -> Option<f64>,
) -> Condition {
    Condition { name, enter, exit, read }
}

const ELEVATED: [Condition; 5] = [
    condition("lag", 0.050, 0.025, |sample| Some(sample.lag.as_secs_f64())),
    condition("memory pressure", 0.10, 0.05, |sample| sample.memory_some),
    condition("disk pressure", 0.20, 0.10, |sample| sample.io_full),
    condition("file descriptors", 0.80, 0.60, |sample| sample.descriptors),
    condition("memory", 0.85, 0.80, |sample| sample.memory),
];
const OVERLOADED: [Condition; 4] = [
    condition("lag", 0.200, 0.100, |sample| Some(sample.lag.as_secs_f64())),
    condition("memory pressure", 0.10, 0.05, |sample| sample.memory_full),
    condition("file descriptors", 0.90, 0.85, |sample| sample.descriptors),
    condition("memory of the group", 0.95, 0.90, |sample| sample.group_memory),
];
const BUSY: Condition = condition("processors", 0.60, 0.40, |sample| sample.cpu_some);

/// Evaluations that are looked back at.
const LOOKED_AT: u32 = 5;
/// Of these, how many make an overload.
const OF_THESE: u32 = 3;
/// The most stress.
pub const STRESS_MAX: u8 = 7;
/// How long an overload lasts before it counts as worse.
pub const LASTING: Duration = Duration::from_secs(300);

/// The judge of one machine. Evaluated every 10 s.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overload {
    level: Level,
    stress: u8,
    elevated: [bool; ELEVATED.len()],
    overloaded: [bool; OVERLOADED.len()],
    busy: bool,
    /// The last evaluations, the latest in the lowest bit: whether a condition of overload held.
    recent: u8,
    since: Option<Instant>,
}

impl Overload {
    /// Takes what was measured, and answers how far the machine is overloaded.
    pub fn observe(&mut self, now: Instant, sample: &Sample) -> Level {
        for (held, condition) in self.elevated.iter_mut().zip(&ELEVATED) {
            *held = condition.holds(*held, sample);
        }
        for (held, condition) in self.overloaded.iter_mut().zip(&OVERLOADED) {
            *held = condition.holds(*held, sample);
        }
        self.busy = BUSY.holds(self.busy, sample);
        let over = self.overloaded.contains(&true);
        self.recent = (self.recent << 1 | u8::from(over)) & ((1 << LOOKED_AT) - 1);
        self.stress =
            if over { (self.stress + 1).min(STRESS_MAX) } else { self.stress.saturating_sub(1) };
        let calm =
            if self.elevated.contains(&true) || over { Level::Elevated } else { Level::Normal };
        self.level = match self.level {
            Level::Overloaded if self.recent != 0 => Level::Overloaded,
            Level::Normal | Level::Elevated if self.recent.count_ones() >= OF_THESE => {
                Level::Overloaded
            }
            Level::Normal | Level::Elevated | Level::Overloaded => calm,
        };
        self.since = match self.level {
            Level::Overloaded => Some(self.since.unwrap_or(now).min(now)),
            Level::Normal | Level::Elevated => None,
        };
        self.level
    }

    /// How far it is overloaded.
    #[must_use]
    pub const fn level(&self) -> Level {
        self.level
    }

    /// How much clients are to be spared, 0 to 7.
    #[must_use]
    pub const fn stress(&self) -> u8 {
        self.stress
    }

    /// As one number for rules: 0, 0.5 when only processors are busy, 1 elevated, 2 overloaded, 3
    /// overloaded for [`LASTING`].
    #[must_use]
    pub fn number(&self, now: Instant) -> f64 {
        match self.level {
            Level::Normal if self.busy => 0.5,
            Level::Normal => 0.0,
            Level::Elevated => 1.0,
            Level::Overloaded if self.since.is_some_and(|since| now.since(since) >= LASTING) => 3.0,
            Level::Overloaded => 2.0,
        }
    }

    /// What holds, in words.
    #[must_use]
    pub fn reasons(&self) -> Vec<&'static str> {
        let elevated = self.elevated.iter().zip(&ELEVATED);
        let overloaded = self.overloaded.iter().zip(&OVERLOADED);
        let all = elevated.chain(overloaded).chain([(&self.busy, &BUSY)]);
        let mut names: Vec<_> =
            all.filter(|(held, _)| **held).map(|(_, condition)| condition.name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

impl Condition {
    /// What cannot be known does not hold.
    fn holds(&self, held: bool, sample: &Sample) -> bool {
        let edge = if held { self.exit } else { self.enter };
        (self.read)(sample).is_some_and(|value| value > edge)
    }
}
