use super::{AdaptiveLimit, AdaptiveLimitConfig, Algorithm, Completion, Finished};
use crate::config::Ratio;
use crate::policy::outcome::Outcome;
use crate::time::Instant;
use core::time::Duration;
use proptest::prelude::{Just, any, prop_assert, prop_oneof, proptest};

const ALGORITHMS: [Algorithm; 3] = [Algorithm::AIMD, Algorithm::Vegas, Algorithm::GRADIENT2];

/// Every sample is a window of its own, so that a formula shows.
fn at_once(algorithm: Algorithm) -> AdaptiveLimit {
    let config = AdaptiveLimitConfig {
        algorithm,
        window: Duration::ZERO,
        window_samples: 1,
        ..AdaptiveLimitConfig::default()
    };
    AdaptiveLimit::new(&config).unwrap()
}

fn answered(millis: u64, in_flight: u32) -> Finished {
    let round_trip = Duration::from_millis(millis);
    Finished { completion: Completion::Answered, round_trip, in_flight }
}

fn dropped(millis: u64, in_flight: u32) -> Finished {
    Finished { completion: Completion::Dropped, ..answered(millis, in_flight) }
}

/// Calls that use the whole limit, one millisecond apart, from `from`.
fn run(limit: &mut AdaptiveLimit, from: u64, calls: u64, millis: u64) -> u32 {
    for call in 0..calls {
        let in_flight = limit.limit();
        drop_answer(limit.record(Instant::from_millis(from + call), answered(millis, in_flight)));
    }
    limit.limit()
}

fn drop_answer(_: u32) {}

#[test]
fn aimd_adds_one_per_round_and_cuts_a_tenth_per_drop() {
    let mut limit = at_once(Algorithm::AIMD);
    assert_eq!(run(&mut limit, 0, 21, 10), 21);
    assert_eq!(limit.record(Instant::from_millis(2_000), dropped(1_000, 20)), 18);
}

#[test]
fn many_losses_of_one_moment_cut_once() {
    let mut limit = at_once(Algorithm::AIMD);
    for millis in 0..20 {
        let now = Instant::from_millis(5_000 + millis);
        assert_eq!(limit.record(now, dropped(1_000, 20)), 18);
    }
    assert_eq!(limit.record(Instant::from_millis(7_000), dropped(1_000, 20)), 16);
}

#[test]
fn vegas_follows_the_queue_in_the_peer() {
    let mut limit = at_once(Algorithm::Vegas);
    let mut record = |millis| limit.record(Instant::from_millis(0), answered(millis, 100));
    assert_eq!(record(100), 20, "the first sample is the baseline");
    assert_eq!(record(100), 26, "no queue: 6 more");
    assert_eq!(record(108), 27, "a queue of 1.9: one more");
    assert_eq!(record(120), 27, "a queue of 4.5: neither");
    assert_eq!(record(140), 26, "a queue of 7.7: one less");
    assert_eq!(limit.record(Instant::from_millis(0), dropped(100, 100)), 25);
}

#[test]
fn gradient2_shrinks_by_what_round_trips_have_grown_beyond_the_tolerance() {
    let mut limit = at_once(Algorithm::Gradient2 {
        tolerance: Ratio::percent(150),
        smoothing: Ratio::ONE,
        queue: 4,
    });
    let mut record = |millis| limit.record(Instant::from_millis(0), answered(millis, 1_000));
    for expected in (24..=64).step_by(4) {
        assert_eq!(record(100), expected);
    }
    // long moves by 2/601 of the way to 300 ms: 100.67; gradient 1.5 × 100.67 / 300, held at
    // 0.5033.
    assert_eq!(record(300), 36);
    assert_eq!(record(3_000), 22, "the gradient stops at one half");
}

#[test]
fn a_window_closes_when_it_is_long_and_full_enough() {
    let config = AdaptiveLimitConfig { algorithm: Algorithm::Vegas, ..Default::default() };
    let mut limit = AdaptiveLimit::new(&config).unwrap();
    assert_eq!(run(&mut limit, 0, 1_001, 10), 20, "the baseline");
    assert_eq!(run(&mut limit, 1_001, 1_000, 10), 20, "not long enough");
    assert_eq!(run(&mut limit, 2_001, 1, 10), 26);
    assert_eq!(run(&mut limit, 60_000, 9, 10), 26, "not full enough");
    assert_eq!(run(&mut limit, 61_000, 1, 10), 32);
}

#[test]
fn a01_cancelled_and_rejected_calls_are_no_samples_and_timeouts_are_drops() {
    let cases = [
        (Outcome::Success, false, Completion::Answered),
        (Outcome::Refused, false, Completion::Answered),
        (Outcome::THROTTLED, false, Completion::Dropped),
        (Outcome::TRANSIENT, true, Completion::Dropped),
        (Outcome::TRANSIENT, false, Completion::Ignored),
        (Outcome::Permanent, false, Completion::Ignored),
        (Outcome::Abandoned, true, Completion::Ignored),
        (Outcome::Rejected { retry_after: None }, true, Completion::Ignored),
    ];
    for (outcome, timed_out, expected) in cases {
        assert_eq!(Completion::of(outcome, timed_out), expected, "{outcome:?}");
    }
    for algorithm in ALGORITHMS {
        let mut limit = at_once(algorithm);
        let ignored = Finished { completion: Completion::Ignored, ..answered(1, 1_000) };
        for _ in 0..100 {
            assert_eq!(limit.record(Instant::from_millis(1), ignored), 20);
        }
        assert!(limit.record(Instant::from_millis(1), dropped(1, 20)) < 20, "{algorithm:?}");
    }
}

#[test]
fn a01_the_time_of_a_timeout_is_no_sample_of_the_round_trip() {
    let mut limit = at_once(Algorithm::Vegas);
    run(&mut limit, 0, 1, 10);
    for _ in 0..5 {
        drop_answer(limit.record(Instant::from_millis(5), dropped(1, 20)));
    }
    assert_eq!(run(&mut limit, 6, 1, 10), 21, "the baseline is still 10 ms: no queue, 15 + 6");
}

#[test]
fn a02_a_limit_that_is_not_used_does_not_grow() {
    for algorithm in ALGORITHMS {
        let mut limit = at_once(algorithm);
        for millis in 0..1_000 {
            let call = answered(10, limit.limit() / 2 - 1);
            assert!(limit.record(Instant::from_millis(millis), call) <= 20, "{algorithm:?}");
        }
        assert_eq!(limit.limit(), 20, "{algorithm:?}");
        assert!(run(&mut limit, 1_000, 100, 10) > 20, "{algorithm:?}");
    }
}

#[test]
fn a03_a_round_trip_of_nothing_is_one_nanosecond() {
    for algorithm in ALGORITHMS {
        let mut limit = at_once(algorithm);
        assert!(run(&mut limit, 0, 1_000, 0) > 20, "{algorithm:?}");
    }
}

#[test]
fn a04_a_baseline_that_is_too_good_is_forgotten() {
    let mut limit = at_once(Algorithm::Vegas);
    run(&mut limit, 0, 2, 1);
    assert!(run(&mut limit, 10, 50, 10) < 20);
    assert!(run(&mut limit, 100, 2_000, 10) > 100, "the path is longer now, and that is fine");
}

#[test]
fn a04_a_baseline_learnt_in_a_long_overload_is_forgotten() {
    for algorithm in [Algorithm::Vegas, Algorithm::GRADIENT2] {
        let mut limit = at_once(algorithm);
        run(&mut limit, 0, 5_000, 1_000);
        run(&mut limit, 5_000, 300, 10);
        let before = limit.limit();
        assert!(run(&mut limit, 6_000, 20, 1_000) < before, "{algorithm:?}: slow is slow again");
    }
}

#[test]
fn a_clock_set_back_freezes_nothing() {
    for algorithm in ALGORITHMS {
        let config = AdaptiveLimitConfig { algorithm, ..AdaptiveLimitConfig::default() };
        let mut limit = AdaptiveLimit::new(&config).unwrap();
        drop_answer(limit.record(Instant::MAX, dropped(10, 20)));
        drop_answer(limit.record(Instant::MAX, dropped(10, 20)));
        let before = limit.limit();
        for call in 0..2_000 {
            drop_answer(limit.record(Instant::from_millis(call), dropped(0, 20)));
        }
        assert!(limit.limit() < before, "{algorithm:?}");
    }
}

#[test]
fn b28_a_limit_that_makes_no_sense_is_refused_by_the_name_of_its_field() {
    let good = AdaptiveLimitConfig::default();
    let aimd = Algorithm::Aimd { backoff: Ratio::ONE };
    let gradient = |tolerance, smoothing, queue| AdaptiveLimitConfig {
        algorithm: Algorithm::Gradient2 { tolerance, smoothing, queue },
        ..good
    };
    let cases = [
        (AdaptiveLimitConfig { min: 0, ..good }, "min"),
        (AdaptiveLimitConfig { max: 0, ..good }, "max"),
        (AdaptiveLimitConfig { initial: 201, ..good }, "initial"),
        (AdaptiveLimitConfig { window: Duration::MAX, ..good }, "window"),
        (AdaptiveLimitConfig { window_samples: 0, ..good }, "window_samples"),
        (AdaptiveLimitConfig { algorithm: aimd, ..good }, "algorithm.aimd.backoff"),
        (gradient(Ratio::ZERO, Ratio::ONE, 4), "algorithm.gradient2.tolerance"),
        (gradient(Ratio::ONE, Ratio::ZERO, 4), "algorithm.gradient2.smoothing"),
        (gradient(Ratio::ONE, Ratio::ONE, 1001), "algorithm.gradient2.queue"),
    ];
    for (config, field) in cases {
        assert_eq!(AdaptiveLimit::new(&config).unwrap_err().field, field);
    }
}

proptest! {
    #[test]
    fn every_limit_stays_within_its_bounds(
        calls in proptest::collection::vec((
            any::<u64>(),
            any::<u64>(),
            any::<u32>(),
            prop_oneof![
                4 => Just(Completion::Answered),
                1 => Just(Completion::Dropped),
                1 => Just(Completion::Ignored)
            ],
        ), 1..200),
        which in 0..3_usize,
        window in 0..2_u64,
    ) {
        let config = AdaptiveLimitConfig {
            algorithm: ALGORITHMS[which],
            min: 3,
            max: 50,
            window: Duration::from_secs(window),
            window_samples: 1,
            ..AdaptiveLimitConfig::default()
        };
        let mut limit = AdaptiveLimit::new(&config).unwrap();
        for (now, nanos, in_flight, completion) in calls {
            let round_trip = Duration::from_nanos(nanos);
            let call = Finished { completion, round_trip, in_flight };
            let answer = limit.record(Instant::from_nanos(now), call);
            prop_assert!((3..=50).contains(&answer));
        }
    }

    /// A peer that serves `slots` calls at once and queues the rest, fed with as many as the limit.
    #[test]
    fn every_limit_comes_to_use_what_the_peer_can_take(slots in 5..60_u64, which in 1..3_usize) {
        let mut limit = at_once(ALGORITHMS[which]);
        for step in 0..3_000 {
            let in_flight = limit.limit();
            let nanos = 10_000_000 * u64::from(in_flight).max(slots) / slots;
            let call = Finished {
                completion: Completion::Answered,
                round_trip: Duration::from_nanos(nanos),
                in_flight,
            };
            drop_answer(limit.record(Instant::from_millis(step), call));
        }
        let found = u64::from(limit.limit());
        prop_assert!(found * 2 >= slots, "{} for {} slots", found, slots);
    }
}
