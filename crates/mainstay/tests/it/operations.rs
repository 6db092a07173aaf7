//! Operations with a name: seed 004's retry manager.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainstay::classify::Attempt;
use mainstay::core::policy::backoff::{BackoffConfig, Jitter};
use mainstay::core::policy::call::{CallConfig, Verdict};
use mainstay::core::policy::gate::GateConfig;
use mainstay::core::policy::preset::PolicyConfig;
use mainstay::event::{Event, Events, Kind};
use mainstay::gate::{Gate, Gates};
use mainstay::operations::{Operations, StatusState};
use mainstay::retry::Retry;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, SharedString, Unit};
use tokio::sync::broadcast::Receiver;
use tokio::task::yield_now;
use tokio::time::{Instant, advance};

const SECOND: Duration = Duration::from_secs(1);

fn retry() -> Retry {
    let backoff = BackoffConfig { base: SECOND, jitter: Jitter::None, ..BackoffConfig::default() };
    Retry::new(&CallConfig { backoff, ..CallConfig::default() }).unwrap()
}

async fn fail(attempt: Attempt) -> Result<(), String> {
    Err(format!("broken {}", attempt.number))
}

async fn hang(_attempt: Attempt) -> Result<(), String> {
    std::future::pending().await
}

async fn third(attempt: Attempt) -> Result<u32, String> {
    if attempt.number == 3 { Ok(3) } else { Err("not yet".into()) }
}

fn events_of(events: &mut Receiver<Arc<Event>>) -> Vec<String> {
    let all = std::iter::from_fn(|| events.try_recv().ok());
    let told = all.filter_map(|event| {
        let Kind::Retry(retry) = &event.kind else { return None };
        Some(format!("{} {}", event.kind.name(), retry.attempt))
    });
    told.collect()
}

#[tokio::test(start_paused = true)]
async fn every_attempt_and_the_end_are_told() {
    let operations = Operations::default();
    let mut events = operations.events().subscribe();
    assert_eq!(operations.execute("work", &retry(), third).await.unwrap(), 3);
    let told = events_of(&mut events);
    let expected = [
        "retry.attempt 1",
        "retry.failed 1",
        "retry.waiting 1",
        "retry.attempt 2",
        "retry.failed 2",
        "retry.waiting 2",
        "retry.attempt 3",
        "retry.success 3",
    ];
    assert_eq!(told, expected);
    assert!(operations.execute("work", &retry(), fail).await.is_err());
    assert_eq!(events_of(&mut events).last().unwrap(), "retry.exhausted 3");
}

#[tokio::test(start_paused = true)]
async fn an_operation_is_listed_while_it_runs_and_waits() {
    let operations = Operations::default();
    let operation = operations.start("work", &retry(), fail);
    while operation.status().state != StatusState::Waiting {
        yield_now().await;
    }
    let status = operations.status(operation.id()).unwrap();
    assert_eq!((&*status.name, status.attempt, status.attempts_max), ("work", 1, 3));
    assert_eq!(status.errors[0].error.as_ref(), "broken 1");
    assert!(status.next_attempt_at_ms > status.last_attempt_at_ms);
    assert_eq!(operations.active().len(), 1);
    let id = operation.id();
    assert_eq!(operation.await.unwrap_err().verdict, Verdict::AttemptsExhausted);
    assert!(operations.active().is_empty());
    assert_eq!(operations.status(id).unwrap().state, StatusState::Failed);
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_runs_is_cancelled_by_id() {
    let operations = Operations::default();
    let mut events = operations.events().subscribe();
    let operation = operations.start("work", &retry(), hang);
    yield_now().await;
    assert!(operations.cancel(operation.id()));
    let (id, error) = (operation.id(), operation.await.unwrap_err());
    assert_eq!(error.verdict, Verdict::Cancelled);
    assert!(!operations.cancel(id), "there is none any more");
    assert_eq!(events_of(&mut events), ["retry.attempt 1", "retry.cancelled 1"]);
    assert_eq!(operations.status(id).unwrap().state, StatusState::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_waits_is_cancelled_at_once() {
    let operations = Operations::default();
    let operation = operations.start("work", &retry(), fail);
    while operation.status().state != StatusState::Waiting {
        yield_now().await;
    }
    let begun = Instant::now();
    assert!(operation.cancel());
    assert_eq!(operation.await.unwrap_err().verdict, Verdict::Cancelled);
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn an_operation_scheduled_for_later_waits_as_long_as_it_says_and_gives_its_result() {
    let operations = Operations::default();
    let begun = Instant::now();
    let operation = operations.schedule("later", 10 * SECOND, &retry(), third);
    assert_eq!(operation.status().state, StatusState::Scheduled);
    assert_eq!(operation.await.unwrap(), 3);
    assert_eq!(begun.elapsed(), 13 * SECOND);
    assert!(operations.active().is_empty(), "nothing is left of it");

    let never = operations.schedule("later", 10 * SECOND, &retry(), third);
    assert!(never.cancel());
    assert_eq!(never.await.unwrap_err().verdict, Verdict::Cancelled);
    assert_eq!(operations.history("later").last().unwrap().attempts, 0);
}

#[tokio::test(start_paused = true)]
async fn two_operations_of_one_name_do_not_overwrite_each_other() {
    let operations = Operations::default();
    let (one, two) =
        (operations.start("same", &retry(), hang), operations.start("same", &retry(), hang));
    assert_ne!(one.id(), two.id());
    assert_eq!(operations.active().len(), 2);
    assert!(one.cancel());
    assert!(one.await.is_err());
    assert_eq!(operations.active().len(), 1);
    two.detach();
}

#[tokio::test(start_paused = true)]
async fn dropping_the_future_leaves_nothing_active() {
    let operations = Operations::default();
    let retry = retry();
    let call = operations.execute("work", &retry, hang);
    assert!(tokio::time::timeout(SECOND, call).await.is_err());
    assert!(operations.active().is_empty());
    assert_eq!(operations.history("work")[0].verdict, "cancelled");
}

#[tokio::test(start_paused = true)]
async fn the_history_is_bounded_by_name_and_by_names() {
    let operations = Operations::with_history(Events::new(), 2, 3);
    for n in 0..10 {
        let name = ["one", "two"][n % 2];
        assert!(operations.execute(name, &retry(), third).await.is_ok());
    }
    assert_eq!(operations.history("one").len(), 3);
    assert!(operations.execute("three", &retry(), third).await.is_ok());
    let names: Vec<_> = operations.names().iter().map(|name| name.to_string()).collect();
    assert_eq!(names, ["three", "two"]);
    let record = &operations.history("three")[0];
    assert_eq!((record.attempts, record.took_ms, record.waited_ms), (3, 3_000, 1_000));
    assert_eq!(record.failures.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn analytics_say_when_calls_work_and_how_they_fail() {
    let operations = Operations::default();
    let gate = Gate::new("search", &GateConfig { breaker: None, ..GateConfig::default() }).unwrap();
    let retry = retry().with_gate(gate);
    for _ in 0..3 {
        assert!(operations.execute("work", &retry, third).await.is_ok());
    }
    assert!(operations.execute("work", &retry, fail).await.is_err());
    let seen = operations.analytics("work");
    assert_eq!((seen.operations, seen.success_rate, seen.mean_attempts), (4, 0.75, 3.0));
    assert_eq!(seen.success_by_attempt, [0.0, 0.0, 0.75]);
    assert_eq!(seen.failures_by_kind["error/transient"], 9);
    assert_eq!(seen.failures_by_endpoint["search"], 9);
    assert_eq!(seen.verdicts["attempts_exhausted"], 1);
    assert_eq!(seen.bursts[0].failures, 9);
}

#[tokio::test(start_paused = true)]
async fn an_operation_goes_through_a_named_breaker() {
    let (operations, gates) = (Operations::default(), Gates::default());
    let policy = PolicyConfig::axon();
    let gate = gates.get_or_create("circuit-id", &policy.gate).unwrap();
    let retry = Retry::through(&policy, gate).unwrap();
    assert!(operations.execute("work", &retry, fail).await.is_err());
    let error = operations.execute("work", &retry, fail).await.unwrap_err();
    assert!(matches!(error.verdict, Verdict::Rejected { .. }), "opened by the fifth failure");
    assert_eq!(gates.get("circuit-id").unwrap().state().as_str(), "OPEN");
    advance(61 * SECOND).await;
    let ok = operations.execute("work", &retry, |_| async { Ok::<_, String>(1) }).await;
    assert_eq!(ok.unwrap(), 1);
    assert_eq!(gates.get("circuit-id").unwrap().state().as_str(), "CLOSED");
    assert!(gates.reset("circuit-id") && !gates.reset("unknown"));
}

#[tokio::test(start_paused = true)]
async fn an_error_text_is_cut_at_a_character() {
    let operations = Operations::default();
    let long = |_| async { Err::<(), _>("ä".repeat(500)) };
    assert!(operations.execute("work", &retry(), long).await.is_err());
    assert_eq!(operations.history("work")[0].failures[0].error.len(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_the_operation_and_reaches_who_awaits_it() {
    let operations = Operations::default();
    let operation = operations.start("work", &retry(), |attempt| async move {
        assert!(attempt.number > 1, "planted");
        Ok::<_, String>(())
    });
    let seen = tokio::spawn(operation).await.unwrap_err();
    assert!(seen.is_panic());
    assert!(operations.active().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_handle_says_how_its_operation_ended() {
    let operations = Operations::default();
    let state = |handle: &mainstay::operations::Operation<(), String>| handle.status().state;

    let worked = operations.start("well", &retry(), |_| async { Ok::<_, String>(()) });
    let failed = operations.start("badly", &retry(), fail);
    let cancelled = operations.start("stopped", &retry(), hang);
    let early = operations.schedule("early", SECOND, &retry(), hang);
    yield_now().await;
    assert!(cancelled.cancel() && early.cancel());
    advance(10 * SECOND).await;
    while !operations.active().is_empty() {
        advance(10 * SECOND).await;
    }
    assert_eq!(state(&worked), StatusState::Succeeded);
    assert_eq!(state(&failed), StatusState::Failed);
    assert_eq!(state(&cancelled), StatusState::Cancelled);
    assert_eq!(state(&early), StatusState::Cancelled);
    let seen = failed.status();
    assert_eq!((seen.errors.len(), seen.next_attempt_at_ms), (3, None));
    assert_eq!(early.status().next_attempt_at_ms, None);
}

#[test]
fn a_runtime_that_ends_leaves_no_scheduled_operation_active() {
    let operations = Operations::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        operations.schedule("later", 3600 * SECOND, &retry(), hang).detach();
        operations.start("never polled", &retry(), hang).detach();
    });
    drop(runtime);
    assert_eq!(operations.active().len(), 0);
    assert_eq!(operations.history("later")[0].verdict, "cancelled");
    assert_eq!(operations.history("never polled").len(), 1);
}

/// Counts the operations that were cancelled.
#[derive(Default)]
struct CountsCancelled(Arc<AtomicU64>);

impl metrics::Recorder for CountsCancelled {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let is_ours = key.name() == "mainstay_operations_total"
            && key.labels().any(|label| label.value() == "cancelled");
        if is_ours { Counter::from_arc(Arc::clone(&self.0)) } else { Counter::noop() }
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_operation_is_counted_as_one() {
    let counts = CountsCancelled::default();
    let operations = metrics::with_local_recorder(&counts, Operations::default);
    let by_id = operations.start("by id", &retry(), hang);
    yield_now().await;
    by_id.cancel();
    by_id.await.unwrap_err();
    let retry = retry();
    let dropped = operations.execute("dropped", &retry, hang);
    assert!(tokio::time::timeout(SECOND, dropped).await.is_err());
    operations.execute("works", &retry, third).await.unwrap();
    assert_eq!(counts.0.load(Ordering::Relaxed), 2);
}
