//! One test for each promise about breakers that can be kept without a runtime.

use super::super::{
    BUCKETS, Breaker, BreakerConfig, Cause, HalfOpenConfig, OpenConfig, RejectionReason,
    SlowConfig, State, Window,
};
use super::{SECOND, admit, at, call, counting, is_admitted, open, opened, plain, record};
use crate::config::Ratio;
use crate::policy::outcome::Sample;
use crate::time::{Instant, Moment};
use core::time::Duration;
use std::vec::Vec;

#[test]
fn b01_a_result_from_an_earlier_generation_changes_nothing() {
    let breaker = Breaker::new(&plain()).unwrap();
    let (late_failure, late_success) = (admit(&breaker, 0), admit(&breaker, 0));
    open(&breaker, 0);
    let probe = admit(&breaker, 1_100);
    let before = breaker.view(at(1_100).now);
    assert_eq!(record(&breaker, late_failure, Sample::Failure, 1_100), None);
    assert_eq!(record(&breaker, late_success, Sample::Success, 1_100), None);
    assert_eq!(breaker.view(at(1_100).now), before);
    assert_eq!(record(&breaker, probe, Sample::Success, 1_100), None);
}

#[test]
fn b02_never_more_than_k_probes_are_in_flight() {
    let breaker = opened(&plain(), 0);
    let probes: Vec<_> = (0..3).map(|_| admit(&breaker, 1_100)).collect();
    let rejection = breaker.admit(at(1_100)).verdict.unwrap_err();
    assert_eq!(rejection.reason, RejectionReason::ProbesBusy);
    assert!(probes.iter().all(super::super::Permit::is_probe));
}

#[test]
fn b02_b04_threads_that_race_for_probes_get_exactly_k() {
    for round in 0..200 {
        let breaker = opened(&plain(), 0);
        let barrier = std::sync::Barrier::new(4);
        let admitted: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        barrier.wait();
                        let seen: Vec<_> =
                            (0..3).filter_map(|_| breaker.admit(at(1_100)).verdict.ok()).collect();
                        seen.len()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(admitted, 3, "round {round}");
        assert_eq!(breaker.view(at(1_100).now).probes, 3);
    }
}

#[test]
fn b03_an_abandoned_probe_frees_its_place_exactly_once() {
    let breaker = opened(&plain(), 0);
    let probes: Vec<_> = (0..3).map(|_| admit(&breaker, 1_100)).collect();
    for probe in probes {
        assert_eq!(breaker.abandon(probe, || at(1_100)), None);
    }
    assert_eq!(breaker.view(at(1_100).now).probes, 0);
    let again: Vec<_> = (0..3).map(|_| admit(&breaker, 1_100)).collect();
    assert!(breaker.admit(at(1_100)).verdict.is_err());
    drop(again);
}

#[test]
fn b04_a_permit_from_closed_returned_in_half_open_adds_no_place() {
    let breaker = Breaker::new(&plain()).unwrap();
    let old: Vec<_> = (0..5).map(|_| admit(&breaker, 0)).collect();
    open(&breaker, 0);
    let probes: Vec<_> = (0..3).map(|_| admit(&breaker, 1_100)).collect();
    for permit in old {
        assert_eq!(breaker.abandon(permit, || at(1_100)), None);
    }
    assert!(breaker.admit(at(1_100)).verdict.is_err());
    drop(probes);
}

#[test]
fn b05_a_cancelled_probe_neither_closes_nor_opens() {
    let breaker = opened(&plain(), 0);
    for _ in 0..50 {
        assert_eq!(call(&breaker, Sample::Neutral, 1_100), None);
        assert_eq!(breaker.state(), State::HalfOpen);
    }
}

#[test]
fn b06_a_hung_probe_fails_when_its_lease_ends_and_its_late_result_is_stale() {
    let config = BreakerConfig {
        half_open: HalfOpenConfig { probes: 1, success_rate: Ratio::ONE, ..plain().half_open },
        ..plain()
    };
    let breaker = opened(&config, 0);
    let hung = admit(&breaker, 1_100);
    assert!(breaker.admit(at(1_200)).verdict.is_err());
    let admission = breaker.admit(at(2_200));
    let transition = admission.transition.expect("the lease of 1 s is over");
    assert_eq!((transition.to, transition.cause), (State::Open, Cause::ProbesFailed));
    assert_eq!(record(&breaker, hung, Sample::Success, 2_300), None);
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn b06_a_success_after_the_lease_counts_as_a_failure_even_if_nobody_asked_in_between() {
    let breaker = opened(&plain(), 0);
    let (first, second) = (admit(&breaker, 1_100), admit(&breaker, 1_100));
    assert_eq!(record(&breaker, first, Sample::Success, 2_200), None);
    let transition = record(&breaker, second, Sample::Success, 2_200).unwrap();
    assert_eq!(transition.to, State::Open);
}

#[test]
fn b06_a_late_probe_does_not_take_the_lease_of_the_next_one_in_its_place() {
    let config = BreakerConfig {
        half_open: HalfOpenConfig {
            probes: 2,
            success_rate: Ratio::percent(50),
            ..plain().half_open
        },
        ..plain()
    };
    let breaker = opened(&config, 0);
    let hung = admit(&breaker, 1_100);
    let next = admit(&breaker, 2_200);
    assert_eq!(record(&breaker, hung, Sample::Failure, 2_201), None);
    let transition = record(&breaker, next, Sample::Success, 2_202).unwrap();
    assert_eq!(transition.to, State::Closed);
}

#[test]
fn b06_the_lease_of_an_earlier_phase_does_not_say_when_to_come_back() {
    let breaker = opened(&plain(), 0);
    let [one, two, _hung] = [(); 3].map(|()| admit(&breaker, 1_100));
    assert!(record(&breaker, one, Sample::Failure, 1_100).is_none());
    assert!(record(&breaker, two, Sample::Failure, 1_100).is_some(), "open for 2 s");
    assert!(call(&breaker, Sample::Success, 3_500).is_none());
    let _busy = [admit(&breaker, 3_500), admit(&breaker, 3_500)];
    let rejection = breaker.admit(at(3_600)).verdict.unwrap_err();
    assert_eq!(rejection.reason, RejectionReason::ProbesBusy);
    let wait = rejection.retry_after.expect("the leases of the two are known");
    assert!(wait >= Duration::from_millis(900), "{wait:?}");
}

#[test]
fn b07_without_traffic_it_stays_half_open_and_admits_at_any_time() {
    let breaker = opened(&plain(), 0);
    assert!(is_admitted(&breaker, 1_100));
    assert!(is_admitted(&breaker, 1_000_000_000));
    assert_eq!(breaker.state(), State::HalfOpen);
}

#[test]
fn b07_a_dwell_ends_a_half_open_phase_without_a_verdict() {
    let half_open = HalfOpenConfig { dwell: Some(5 * SECOND), ..plain().half_open };
    let breaker = opened(&BreakerConfig { half_open, ..plain() }, 0);
    assert!(is_admitted(&breaker, 1_100));
    let transition = breaker.admit(at(6_100)).transition.unwrap();
    assert_eq!((transition.to, transition.cause), (State::Open, Cause::NoVerdict));
}

#[test]
fn b08_a_rejection_of_ours_is_neutral() {
    use crate::policy::outcome::Outcome;
    let breaker = Breaker::new(&plain()).unwrap();
    let rejected = Outcome::Rejected { retry_after: None }.sample();
    for _ in 0..100 {
        assert_eq!(call(&breaker, rejected, 0), None);
    }
    assert_eq!(breaker.view(at(0).now).consecutive_failures, 0);
    let breaker = opened(&plain(), 0);
    assert_eq!(call(&breaker, rejected, 1_100), None);
    assert_eq!(breaker.state(), State::HalfOpen);
}

#[test]
fn b09_after_any_number_of_successes_exactly_the_threshold_of_failures_opens_it() {
    for successes in [0, 1, 50, 99, 100, 101, 1_000, 12_345] {
        let breaker = Breaker::new(&counting(100, 100, 50)).unwrap();
        for _ in 0..successes.max(50) {
            assert_eq!(call(&breaker, Sample::Success, 0), None);
        }
        let failures = (1..).find(|_| call(&breaker, Sample::Failure, 0).is_some()).unwrap();
        assert_eq!(failures, 50, "after {successes} successes");
    }
}

#[test]
fn b10_it_opens_on_the_very_outcome_that_reaches_minimum_and_rate() {
    let breaker = Breaker::new(&counting(100, 10, 100)).unwrap();
    let failures = (1..).find(|_| call(&breaker, Sample::Failure, 0).is_some()).unwrap();
    assert_eq!(failures, 10);
    for config in [
        counting(100, 10, 50),
        BreakerConfig { window: Window::Time(10 * SECOND), ..counting(100, 10, 50) },
    ] {
        let breaker = Breaker::new(&config).unwrap();
        for _ in 0..5 {
            assert_eq!(call(&breaker, Sample::Failure, 0), None);
        }
        for _ in 0..4 {
            assert_eq!(call(&breaker, Sample::Success, 0), None);
        }
        let transition = call(&breaker, Sample::Success, 0).expect("the tenth call tips it");
        assert_eq!(transition.cause, Cause::FailureRate(Ratio::percent(50)));
    }
}

#[test]
fn b16_failures_while_open_neither_prolong_it_nor_open_it_again() {
    let breaker = Breaker::new(&plain()).unwrap();
    let late: Vec<_> = (0..20).map(|_| admit(&breaker, 0)).collect();
    open(&breaker, 0);
    let before = breaker.view(at(500).now);
    for permit in late {
        assert_eq!(record(&breaker, permit, Sample::Failure, 500), None);
    }
    assert_eq!(breaker.view(at(500).now), before);
}

#[test]
fn b17_open_times_of_many_instances_are_spread() {
    let open = OpenConfig { jitter: BreakerConfig::default().open.jitter, ..plain().open };
    let config = BreakerConfig { open, ..plain() };
    let times: std::collections::BTreeSet<_> = (0..100)
        .map(|instance| {
            let breaker = Breaker::new(&config).unwrap();
            let bits = crate::bits::bits(1, instance, 0);
            let moment = Moment { now: Instant::from_millis(0), bits };
            let calls = (0..3)
                .map(|_| breaker.record(admit(&breaker, 0), Sample::Failure, SECOND, || moment));
            calls.flatten().last().unwrap().open_for.unwrap()
        })
        .collect();
    assert!(times.len() > 95, "{} different open times", times.len());
    assert!(*times.first().unwrap() >= Duration::from_millis(800));
    assert!(*times.last().unwrap() <= Duration::from_millis(1_200));
}

#[test]
fn b18_a_flapping_peer_is_left_alone_for_longer_and_forgiven_in_steps() {
    let breaker = Breaker::new(&plain()).unwrap();
    let mut now = 0;
    let mut opened_for = Vec::new();
    for _ in 0..8 {
        let transition = (0..3).find_map(|_| call(&breaker, Sample::Failure, now)).unwrap();
        opened_for.push(transition.open_for.unwrap().as_secs());
        now += 61_000;
        assert_eq!(call(&breaker, Sample::Success, now), None);
        assert_eq!(call(&breaker, Sample::Success, now).unwrap().to, State::Closed);
    }
    assert_eq!(opened_for, [1, 2, 4, 8, 16, 32, 60, 60]);
    // 30 s of health take one step back, an hour takes all of them.
    let reopen = |now| (0..3).find_map(|_| call(&breaker, Sample::Failure, now)).unwrap().open_for;
    let closed_at = now;
    assert_eq!(reopen(closed_at + 65_000), Some(Duration::from_secs(60)));
    now = closed_at + 200_000;
    assert_eq!((call(&breaker, Sample::Success, now), breaker.state()), (None, State::HalfOpen));
    assert_eq!(call(&breaker, Sample::Success, now).unwrap().to, State::Closed);
    assert_eq!(reopen(now + 3_600_000), Some(SECOND));
}

fn slow_config() -> BreakerConfig {
    let slow = SlowConfig { threshold: SECOND, rate: Ratio::percent(50) };
    BreakerConfig { slow: Some(slow), ..counting(10, 4, 100) }
}

#[test]
fn b19_slow_successes_open_it_and_a_slow_probe_does_not_close_it() {
    let breaker = Breaker::new(&slow_config()).unwrap();
    let slow = |ms| breaker.record(admit(&breaker, ms), Sample::Success, SECOND, || at(ms));
    assert_eq!((slow(0), slow(0), slow(0)), (None, None, None));
    let transition = slow(0).unwrap();
    assert_eq!(transition.cause, Cause::SlowRate(Ratio::ONE));
    assert_eq!(slow(1_100), None);
    assert_eq!(slow(1_100).unwrap().to, State::Open);
}

#[test]
fn b19_a_call_in_flight_beyond_the_threshold_counts_as_slow_once() {
    let breaker = Breaker::new(&slow_config()).unwrap();
    let mut hung = admit(&breaker, 0);
    assert_eq!(breaker.slow_in_flight(&mut hung, || at(1_000)), None);
    assert_eq!(breaker.slow_in_flight(&mut hung, || at(1_001)), None);
    assert_eq!(breaker.view(at(1_001).now).slow, 1);
    assert_eq!(breaker.record(hung, Sample::Success, 2 * SECOND, || at(2_000)), None);
    let view = breaker.view(at(2_000).now);
    assert_eq!((view.calls, view.slow, view.failed), (1, 1, 0));
    let mut hung: Vec<_> = (0..3).map(|_| admit(&breaker, 3_000)).collect();
    let opened = hung.iter_mut().find_map(|permit| breaker.slow_in_flight(permit, || at(4_000)));
    assert_eq!(opened.unwrap().to, State::Open, "opened by calls that have not even ended");
}

#[test]
fn b21_only_an_explicit_action_leaves_a_forced_state() {
    let breaker = Breaker::new(&plain()).unwrap();
    let before = admit(&breaker, 0);
    assert_eq!(breaker.force_open().unwrap().to, State::ForcedOpen);
    assert_eq!(record(&breaker, before, Sample::Success, 0), None);
    assert!(!is_admitted(&breaker, 1_000_000_000));
    assert_eq!(breaker.reset().unwrap().to, State::Closed);

    breaker.disable();
    for _ in 0..100 {
        assert_eq!(call(&breaker, Sample::Failure, 0), None);
    }
    assert_eq!(breaker.state(), State::Disabled);
    assert_eq!(breaker.enable().unwrap().to, State::Closed);
}

#[test]
fn b21_isolations_are_counted() {
    let breaker = Breaker::new(&plain()).unwrap();
    assert!(breaker.isolate().is_some() && breaker.isolate().is_none());
    assert_eq!(breaker.release(), None);
    assert_eq!(breaker.state(), State::ForcedOpen);
    assert_eq!(breaker.reset(), None, "a reset does not take away what others hold");
    assert_eq!(breaker.release().unwrap().to, State::Closed);
    assert_eq!(breaker.release(), None);
}

#[test]
fn b22_the_window_is_empty_after_every_close_and_reset() {
    for config in [
        counting(10, 5, 60),
        BreakerConfig { window: Window::Time(1_000 * SECOND), ..counting(10, 5, 60) },
    ] {
        let breaker = opened(&config, 0);
        assert_eq!(call(&breaker, Sample::Success, 1_100), None);
        assert_eq!(call(&breaker, Sample::Success, 1_100).unwrap().to, State::Closed);
        assert_eq!(breaker.view(at(1_100).now).calls, 0);
        assert_eq!(call(&breaker, Sample::Failure, 1_100), None);
        assert_eq!(breaker.view(at(1_100).now).failed, 1);
        assert!(breaker.reset().is_some());
        let view = breaker.view(at(1_100).now);
        assert_eq!((view.calls, view.failed, view.openings), (0, 0, 0));
    }
}

#[test]
fn b27_the_threshold_is_reached_not_passed_and_compared_without_rounding() {
    for (percent, needed) in [(1, 1), (29, 29), (57, 57), (100, 100)] {
        let breaker = Breaker::new(&counting(100, 100, percent)).unwrap();
        for _ in 0..(100 - needed) {
            assert_eq!(call(&breaker, Sample::Success, 0), None);
        }
        for _ in 1..needed {
            assert_eq!(call(&breaker, Sample::Failure, 0), None, "{percent} %");
        }
        assert!(call(&breaker, Sample::Failure, 0).is_some(), "{percent} %");
    }
}

#[test]
fn b28_a_config_that_makes_no_sense_is_refused_by_the_name_of_its_field() {
    let good = BreakerConfig::default();
    let half = |probes, success_rate| HalfOpenConfig { probes, success_rate, ..good.half_open };
    let open = |base, cap| OpenConfig { base, cap, ..good.open };
    let cases = [
        (BreakerConfig { window: Window::Count(0), ..good }, "window.count"),
        (BreakerConfig { window: Window::Count(5_000), ..good }, "window.count"),
        (BreakerConfig { window: Window::Count(10), ..good }, "minimum_calls"),
        (BreakerConfig { window: Window::Time(Duration::ZERO), ..good }, "window.time"),
        (BreakerConfig { window: Window::Off, consecutive_failures: 0, ..good }, "window"),
        (BreakerConfig { consecutive_failures: 256, ..good }, "consecutive_failures"),
        (BreakerConfig { minimum_calls: 0, ..good }, "minimum_calls"),
        (BreakerConfig { failure_rate: Ratio::ZERO, ..good }, "failure_rate"),
        (BreakerConfig { failure_rate: Ratio::percent(101), ..good }, "failure_rate"),
        (BreakerConfig { half_open: half(0, Ratio::ONE), ..good }, "half_open.probes"),
        (BreakerConfig { half_open: half(17, Ratio::ONE), ..good }, "half_open.probes"),
        (BreakerConfig { half_open: half(3, Ratio::ZERO), ..good }, "half_open.success_rate"),
        (BreakerConfig { open: open(Duration::ZERO, SECOND), ..good }, "open.base"),
        (BreakerConfig { open: open(2 * SECOND, SECOND), ..good }, "open.cap"),
        (BreakerConfig { ramp: Some(Duration::ZERO), ..good }, "ramp"),
    ];
    for (config, field) in cases {
        let error = Breaker::new(&config).unwrap_err();
        assert_eq!(error.field, field, "{error}");
    }
}

#[test]
fn b29_a_reload_keeps_state_row_and_permits() {
    let breaker = Breaker::new(&counting(100, 10, 50)).unwrap();
    for _ in 0..4 {
        assert_eq!(call(&breaker, Sample::Failure, 0), None);
    }
    let flying = admit(&breaker, 0);
    let stricter = BreakerConfig { minimum_calls: 5, ..counting(100, 10, 50) };
    let breaker = breaker.reloaded(&stricter, at(0).now).unwrap();
    assert_eq!(breaker.view(at(0).now).failed, 4);
    assert!(record(&breaker, flying, Sample::Failure, 0).is_some(), "the old permit counts");

    let longer = BreakerConfig { open: OpenConfig { base: 9 * SECOND, ..plain().open }, ..plain() };
    let breaker = breaker.reloaded(&longer, at(100).now).unwrap();
    assert_eq!(breaker.state(), State::Open);
    assert!(is_admitted(&breaker, 1_100), "an open time under way is not changed");
    assert_eq!(breaker.reloaded(&counting(0, 1, 1), at(0).now).unwrap_err().field, "window.count");
}

#[test]
fn b29_another_window_starts_empty_and_another_number_of_probes_starts_over() {
    let breaker = Breaker::new(&counting(100, 10, 50)).unwrap();
    assert_eq!(call(&breaker, Sample::Failure, 0), None);
    let breaker = breaker.reloaded(&counting(50, 10, 50), at(0).now).unwrap();
    assert_eq!(breaker.view(at(0).now).calls, 0);

    let breaker = opened(&plain(), 0);
    assert!(is_admitted(&breaker, 1_100));
    let half_open = HalfOpenConfig { probes: 1, ..plain().half_open };
    let breaker = breaker.reloaded(&BreakerConfig { half_open, ..plain() }, at(1_100).now).unwrap();
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(call(&breaker, Sample::Success, 1_102).unwrap().to, State::Closed);
}

#[test]
fn b30_a_restored_breaker_waits_for_what_was_left_and_never_longer_than_configured() {
    let breaker = opened(&plain(), 0);
    let kept = breaker.snapshot(at(400).now);
    let later = Breaker::restore(&plain(), &kept, at(9_000_000).now).unwrap();
    assert!(!is_admitted(&later, 9_000_500) && is_admitted(&later, 9_000_602));

    let broken = super::super::BreakerSnapshot {
        state: super::super::SnapshotState::Open { remaining: Duration::from_secs(1 << 40) },
        openings: 255,
    };
    let restored = Breaker::restore(&plain(), &broken, at(0).now).unwrap();
    assert!(!is_admitted(&restored, 59_000) && is_admitted(&restored, 60_002));

    let half_open = opened(&plain(), 0);
    assert!(is_admitted(&half_open, 1_100));
    let kept = half_open.snapshot(at(1_100).now);
    assert!(is_admitted(&Breaker::restore(&plain(), &kept, at(5).now).unwrap(), 7));
}

#[test]
fn b14_memory_does_not_depend_on_traffic() {
    assert!(size_of::<super::super::window::Buckets>() <= 16 * BUCKETS as usize + 64);
}

#[test]
fn a_ramp_admits_a_growing_share_after_closing() {
    let breaker = opened(&BreakerConfig { ramp: Some(10 * SECOND), ..plain() }, 0);
    assert_eq!(call(&breaker, Sample::Success, 1_100), None);
    assert_eq!(call(&breaker, Sample::Success, 1_100).unwrap().to, State::Closed);
    let share = |ms: u64| {
        let bits = (0..1_000).map(|n| crate::bits::bits(5, ms, n));
        let moment = |bits| Moment { now: Instant::from_millis(ms), bits };
        bits.filter(|bits| breaker.admit(moment(*bits)).verdict.is_ok()).count()
    };
    assert!((70..130).contains(&share(1_100)), "{}", share(1_100));
    assert!((450..550).contains(&share(6_100)), "{}", share(6_100));
    assert_eq!(share(11_200), 1_000);
    assert!(breaker.admit_closed().is_some());
}
