use super::{NotAdmitted, RateConfig, RateLimit, Reservation};
use crate::time::Instant;
use core::time::Duration;
use proptest::prelude::{any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy;
use std::vec::Vec;

const SECOND: u64 = 1_000_000_000;

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn config(limit: u32, burst: u32) -> RateConfig {
    RateConfig { limit, burst, ..RateConfig::default() }
}

fn limit(limit: u32, burst: u32) -> RateLimit {
    RateLimit::new(&config(limit, burst)).unwrap()
}

fn admitted(limit: &RateLimit, now: Instant) -> u32 {
    let mut count = 0;
    while limit.admit(now, 1).is_ok() {
        count += 1;
    }
    count
}

#[test]
fn a_rested_limit_admits_its_burst_and_then_one_per_interval() {
    let limit = limit(10, 3);
    assert_eq!(admitted(&limit, at(5_000)), 3);
    assert_eq!(limit.admit(at(5_000), 1), Err(NotAdmitted::NotUntil { at: at(5_100) }));
    assert_eq!(admitted(&limit, at(5_099)), 0);
    assert_eq!(admitted(&limit, at(5_100)), 1);
    assert_eq!(admitted(&limit, at(9_000)), 3);
}

#[test]
fn several_calls_are_admitted_all_or_none() {
    let limit = limit(10, 3);
    assert_eq!(limit.admit(at(0), 2), Ok(()));
    assert_eq!(limit.admit(at(0), 2), Err(NotAdmitted::NotUntil { at: at(100) }));
    assert_eq!(limit.admit(at(0), 1), Ok(()));
    assert_eq!(limit.admit(at(0), 0), Ok(()));
}

#[test]
fn l02_a_window_boundary_admits_no_second_limit() {
    let limit = limit(100, 1);
    let calls = (0..2_000).filter(|ms| limit.admit(at(500 + ms), 1).is_ok()).count();
    assert_eq!(calls, 200);
    let around = (2_500..3_500).filter(|ms| limit.admit(at(*ms), 1).is_ok()).count();
    assert_eq!(around, 100);
}

#[test]
fn l03_all_who_share_it_share_one_limit() {
    let limit = std::sync::Arc::new(limit(10, 4));
    let admitted: u32 = (0..8)
        .map(|_| {
            let limit = limit.clone();
            std::thread::spawn(move || admitted(&limit, at(0)))
        })
        .collect::<Vec<_>>()
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum();
    assert_eq!(admitted, 4);
}

#[test]
fn l04_places_are_booked_in_order_and_no_newcomer_goes_before_them() {
    let limit = limit(10, 1);
    assert_eq!(limit.admit(at(0), 1), Ok(()));
    let wait = Duration::from_secs(1);
    let booked: Vec<Instant> =
        (0..10).map(|_| limit.reserve(at(0), 1, wait).unwrap().at()).collect();
    let expected: Vec<Instant> = (1..=10).map(|n| at(n * 100)).collect();
    assert_eq!(booked, expected);
    assert_eq!(limit.reserve(at(0), 1, wait), Err(NotAdmitted::NotUntil { at: at(1_100) }));
    assert_eq!(limit.admit(at(100), 1), Err(NotAdmitted::NotUntil { at: at(1_100) }));
}

#[test]
fn l05_more_than_the_burst_is_an_error_and_not_a_wait() {
    let limit = limit(10, 3);
    assert_eq!(limit.admit(at(0), 4), Err(NotAdmitted::TooLarge { most: 3 }));
    let never = limit.reserve(at(0), 4, Duration::MAX);
    assert_eq!(never, Err(NotAdmitted::TooLarge { most: 3 }));
}

#[test]
fn l06_a_cancelled_place_is_free_again_unless_somebody_booked_behind_it() {
    let limit = limit(10, 1);
    assert_eq!(limit.admit(at(0), 1), Ok(()));
    let book = || limit.reserve(at(0), 1, Duration::from_secs(1)).unwrap();
    let (first, second) = (book(), book());
    assert!(!limit.cancel(first));
    assert!(limit.cancel(second));
    assert_eq!(book().at(), at(200));
}

#[test]
fn a_refused_call_uses_nothing() {
    let limit = limit(10, 1);
    assert_eq!(limit.admit(at(0), 1), Ok(()));
    for _ in 0..100 {
        assert!(limit.admit(at(50), 1).is_err());
    }
    assert_eq!(limit.admit(at(100), 1), Ok(()));
}

#[test]
fn a_reload_keeps_what_was_used_counted_in_calls() {
    let limit = limit(10, 4);
    assert_eq!(limit.admit(at(0), 2), Ok(()));
    limit.reload(at(0), &config(1, 4)).unwrap();
    assert_eq!(admitted(&limit, at(0)), 2);
    assert_eq!(limit.admit(at(0), 1), Err(NotAdmitted::NotUntil { at: at(1_000) }));
    limit.reload(at(0), &config(1_000, 4)).unwrap();
    assert_eq!(limit.admit(at(0), 1), Err(NotAdmitted::NotUntil { at: at(1) }));
    assert_eq!(limit.reload(at(0), &config(0, 4)).unwrap_err().field, "limit");
    assert_eq!(admitted(&limit, at(4)), 4);
}

#[test]
fn a_reload_keeps_the_booked_places_before_all_newcomers() {
    let limit = limit(10, 1);
    assert_eq!(limit.admit(at(0), 1), Ok(()));
    let place = limit.reserve(at(0), 1, Duration::from_secs(1)).unwrap();
    limit.reload(at(0), &RateConfig { max_wait: Duration::ZERO, ..config(1_000, 1) }).unwrap();
    let next = limit.admit(at(0), 1).unwrap_err();
    assert!(matches!(next, NotAdmitted::NotUntil { at } if at >= place.at()), "{next:?}");
}

#[test]
fn a_clock_set_back_delays_nobody_longer_than_a_full_bucket() {
    let limit = limit(10, 1);
    assert_eq!(limit.admit(Instant::from_nanos(u64::MAX - SECOND), 1), Ok(()));
    assert_eq!(limit.admit(at(0), 1), Err(NotAdmitted::NotUntil { at: at(100) }));
    let place = limit.reserve(at(0), 1, Duration::from_secs(1)).unwrap();
    assert_eq!(place.at(), at(100));
}

#[test]
fn b28_a_quota_that_makes_no_sense_is_refused_by_the_name_of_its_field() {
    let good = RateConfig::default();
    let cases = [
        (RateConfig { limit: 0, ..good }, "limit"),
        (RateConfig { period: Duration::ZERO, ..good }, "period"),
        (RateConfig { limit: 1, period: Duration::from_secs(1_200), ..good }, "period"),
        (RateConfig { burst: 0, ..good }, "burst"),
        (RateConfig { burst: u32::MAX, ..good }, "burst"),
        (RateConfig { max_wait: Duration::MAX, ..good }, "max_wait"),
    ];
    for (config, field) in cases {
        assert_eq!(RateLimit::new(&config).unwrap_err().field, field);
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Admit(u32),
    Reserve(u32),
    Cancel,
    Pass(u64),
}

fn script() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1..4_u32).prop_map(Step::Admit),
        4 => (1..4_u32).prop_map(Step::Reserve),
        1 => proptest::prelude::Just(Step::Cancel),
        4 => (0..400_000_000_u64).prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 1..150)
}

/// The most calls that start in any stretch of length `width`.
fn densest(starts: &[(u64, u32)], width: u64) -> u64 {
    let from = |first: u64| {
        let inside = starts.iter().filter(|(at, _)| (first..first + width).contains(at));
        inside.map(|(_, n)| u64::from(*n)).sum()
    };
    starts.iter().map(|(first, _)| from(*first)).max().unwrap_or(0)
}

proptest! {
    #[test]
    fn l01_l02_no_stretch_anywhere_sees_more_than_the_quota(
        steps in script(), per_second in 1..50_u32, burst in 1..6_u32, width in 1..5_000_000_000_u64,
    ) {
        let limit = limit(per_second, burst);
        let (mut now, mut starts, mut last): (u64, Vec<(u64, u32)>, _) = (0, Vec::new(), None);
        for step in steps {
            let time = Instant::from_nanos(now);
            match step {
                Step::Admit(n) => {
                    if limit.admit(time, n).is_ok() {
                        last = None;
                        starts.push((now, n));
                    }
                }
                Step::Reserve(n) => {
                    if let Ok(place) = limit.reserve(time, n, Duration::from_secs(3)) {
                        starts.push((place.at().as_nanos(), n));
                        last = Some(place);
                    }
                }
                Step::Cancel => {
                    let place: Option<Reservation> = last.take();
                    if place.is_some_and(|place| place.at() > time && limit.cancel(place)) {
                        starts.pop();
                    }
                }
                Step::Pass(nanos) => now += nanos,
            }
        }
        let interval = SECOND.div_ceil(u64::from(per_second));
        for width in [width, SECOND] {
            let most = u64::from(burst) + width.div_ceil(interval) - 1;
            prop_assert!(densest(&starts, width) <= most);
        }
    }

    /// The model is a leaky bucket of calls, drained continuously.
    #[test]
    fn l01_every_script_equals_a_leaky_bucket(
        moves in proptest::collection::vec((0..300_000_000_u64, 1..5_u32), 1..100),
        per_second in 1..50_u32, burst in 1..6_u32,
    ) {
        let limit = limit(per_second, burst);
        let interval = SECOND.div_ceil(u64::from(per_second));
        let (mut now, mut level) = (0_u64, 0_u64);
        for (pass, n) in moves {
            now += pass;
            level = level.saturating_sub(pass);
            let fits = level + u64::from(n) * interval <= u64::from(burst) * interval;
            level += if fits { u64::from(n) * interval } else { 0 };
            prop_assert_eq!(limit.admit(Instant::from_nanos(now), n).is_ok(), fits);
        }
    }

    #[test]
    fn no_clock_whatever_makes_it_panic_or_wait_beyond_its_bounds(
        moves in proptest::collection::vec((any::<u64>(), 1..5_u32), 1..50),
    ) {
        let limit = limit(10, 5);
        for (nanos, n) in moves {
            let now = Instant::from_nanos(nanos);
            if let Err(NotAdmitted::NotUntil { at }) = limit.admit(now, n) {
                // Capacity 500 ms, booked ahead 60 s: twice that, the grace, and the call itself.
                prop_assert!(at.since(now) <= Duration::from_secs(125));
            }
        }
    }
}
