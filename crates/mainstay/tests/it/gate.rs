//! The gate as a driver: permits, events, reload, registry, line.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use mainstay::core::policy::breaker::{BreakerConfig, State, Window};
use mainstay::core::policy::bulkhead::BulkheadConfig;
use mainstay::core::policy::gate::{GateConfig, RejectedBy};
use mainstay::core::policy::outcome::Outcome;
use mainstay::event::{Event, Events, Kind};
use mainstay::gate::{Gate, Gates, Permit, RegistryError};
use tokio::sync::broadcast::Receiver;
use tokio::time::{advance, sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);

fn row(failures: u32) -> GateConfig {
    let breaker = BreakerConfig {
        consecutive_failures: failures,
        window: Window::Off,
        ..BreakerConfig::default()
    };
    GateConfig { breaker: Some(breaker), ..GateConfig::default() }
}

fn line(max: u32, max_queue: u32) -> GateConfig {
    let bulkhead = BulkheadConfig { max, max_queue, max_wait: 5 * SECOND };
    GateConfig { breaker: None, bulkhead: Some(bulkhead), ..GateConfig::default() }
}

fn names(events: &mut Receiver<Arc<Event>>) -> Vec<&'static str> {
    std::iter::from_fn(|| events.try_recv().ok()).map(|event| event.kind.name()).collect()
}

#[tokio::test(start_paused = true)]
async fn b26_a_panic_counts_as_a_failure_frees_the_place_and_goes_on() {
    let gate = Gate::new("peer", &GateConfig { bulkhead: line(1, 0).bulkhead, ..row(1) }).unwrap();
    let guarded = || {
        let _permit = gate.admit().unwrap();
        panic!("planted");
    };
    let panic = std::panic::catch_unwind(AssertUnwindSafe(guarded)).unwrap_err();
    assert_eq!(*panic.downcast_ref::<&str>().unwrap(), "planted");
    let view = gate.view();
    assert_eq!((view.failed, view.in_flight, gate.state()), (1, Some((0, 1)), State::Open));
}

#[tokio::test(start_paused = true)]
async fn b03_a_dropped_permit_is_neutral() {
    let gate = Gate::new("peer", &row(1)).unwrap();
    for _ in 0..10 {
        drop(gate.admit().unwrap());
    }
    assert_eq!((gate.state(), gate.view().abandoned), (State::Closed, 10));
}

#[tokio::test(start_paused = true)]
async fn b20_events_come_in_order_and_a_listener_may_use_the_gate() {
    let gate = Gate::new("peer", &row(1)).unwrap();
    let mut events = gate.events().subscribe();
    gate.admit().unwrap().record(Outcome::TRANSIENT);
    let event = events.recv().await.unwrap();
    let Kind::Breaker(opened) = &event.kind else { panic!("{event:?}") };
    assert_eq!(
        (event.kind.name(), event.kind.alias()),
        ("breaker.opened", Some("circuit-breaker.opened"))
    );
    assert!(opened.retry_after >= Some(4 * SECOND));
    assert!(gate.admit().is_err(), "re-entrant");
    advance(7 * SECOND).await;
    let probes: Vec<Permit> = (0..2).map(|_| gate.admit().unwrap()).collect();
    probes.into_iter().for_each(|probe| probe.record(Outcome::Success));
    gate.reset();
    assert_eq!(names(&mut events), ["breaker.half_open", "breaker.closed", "breaker.reset"]);
    let json = serde_json::to_value(&*event).unwrap();
    assert_eq!(
        (json["event"].as_str(), json["gate"].as_str()),
        (Some("breaker.opened"), Some("peer"))
    );
}

#[tokio::test(start_paused = true)]
async fn b29_a_reload_keeps_state_listeners_and_calls_in_flight() {
    let gate = Gate::new("peer", &row(3)).unwrap();
    let mut events = gate.events().subscribe();
    gate.admit().unwrap().record(Outcome::TRANSIENT);
    let flying = gate.admit().unwrap();
    gate.reload(&row(2)).unwrap();
    flying.record(Outcome::TRANSIENT);
    assert_eq!(gate.state(), State::Open);
    assert_eq!(names(&mut events), ["breaker.opened"]);
    let broken = GateConfig { bulkhead: line(0, 0).bulkhead, ..row(2) };
    assert_eq!(gate.reload(&broken).unwrap_err().field, "bulkhead.max");
    assert_eq!(gate.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn b30_a_snapshot_restores_what_was_left() {
    let gate = Gate::new("peer", &row(1)).unwrap();
    gate.admit().unwrap().record(Outcome::TRANSIENT);
    let kept = serde_json::to_string(&gate.snapshot()).unwrap();
    let again = Gate::new("peer", &row(1)).unwrap();
    again.restore(&serde_json::from_str(&kept).unwrap()).unwrap();
    assert_eq!(again.state(), State::Open);
    advance(7 * SECOND).await;
    assert!(again.admit().is_ok());
}

#[tokio::test(start_paused = true)]
async fn b31_a_full_registry_makes_room_only_for_what_is_idle_and_closed() {
    let gates = Gates::with_capacity(Events::new(), 2);
    let open = gates.get_or_create("open", &row(1)).unwrap();
    open.admit().unwrap().record(Outcome::TRANSIENT);
    drop(open);
    gates.get_or_create("idle", &row(1)).unwrap();
    let held = gates.get_or_create("held", &row(1)).unwrap();
    assert!(gates.get("idle").is_none(), "it made room");
    assert!(gates.get("open").is_some(), "what an open breaker knows is not lost");
    let error = gates.get_or_create("one more", &row(1)).unwrap_err();
    assert!(matches!(error, RegistryError::Full { capacity: 2 }));
    drop(held);
    assert!(gates.get_or_create("one more", &row(1)).is_ok());
    let listed: Vec<_> = gates.views().iter().map(|view| view.name.to_string()).collect();
    assert_eq!(listed, ["one more", "open"]);
}

#[tokio::test(start_paused = true)]
async fn x02_a_gate_labels_its_metrics_with_its_name_only_and_names_are_bounded() {
    let gates = Gates::with_capacity(Events::new(), 8);
    for n in 0..1_000 {
        gates.get_or_create(&format!("user-{n}"), &row(1)).unwrap();
    }
    assert_eq!(gates.list().len(), 8);
}

#[tokio::test(start_paused = true)]
async fn u01_those_in_line_go_in_order_and_one_that_left_blocks_nobody() {
    let gate = Gate::new("peer", &line(1, 10)).unwrap();
    let held = gate.admit_in_line().await.unwrap();
    let (sender, mut order) = tokio::sync::mpsc::unbounded_channel();
    let join = |n: u32| {
        let (gate, sender) = (gate.clone(), sender.clone());
        tokio::spawn(async move {
            let _permit = gate.admit_in_line().await.unwrap();
            sender.send(n).unwrap();
        })
    };
    let mut waiters = Vec::new();
    for n in 0..4 {
        waiters.push(join(n));
        tokio::task::yield_now().await;
    }
    waiters[1].abort();
    tokio::task::yield_now().await;
    held.record(Outcome::Success);
    let mut seen = Vec::new();
    while seen.len() < 3 {
        seen.push(order.recv().await.unwrap());
    }
    assert_eq!(seen, [0, 2, 3]);
    assert_eq!(gate.view().in_flight, Some((0, 1)));
}

#[tokio::test(start_paused = true)]
async fn u01_who_waited_too_long_never_runs_and_a_full_line_says_so_at_once() {
    let gate = Gate::new("peer", &line(1, 1)).unwrap();
    let held = gate.admit_in_line().await.unwrap();
    let waiting = tokio::spawn({
        let gate = gate.clone();
        async move { gate.admit_in_line().await.map(drop) }
    });
    tokio::task::yield_now().await;
    let full = timeout(Duration::from_millis(1), gate.admit_in_line()).await.unwrap().unwrap_err();
    assert_eq!(full.by, RejectedBy::Bulkhead);
    sleep(6 * SECOND).await;
    held.record(Outcome::Success);
    assert_eq!(waiting.await.unwrap().unwrap_err().by, RejectedBy::Bulkhead);
}

#[tokio::test(start_paused = true)]
async fn t02_a_place_stays_taken_for_as_long_as_the_work_runs() {
    let gate = Gate::new("peer", &line(1, 0)).unwrap();
    let permit = gate.admit().unwrap();
    let work = tokio::spawn(async move {
        sleep(10 * SECOND).await;
        permit.record(Outcome::Success);
    });
    assert!(timeout(SECOND, async { std::future::pending::<()>().await }).await.is_err());
    assert_eq!(
        gate.admit().unwrap_err().by,
        RejectedBy::Bulkhead,
        "the waiter left, the work did not"
    );
    work.await.unwrap();
    assert!(gate.admit().is_ok());
}

#[tokio::test(start_paused = true)]
async fn u02_a_place_is_given_back_once_also_across_a_reload() {
    let gate = Gate::new("peer", &line(2, 0)).unwrap();
    let (one, two) = (gate.admit().unwrap(), gate.admit().unwrap());
    gate.reload(&line(3, 0)).unwrap();
    one.record(Outcome::Success);
    drop(two);
    assert_eq!(gate.view().in_flight, Some((0, 3)));
}

/// The runtime's own lag is measured on the real clock: a paused one is never late.
#[tokio::test]
async fn a_runtime_that_is_late_is_a_source_of_pressure() {
    let gates = Gates::default();
    let config = GateConfig { breaker: None, measure: true, ..GateConfig::default() };
    let gate = gates.get_or_create("peer", &config).unwrap();
    let _watch = mainstay::lag::LagWatch::start(gates);
    let pressure = || gate.pressure(mainstay::clock::now(), SECOND).share().as_f64();
    tokio::task::yield_now().await;
    assert!(pressure() < 0.5, "{}", pressure());
    // Blocks the only thread of the runtime for longer than the watch's period.
    std::thread::sleep(mainstay::lag::PERIOD + Duration::from_millis(150));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(pressure() > 0.99, "{}", pressure());
}

#[tokio::test(start_paused = true)]
async fn u01_who_leaves_when_its_turn_has_come_passes_it_on() {
    let gate = Gate::new("peer", &line(1, 10)).unwrap();
    let held = gate.admit_in_line().await.unwrap();
    let mut first = Box::pin(gate.admit_in_line());
    let mut second = Box::pin(gate.admit_in_line());
    assert!(timeout(Duration::from_millis(1), &mut first).await.is_err());
    assert!(timeout(Duration::from_millis(1), &mut second).await.is_err());
    held.record(Outcome::Success);
    drop(first);
    let permit = timeout(Duration::from_millis(1), second).await;
    drop(permit.expect("the place is free").unwrap());
}

#[tokio::test(start_paused = true)]
async fn u01_whom_another_policy_rejects_passes_its_turn_on() {
    let config = GateConfig { breaker: row(5).breaker, ..line(1, 10) };
    let gate = Gate::new("peer", &config).unwrap();
    let held = gate.admit_in_line().await.unwrap();
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let gate = gate.clone();
            tokio::spawn(async move { gate.admit_in_line().await.map(drop) })
        })
        .collect();
    tokio::task::yield_now().await;
    let begun = tokio::time::Instant::now();
    gate.force_open();
    held.record(Outcome::Success);
    for waiter in waiting {
        assert!(waiter.await.unwrap().is_err());
    }
    assert!(begun.elapsed() < SECOND, "nobody waits for a place that is free");
}

#[tokio::test(start_paused = true)]
async fn u01_a_place_that_is_added_is_taken_by_who_waits() {
    let gate = Gate::new("peer", &line(1, 10)).unwrap();
    let held = gate.admit_in_line().await.unwrap();
    let all: Vec<_> = (0..4)
        .map(|_| {
            let gate = gate.clone();
            tokio::spawn(async move { gate.admit_in_line().await })
        })
        .collect();
    tokio::task::yield_now().await;
    gate.reload(&line(2, 10)).unwrap();
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(gate.view().in_flight, Some((2, 2)));
    drop(held);
    let mut ends = Vec::new();
    for one in all {
        let permit = timeout(SECOND, one).await.expect("in time").unwrap();
        ends.push(permit.is_ok());
        drop(permit);
    }
    assert_eq!(ends, [true; 4]);
}

#[tokio::test(start_paused = true)]
async fn u01_waiting_in_line_is_no_rejection() {
    let gate = Gate::new("peer", &line(1, 10)).unwrap();
    let held = gate.admit_in_line().await.unwrap();
    let other = gate.clone();
    let waiting = tokio::spawn(async move { other.admit_in_line().await.map(drop) });
    tokio::task::yield_now().await;
    held.record(Outcome::Success);
    waiting.await.unwrap().unwrap();
    assert_eq!((gate.view().admitted, gate.view().rejected), (2, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn u01_no_turn_is_lost_between_threads() {
    let gate = Gate::new("peer", &line(2, 1_000)).unwrap();
    let begun = std::time::Instant::now();
    let all: Vec<_> = (0_u64..16)
        .map(|n| {
            let gate = gate.clone();
            tokio::spawn(async move {
                for round in 0..200 {
                    // Some leave the line, or let their turn pass.
                    let patience =
                        Duration::from_micros(if (n + round) % 3 == 0 { 50 } else { 4_000_000 });
                    if let Ok(permit) = timeout(patience, gate.admit_in_line()).await {
                        let permit = permit.expect("nobody waits for 5 s");
                        tokio::task::yield_now().await;
                        permit.record(Outcome::Success);
                    }
                }
            })
        })
        .collect();
    for one in all {
        one.await.unwrap();
    }
    assert_eq!(gate.view().in_flight, Some((0, 2)));
    assert!(
        begun.elapsed() < 4 * SECOND,
        "{:?}: somebody waited for a free place",
        begun.elapsed()
    );
}
