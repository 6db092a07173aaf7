//! A breaker's inputs and answers as data, for a flight recorder and its replay.

use core::time::Duration;

use super::{Admission, Breaker, Permit, Transition};
use crate::policy::outcome::Sample;
use crate::time::Moment;

/// Anything that can be told to a breaker.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Input {
    /// A call asks to pass.
    Admit(Moment),
    /// A call has ended.
    Record {
        /// Its permit.
        permit: Permit,
        /// What came of it.
        sample: Sample,
        /// How long it took.
        elapsed: Duration,
        /// When it ended.
        at: Moment,
    },
    /// A call in flight has reached the slow threshold.
    SlowInFlight {
        /// Its permit.
        permit: Permit,
        /// When.
        at: Moment,
    },
    /// See [`Breaker::force_open`].
    ForceOpen,
    /// See [`Breaker::isolate`].
    Isolate,
    /// See [`Breaker::release`].
    Release,
    /// See [`Breaker::disable`].
    Disable,
    /// See [`Breaker::enable`].
    Enable,
    /// See [`Breaker::reset`].
    Reset,
}

/// What a breaker answers to an [`Input`].
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[must_use]
pub enum Answer {
    /// To [`Input::Admit`].
    Admission(Admission),
    /// To everything else.
    Transition(Option<Transition>),
}

impl Breaker {
    /// Does what `input` says, by the method of that name.
    ///
    /// The same inputs in the same order give the same answers, so a recording of the inputs
    /// explains every transition.
    pub fn apply(&self, input: Input) -> Answer {
        Answer::Transition(match input {
            Input::Admit(at) => return Answer::Admission(self.admit(at)),
            Input::Record { permit, sample, elapsed, at } => {
                self.record(permit, sample, elapsed, || at)
            }
            Input::SlowInFlight { mut permit, at } => self.slow_in_flight(&mut permit, || at),
            Input::ForceOpen => self.force_open(),
            Input::Isolate => self.isolate(),
            Input::Release => self.release(),
            Input::Disable => self.disable(),
            Input::Enable => self.enable(),
            Input::Reset => self.reset(),
        })
    }
}
