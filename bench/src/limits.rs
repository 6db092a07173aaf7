//! Backoff steps, budgets, rate limits.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant as Clock};

use backon::BackoffBuilder;
use governor::clock::FakeRelativeClock;
use governor::{Quota, RateLimiter};
use mainstay_core::bits::bits;
use mainstay_core::policy::backoff::{Backoff, BackoffConfig};
use mainstay_core::policy::budget::{Budget, BudgetConfig, TokenBudgetConfig};
use mainstay_core::policy::pressure::Pressure;
use mainstay_core::policy::rate::{RateConfig, RateLimit};
use mainstay_core::time::Instant;
use tokio_retry2::strategy::{ExponentialFactorBackoff, jitter};
use tower::retry::budget::{Budget as _, TpsBudget};
use tower_resilience_retry::RetryBudgetBuilder;

use crate::breakers::NOW;
use crate::measure::Row;
use crate::report::Section;

pub fn sections() -> Vec<Section> {
    let step = "One exponential wait with jitter, random bits included.";
    let budget = "A call's deposit and one withdrawal. Peers read the clock.";
    let rate = "One admitted call; first without a clock, then with std's.";
    vec![
        Section::new("backoff step", step, backoffs),
        Section::new("budget, one thread", budget, || budgets(1)),
        Section::new("budget, two threads", budget, || budgets(2)),
        Section::new("rate limit, one thread", rate, || rates(1)),
        Section::new("rate limit, two threads", rate, || rates(2)),
    ]
}

const BASE: Duration = Duration::from_millis(50);
const CAP: Duration = Duration::from_secs(20);

fn backoffs() -> Vec<Row> {
    vec![
        Row::new("mainstay, full jitter", || {
            let backoff = Backoff::new(&BackoffConfig::default()).expect("the config is sound");
            move |n| {
                let attempt = n as u32 % 8 + 1;
                let drawn = bits(7, 1, n);
                black_box(backoff.delay(attempt, Duration::ZERO, Pressure::NONE, drawn));
            }
        }),
        Row::new("backon", || {
            let builder = backon::ExponentialBuilder::new().with_jitter().without_max_times();
            let builder = builder.with_min_delay(BASE).with_max_delay(CAP);
            let mut waits = builder.build();
            move |n| {
                if n % 8 == 0 {
                    waits = builder.build();
                }
                black_box(waits.next());
            }
        }),
        Row::new("exponential-backoff", || {
            let backoff = exponential_backoff::Backoff::new(u32::MAX, BASE, CAP);
            let mut waits = backoff.iter();
            move |n| {
                if n % 8 == 0 {
                    waits = backoff.iter();
                }
                black_box(waits.next());
            }
        }),
        Row::new("tokio-retry2", || {
            let make = || ExponentialFactorBackoff::from_millis(50, 2.0).map(jitter);
            let mut waits = make();
            move |n| {
                if n % 8 == 0 {
                    waits = make();
                }
                black_box(waits.next());
            }
        }),
    ]
}

fn budget() -> Arc<Budget> {
    let config = BudgetConfig::Tokens(TokenBudgetConfig::default());
    Arc::new(Budget::new(&config).expect("the config is sound"))
}

fn pay(budget: &Budget, now: Instant) {
    budget.close(budget.deposit(now));
    if let Ok(charge) = budget.withdraw(now) {
        budget.spend(charge);
    }
}

fn budgets(threads: usize) -> Vec<Row> {
    let (told, reads, origin) = (budget(), budget(), Clock::now());
    let (ttl, ratio) = (Duration::from_secs(10), 0.2);
    let tower = Arc::new(TpsBudget::new(ttl, 10, ratio));
    let bucket = RetryBudgetBuilder::new().token_bucket().build().expect("the config is sound");
    let rows = vec![
        Row::new("mainstay, clock excluded", move || {
            let budget = Arc::clone(&told);
            move |_| pay(&budget, NOW.now)
        }),
        Row::new("mainstay, with std's clock", move || {
            let budget = Arc::clone(&reads);
            move |_| pay(&budget, Instant::default().after(origin.elapsed()))
        }),
        Row::new("tower", move || {
            let budget = Arc::clone(&tower);
            move |_| {
                budget.deposit();
                black_box(budget.withdraw());
            }
        }),
        Row::new("tower-resilience", move || {
            let budget = Arc::clone(&bucket);
            move |_| {
                budget.deposit();
                black_box(budget.try_withdraw());
            }
        }),
    ];
    rows.into_iter().map(|row| row.on_threads(threads)).collect()
}

fn rates(threads: usize) -> Vec<Row> {
    let config = RateConfig { limit: 1_000_000_000, burst: 8_000_000, ..RateConfig::default() };
    let limit = || Arc::new(RateLimit::new(&config).expect("the config is sound"));
    let (told, reads, origin) = (limit(), limit(), Clock::now());
    let most = std::num::NonZeroU32::new(1_000_000_000).expect("not zero");
    let fake = FakeRelativeClock::default();
    let governed = Arc::new(RateLimiter::direct_with_clock(Quota::per_second(most), fake.clone()));
    let real = Arc::new(RateLimiter::direct(Quota::per_second(most)));
    let rows = vec![
        Row::new("mainstay, clock excluded", move || {
            let limit = Arc::clone(&told);
            move |n| {
                let _admitted = black_box(limit.admit(Instant::from_nanos(n * 10), 1));
            }
        }),
        Row::new("governor, clock excluded", move || {
            let (limit, clock) = (Arc::clone(&governed), fake.clone());
            move |_| {
                clock.advance(Duration::from_nanos(10));
                let _admitted = black_box(limit.check());
            }
        }),
        Row::new("mainstay, with std's clock", move || {
            let limit = Arc::clone(&reads);
            move |_| {
                let now = Instant::default().after(origin.elapsed());
                let _admitted = black_box(limit.admit(now, 1));
            }
        }),
        Row::new("governor, with its clock", move || {
            let limit = Arc::clone(&real);
            move |_| {
                let _admitted = black_box(limit.check());
            }
        }),
    ];
    rows.into_iter().map(|row| row.on_threads(threads)).collect()
}
