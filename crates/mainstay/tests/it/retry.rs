//! The executor, under a paused clock.

use std::cell::Cell;
use std::convert::Infallible;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use mainstay::classify::{Attempt, KnownErrors};
use mainstay::core::config::Ratio;
use mainstay::core::policy::backoff::{BackoffConfig, Jitter};
use mainstay::core::policy::breaker::{BreakerConfig, State, Window};
use mainstay::core::policy::budget::{BudgetConfig, InFlightBudgetConfig, TokenBudgetConfig};
use mainstay::core::policy::bulkhead::BulkheadConfig;
use mainstay::core::policy::call::{CallConfig, Verdict, WaitFor, WhenRejected};
use mainstay::core::policy::gate::{GateConfig, RejectedBy};
use mainstay::core::policy::outcome::Outcome;
use mainstay::core::policy::preset::{Order, PolicyConfig};
use mainstay::gate::Gate;
use mainstay::retry::{CallError, Failure, Retry};
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

/// Three attempts, waits of 1 s and 2 s.
fn plain() -> CallConfig {
    CallConfig {
        backoff: BackoffConfig {
            base: SECOND,
            cap: 60 * SECOND,
            jitter: Jitter::None,
            ..BackoffConfig::default()
        },
        hint_jitter: Ratio::ZERO,
        ..CallConfig::default()
    }
}

/// An error that can be neither copied nor cloned.
#[derive(Debug, PartialEq)]
struct Unique(u32);

impl std::fmt::Display for Unique {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "unique {}", self.0)
    }
}

fn breaker(failures: u32) -> GateConfig {
    let breaker = BreakerConfig {
        consecutive_failures: failures,
        window: Window::Off,
        ..BreakerConfig::default()
    };
    GateConfig { breaker: Some(breaker), budget: None, ..GateConfig::default() }
}

async fn fail(attempt: Attempt) -> Result<(), Unique> {
    Err(Unique(attempt.number))
}

#[tokio::test(start_paused = true)]
async fn r21_the_original_error_comes_back_with_the_earlier_ones_beside_it() {
    let begun = Instant::now();
    let error = Retry::new(&plain()).unwrap().call(fail).await.unwrap_err();
    assert_eq!(begun.elapsed().as_secs(), 3);
    assert_eq!(error.verdict, Verdict::AttemptsExhausted);
    let waits: Vec<_> = error.earlier.iter().map(|failed| failed.waited.as_secs()).collect();
    assert_eq!((error.attempts(), waits, error.last.waited.as_secs()), (3, vec![0, 1], 2));
    assert_eq!(error.to_string(), "failed after 3 attempts: no attempts left");
    assert_eq!(error.into_error(), Some(Unique(3)));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_works_at_the_third_attempt_works() {
    let answer = Retry::new(&plain())
        .unwrap()
        .call(|attempt| async move {
            if attempt.number < 3 { Err(Unique(attempt.number)) } else { Ok("well") }
        })
        .await;
    assert_eq!(answer.unwrap(), "well");
}

#[tokio::test(start_paused = true)]
async fn an_operation_may_lend_what_it_holds_between_attempts() {
    let mut log = Vec::new();
    let answer: Result<(), _> = Retry::new(&plain())
        .unwrap()
        .call_local(async |attempt: Attempt| {
            log.push(attempt.number);
            sleep(SECOND).await;
            Err(Unique(attempt.number))
        })
        .await;
    assert!(answer.is_err());
    assert_eq!(log, [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_found_wanting_is_retried_and_stays_ok_when_attempts_run_out() {
    let wanting = |result: &Result<u32, Infallible>, _: Attempt| match result {
        Ok(status) if *status == 503 => Outcome::TRANSIENT,
        Ok(_) | Err(_) => Outcome::Success,
    };
    let tries = Rc::new(Cell::new(0));
    let seen = Rc::clone(&tries);
    let retry = Retry::new(&plain()).unwrap().classify_with(wanting);
    let answer = retry
        .call(|_| {
            seen.set(seen.get() + 1);
            async { Ok(503) }
        })
        .await;
    assert_eq!((answer.unwrap(), tries.get()), (503, 3));
}

#[tokio::test(start_paused = true)]
async fn r08_the_deadline_counts_from_this_call_and_not_from_the_policy() {
    let config = CallConfig { attempts: 100, deadline: Some(10 * SECOND), ..plain() };
    let retry = Retry::new(&config).unwrap();
    sleep(3600 * SECOND).await;
    let begun = Instant::now();
    let error = retry.call(fail).await.unwrap_err();
    assert_eq!(error.verdict, Verdict::DeadlineExceeded { wait: 8 * SECOND });
    assert_eq!((begun.elapsed().as_secs(), error.attempts()), (7, 4));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_hangs_is_given_up_at_its_timeout() {
    let config = CallConfig { attempt_timeout: Some(SECOND), ..plain() };
    let begun = Instant::now();
    let error = Retry::new(&config)
        .unwrap()
        .call(|_| std::future::pending::<Result<(), Unique>>())
        .await
        .unwrap_err();
    assert!(matches!(error.last.failure, Failure::TimedOut));
    assert_eq!((begun.elapsed().as_secs(), error.attempts()), (6, 3));
}

#[tokio::test(start_paused = true)]
async fn t01_when_result_and_timeout_come_together_the_result_wins() {
    let config = CallConfig { attempt_timeout: Some(SECOND), ..plain() };
    let answer = Retry::new(&config)
        .unwrap()
        .call(|_| async {
            sleep(SECOND).await;
            Ok::<_, Unique>("in time")
        })
        .await;
    assert_eq!(answer.unwrap(), "in time");
}

#[tokio::test(start_paused = true)]
async fn b25_inside_the_retry_the_breaker_counts_attempts_and_ends_the_retries() {
    let gate = Gate::new("peer", &breaker(2)).unwrap();
    let config = CallConfig { attempts: 10, ..plain() };
    let policy = PolicyConfig { call: config, ..PolicyConfig::default() };
    let error = Retry::through(&policy, gate.clone()).unwrap().call(fail).await.unwrap_err();
    assert_eq!(gate.state(), State::Open);
    assert!(matches!(error.verdict, Verdict::Rejected { retry_after: Some(_) }));
    assert_eq!(error.into_error(), Some(Unique(2)), "the original error, not the rejection");
    let error = Retry::through(&policy, gate).unwrap().call(fail).await.unwrap_err();
    let Failure::Rejected(rejection) = error.last.failure else { panic!("not rejected") };
    assert!(matches!(rejection.by, RejectedBy::Breaker(_)));
}

#[tokio::test(start_paused = true)]
async fn b25_around_the_retry_the_breaker_counts_exhausted_calls() {
    let gate = Gate::new("peer", &breaker(2)).unwrap();
    let policy =
        PolicyConfig { call: plain(), order: Order::BreakerAround, ..PolicyConfig::default() };
    let retry = Retry::through(&policy, gate.clone()).unwrap();
    assert_eq!(retry.call(fail).await.unwrap_err().attempts(), 3);
    assert_eq!(gate.state(), State::Closed);
    assert_eq!(retry.call(fail).await.unwrap_err().attempts(), 3);
    assert_eq!(gate.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn b25_an_open_breaker_is_waited_for_when_the_deadline_allows() {
    let gate = Gate::new("peer", &breaker(1)).unwrap();
    gate.admit().unwrap().record(Outcome::TRANSIENT);
    let call = CallConfig { when_rejected: WhenRejected::Wait, ..plain() };
    let policy = PolicyConfig { call, ..PolicyConfig::default() };
    let begun = Instant::now();
    let retry = Retry::through(&policy, gate.clone()).unwrap();
    let answer = retry.call(|_| async { Ok::<_, Unique>(7) }).await;
    assert_eq!(answer.unwrap(), 7);
    assert!((4..=7).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    assert_eq!(gate.state(), State::HalfOpen);
}

#[tokio::test(start_paused = true)]
async fn the_strategy_circuit_breaker_waits_for_the_next_probe() {
    let gate = Gate::new("peer", &breaker(1)).unwrap();
    let call = CallConfig { wait_for: WaitFor::Probe, ..plain() };
    let policy = PolicyConfig { call, ..PolicyConfig::default() };
    let retry = Retry::through(&policy, gate).unwrap();
    let begun = Instant::now();
    let works_second = |attempt: Attempt| async move {
        if attempt.number == 1 { Err(Unique(1)) } else { Ok(attempt.number) }
    };
    assert_eq!(retry.call(works_second).await.unwrap(), 2);
    assert!((4..=7).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn r15_an_exhausted_budget_brings_the_error_back_at_once() {
    let none = TokenBudgetConfig { ratio: Ratio::ZERO, reserve_per_sec: 0, ..Default::default() };
    let config = GateConfig {
        breaker: None,
        budget: Some(BudgetConfig::Tokens(none)),
        ..GateConfig::default()
    };
    let gate = Gate::new("peer", &config).unwrap();
    let policy = PolicyConfig { call: plain(), ..PolicyConfig::default() };
    let begun = Instant::now();
    let error = Retry::through(&policy, gate).unwrap().call(fail).await.unwrap_err();
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(error.verdict, Verdict::BudgetExhausted);
    assert_eq!(error.into_error(), Some(Unique(1)));
}

fn two_in_flight() -> Gate {
    let in_flight = InFlightBudgetConfig { ratio: Ratio::ZERO, min: 1 };
    let config = GateConfig {
        breaker: None,
        budget: Some(BudgetConfig::InFlight(in_flight)),
        ..GateConfig::default()
    };
    Gate::new("peer", &config).unwrap()
}

#[tokio::test(start_paused = true)]
async fn r23_dropping_a_call_that_waits_leaves_nothing_and_refunds_the_budget() {
    let gate = two_in_flight();
    let policy = PolicyConfig { call: plain(), ..PolicyConfig::default() };
    let retry = Retry::through(&policy, gate.clone()).unwrap();
    {
        let mut call = std::pin::pin!(retry.call(fail));
        let waits = tokio::time::timeout(Duration::from_millis(500), call.as_mut()).await;
        assert!(waits.is_err());
        assert_eq!(gate.view().budget, Some(0), "the retry is charged while it waits");
    }
    assert_eq!(gate.view().budget, Some(1));
}

#[tokio::test(start_paused = true)]
async fn r23_dropping_a_call_that_runs_abandons_its_permit() {
    let gate = Gate::new("peer", &breaker(1)).unwrap();
    let policy = PolicyConfig { call: plain(), ..PolicyConfig::default() };
    let retry = Retry::through(&policy, gate.clone()).unwrap();
    let call = retry.call(|_| std::future::pending::<Result<(), Unique>>());
    assert!(tokio::time::timeout(SECOND, call).await.is_err());
    let view = gate.view();
    assert_eq!((view.admitted, view.abandoned, view.failed), (1, 1, 0));
    assert_eq!(gate.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn r17_a_nested_layer_does_not_multiply_the_attempts() {
    let calls = Rc::new(Cell::new(0));
    let outer = Retry::new(&plain()).unwrap();
    let inner = Retry::new(&plain()).unwrap();
    let result: Result<(), CallError<CallError<Unique>>> = outer
        .call(|attempt| {
            let (calls, nested) = (Rc::clone(&calls), inner.within(attempt));
            async move {
                nested
                    .call(|_| {
                        calls.set(calls.get() + 1);
                        async { Err(Unique(0)) }
                    })
                    .await
            }
        })
        .await;
    assert!(result.is_err());
    assert_eq!(calls.get(), 3, "not nine");
}

#[tokio::test(start_paused = true)]
async fn r17_a_nested_layer_keeps_the_outer_deadline() {
    let config = CallConfig { attempts: 1, deadline: Some(2 * SECOND), ..plain() };
    let inner = Retry::new(&plain()).unwrap();
    let begun = Instant::now();
    let outer = Retry::new(&config).unwrap();
    let result = outer
        .call(|attempt| {
            let nested = inner.within(attempt);
            async move { nested.call(|_| std::future::pending::<Result<(), Unique>>()).await }
        })
        .await;
    assert!(result.is_err());
    assert_eq!(begun.elapsed(), 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn r20_known_errors_are_told_apart() {
    let retry = Retry::new(&plain()).unwrap().classify_with(KnownErrors);
    let attempts = async |kind: io::ErrorKind| {
        let call = retry.call(|_| async move { Err::<(), _>(io::Error::from(kind)) });
        call.await.unwrap_err().attempts()
    };
    assert_eq!(attempts(io::ErrorKind::ConnectionRefused).await, 3);
    assert_eq!(attempts(io::ErrorKind::ConnectionReset).await, 3);
    assert_eq!(attempts(io::ErrorKind::TimedOut).await, 3);
    assert_eq!(attempts(io::ErrorKind::PermissionDenied).await, 1);
    assert_eq!(attempts(io::ErrorKind::InvalidData).await, 1);
}

#[tokio::test(start_paused = true)]
async fn r20_what_is_not_known_is_the_callers_own_and_no_failure_of_the_peer() {
    let gate = Gate::new("peer", &breaker(2)).unwrap();
    let retry = Retry::through(&PolicyConfig::default(), gate.clone()).unwrap();
    let retry = retry.classify_with(KnownErrors);
    for _ in 0..10 {
        let garbled = |_| async { Err::<(), _>("x".parse::<u32>().unwrap_err()) };
        let error = retry.call(garbled).await.unwrap_err();
        assert_eq!((error.attempts(), error.verdict), (1, Verdict::Final));
    }
    assert_eq!((gate.state(), gate.view().abandoned), (State::Closed, 10));
}

#[tokio::test(start_paused = true)]
async fn a_call_can_be_moved_into_a_task() {
    let gate = Gate::new("peer", &GateConfig::default()).unwrap();
    let retry = Retry::through(&PolicyConfig::default(), gate).unwrap();
    let task = tokio::spawn(async move { retry.call(|_| async { Ok::<_, Unique>(1) }).await });
    assert_eq!(task.await.unwrap().unwrap(), 1);
}

#[test]
fn the_blocking_executor_decides_alike() {
    let config = CallConfig { attempts: 4, ..plain() };
    let retry = Retry::new(&config).unwrap();
    let mut slept = Vec::new();
    // The clock is the real one, so the sleeper says what it was asked and then really waits for it
    // in one piece: long enough that no slow moment of the machine uses it up beforehand.
    let quick = BackoffConfig { base: Duration::from_millis(5), ..config.backoff };
    let quick = Retry::new(&CallConfig { backoff: quick, ..config }).unwrap();
    let error = mainstay::blocking::call_by(
        &quick,
        |attempt| Err::<(), _>(Unique(attempt.number)),
        |wait| {
            slept.push(wait);
            std::thread::sleep(wait);
        },
    )
    .unwrap_err();
    assert_eq!((error.attempts(), error.verdict), (4, Verdict::AttemptsExhausted));
    assert!(slept.len() >= 3);
    let answer = mainstay::blocking::call(&retry, |_| Ok::<_, Unique>(5));
    assert_eq!(answer.unwrap(), 5);
}

#[tokio::test(start_paused = true)]
async fn f01_a_fallback_is_not_asked_after_a_cancel_and_both_errors_are_kept() {
    use mainstay::fallback::or_else;
    let retry = Retry::new(&plain()).unwrap();
    let saved = or_else(retry.call(fail).await.map(|()| 0), |_| async { Ok::<_, Unique>(9) }).await;
    assert_eq!(saved.unwrap(), 9);
    let lost = or_else(retry.call(fail).await, |_| async { Err(Unique(99)) }).await.unwrap_err();
    assert_eq!((lost.fallback, lost.call.into_error()), (Some(Unique(99)), Some(Unique(3))));

    let operations = mainstay::operations::Operations::default();
    let operation =
        operations.start("slow", &retry, |_| std::future::pending::<Result<(), Unique>>());
    assert!(operation.cancel());
    let asked = Cell::new(false);
    let result = or_else(operation.await, |_| {
        asked.set(true);
        async { Err::<(), _>(Unique(0)) }
    });
    assert_eq!(result.await.unwrap_err().fallback, None);
    assert!(!asked.get());
}

/// One place and a line in which a call may wait for 5 s.
fn one_place(call: CallConfig) -> Retry {
    let bulkhead = BulkheadConfig { max: 1, max_queue: 9, max_wait: 5 * SECOND };
    let gate = GateConfig { bulkhead: Some(bulkhead), ..breaker(1) };
    let policy = PolicyConfig { call, gate, ..PolicyConfig::default() };
    Retry::through(&policy, Gate::new("peer", &policy.gate).unwrap()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn r08_a_call_waits_in_line_no_longer_than_its_deadline() {
    let retry = one_place(CallConfig { deadline: Some(SECOND), ..plain() });
    let held = retry.gate().unwrap().admit().unwrap();
    let (begun, sent) = (Instant::now(), Cell::new(0));
    let answer = retry.call(|_| {
        sent.set(sent.get() + 1);
        async { Ok::<_, Unique>(()) }
    });
    let error = answer.await.unwrap_err();
    assert_eq!((begun.elapsed(), sent.get()), (SECOND, 0));
    assert!(matches!(error.last.failure, Failure::Rejected(by) if by.by == RejectedBy::Bulkhead));
    held.record(Outcome::Success);
}

#[tokio::test(start_paused = true)]
async fn t01_the_time_of_an_attempt_begins_when_it_leaves_the_line() {
    let retry = one_place(CallConfig { attempt_timeout: Some(SECOND), ..plain() });
    let held = retry.gate().unwrap().admit().unwrap();
    let free = async {
        sleep(3 * SECOND).await;
        held.record(Outcome::Success);
    };
    let call = retry.call(|_| async {
        sleep(SECOND / 2).await;
        Ok::<_, Unique>(())
    });
    let (answer, ()) = tokio::join!(call, free);
    assert!(answer.is_ok(), "{answer:?}");
    assert_eq!(retry.gate().unwrap().state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn b29_a_retry_made_before_a_reload_follows_it() {
    let gate = Gate::new("peer", &breaker(9)).unwrap();
    let call = CallConfig { attempts: 1, ..plain() };
    let policy = PolicyConfig { call, ..PolicyConfig::default() };
    let retry = Retry::through(&policy, gate.clone()).unwrap();
    assert!(retry.call(fail).await.is_err());
    gate.reload(&breaker(2)).unwrap();
    assert!(retry.call(fail).await.is_err());
    assert_eq!(gate.state(), State::Open, "the second failure in a row, under the new threshold");
    let error = retry.call(fail).await.unwrap_err();
    assert!(matches!(error.last.failure, Failure::Rejected(_)));
}
