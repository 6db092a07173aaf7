mod machine;
mod model;
mod promises;
mod time;

use super::{Breaker, BreakerConfig, HalfOpenConfig, OpenConfig, Permit, Transition, Window};
use crate::config::Ratio;
use crate::policy::outcome::Sample;
use crate::time::{Instant, Moment};
use core::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// The moment `ms` milliseconds after the origin, with bits that draw the middle of any jitter.
const fn at(ms: u64) -> Moment {
    Moment { now: Instant::from_millis(ms), bits: 1 << 63 }
}

/// Opens after three failures in a row for 1 s, closes after two of three probes.
const fn plain() -> BreakerConfig {
    BreakerConfig {
        consecutive_failures: 3,
        failures_in_window: 0,
        window: Window::Off,
        minimum_calls: 1,
        failure_rate: Ratio::percent(50),
        slow: None,
        open: OpenConfig {
            base: SECOND,
            cap: Duration::from_secs(60),
            factor: Ratio::percent(200),
            jitter: Ratio::ZERO,
            decay: Duration::from_secs(30),
        },
        half_open: HalfOpenConfig {
            probes: 3,
            success_rate: Ratio::percent(60),
            lease: None,
            dwell: None,
        },
        ramp: None,
    }
}

const fn counting(calls: u32, minimum: u32, percent: u32) -> BreakerConfig {
    BreakerConfig {
        consecutive_failures: 0,
        window: Window::Count(calls),
        minimum_calls: minimum,
        failure_rate: Ratio::percent(percent),
        ..plain()
    }
}

fn admit(breaker: &Breaker, ms: u64) -> Permit {
    breaker.admit(at(ms)).verdict.expect("admitted")
}

fn is_admitted(breaker: &Breaker, ms: u64) -> bool {
    let admission = breaker.admit(at(ms));
    admission.verdict.is_ok_and(|permit| breaker.abandon(permit, || at(ms)).is_none())
}

fn record(breaker: &Breaker, permit: Permit, sample: Sample, ms: u64) -> Option<Transition> {
    breaker.record(permit, sample, Duration::ZERO, || at(ms))
}

/// Makes a call that ends at once in `sample`.
fn call(breaker: &Breaker, sample: Sample, ms: u64) -> Option<Transition> {
    record(breaker, admit(breaker, ms), sample, ms)
}

/// A breaker under `config`, opened by failures at `ms`.
fn opened(config: &BreakerConfig, ms: u64) -> Breaker {
    let breaker = Breaker::new(config).unwrap();
    open(&breaker, ms);
    breaker
}

fn open(breaker: &Breaker, ms: u64) {
    let opened = (0..10_000).any(|_| call(breaker, Sample::Failure, ms).is_some());
    assert!(opened, "ten thousand failures open it");
}

#[test]
fn a_breaker_fits_the_bytes_it_promises() {
    let lane = 8;
    let heap_of_count = (100_usize.div_ceil(32) + 3) * lane;
    assert!(size_of::<Breaker>() + heap_of_count <= 256, "{} B", size_of::<Breaker>());
    let heap_of_time = size_of::<super::window::Buckets>() + 3 * lane;
    assert!(size_of::<Breaker>() + heap_of_time <= 400, "{} B", size_of::<Breaker>());
    assert!(size_of::<Permit>() <= 16);
}
