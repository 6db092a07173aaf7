//! One hedged call: attempts against each other.
//!
//! ```text
//!            Timer, more hedges allowed
//!   ┌────────────────────────────────────▶ Asking ──── Denied ───┐ no more hedges
//!   │                                        │ Granted           │
//! Racing ◀───────────────────────────────────┴───────────────────┘
//!   │ first success, all failed, or the caller left (from Asking too)
//!   ├── others still run ──▶ Cancelling ── Cancelled ──▶ Over
//!   └── nobody else runs ──────────────────────────────▶ Over
//! ```
//!
//! * The first **success** wins; an answer that the peer would repeat (`Refused`) is one. A failure
//!   never beats an attempt that still runs. When all have failed, the call's error is that of the
//!   first attempt.
//! * The budget is asked only for a hedge about to be sent. When it refuses, what runs goes on.
//! * Losers are cancelled **before** the answer is given out: the race answers *cancel these* and
//!   says who won when that has been done. Their outcome is [`Attempts::OUTCOME`], neutral for
//!   every other policy, and their time is a censored sample
//!   ([`Hedging::censored`](super::Hedging::censored)).
//!
//! An input that does not fit repeats the last answer. So a charge granted to a race that is no
//! longer asking was not used: refund it.

use core::time::Duration;

use crate::policy::outcome::{Outcome, Sample};
use crate::time::Instant;

/// The most hedges a call can have.
pub const HEDGES_MAX: u8 = 7;
const ATTEMPTS: usize = 8;

/// An attempt of a race: 0 is the first, the others are hedges.
pub type Attempt = u8;

/// A set of attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct Attempts(u8);

impl Attempts {
    /// What came of attempts that were cancelled because another one won.
    pub const OUTCOME: Outcome = Outcome::Abandoned;

    /// The attempts, first to last.
    pub fn iter(self) -> impl Iterator<Item = Attempt> {
        (0..=HEDGES_MAX).filter(move |attempt| self.contains(*attempt))
    }

    /// Whether `attempt` is among them.
    #[must_use]
    pub const fn contains(self, attempt: Attempt) -> bool {
        self.0 & bit(attempt) != 0
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// These and `attempt`.
    #[must_use]
    pub const fn with(self, attempt: Attempt) -> Self {
        Self(self.0 | bit(attempt))
    }

    /// These but not `attempt`.
    #[must_use]
    pub const fn without(self, attempt: Attempt) -> Self {
        Self(self.0 & !bit(attempt))
    }
}

/// The bit of `attempt`; none when there can be no such attempt.
const fn bit(attempt: Attempt) -> u8 {
    if attempt <= HEDGES_MAX { 1 << attempt } else { 0 }
}

/// What happens to a race.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Input {
    /// Time has passed.
    Timer,
    /// The budget granted the hedge asked for, and it has been sent.
    Granted,
    /// The budget refused the hedge asked for.
    Denied,
    /// An attempt is over.
    Finished {
        /// Which.
        attempt: Attempt,
        /// What came of it.
        outcome: Outcome,
    },
    /// The attempts to cancel are cancelled.
    Cancelled,
    /// The caller went away.
    Left,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[must_use]
pub enum Step {
    /// Wait for an attempt, or until then.
    Wait {
        /// When to say [`Input::Timer`]; none when no more hedges are due.
        until: Option<Instant>,
    },
    /// Withdraw a charge from the budget, send this attempt, and say [`Input::Granted`]; or say
    /// [`Input::Denied`].
    Hedge {
        /// Its number.
        attempt: Attempt,
    },
    /// Cancel these, and say [`Input::Cancelled`].
    Cancel(Attempts),
    /// Return this to the caller.
    Done(Answer),
}

/// What a race came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Answer {
    /// The result of this attempt.
    Won(Attempt),
    /// All failed: the error of attempt 0.
    Lost,
    /// Nobody waits for it.
    Abandoned,
}

/// One hedged call.
#[derive(Clone, Debug)]
pub struct Race {
    delay: Duration,
    hedges_left: u8,
    started: [Instant; ATTEMPTS],
    count: u8,
    running: Attempts,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Racing { next: Option<Instant> },
    Asking,
    Cancelling { losers: Attempts, answer: Answer },
    Over { answer: Answer },
}

impl Race {
    /// A call whose first attempt is sent now.
    ///
    /// It is hedged up to `max_hedges` times (at most 7), each `delay` after the attempt before it.
    /// Never without a `delay`, and never when the call is not `idempotent`: it must not run twice.
    #[must_use]
    pub fn new(now: Instant, delay: Option<Duration>, idempotent: bool, max_hedges: u8) -> Self {
        let hedges_left = match delay {
            Some(_) if idempotent => max_hedges.min(HEDGES_MAX),
            Some(_) | None => 0,
        };
        let delay = delay.unwrap_or(Duration::MAX);
        let next = (hedges_left > 0).then(|| now.after(delay));
        Self {
            delay,
            hedges_left,
            started: [now; ATTEMPTS],
            count: 1,
            running: Attempts::default().with(0),
            state: State::Racing { next },
        }
    }

    /// Takes one input and answers what to do next.
    pub fn handle(&mut self, now: Instant, input: Input) -> Step {
        self.state = match (self.state, input) {
            (State::Racing { next: Some(next) }, Input::Timer) if next <= now => State::Asking,
            (State::Asking, Input::Granted) => self.granted(now),
            (State::Asking, Input::Denied) => {
                self.hedges_left = 0;
                State::Racing { next: None }
            }
            (
                state @ (State::Racing { .. } | State::Asking),
                Input::Finished { attempt, outcome },
            ) => self.finished(state, attempt, outcome),
            (State::Racing { .. } | State::Asking, Input::Left) => self.end(Answer::Abandoned),
            (State::Cancelling { answer, .. }, Input::Cancelled) => {
                self.running = Attempts::default();
                State::Over { answer }
            }
            (State::Cancelling { losers, .. }, Input::Left) => {
                State::Cancelling { losers, answer: Answer::Abandoned }
            }
            (
                state @ State::Racing { .. },
                Input::Timer | Input::Granted | Input::Denied | Input::Cancelled,
            )
            | (state @ State::Asking, Input::Timer | Input::Cancelled)
            | (
                state @ State::Cancelling { .. },
                Input::Timer | Input::Granted | Input::Denied | Input::Finished { .. },
            )
            | (
                state @ State::Over { .. },
                Input::Timer
                | Input::Granted
                | Input::Denied
                | Input::Finished { .. }
                | Input::Cancelled
                | Input::Left,
            ) => state,
        };
        self.step()
    }

    /// What to do now: the last answer again.
    pub fn step(&self) -> Step {
        match self.state {
            State::Racing { next } => Step::Wait { until: next },
            State::Asking => Step::Hedge { attempt: self.count },
            State::Cancelling { losers, .. } => Step::Cancel(losers),
            State::Over { answer } => Step::Done(answer),
        }
    }

    /// How long ago `attempt` was sent; none when it never was.
    #[must_use]
    pub fn elapsed(&self, now: Instant, attempt: Attempt) -> Option<Duration> {
        let sent = attempt < self.count;
        self.started.get(usize::from(attempt)).filter(|_| sent).map(|begun| now.since(*begun))
    }

    fn granted(&mut self, now: Instant) -> State {
        if let Some(started) = self.started.get_mut(usize::from(self.count)) {
            *started = now;
        }
        self.running = self.running.with(self.count);
        self.count += 1;
        self.hedges_left -= 1;
        State::Racing { next: (self.hedges_left > 0).then(|| now.after(self.delay)) }
    }

    fn finished(&mut self, state: State, attempt: Attempt, outcome: Outcome) -> State {
        if !self.running.contains(attempt) {
            return state;
        }
        self.running = self.running.without(attempt);
        match outcome.sample() {
            Sample::Success => self.end(Answer::Won(attempt)),
            Sample::Failure | Sample::Throttled | Sample::Neutral if self.running.is_empty() => {
                self.end(Answer::Lost)
            }
            Sample::Failure | Sample::Throttled | Sample::Neutral => state,
        }
    }

    fn end(&self, answer: Answer) -> State {
        if self.running.is_empty() {
            State::Over { answer }
        } else {
            State::Cancelling { losers: self.running, answer }
        }
    }
}
