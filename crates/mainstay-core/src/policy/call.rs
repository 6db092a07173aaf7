//! One call with its retries: attempts, timeouts, waits and limits decided together.
//!
//! Whether to retry depends on six things at once: what came of the attempt, how many attempts are
//! left, how much time is left, what the server asked for, what the breaker says, and whether the
//! budget shared with other calls allows one more. Decided apart, they contradict each other: a wait
//! is slept through and *then* found to cross the deadline. Here they are one decision.
//!
//! ```text
//!                    failed, may be retried, in time
//!    ┌───────────┐ ──────────────────────────────────► ┌──────────┐
//!    │ Attempting│                                      │ Charging │── budget refuses ──┐
//!    └───────────┘ ◄───────────┐                        └──────────┘                    │
//!      │   │  │                │ wait is over              │ budget grants             │
//!      │   │  │              ┌─────────┐ ◄─────────────────┘                           │
//!      │   │  └────────────► │ Waiting │                                               │
//!      │   │  rejected, and  └─────────┘                                               │
//!      │   │  waiting allowed     │ cancelled                                          │
//!      │   └──────────────────────┼────────────────────────────────────────────────────┤
//!      │ success, a final failure,│ cancelled, or a limit                              ▼
//!      └──────────────────────────┴─────────────────────────────────────────────► ┌──────┐
//!                                                                                  │ Done │
//!                                                                                  └──────┘
//! ```
//!
//! * `attempts` counts **calls**, the first one included: 1 means *no retry*.
//! * Time is monotonic and counts from the start of *this* call. No attempt starts at or after the
//!   deadline, and a wait that would end there is not begun: the call fails at once, and says what
//!   it would have waited for.
//! * The server's hint wins over a shorter backoff, is held at [`CallConfig::hint_cap`], and is spread
//!   upwards by [`CallConfig::hint_jitter`], so that not everybody comes back in the same instant.
//! * An attempt that our own policies reject never left this process: it uses up no attempt.

use core::time::Duration;

use crate::bits::uniform;
use crate::config::{ConfigError, Ratio, duration_from, in_range};
use crate::policy::backoff::{Backoff, BackoffConfig};
use crate::policy::outcome::{Outcome, Retry};
use crate::policy::pressure::Pressure;
use crate::time::{Instant, nanos};

/// Limits and waits of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct CallConfig {
    /// Attempts in all, the first one included. 1 means no retry. Default 3 (AWS SDKs, seed 000).
    pub attempts: u32,
    /// How long one attempt may take. Default unlimited: only the caller knows what is long.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration::option"))]
    pub attempt_timeout: Option<Duration>,
    /// How long the call may take, waits included. Default unlimited.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration::option"))]
    pub deadline: Option<Duration>,
    /// The waits between attempts.
    pub backoff: BackoffConfig,
    /// Least ceiling of the wait after a throttled answer. Default 1 s (AWS SDK retry rules of 2026).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub throttled_base: Duration,
    /// The longest hint of a server that is followed; longer ones are held at it. Default 60 s.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub hint_cap: Duration,
    /// Share of a hint added at random on top of it. 0 to 1. Default 0.1.
    pub hint_jitter: Ratio,
    /// What the call does when the breaker (or another policy of ours) rejects it. Default fail.
    pub when_rejected: WhenRejected,
    /// What a failed attempt waits for. Default the backoff.
    pub wait_for: WaitFor,
}

/// What a call does when our own policies reject an attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum WhenRejected {
    /// Fail at once.
    #[default]
    Fail,
    /// Wait for as long as the rejection says, if that is known and the deadline allows.
    Wait,
}

/// What a failed attempt waits for before the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum WaitFor {
    /// The backoff.
    #[default]
    Backoff,
    /// The breaker's next probe when it is open, the backoff otherwise (the strategy that seed 004
    /// calls `CIRCUIT_BREAKER`). Implies [`WhenRejected::Wait`].
    Probe,
}

impl Default for CallConfig {
    fn default() -> Self {
        Self {
            attempts: 3,
            attempt_timeout: None,
            deadline: None,
            backoff: BackoffConfig::default(),
            throttled_base: Duration::from_secs(1),
            hint_cap: Duration::from_secs(60),
            hint_jitter: Ratio::percent(10),
            when_rejected: WhenRejected::Fail,
            wait_for: WaitFor::Backoff,
        }
    }
}

/// A checked [`CallConfig`], shared by all calls made under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallRules {
    attempts: u32,
    attempt_timeout: Option<Duration>,
    deadline: Option<Duration>,
    backoff: Backoff,
    throttled: Backoff,
    hint_cap: Duration,
    hint_jitter: Ratio,
    waits_when_rejected: bool,
    wait_for: WaitFor,
}

impl CallRules {
    /// Checks `config` once, so that no later decision can fail.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field that makes no sense.
    pub fn new(config: &CallConfig) -> Result<Self, ConfigError> {
        in_range("attempts", config.attempts, 1, u32::MAX)?;
        let tick = Duration::from_nanos(1);
        let timeout = config.attempt_timeout;
        timeout.map(|time| duration_from("attempt_timeout", time, tick)).transpose()?;
        config.deadline.map(|time| duration_from("deadline", time, tick)).transpose()?;
        duration_from("hint_cap", config.hint_cap, Duration::ZERO)?;
        duration_from("throttled_base", config.throttled_base, tick)?;
        in_range("hint_jitter", config.hint_jitter, Ratio::ZERO, Ratio::ONE)?;
        let within = |error: ConfigError| error.within("backoff");
        let backoff = Backoff::new(&config.backoff).map_err(within)?;
        let base = config.throttled_base.max(config.backoff.base).min(config.backoff.cap);
        let throttled = Backoff::new(&BackoffConfig { base, ..config.backoff }).map_err(within)?;
        Ok(Self {
            attempts: config.attempts,
            attempt_timeout: timeout,
            deadline: config.deadline,
            backoff,
            throttled,
            hint_cap: config.hint_cap,
            hint_jitter: config.hint_jitter,
            waits_when_rejected: config.when_rejected == WhenRejected::Wait
                || config.wait_for == WaitFor::Probe,
            wait_for: config.wait_for,
        })
    }

    /// Whether the waits grow with the endpoint's pressure.
    #[must_use]
    pub const fn is_adaptive(&self) -> bool {
        self.backoff.is_adaptive()
    }

    /// Whether a call must know the time before its first attempt. If not, [`Call::start`] may be
    /// given any instant, and a success costs no clock.
    #[must_use]
    pub const fn is_timed(&self) -> bool {
        self.attempt_timeout.is_some() || self.deadline.is_some()
    }

    /// The longest wait of the backoff.
    #[must_use]
    pub const fn backoff_cap(&self) -> Duration {
        self.backoff.cap()
    }
}

/// What happened, told by the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Input {
    /// The attempt ended, or was rejected before it began. A timeout is [`Outcome::Transient`].
    Finished {
        /// What came of it.
        outcome: Outcome,
        /// Fresh random bits for the wait.
        bits: u64,
        /// What is known of the endpoint.
        pressure: Pressure,
        /// When the breaker lets the next probe through, from now, if it is open.
        probe_in: Option<Duration>,
    },
    /// The shared budget granted the retry or refused it.
    Charged(bool),
    /// The wait asked for is over.
    WaitOver,
    /// The caller wants no result any more.
    Cancel,
}

impl Input {
    /// An attempt that ended in `outcome`, with nothing known of the endpoint.
    #[must_use]
    pub const fn finished(outcome: Outcome, bits: u64) -> Self {
        Self::Finished { outcome, bits, pressure: Pressure::NONE, probe_in: None }
    }
}

/// What the driver does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[must_use = "the call stands still until its step is carried out"]
pub enum Step {
    /// Run the operation, and give it up at `deadline`.
    Attempt {
        /// Number of the attempt, from 1.
        number: u32,
        /// When this attempt is given up, if ever.
        deadline: Option<Instant>,
        /// Whether it should go to another endpoint than the last.
        elsewhere: bool,
    },
    /// Ask the budget for one retry and answer with [`Input::Charged`].
    Charge,
    /// Come back at `until` with [`Input::WaitOver`].
    Wait {
        /// When the wait is over.
        until: Instant,
    },
    /// Return to the caller.
    Done(Verdict),
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Verdict {
    /// An attempt worked.
    Succeeded,
    /// An attempt failed in a way that no retry mends.
    Final,
    /// All attempts are used up.
    AttemptsExhausted,
    /// The next attempt would start at or after the call's own deadline.
    DeadlineExceeded {
        /// The wait that would have crossed it; longer than the backoff when a server asked for it.
        wait: Duration,
    },
    /// The retry budget shared with other calls is empty.
    BudgetExhausted,
    /// Our own policies rejected the attempt, and waiting was not allowed or not possible.
    Rejected {
        /// When they would admit it at the earliest, from then.
        retry_after: Option<Duration>,
    },
    /// The caller cancelled.
    Cancelled,
}

impl Verdict {
    /// The verdict in one word, for labels: `succeeded`, `attempts_exhausted`, …
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Final => "final",
            Self::AttemptsExhausted => "attempts_exhausted",
            Self::DeadlineExceeded { .. } => "deadline_exceeded",
            Self::BudgetExhausted => "budget_exhausted",
            Self::Rejected { .. } => "rejected",
            Self::Cancelled => "cancelled",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
enum State {
    Attempting { deadline: Option<Instant> },
    Charging { until: Instant },
    Waiting { until: Instant },
    Done(Verdict),
}

/// A call in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Call {
    state: State,
    deadline: Option<Instant>,
    previous: Duration,
    /// The attempt under way or last made, from 1.
    attempt: u32,
    /// Rejections waited out so far: bounded like the attempts.
    rejections: u32,
    elsewhere: bool,
}

impl Call {
    /// Starts a call at `now`. Its first [`step`](Self::step) is an attempt.
    #[must_use]
    pub fn start(now: Instant, rules: &CallRules) -> Self {
        let deadline = rules.deadline.map(|time| now.after(time));
        let state = State::Attempting { deadline: attempt_deadline(now, deadline, rules) };
        Self {
            state,
            deadline,
            previous: Duration::ZERO,
            attempt: 1,
            rejections: 0,
            elsewhere: false,
        }
    }

    /// What the driver does next.
    #[inline]
    pub const fn step(&self) -> Step {
        match self.state {
            State::Attempting { deadline } => {
                Step::Attempt { number: self.attempt, deadline, elsewhere: self.elsewhere }
            }
            State::Charging { .. } => Step::Charge,
            State::Waiting { until } => Step::Wait { until },
            State::Done(verdict) => Step::Done(verdict),
        }
    }

    /// The attempt under way or last made, from 1.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// When the call itself is given up, if ever.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Tells what happened at `now` and answers what to do next.
    ///
    /// An input that does not fit the step asked for changes nothing and repeats that step: a late
    /// timer or a late answer is normal, not an error.
    pub fn handle(&mut self, now: Instant, input: Input, rules: &CallRules) -> Step {
        self.state = match (self.state, input) {
            (State::Attempting { .. }, Input::Finished { outcome, bits, pressure, probe_in }) => {
                self.finished(now, outcome, rules, Facts { bits, pressure, probe_in })
            }
            (State::Charging { until }, Input::Charged(true)) => {
                self.previous = until.since(now);
                State::Waiting { until }
            }
            (State::Charging { .. }, Input::Charged(false)) => {
                State::Done(Verdict::BudgetExhausted)
            }
            (State::Waiting { until }, Input::WaitOver) if now >= until => {
                self.next_attempt(now, rules)
            }
            (
                State::Attempting { .. } | State::Charging { .. } | State::Waiting { .. },
                Input::Cancel,
            ) => State::Done(Verdict::Cancelled),
            (state @ State::Attempting { .. }, Input::WaitOver | Input::Charged(_))
            | (state @ State::Charging { .. }, Input::WaitOver | Input::Finished { .. })
            | (
                state @ State::Waiting { .. },
                Input::WaitOver | Input::Finished { .. } | Input::Charged(_),
            )
            | (
                state @ State::Done(_),
                Input::WaitOver | Input::Finished { .. } | Input::Charged(_) | Input::Cancel,
            ) => state,
        };
        self.step()
    }

    fn finished(
        &mut self,
        now: Instant,
        outcome: Outcome,
        rules: &CallRules,
        facts: Facts,
    ) -> State {
        if let Outcome::Rejected { retry_after } = outcome {
            return self.rejected(now, retry_after, rules, facts.bits);
        }
        let hint = match outcome.retry() {
            Retry::No if matches!(outcome, Outcome::Success) => {
                return State::Done(Verdict::Succeeded);
            }
            Retry::No => return State::Done(Verdict::Final),
            Retry::Elsewhere => None,
            Retry::Later { hint } => hint,
        };
        if self.attempt >= rules.attempts {
            return State::Done(Verdict::AttemptsExhausted);
        }
        self.elsewhere = matches!(outcome, Outcome::Elsewhere);
        let wait =
            if self.elsewhere { Duration::ZERO } else { self.wait(outcome, hint, rules, facts) };
        if let Some(probe_in) = facts.probe_in
            && !rules.waits_when_rejected
            && !self.elsewhere
            && wait < probe_in
        {
            // The breaker would reject the retry after the wait: say so before it.
            return State::Done(Verdict::Rejected { retry_after: Some(probe_in) });
        }
        let until = now.after(wait);
        if self.deadline.is_some_and(|deadline| until >= deadline) {
            return State::Done(Verdict::DeadlineExceeded { wait });
        }
        State::Charging { until }
    }

    fn rejected(
        &mut self,
        now: Instant,
        retry_after: Option<Duration>,
        rules: &CallRules,
        bits: u64,
    ) -> State {
        let rejected = State::Done(Verdict::Rejected { retry_after });
        let (true, Some(wish)) = (rules.waits_when_rejected, retry_after) else {
            return rejected;
        };
        self.rejections = self.rejections.saturating_add(1);
        if self.rejections > rules.attempts {
            return rejected;
        }
        let wait = widened(wish, rules.hint_jitter, bits);
        let until = now.after(wait);
        if self.deadline.is_some_and(|deadline| until >= deadline) {
            return State::Done(Verdict::DeadlineExceeded { wait });
        }
        // Nothing was sent: no attempt is used up, and the budget is not asked.
        self.attempt -= 1;
        State::Waiting { until }
    }

    fn wait(
        &self,
        outcome: Outcome,
        hint: Option<Duration>,
        rules: &CallRules,
        facts: Facts,
    ) -> Duration {
        let throttled = matches!(outcome, Outcome::Throttled { .. });
        let backoff = if throttled { &rules.throttled } else { &rules.backoff };
        let drawn = backoff.delay(self.attempt, self.previous, facts.pressure, facts.bits);
        let wish = match (rules.wait_for, facts.probe_in) {
            (WaitFor::Probe, Some(probe_in)) => Some(probe_in.max(hint.unwrap_or_default())),
            (WaitFor::Probe, None) | (WaitFor::Backoff, _) => {
                hint.map(|hint| hint.min(rules.hint_cap))
            }
        };
        // The bits that drew the backoff are not reused: their reversal is as good as fresh ones.
        let spread = facts.bits.reverse_bits();
        wish.map_or(drawn, |wish| widened(wish, rules.hint_jitter, spread).max(drawn))
    }

    fn next_attempt(&mut self, now: Instant, rules: &CallRules) -> State {
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            return State::Done(Verdict::DeadlineExceeded { wait: Duration::ZERO });
        }
        self.attempt = self.attempt.saturating_add(1);
        State::Attempting { deadline: attempt_deadline(now, self.deadline, rules) }
    }
}

/// What the driver knew when an attempt ended.
#[derive(Clone, Copy)]
struct Facts {
    bits: u64,
    pressure: Pressure,
    probe_in: Option<Duration>,
}

/// `wish` and up to `share` of it on top.
fn widened(wish: Duration, share: Ratio, bits: u64) -> Duration {
    let room = share.times(nanos(wish));
    wish.saturating_add(Duration::from_nanos(uniform(bits, room)))
}

fn attempt_deadline(now: Instant, deadline: Option<Instant>, rules: &CallRules) -> Option<Instant> {
    let own = rules.attempt_timeout.map(|time| now.after(time));
    match (own, deadline) {
        (Some(own), Some(deadline)) => Some(own.min(deadline)),
        (own, deadline) => own.or(deadline),
    }
}

#[cfg(test)]
mod tests;
