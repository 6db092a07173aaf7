//! What happens between the awaits of a call; shared by the async and the blocking executor.

use std::time::Duration;

use mainstay_core::policy::call::{Call, Input, Step, Verdict};
use mainstay_core::policy::gate::Rejection;
use mainstay_core::policy::outcome::Outcome;
use mainstay_core::policy::preset::Order;
use mainstay_core::policy::pressure::Pressure;
use mainstay_core::time::Instant;

use super::attempt::Elapsed;
use super::error::EARLIER_MAX;
use super::spent::{Counted, Extra};
use super::{CallError, Failed, Failure, Observe, Retry};
use crate::classify::{Attempt, Classify};
use crate::clock;
use crate::gate::Permit;

/// A call under way.
pub(crate) struct Run<'a, C, E, O> {
    retry: &'a Retry<C>,
    observer: O,
    now: fn() -> Instant,
    call: Call,
    earlier: Vec<Failed<E>>,
    counted: Option<Counted>,
    /// The retry that the budget granted, until its attempt is over.
    extra: Option<Extra>,
    /// The permit of the whole call, where the breaker is around the retries.
    around: Option<Permit>,
    is_timed: bool,
    begun: Instant,
    waited: Duration,
}

/// What a call does next.
pub(crate) enum Next<T, E> {
    /// It is over.
    Return(Result<T, CallError<E>>),
    /// It comes back at this time and says [`Run::wait_over`].
    Wait(Instant),
}

impl<'a, C, E, O: Observe<E>> Run<'a, C, E, O> {
    /// Starts a call by the clock `now`, which is read only when something needs the time.
    pub(crate) fn start(retry: &'a Retry<C>, observer: O, now: fn() -> Instant) -> Self {
        let budget = retry.gate.as_ref().and_then(crate::gate::Gate::budget);
        let is_timed = retry.rules.is_timed() || observer.wants_time();
        let begun = if is_timed || budget.is_some() { now() } else { Instant::default() };
        Self {
            call: Call::start(begun, &retry.rules),
            retry,
            observer,
            now,
            earlier: Vec::new(),
            counted: budget.map(|budget| Counted::new(budget, begun)),
            extra: None,
            around: None,
            is_timed,
            begun,
            waited: Duration::ZERO,
        }
    }

    /// Asks the gate for the next attempt; waits in line for a place in its bulkhead.
    pub(crate) async fn admit<T>(&mut self) -> Result<(Attempt, Option<Permit>), Next<T, E>> {
        if !self.asks_the_gate() {
            return Ok((self.sending(), None));
        }
        let Some(gate) = &self.retry.gate else { return Ok((self.sending(), None)) };
        let answer = gate.admit_in_line().await;
        self.admitted(answer)
    }

    /// Asks the gate for the next attempt, without waiting.
    pub(crate) fn admit_now<T>(
        &mut self,
        ask: impl FnOnce(&crate::gate::Gate) -> Result<Permit, Rejection>,
    ) -> Result<(Attempt, Option<Permit>), Next<T, E>> {
        if !self.asks_the_gate() {
            return Ok((self.sending(), None));
        }
        let Some(gate) = &self.retry.gate else { return Ok((self.sending(), None)) };
        let answer = ask(gate);
        self.admitted(answer)
    }

    const fn asks_the_gate(&self) -> bool {
        self.retry.gate.is_some() && self.around.is_none()
    }

    fn admitted<T>(
        &mut self,
        answer: Result<Permit, Rejection>,
    ) -> Result<(Attempt, Option<Permit>), Next<T, E>> {
        match answer {
            Ok(permit) if self.retry.order == Order::BreakerAround => {
                self.around = Some(permit);
                Ok((self.sending(), None))
            }
            Ok(permit) => Ok((self.sending(), Some(permit))),
            Err(rejection) => Err(self.rejected(rejection)),
        }
    }

    /// The attempt that is sent now.
    fn sending(&mut self) -> Attempt {
        if let Some(extra) = &mut self.extra {
            extra.sent();
        }
        let number = self.call.attempt();
        self.observer.attempt(number);
        let (deadline, elsewhere) = match self.call.step() {
            Step::Attempt { deadline, elsewhere, .. } => (deadline, elsewhere),
            Step::Charge | Step::Wait { .. } | Step::Done(_) => (None, false),
        };
        Attempt { number, deadline, elsewhere, hedge: 0 }
    }

    fn rejected<T>(&mut self, rejection: Rejection) -> Next<T, E> {
        let failed = Failed {
            attempt: self.call.attempt(),
            failure: Failure::Rejected(rejection),
            waited: self.waited,
            took: None,
        };
        let outcome = Outcome::Rejected { retry_after: rejection.retry_after };
        self.next(None, failed, outcome)
    }

    /// Tells what came of the attempt.
    pub(crate) fn ended<T>(
        &mut self,
        result: Result<Result<T, E>, Elapsed>,
        permit: Option<Permit>,
        attempt: Attempt,
    ) -> Next<T, E>
    where
        C: Classify<T, E>,
    {
        self.extra = None;
        let classify = &self.retry.classify;
        let (outcome, timed_out, may_repeat) = match &result {
            Ok(result) => {
                let outcome = classify.classify(result, attempt);
                (outcome, false, classify.may_repeat(result, outcome))
            }
            Err(Elapsed) => (Outcome::TRANSIENT, true, classify.may_repeat_after_timeout()),
        };
        if let Some(permit) = permit {
            permit.end(outcome, timed_out);
        }
        let (value, failure) = match result {
            Ok(Ok(value)) if outcome == Outcome::Success => {
                return self.succeeded(value);
            }
            Ok(Ok(value)) => (Some(value), Failure::Unacceptable),
            Ok(Err(error)) => (None, Failure::Error(error)),
            Err(Elapsed) => (None, Failure::TimedOut),
        };
        let took = self.is_timed.then(|| (self.now)().since(self.begun));
        let failed = Failed { attempt: attempt.number, failure, waited: self.waited, took };
        // What must not be repeated is final for the call, whatever it was for the peer.
        self.next(value, failed, if may_repeat { outcome } else { Outcome::Permanent })
    }

    fn succeeded<T>(&mut self, value: T) -> Next<T, E> {
        if let Some(permit) = self.around.take() {
            permit.record(Outcome::Success);
        }
        self.observer.done(Verdict::Succeeded, self.call.attempt());
        Next::Return(Ok(value))
    }

    /// Decides what follows a failure. `value` is what a classifier found wanting.
    fn next<T>(&mut self, value: Option<T>, failed: Failed<E>, outcome: Outcome) -> Next<T, E> {
        let now = (self.now)();
        self.observer.failed(&failed, outcome);
        let (pressure, probe_in) = self.facts(now);
        let input = Input::Finished { outcome, bits: clock::draw(), pressure, probe_in };
        let mut step = self.call.handle(now, input, &self.retry.rules);
        if step == Step::Charge {
            self.extra = self.counted.as_ref().and_then(|counted| counted.withdraw(now));
            let granted = self.counted.is_none() || self.extra.is_some();
            step = self.call.handle(now, Input::Charged(granted), &self.retry.rules);
        }
        match step {
            Step::Wait { until } => {
                self.waited = until.since(now);
                self.observer.waiting(self.waited, until);
                if self.earlier.len() == EARLIER_MAX {
                    self.earlier.remove(0);
                }
                self.earlier.push(failed);
                Next::Wait(until)
            }
            Step::Done(verdict) => Next::Return(self.over(verdict, value, failed, outcome)),
            // A wait of nothing: go on at once.
            Step::Attempt { .. } | Step::Charge => Next::Wait(now),
        }
    }

    fn over<T>(
        &mut self,
        verdict: Verdict,
        value: Option<T>,
        last: Failed<E>,
        outcome: Outcome,
    ) -> Result<T, CallError<E>> {
        if let Some(permit) = self.around.take() {
            permit.end(outcome, matches!(last.failure, Failure::TimedOut));
        }
        self.observer.done(verdict, last.attempt);
        // What the classifier found wanting is still what the caller asked for.
        value.ok_or_else(|| CallError { verdict, last, earlier: std::mem::take(&mut self.earlier) })
    }

    fn facts(&self, now: Instant) -> (Pressure, Option<Duration>) {
        let Some(gate) = &self.retry.gate else { return (Pressure::NONE, None) };
        let rules = &self.retry.rules;
        let pressure = if rules.is_adaptive() {
            gate.pressure(now, rules.backoff_cap())
        } else {
            Pressure::NONE
        };
        let probe_in = if self.around.is_none() { gate.probe_in(now) } else { None };
        (pressure, probe_in)
    }

    /// The wait is over: the next attempt begins, unless the deadline has passed meanwhile.
    pub(crate) fn wait_over(&mut self) -> Result<(), CallError<E>> {
        let now = (self.now)();
        // A timer may fire a moment early by the machine's finer clock.
        let now = match self.call.step() {
            Step::Wait { until } => now.max(until),
            Step::Attempt { .. } | Step::Charge | Step::Done(_) => now,
        };
        self.begun = now;
        let step = self.call.handle(now, Input::WaitOver, &self.retry.rules);
        match (step, self.earlier.pop()) {
            (Step::Done(verdict), Some(last)) => {
                self.observer.done(verdict, last.attempt);
                Err(CallError { verdict, last, earlier: std::mem::take(&mut self.earlier) })
            }
            (_, last) => {
                self.earlier.extend(last);
                Ok(())
            }
        }
    }
}
