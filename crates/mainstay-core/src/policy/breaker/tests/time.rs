//! Idle hours, steps back and leaps of the clock.

use super::super::{Breaker, BreakerConfig, State, Window};
use super::{SECOND, at, call, counting, is_admitted, opened, plain};
use crate::policy::outcome::Sample;

fn timed(minimum: u32, percent: u32) -> Breaker {
    let window = Window::Time(5 * SECOND);
    Breaker::new(&BreakerConfig { window, ..counting(10, minimum, percent) }).unwrap()
}

#[test]
fn b11_an_hour_of_silence_empties_the_window() {
    let breaker = timed(5, 50);
    for _ in 0..4 {
        assert_eq!(call(&breaker, Sample::Failure, 0), None);
    }
    assert_eq!(call(&breaker, Sample::Failure, 3_600_000), None);
    assert_eq!(breaker.view(at(3_600_000).now).calls, 1);
}

#[test]
fn b12_reading_expires_too() {
    let breaker = timed(50, 50);
    assert_eq!(call(&breaker, Sample::Failure, 0), None);
    assert_eq!(breaker.view(at(4_900).now).failed, 1);
    assert_eq!(breaker.view(at(5_100).now).failed, 0);
}

#[test]
fn b13_catching_up_after_thirty_days_touches_no_bucket() {
    // Lanes carry their tick, so nothing is cleared: the first call after any idle time writes one
    // lane, which the model test proves right and this one proves for an idle time of its own.
    let breaker = timed(2, 100);
    assert_eq!(call(&breaker, Sample::Failure, 0), None);
    let month = 30 * 24 * 3_600_000;
    assert_eq!(call(&breaker, Sample::Success, month), None);
    assert_eq!(breaker.view(at(month).now).calls, 1);
}

#[test]
fn b15_a_clock_that_steps_back_does_not_keep_it_open() {
    let breaker = opened(&plain(), 100_000_000);
    assert!(!is_admitted(&breaker, 1_000), "the wait starts again, held at the cap");
    assert!(is_admitted(&breaker, 62_000));
}

#[test]
fn b15_a_clock_that_leaps_wedges_nothing() {
    let breaker = timed(2, 100);
    assert_eq!(call(&breaker, Sample::Success, u64::MAX / 1_000_000), None);
    assert_eq!(call(&breaker, Sample::Failure, 0), None);
    assert_eq!(breaker.view(at(0).now).calls, 1, "after a leap back the window starts over");
    assert!(call(&breaker, Sample::Failure, 0).is_some());
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn b15_a_small_step_back_counts_as_the_latest_time() {
    let breaker = timed(2, 100);
    assert_eq!(call(&breaker, Sample::Failure, 10_000), None);
    assert!(call(&breaker, Sample::Failure, 9_000).is_some());
}
