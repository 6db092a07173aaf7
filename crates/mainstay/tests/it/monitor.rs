//! The monitor of a program.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use mainstay::core::policy::breaker::{BreakerConfig, Window};
use mainstay::core::policy::call::CallConfig;
use mainstay::core::policy::gate::GateConfig;
use mainstay::event::Events;
use mainstay::gate::Gates;
use mainstay::monitor::engine::alert::{Edge, Severity};
use mainstay::monitor::engine::engine::ActError;
use mainstay::monitor::engine::rules::{RuleSet, RuleSpec, Signal};
use mainstay::monitor::engine::summary::Status;
use mainstay::monitor::{CacheFigures, Monitor, MonitorConfig, Watched};
use mainstay::operations::Operations;
use mainstay::retry::Retry;
use tokio::time::sleep;

fn watched() -> (Gates, Operations, Watched) {
    let (gates, operations) = (Gates::new(Events::new()), Operations::default());
    let watched = Watched {
        gates: Some(gates.clone()),
        operations: Some(operations.clone()),
        ..Watched::default()
    };
    (gates, operations, watched)
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_stays_open_is_an_alert_until_it_closes() {
    let (gates, _, watched) = watched();
    let breaker =
        BreakerConfig { consecutive_failures: 1, window: Window::Off, ..BreakerConfig::default() };
    let config = GateConfig { breaker: Some(breaker), ..GateConfig::default() };
    let gate = gates.get_or_create("pay", &config).unwrap();
    let monitor = Monitor::start(watched, MonitorConfig::default()).unwrap();
    let mut told = monitor.subscribe();
    gate.force_open();
    let fired = told.recv().await.unwrap();
    assert_eq!((&*fired.rule, fired.what), ("CIRCUIT_OPEN", "fired"));
    assert_eq!((fired.labels["gate"].as_str(), fired.severity), ("pay", Some(Severity::High)));
    assert_eq!(monitor.summary().status, Status::Warning);
    assert_eq!(monitor.acknowledge(fired.id, "ann", "on it"), Ok(()));
    assert_eq!(monitor.acknowledge(1, "ann", ""), Err(ActError::Unknown));
    assert_eq!(told.recv().await.unwrap().what, "acknowledged");
    assert_eq!(monitor.summary().status, Status::Healthy, "somebody sees to it");
    let worse = told.recv().await.unwrap();
    assert_eq!((worse.what, worse.severity), ("severity_changed", Some(Severity::Critical)));
    gate.reset();
    loop {
        let next = told.recv().await.unwrap();
        if next.what == "resolved" {
            break;
        }
    }
    assert_eq!(monitor.alerts().len(), 1, "it is still known");
}

#[tokio::test(start_paused = true)]
async fn operations_are_measured_from_one_look_to_the_next() {
    let (_, operations, watched) = watched();
    let monitor = Monitor::start(watched, MonitorConfig::default()).unwrap();
    // The first look is done before anything happens.
    tokio::task::yield_now().await;
    let retry = Retry::new(&CallConfig::default()).unwrap().once();
    for nr in 0..20 {
        let op = |_| async move {
            sleep(Duration::from_millis(40)).await;
            if nr % 4 == 0 { Err(std::io::Error::other("planted")) } else { Ok(()) }
        };
        drop(operations.execute("call", &retry, op).await);
    }
    monitor.cycle();
    let summary = monitor.summary();
    assert_eq!(summary.error_rate, Some(0.25));
    monitor.cycle();
    assert_eq!(operations.take_totals().succeeded, 0, "taken once");
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_answers_little_is_an_alert_even_after_it_was_cleared() {
    let hits = Arc::new(AtomicU64::new(500));
    let watched = Watched::default();
    let read = hits.clone();
    watched.others.cache("verdicts", move || {
        let hits = read.load(Ordering::Relaxed);
        CacheFigures { hits, misses: 3 * hits, taken: 30, places: 100 }
    });
    let mut rules = RuleSet::usual();
    let low = Some(Edge { enter: 0.5, exit: 0.6 });
    let min_samples = Some(1);
    let few = RuleSpec::new("FEW_HITS", Signal::CacheHits);
    rules.put(RuleSpec { low, min_samples, hold_for: Some(Duration::ZERO), ..few });
    let config = MonitorConfig { rules, ..MonitorConfig::default() };
    let monitor = Monitor::start(watched, config).unwrap();
    // What was counted before the first look is nobody's news.
    monitor.cycle();
    assert!(monitor.alerts().is_empty());
    // Cleared, it counts from 0 again: 40 hits, 120 misses.
    hits.store(40, Ordering::Relaxed);
    monitor.cycle();
    let alerts = monitor.alerts();
    assert_eq!((&*alerts[0].rule, alerts[0].labels["cache"].as_str()), ("FEW_HITS", "verdicts"));
    assert_eq!(alerts[0].value, Some(0.25));
}

#[tokio::test(start_paused = true)]
async fn a_certificate_inside_of_another_part_is_told_before_it_ends() {
    let watched = Watched::default();
    let end = SystemTime::now() + Duration::from_secs(5 * 86_400);
    watched.others.certificate("ids", move || Some(end));
    watched.others.certificate("never asked", || None);
    let monitor = Monitor::start(watched, MonitorConfig::default()).unwrap();
    monitor.cycle();
    let alerts = monitor.alerts();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert_eq!(
        (&*alerts[0].rule, alerts[0].labels["link"].as_str()),
        ("CERTIFICATE_EXPIRY", "ids")
    );
    assert_eq!(alerts[0].severity, Some(Severity::High));
}

#[tokio::test]
async fn what_makes_no_sense_names_its_field() {
    for every in [Duration::ZERO, Duration::from_millis(999), Duration::from_secs(61)] {
        let config = MonitorConfig { every, ..MonitorConfig::default() };
        let error = Monitor::start(Watched::default(), config).unwrap_err();
        assert_eq!(error.field, "every");
    }
}
