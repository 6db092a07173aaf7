//! Looking at a breaker, keeping it over a restart, and giving it another configuration.

use core::time::Duration;

use super::window::Calls;
use super::word::{Code, Counts, Holds, Probes, Word, until_data, until_ns};
use super::{Breaker, BreakerConfig, RAMP_FLOOR, State, public};
use crate::config::{ConfigError, Ratio};
use crate::sync::Ordering;
use crate::time::{Instant, nanos};

/// What a breaker looks like at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct BreakerView {
    /// The state.
    pub state: State,
    /// How many transitions there have been, modulo 2²¹.
    pub generation: u32,
    /// What is left of the open time.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration::option"))]
    pub remaining: Option<Duration>,
    /// Failures in a row.
    pub consecutive_failures: u32,
    /// Calls in the window.
    pub calls: u32,
    /// Failed ones among them.
    pub failed: u32,
    /// Slow ones among them.
    pub slow: u32,
    /// Probes in flight.
    pub probes: u32,
    /// Share of calls admitted, below 1 during a ramp.
    pub admitted_share: Ratio,
    /// How often it opened without having been closed long enough in between.
    pub openings: u8,
    /// Isolations in force.
    pub isolations: u16,
}

/// A breaker at rest: what is worth keeping over a restart. Times are durations, never points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct BreakerSnapshot {
    /// The state.
    pub state: SnapshotState,
    /// Openings in a row.
    pub openings: u8,
}

/// The state in a [`BreakerSnapshot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum SnapshotState {
    /// Closed. The window is not kept: what it held is old by then.
    Closed,
    /// Open for so much longer. Half-open is kept as open with nothing left.
    Open {
        /// What was left of the open time.
        #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
        remaining: Duration,
    },
    /// Forced open by hand. Isolations are not kept: those who hold them are gone.
    ForcedOpen,
    /// Disabled by hand.
    Disabled,
}

impl Breaker {
    /// What the breaker looks like now.
    #[must_use]
    pub fn view(&self, now: Instant) -> BreakerView {
        let word = self.load();
        let closed = matches!(word.code(), Code::Closed | Code::Ramping);
        let sums = if closed { self.sums(now, word) } else { super::window::Sums::default() };
        BreakerView {
            state: public(word.code()),
            generation: word.generation(),
            remaining: (word.code() == Code::Open).then(|| self.remaining(word, now)),
            consecutive_failures: if closed { Counts::of(word).consecutive } else { 0 },
            calls: sums.calls,
            failed: sums.failed,
            slow: sums.slow,
            probes: match word.code() {
                Code::HalfOpen => Probes::of(word).busy.count_ones(),
                Code::Closed | Code::Ramping | Code::Open | Code::Forced | Code::Disabled => 0,
            },
            admitted_share: self.admitted_share(word, now),
            openings: self.remembered().0,
            isolations: Holds::of(word).isolations,
        }
    }

    /// What is worth keeping over a restart.
    #[must_use]
    pub fn snapshot(&self, now: Instant) -> BreakerSnapshot {
        let word = self.load();
        let state = match word.code() {
            Code::Closed | Code::Ramping => SnapshotState::Closed,
            Code::Open => SnapshotState::Open { remaining: self.remaining(word, now) },
            Code::HalfOpen => SnapshotState::Open { remaining: Duration::ZERO },
            Code::Forced if Holds::of(word).by_hand => SnapshotState::ForcedOpen,
            Code::Forced if Holds::of(word).disabled => SnapshotState::Disabled,
            Code::Forced => SnapshotState::Closed,
            Code::Disabled => SnapshotState::Disabled,
        };
        BreakerSnapshot { state, openings: self.remembered().0 }
    }

    /// A breaker under `config` that goes on where `snapshot` was taken.
    ///
    /// The remaining open time is held at the longest one `config` allows, so that a snapshot from
    /// another configuration, or a broken one, cannot keep the breaker open.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field of `config` that makes no sense.
    pub fn restore(
        config: &BreakerConfig,
        snapshot: &BreakerSnapshot,
        now: Instant,
    ) -> Result<Self, ConfigError> {
        let breaker = Self::new(config)?;
        let word = match snapshot.state {
            SnapshotState::Closed => Word::new(Code::Closed, 0, 0),
            SnapshotState::Open { remaining } => {
                let until = now.after(remaining.min(breaker.rules.cap()));
                Word::new(Code::Open, 0, until_data(until.as_nanos()))
            }
            SnapshotState::ForcedOpen => {
                let holds = Holds { by_hand: true, disabled: false, isolations: 0 };
                Word::new(Code::Forced, 0, holds.data())
            }
            SnapshotState::Disabled => Word::new(Code::Disabled, 0, 0),
        };
        breaker.word.store(word.0, Ordering::Release);
        breaker.remember(snapshot.openings, now);
        Ok(breaker)
    }

    /// The same breaker under another `config`: state, generation, row of failures, openings and
    /// isolations go on, so that permits given before stay good.
    ///
    /// The window goes on while it keeps its kind, size and slow threshold; otherwise it starts
    /// empty. Probes in flight are forgotten when their number changes: a half-open breaker is then
    /// open with nothing left to wait. Results that arrive at the old value are lost, so a driver
    /// swaps the new one in at once.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field that makes no sense; the old breaker goes on.
    pub fn reloaded(&self, config: &BreakerConfig, now: Instant) -> Result<Self, ConfigError> {
        let new = Self::new(config)?;
        let word = self.load();
        let same_window = new.calls.same_shape(&self.calls);
        if same_window {
            new.calls.copy_from(&self.calls);
        }
        let carried = match word.code() {
            Code::Closed | Code::Ramping if !same_window => {
                let counts = Counts { filled: 0, position: 0, ..Counts::of(word) };
                Word::new(word.code(), word.generation(), counts.data())
            }
            Code::HalfOpen if new.rules.probes != self.rules.probes => {
                word.next(Code::Open, until_data(now.as_nanos()))
            }
            Code::Closed
            | Code::Ramping
            | Code::Open
            | Code::HalfOpen
            | Code::Forced
            | Code::Disabled => word,
        };
        new.word.store(carried.0, Ordering::Release);
        for (to, from) in new.leases.iter().zip(&self.leases) {
            to.store(from.load(Ordering::Acquire), Ordering::Release);
        }
        new.since.store(self.since.load(Ordering::Acquire), Ordering::Release);
        new.history.store(self.history.load(Ordering::Acquire), Ordering::Release);
        Ok(new)
    }

    fn remaining(&self, word: Word, now: Instant) -> Duration {
        let until = Instant::from_nanos(until_ns(word));
        until.since(now).min(self.rules.cap())
    }

    fn admitted_share(&self, word: Word, now: Instant) -> Ratio {
        match word.code() {
            Code::Closed | Code::Disabled => Ratio::ONE,
            Code::Ramping => {
                let since = Instant::from_nanos(self.since.load(Ordering::Acquire));
                let share = Ratio::of(nanos(now.since(since)), self.rules.ramp_ns);
                share.clamp(RAMP_FLOOR, Ratio::ONE)
            }
            Code::Open | Code::HalfOpen | Code::Forced => Ratio::ZERO,
        }
    }
}

impl Calls {
    /// Copies what another window of the same shape holds.
    fn copy_from(&self, other: &Self) {
        match (self, other) {
            (Self::Count { failed, slow, .. }, Self::Count { failed: f, slow: s, .. }) => {
                failed.copy_from(f);
                if let (Some(slow), Some(s)) = (slow, s) {
                    slow.copy_from(s);
                }
            }
            (Self::Time(to), Self::Time(from)) => to.copy_from(from),
            (Self::Off | Self::Count { .. } | Self::Time(_), _) => {}
        }
    }
}
