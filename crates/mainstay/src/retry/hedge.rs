//! Sends a second request when the first is slower than almost all answers.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use mainstay_core::policy::hedge::race::{Answer, Input, Race, Step};
use mainstay_core::policy::outcome::Outcome;
use mainstay_core::time::Instant;

use super::attempt::{Elapsed, drive};
use super::run::{Next, Overtaken, Run};
use super::spent::Extra;
use super::{CallError, Clock, Nobody, Retry};
use crate::classify::{Attempt, Classify};
use crate::clock;
use crate::gate::{Gate, Permit};

/// One of the attempts that race. The call itself holds the permit of the first.
struct Runner<Fut: Future> {
    future: Pin<Box<Fut>>,
    permit: Option<Permit>,
    _extra: Option<Extra>,
    output: Option<Fut::Output>,
}

/// What a race brought, and what it overtook, if a hedge brought it.
type Raced<T, E> = (Result<Result<T, E>, Elapsed>, Option<Overtaken>);

impl<C> Retry<C> {
    /// Like [`call`](Self::call) for an operation that **may run twice**: when an attempt is slower
    /// than almost all answers of the endpoint so far, a second one is sent, and the first success
    /// wins. When and how often is up to the gate's
    /// [`HedgeConfig`](mainstay_core::policy::hedge::HedgeConfig); without one this is `call`.
    ///
    /// Hedges draw on the same budget as retries; losers are cancelled before the winner returns.
    ///
    /// # Errors
    ///
    /// See [`call`](Self::call). When all attempts of a race fail, the error is that of the first.
    pub async fn call_hedged<T, E, F, Fut>(&self, mut op: F) -> Result<T, CallError<E>>
    where
        F: FnMut(Attempt) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        C: Classify<T, E>,
    {
        let mut run = Run::start(self, Nobody, Clock::ASYNC);
        loop {
            let next = match run.admit().await {
                Ok(attempt) => {
                    let plan = self.gate.as_ref().and_then(|gate| gate.hedging(clock::now()));
                    let (result, hedge) = match (&self.gate, plan) {
                        (Some(gate), Some((delay, most))) => {
                            let race = Race::new(clock::now(), Some(delay), true, most);
                            self.race(gate, race, &mut op, attempt).await
                        }
                        _ => {
                            let slow_at = run.slow_at();
                            let slow = || run.slow();
                            (drive(op(attempt), attempt.deadline, slow_at, slow).await, None)
                        }
                    };
                    run.ended(result, attempt, hedge)
                }
                Err(next) => next,
            };
            match next {
                Next::Return(result) => return result,
                Next::Wait(until) => {
                    Box::pin(clock::sleep_until(until)).await;
                    run.wait_over()?;
                }
            }
        }
    }

    async fn race<T, E, F, Fut>(
        &self,
        gate: &Gate,
        mut race: Race,
        op: &mut F,
        attempt: Attempt,
    ) -> Raced<T, E>
    where
        F: FnMut(Attempt) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        C: Classify<T, E>,
    {
        let future = Box::pin(op(attempt));
        let mut runners = vec![Some(Runner { future, permit: None, _extra: None, output: None })];
        let mut step = race.step();
        loop {
            let now = clock::now();
            step = match step {
                Step::Wait { until } => match first(&mut runners, until, attempt.deadline).await {
                    Event::Timer => race.handle(clock::now(), Input::Timer),
                    Event::Deadline => return (Err(Elapsed), None),
                    Event::Ended(index) => {
                        let number = u8::try_from(index).unwrap_or(u8::MAX);
                        let outcome = self.judge(&runners, index, attempt);
                        race.handle(clock::now(), Input::Finished { attempt: number, outcome })
                    }
                },
                Step::Hedge { attempt: hedge } => match hedged(gate, op, attempt, hedge) {
                    Some(runner) => {
                        runners.push(Some(runner));
                        race.handle(now, Input::Granted)
                    }
                    None => race.handle(now, Input::Denied),
                },
                Step::Cancel(losers) => {
                    for loser in losers.iter() {
                        runners[usize::from(loser)] = None;
                        gate.overtaken(now, race.elapsed(now, loser).unwrap_or_default());
                    }
                    race.handle(now, Input::Cancelled)
                }
                Step::Done(answer) => return self.finish(runners, answer, attempt),
            };
        }
    }

    fn judge<T, E, Fut>(
        &self,
        runners: &[Option<Runner<Fut>>],
        index: usize,
        attempt: Attempt,
    ) -> Outcome
    where
        Fut: Future<Output = Result<T, E>>,
        C: Classify<T, E>,
    {
        let output = runners[index].as_ref().and_then(|runner| runner.output.as_ref());
        output.map_or(Outcome::Abandoned, |result| self.classify.classify(result, attempt))
    }

    fn finish<T, E, Fut>(
        &self,
        mut runners: Vec<Option<Runner<Fut>>>,
        answer: Answer,
        attempt: Attempt,
    ) -> Raced<T, E>
    where
        Fut: Future<Output = Result<T, E>>,
        C: Classify<T, E>,
    {
        let winner = match answer {
            Answer::Won(winner) => usize::from(winner),
            Answer::Lost | Answer::Abandoned => 0,
        };
        let first = self.judge(&runners, 0, attempt);
        let chosen = runners[winner].take();
        for runner in runners.into_iter().flatten() {
            if let (Some(permit), Some(result)) = (runner.permit, runner.output) {
                permit.record(self.classify.classify(&result, attempt));
            }
        }
        match chosen {
            Some(Runner { output: Some(result), permit, .. }) => {
                (Ok(result), permit.map(|permit| Overtaken { permit, first }))
            }
            Some(_) | None => (Err(Elapsed), None),
        }
    }
}

/// The hedge, if budget and gate allow it.
fn hedged<T, E, F, Fut>(gate: &Gate, op: &mut F, attempt: Attempt, hedge: u8) -> Option<Runner<Fut>>
where
    F: FnMut(Attempt) -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    let mut extra = match gate.budget() {
        Some(budget) => Some(Extra::withdraw(budget, clock::now())?),
        None => None,
    };
    // Turned away, it was never sent: what the budget lent goes back.
    let permit = gate.admit().ok()?;
    if let Some(extra) = &mut extra {
        extra.sent();
    }
    let future = Box::pin(op(Attempt { hedge, ..attempt }));
    Some(Runner { future, permit: Some(permit), _extra: extra, output: None })
}

enum Event {
    Ended(usize),
    Timer,
    Deadline,
}

/// Waits for the first runner to end, or for the next hedge, or for the deadline.
async fn first<Fut: Future>(
    runners: &mut [Option<Runner<Fut>>],
    until: Option<Instant>,
    deadline: Option<Instant>,
) -> Event {
    let far = Instant::MAX;
    let (hedge, give_up) = (until.unwrap_or(far), deadline.unwrap_or(far));
    let ended = poll_fn(|context| poll_all(runners, context));
    let timer = async {
        match hedge.min(give_up) {
            Instant::MAX => std::future::pending().await,
            next => clock::sleep_until(next).await,
        }
    };
    tokio::select! {
        biased;
        index = ended => Event::Ended(index),
        () = timer => if give_up <= hedge { Event::Deadline } else { Event::Timer },
    }
}

fn poll_all<Fut: Future>(
    runners: &mut [Option<Runner<Fut>>],
    context: &mut Context<'_>,
) -> Poll<usize> {
    for (index, slot) in runners.iter_mut().enumerate() {
        let Some(runner) = slot else { continue };
        if runner.output.is_none()
            && let Poll::Ready(output) = runner.future.as_mut().poll(context)
        {
            runner.output = Some(output);
            return Poll::Ready(index);
        }
    }
    Poll::Pending
}
