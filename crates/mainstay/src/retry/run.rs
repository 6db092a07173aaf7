//! What happens between the awaits of a call; shared by the async and the blocking executor.

use std::cell::Cell;
use std::time::Duration;

use mainstay_core::policy::call::{Call, Input, Step, Verdict};
use mainstay_core::policy::gate::Rejection;
use mainstay_core::policy::outcome::Outcome;
use mainstay_core::policy::preset::Order;
use mainstay_core::policy::pressure::Pressure;
use mainstay_core::time::{Instant, Moment};

use super::attempt::Elapsed;
use super::error::EARLIER_MAX;
use super::guard::Guard;
use super::spent::Extra;
use super::{CallError, Clock, Failed, Failure, Observe, Retry};
use crate::classify::{Attempt, Classify};
use crate::clock;
use crate::gate::Permit;

/// A call under way.
pub(crate) struct Run<'a, C, E, O> {
    retry: &'a Retry<C>,
    observer: O,
    clock: Clock,
    call: Call,
    earlier: Vec<Failed<E>>,
    guard: Option<Guard<'a>>,
    /// The retry that the budget granted, until its attempt is over.
    extra: Option<Extra>,
    is_timed: bool,
    begun: Instant,
    /// When the call is over, whatever it does then.
    ends: Option<Instant>,
    waited: Duration,
}

/// What is left of an attempt that a hedge overtook.
pub(crate) struct Overtaken {
    /// The hedge's permit.
    pub(crate) permit: Permit,
    /// What had come of the first attempt: nothing, or a failure that still speaks of the peer.
    pub(crate) first: Outcome,
}

/// What a call does next.
pub(crate) enum Next<T, E> {
    /// It is over.
    Return(Result<T, CallError<E>>),
    /// It comes back at this time and says [`Run::wait_over`].
    Wait(Instant),
}

impl<'a, C, E, O: Observe<E>> Run<'a, C, E, O> {
    /// Starts a call by `clock`, which is read only when something needs the time.
    pub(crate) fn start(retry: &'a Retry<C>, observer: O, clock: Clock) -> Self {
        let policies = retry.policies();
        let is_timed = retry.rules.is_timed() || observer.begun().is_some();
        let needs_time = is_timed || policies.as_ref().is_some_and(|p| p.gate().budget().is_some());
        let begun = match observer.begun() {
            Some(begun) => begun,
            None if needs_time => (clock.now)(),
            None => Instant::default(),
        };
        let guard = match (&retry.gate, policies) {
            (Some(gate), Some(policies)) => Some(Guard::new(gate, policies, clock, begun)),
            _ => None,
        };
        Self {
            call: Call::start(begun, &retry.rules),
            retry,
            observer,
            clock,
            earlier: Vec::new(),
            guard,
            extra: None,
            is_timed,
            begun,
            ends: retry.config.deadline.map(|time| begun.after(time)),
            waited: Duration::ZERO,
        }
    }

    /// Whether the next attempt may have to wait in line.
    #[inline]
    pub(crate) fn may_wait(&self) -> bool {
        self.guard.as_ref().is_some_and(|guard| guard.gate().has_line())
    }

    /// Asks the gate for the next attempt; waits in line for a place in its bulkhead.
    #[inline]
    pub(crate) async fn admit<T>(&mut self) -> Result<Attempt, Next<T, E>> {
        let is_retry = !self.earlier.is_empty();
        let answer = match &mut self.guard {
            // Around the retries, the permit of the first attempt is that of all.
            Some(guard) if !guard.is_admitted() => guard.admit_in_line(is_retry, self.ends).await,
            Some(_) | None => return self.admitted(Ok(())),
        };
        let has_line = self.may_wait();
        let next = self.admitted(answer);
        if has_line && self.is_timed { next.map(|attempt| self.out_of_line(attempt)) } else { next }
    }

    /// The attempt leaves the line now: its own time begins.
    fn out_of_line(&mut self, attempt: Attempt) -> Attempt {
        self.begun = (self.clock.now)();
        let own = self.retry.config.attempt_timeout.map(|time| self.begun.after(time));
        let deadline = own.into_iter().chain(self.ends).min();
        Attempt { deadline, ..attempt }
    }

    /// Asks the gate for the next attempt, without waiting.
    #[inline]
    pub(crate) fn admit_now<T>(&mut self) -> Result<Attempt, Next<T, E>> {
        let is_retry = !self.earlier.is_empty();
        let answer = match &mut self.guard {
            Some(guard) if !guard.is_admitted() => guard.admit(is_retry),
            Some(_) | None => Ok(()),
        };
        self.admitted(answer)
    }

    #[inline]
    fn admitted<T>(&mut self, answer: Result<(), Rejection>) -> Result<Attempt, Next<T, E>> {
        match answer {
            Ok(()) => Ok(self.sending()),
            Err(rejection) => Err(self.rejected(rejection)),
        }
    }

    /// The attempt that is sent now.
    #[inline]
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

    /// When the attempt under way will count as slow, if slow calls are told apart.
    #[inline]
    pub(crate) fn slow_at(&self) -> Option<Instant> {
        self.guard.as_ref().and_then(Guard::slow_at)
    }

    /// The attempt under way counts as slow now.
    pub(crate) fn slow(&mut self) {
        if let Some(guard) = &mut self.guard {
            guard.slow();
        }
    }

    #[cold]
    fn rejected<T>(&mut self, rejection: Rejection) -> Next<T, E> {
        let failed = Failed {
            attempt: self.call.attempt(),
            failure: Failure::Rejected(rejection),
            waited: self.waited,
            took: None,
        };
        let outcome = Outcome::Rejected { retry_after: rejection.retry_after };
        self.next(None, failed, outcome, outcome)
    }

    /// Tells what came of the attempt. `hedge` is there when a hedge brought it.
    #[inline]
    pub(crate) fn ended<T>(
        &mut self,
        result: Result<Result<T, E>, Elapsed>,
        attempt: Attempt,
        hedge: Option<Overtaken>,
    ) -> Next<T, E>
    where
        C: Classify<T, E>,
    {
        self.extra = None;
        match result {
            Ok(result) => {
                let outcome = self.retry.classify.classify(&result, attempt);
                match result {
                    Ok(value) if outcome == Outcome::Success => self.succeeded(value, hedge),
                    result => self.failed(Ok(result), outcome, attempt, hedge),
                }
            }
            Err(elapsed) => self.failed(Err(elapsed), Outcome::TRANSIENT, attempt, hedge),
        }
    }

    #[inline]
    fn succeeded<T>(&mut self, value: T, hedge: Option<Overtaken>) -> Next<T, E> {
        let read = Cell::new(None);
        let clock = self.clock;
        let at = || {
            let moment = (clock.moment)();
            read.set(Some(moment.now));
            moment
        };
        self.tell_gate(Outcome::Success, false, hedge, at);
        self.observer.done(Verdict::Succeeded, self.call.attempt(), read.get());
        Next::Return(Ok(value))
    }

    /// Tells the gate what came of the attempt (or of the whole call, where it is around).
    #[inline]
    fn tell_gate(
        &mut self,
        outcome: Outcome,
        timed_out: bool,
        hedge: Option<Overtaken>,
        at: impl Fn() -> Moment,
    ) {
        let Some(guard) = &mut self.guard else { return };
        if let Some(Overtaken { permit, first }) = hedge {
            let around = self.retry.order == Order::BreakerAround;
            guard.ended(if around { outcome } else { first }, false, &at);
            permit.end(outcome, timed_out);
        } else {
            guard.ended(outcome, timed_out, at);
        }
    }

    #[cold]
    fn failed<T>(
        &mut self,
        result: Result<Result<T, E>, Elapsed>,
        outcome: Outcome,
        attempt: Attempt,
        hedge: Option<Overtaken>,
    ) -> Next<T, E>
    where
        C: Classify<T, E>,
    {
        let classify = &self.retry.classify;
        let (timed_out, may_repeat) = match &result {
            Ok(result) => (false, classify.may_repeat(result, outcome)),
            Err(Elapsed) => (true, classify.may_repeat_after_timeout()),
        };
        if self.retry.order == Order::BreakerInside {
            self.tell_gate(outcome, timed_out, hedge, self.clock.moment);
        }
        let (value, failure) = match result {
            Ok(Ok(value)) => (Some(value), Failure::Unacceptable),
            Ok(Err(error)) => (None, Failure::Error(error)),
            Err(Elapsed) => (None, Failure::TimedOut),
        };
        let took = self.is_timed.then(|| (self.clock.now)().since(self.begun));
        let failed = Failed { attempt: attempt.number, failure, waited: self.waited, took };
        // What must not be repeated is final for the call, whatever it was for the peer.
        self.next(value, failed, if may_repeat { outcome } else { Outcome::Permanent }, outcome)
    }

    /// Decides what follows a failure. `value` is what a classifier found wanting; `decides` is the
    /// class for the call, `outcome` the one for the peer.
    fn next<T>(
        &mut self,
        value: Option<T>,
        failed: Failed<E>,
        decides: Outcome,
        outcome: Outcome,
    ) -> Next<T, E> {
        let now = (self.clock.now)();
        self.observer.failed(&failed, outcome);
        let (pressure, probe_in) = self.facts(now);
        let input = Input::Finished { outcome: decides, bits: clock::draw(), pressure, probe_in };
        let mut step = self.call.handle(now, input, &self.retry.rules);
        if step == Step::Charge {
            let granted = match self.guard.as_ref().map(|guard| guard.withdraw(now)) {
                Some(Some(extra)) => {
                    self.extra = extra;
                    true
                }
                Some(None) => false,
                None => true,
            };
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
        // Where the breaker is around the retries, it judges the call now.
        let timed_out = matches!(last.failure, Failure::TimedOut);
        self.tell_gate(outcome, timed_out, None, self.clock.moment);
        self.observer.done(verdict, last.attempt, None);
        // What the classifier found wanting is still what the caller asked for.
        value.ok_or_else(|| CallError { verdict, last, earlier: std::mem::take(&mut self.earlier) })
    }

    fn facts(&self, now: Instant) -> (Pressure, Option<Duration>) {
        let Some(guard) = &self.guard else { return (Pressure::NONE, None) };
        let rules = &self.retry.rules;
        let pressure = if rules.is_adaptive() {
            guard.gate().pressure(now, rules.backoff_cap())
        } else {
            Pressure::NONE
        };
        let probe_in = if guard.is_admitted() { None } else { guard.gate().probe_in(now) };
        (pressure, probe_in)
    }

    /// The wait is over: the next attempt begins, unless the deadline has passed meanwhile.
    pub(crate) fn wait_over(&mut self) -> Result<(), CallError<E>> {
        let now = (self.clock.now)();
        // A timer may fire a moment early by the machine's finer clock.
        let now = match self.call.step() {
            Step::Wait { until } => now.max(until),
            Step::Attempt { .. } | Step::Charge | Step::Done(_) => now,
        };
        self.begun = now;
        let step = self.call.handle(now, Input::WaitOver, &self.retry.rules);
        match (step, self.earlier.pop()) {
            (Step::Done(verdict), Some(last)) => {
                self.observer.done(verdict, last.attempt, None);
                Err(CallError { verdict, last, earlier: std::mem::take(&mut self.earlier) })
            }
            (_, last) => {
                self.earlier.extend(last);
                Ok(())
            }
        }
    }
}
