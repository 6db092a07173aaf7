use core::time::Duration;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;
use mainstay_core::config::Ratio;
use mainstay_core::policy::breaker::{
    Breaker, BreakerConfig, Cause, HalfOpenConfig, OpenConfig, Permit, State, Transition, Window,
};
use mainstay_core::policy::outcome::Sample;
use mainstay_core::time::{Instant, Moment};

use super::twice;

/// Without jitter it stays open for one second, and a probe's lease is as long.
fn breaker(consecutive_failures: u32, window: Window, probes: u32) -> Arc<Breaker> {
    let config = BreakerConfig {
        consecutive_failures,
        window,
        minimum_calls: 2,
        open: OpenConfig {
            base: Duration::from_secs(1),
            jitter: Ratio::ZERO,
            ..OpenConfig::default()
        },
        half_open: HalfOpenConfig { probes, ..HalfOpenConfig::default() },
        ..BreakerConfig::default()
    };
    Arc::new(Breaker::new(&config).expect("the config is sound"))
}

fn at(millis: u64) -> Moment {
    Moment { now: Instant::from_millis(millis), bits: 0 }
}

fn admit(breaker: &Breaker, millis: u64) -> Option<Permit> {
    breaker.admit(at(millis)).verdict.ok()
}

fn record(breaker: &Breaker, permit: Permit, sample: Sample, millis: u64) -> Option<Transition> {
    breaker.record(permit, sample, Duration::ZERO, || at(millis))
}

/// Lets a closed breaker with a threshold of one open at the origin of the clock.
fn opened(breaker: &Breaker) {
    let permit = admit(breaker, 0).expect("closed");
    record(breaker, permit, Sample::Failure, 0).expect("one failure opens it");
}

/// Explores with at most `preemptions` switches that no thread asked for.
fn model(preemptions: usize, body: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(body);
}

#[test]
fn b02_never_more_probes_in_flight_than_configured() {
    for (probes, threads) in [(1, 2), (2, 3)] {
        model(2, move || {
            let breaker = breaker(1, Window::Off, probes);
            opened(&breaker);
            let in_flight = Arc::new(AtomicU32::new(0));
            let call = move |breaker: &Breaker, in_flight: &AtomicU32| {
                let Some(permit) = admit(breaker, 2_000) else { return };
                if permit.is_probe() {
                    assert!(in_flight.fetch_add(1, Ordering::SeqCst) < probes);
                    in_flight.fetch_sub(1, Ordering::SeqCst);
                }
                let _transition = record(breaker, permit, Sample::Neutral, 2_000);
            };
            let others: Vec<_> = (1..threads)
                .map(|_| {
                    let (breaker, in_flight) = (Arc::clone(&breaker), Arc::clone(&in_flight));
                    thread::spawn(move || call(&breaker, &in_flight))
                })
                .collect();
            call(&breaker, &in_flight);
            others.into_iter().for_each(|thread| thread.join().unwrap());
            // B04: all places came back, and not one more.
            let free = (0..=probes).map_while(|_| admit(&breaker, 2_000)).count();
            assert_eq!(free, probes as usize);
        });
    }
}

#[test]
fn b02_two_callers_share_no_last_probe() {
    loom::model(|| {
        let breaker = breaker(1, Window::Off, 1);
        opened(&breaker);
        let admitted = twice(&breaker, |breaker| admit(breaker, 2_000).is_some());
        assert_eq!(admitted.iter().filter(|admitted| **admitted).count(), 1);
        assert_eq!(breaker.state(), State::HalfOpen);
    });
}

#[test]
fn two_failures_that_reach_the_rate_together_open_it_once() {
    for window in [Window::Count(4), Window::Time(Duration::from_secs(10))] {
        model(2, move || {
            let breaker = breaker(0, window, 1);
            let transitions = twice(&breaker, |breaker| {
                let permit = breaker.admit_closed()?;
                record(breaker, permit, Sample::Failure, 0)
            });
            assert_eq!(transitions.iter().flatten().count(), 1);
            assert_eq!(breaker.state(), State::Open);
        });
    }
}

#[test]
fn b10_a_success_that_reaches_the_minimum_beside_a_failure_opens_it() {
    for window in [Window::Count(4), Window::Time(Duration::from_secs(10))] {
        model(2, move || {
            let breaker = breaker(0, window, 1);
            let permits = [admit(&breaker, 0).unwrap(), admit(&breaker, 0).unwrap()];
            let [failing, good] = permits;
            let other = Arc::clone(&breaker);
            let thread = thread::spawn(move || record(&other, failing, Sample::Failure, 0));
            let here = record(&breaker, good, Sample::Success, 0);
            let transitions = [here, thread.join().unwrap()];
            let ([Some(one), None] | [None, Some(one)]) = transitions else {
                panic!("one of two opens it: {transitions:?}");
            };
            assert_eq!(one.cause, Cause::FailureRate(Ratio::percent(50)));
        });
    }
}

#[test]
fn b01_two_failures_at_the_threshold_open_it_once() {
    loom::model(|| {
        let breaker = breaker(1, Window::Off, 1);
        let permits = [admit(&breaker, 0).unwrap(), admit(&breaker, 0).unwrap()];
        let [one, two] = permits;
        let other = Arc::clone(&breaker);
        let thread = thread::spawn(move || record(&other, one, Sample::Failure, 0));
        let here = record(&breaker, two, Sample::Failure, 0);
        let both = [here, thread.join().unwrap()];
        let ([Some(opened), None] | [None, Some(opened)]) = both else {
            panic!("one of two opens it: {both:?}");
        };
        assert_eq!((opened.generation, breaker.state()), (1, State::Open));
    });
}

#[test]
fn b01_a_stale_result_that_races_a_probe_changes_nothing() {
    // What the stale result says, what the probe says, and what the probe alone decides.
    let cases = [
        (Sample::Failure, Sample::Success, State::Closed),
        (Sample::Success, Sample::Failure, State::Open),
    ];
    for (late, answer, decided) in cases {
        model(3, move || {
            let breaker = breaker(1, Window::Count(2), 1);
            let stale = admit(&breaker, 0).unwrap();
            opened(&breaker);
            let other = Arc::clone(&breaker);
            let thread = thread::spawn(move || record(&other, stale, late, 2_000));
            let probe = admit(&breaker, 2_000).expect("the open time is over");
            assert!(probe.is_probe());
            let transition = record(&breaker, probe, answer, 2_000).expect("the probe decides");
            assert_eq!(thread.join().unwrap(), None);
            assert_eq!((transition.to, breaker.state()), (decided, decided));
            // B22: nothing of the past is left in a window that begins.
            if decided == State::Closed {
                let permit = admit(&breaker, 2_000).unwrap();
                assert_eq!(record(&breaker, permit, Sample::Success, 2_000), None);
            }
        });
    }
}

#[test]
fn b06_a_probe_answered_while_its_lease_ends_counts_once() {
    for answer in [Sample::Failure, Sample::Success, Sample::Neutral] {
        model(3, move || {
            let breaker = breaker(1, Window::Off, 3);
            opened(&breaker);
            let probe = admit(&breaker, 2_000).unwrap();
            let other = Arc::clone(&breaker);
            let thread = thread::spawn(move || record(&other, probe, answer, 2_500));
            let next = admit(&breaker, 3_500).expect("two places are free in any case");
            assert_eq!(thread.join().unwrap(), None);
            // Two of three must fail to open it: counted twice, this one would have.
            assert_eq!(breaker.state(), State::HalfOpen);
            let last = record(&breaker, next, Sample::Failure, 3_500);
            let opens = last.is_some_and(|transition| transition.to == State::Open);
            assert!(opens || answer != Sample::Failure);
        });
    }
}

#[test]
fn b21_no_outcome_leaves_a_state_set_by_hand() {
    loom::model(|| {
        let breaker = breaker(1, Window::Off, 1);
        let permit = admit(&breaker, 0).unwrap();
        let other = Arc::clone(&breaker);
        let thread = thread::spawn(move || record(&other, permit, Sample::Failure, 0));
        assert!(breaker.force_open().is_some());
        let _either = thread.join().unwrap();
        assert_eq!(breaker.state(), State::ForcedOpen);
    });
}
