//! Breakers: admission and record, and rejection.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant as Clock};

use failsafe::{CircuitBreaker, Config, backoff, failure_policy};
use mainstay_core::policy::breaker::{Breaker, BreakerConfig, Window};
use mainstay_core::policy::outcome::Sample;
use mainstay_core::time::{Instant, Moment};
use recloser::Recloser;

use crate::measure::Row;
use crate::peers::{call_tower_resilience, fails_one_in_ten, never_fails, tower_resilience};
use crate::report::Section;

pub const NOW: Moment = Moment { now: Instant::from_millis(1_000_000), bits: 7 };

pub fn sections() -> Vec<Section> {
    let note = "Admission and record of a success; ours is told the time and reads no clock.";
    let mixed = "The same with one failure in ten.";
    let shared = "Per call and thread, two threads on one breaker.";
    vec![
        Section::new("breaker, one thread", note, || rows(1, never_fails)),
        Section::new("breaker, one thread, 10 % failures", mixed, || rows(1, fails_one_in_ten)),
        Section::new("breaker, two threads", shared, || rows(2, never_fails)),
        Section::new("breaker, two threads, 10 % failures", shared, || rows(2, fails_one_in_ten)),
        Section::new("rejection", "Asking an open breaker. Peers read the clock.", rejection),
    ]
}

pub fn breaker(window: Window) -> Arc<Breaker> {
    let config = BreakerConfig { window, ..BreakerConfig::default() };
    let config = match window {
        Window::Count(size) => BreakerConfig { minimum_calls: size.min(20), ..config },
        Window::Off | Window::Time(_) => config,
    };
    Arc::new(Breaker::new(&config).expect("the config is sound"))
}

#[inline(always)]
pub fn call(breaker: &Breaker, failed: bool, at: Moment) {
    let permit = breaker.admit_closed().expect("closed");
    let sample = if failed { Sample::Failure } else { Sample::Success };
    let transition = breaker.record(permit, sample, Duration::ZERO, move || at);
    assert!(transition.is_none(), "one failure in ten opens nothing");
}

fn ours(
    name: &str,
    window: Window,
    fails: impl Fn(u64) -> bool + Copy + Send + Sync + 'static,
) -> Row {
    let breaker = breaker(window);
    Row::new(name, move || {
        let breaker = Arc::clone(&breaker);
        move |n| call(&breaker, fails(n), NOW)
    })
}

fn rows(threads: usize, fails: impl Fn(u64) -> bool + Copy + Send + Sync + 'static) -> Vec<Row> {
    let mut rows = bounds(fails);
    rows.push(ours("mainstay, failures in a row", Window::Off, fails));
    rows.push(ours("mainstay, 100 calls", Window::Count(100), fails));
    rows.push(ours("mainstay, 1000 calls", Window::Count(1000), fails));
    rows.push(ours("mainstay, 10 s", Window::Time(Duration::from_secs(10)), fails));
    rows.extend([100, 1000].map(|size| recloser(size, fails)));
    rows.extend(failsafe(fails));
    let layer = tower_resilience(|builder| builder.sliding_window_size(100));
    rows.push(Row::new("tower-resilience, 100 calls", move || {
        let mut service = layer.clone();
        move |n| {
            call_tower_resilience(&mut service, if fails(n) { Err(()) } else { Ok(()) });
        }
    }));
    rows.into_iter().map(|row| row.on_threads(threads)).collect()
}

fn bounds(fails: impl Fn(u64) -> bool + Copy + Send + Sync + 'static) -> Vec<Row> {
    let word = Arc::new(AtomicU64::new(0));
    let (other, third) = (Arc::clone(&word), Arc::clone(&word));
    vec![
        Row::new("bound: two loads", move || {
            let word = Arc::clone(&word);
            move |n| {
                black_box(fails(n));
                black_box(word.load(Ordering::Acquire));
                black_box(word.load(Ordering::Acquire));
            }
        }),
        Row::new("bound: load and fetch_add", move || {
            let word = Arc::clone(&other);
            move |n| {
                black_box(fails(n));
                black_box(word.load(Ordering::Acquire));
                black_box(word.fetch_add(1, Ordering::AcqRel));
            }
        }),
        Row::new("bound: load and compare-exchange", move || {
            let word = Arc::clone(&third);
            move |n| {
                black_box(fails(n));
                let (order, failed) = (Ordering::AcqRel, Ordering::Relaxed);
                let mut seen = word.load(Ordering::Acquire);
                while let Err(now) = word.compare_exchange(seen, seen + 1, order, failed) {
                    seen = now;
                }
            }
        }),
    ]
}

fn recloser(size: usize, fails: impl Fn(u64) -> bool + Copy + Send + Sync + 'static) -> Row {
    let recloser = Arc::new(Recloser::custom().closed_len(size).build());
    Row::new(&format!("recloser, {size} calls"), move || {
        let recloser = Arc::clone(&recloser);
        move |n| {
            let answer = if fails(n) { Err(()) } else { Ok(()) };
            let _passed = black_box(recloser.call(|| answer));
        }
    })
}

fn failsafe(fails: impl Fn(u64) -> bool + Copy + Send + Sync + 'static) -> Vec<Row> {
    let open = backoff::constant(Duration::from_secs(30));
    let row = failure_policy::consecutive_failures(5, open);
    let consecutive = Config::new().failure_policy(row).build();
    let default = Config::new().build();
    vec![
        Row::new("failsafe, failures in a row", move || {
            let breaker = consecutive.clone();
            move |n| {
                let answer = if fails(n) { Err(()) } else { Ok(()) };
                let _passed = black_box(breaker.call(|| answer));
            }
        }),
        Row::new("failsafe, default", move || {
            let breaker = default.clone();
            move |n| {
                let answer = if fails(n) { Err(()) } else { Ok(()) };
                let _passed = black_box(breaker.call(|| answer));
            }
        }),
    ]
}

fn rejection() -> Vec<Row> {
    let closed = breaker(Window::Count(100));
    let open = breaker(Window::Off);
    for _ in 0..5 {
        let permit = open.admit_closed().expect("closed");
        let _transition = open.record(permit, Sample::Failure, Duration::ZERO, || NOW);
    }
    let (again, origin) = (Arc::clone(&open), Clock::now());
    let wait = Duration::from_secs(3600);
    let recloser = Arc::new(Recloser::custom().closed_len(1).open_wait(wait).build());
    (0..2).for_each(|_| drop(recloser.call(|| Err::<(), ()>(()))));
    let policy = failure_policy::consecutive_failures(1, backoff::constant(wait));
    let failsafe = Config::new().failure_policy(policy).build();
    drop(failsafe.call(|| Err::<(), ()>(())));
    let mut guarded = tower_resilience(|b| b.consecutive_failures(1).wait_duration_in_open(wait));
    call_tower_resilience(&mut guarded, Err(()));
    vec![
        Row::new("mainstay, clock excluded", move || {
            let open = Arc::clone(&open);
            move |_| assert!(black_box(open.admit(NOW)).verdict.is_err())
        }),
        Row::new("mainstay, with std's clock", move || {
            let open = Arc::clone(&again);
            move |_| {
                let now = NOW.now.after(origin.elapsed() / 1_000);
                assert!(black_box(open.admit(Moment { now, ..NOW })).verdict.is_err());
            }
        }),
        Row::new("mainstay, admission and success of 100 calls", move || {
            let closed = Arc::clone(&closed);
            move |_| call(&closed, false, NOW)
        }),
        Row::new("recloser", move || {
            let recloser = Arc::clone(&recloser);
            move |_| assert!(black_box(recloser.call(|| Ok::<(), ()>(()))).is_err())
        }),
        Row::new("failsafe", move || {
            let failsafe = failsafe.clone();
            move |_| assert!(black_box(failsafe.call(|| Ok::<(), ()>(()))).is_err())
        }),
        Row::new("tower-resilience", move || {
            let mut service = guarded.clone();
            move |_| assert!(!call_tower_resilience(&mut service, Ok(())))
        }),
    ]
}
