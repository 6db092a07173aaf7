//! Every order in which two threads can meet on a shared machine, explored by loom.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test -p mainstay-core --release --test loom`.

#![cfg(loom)]

mod breaker;

use core::time::Duration;

use loom::sync::Arc;
use loom::thread;
use mainstay_core::config::Ratio;
use mainstay_core::policy::budget::{
    Budget, BudgetConfig, InFlightBudgetConfig, TokenBudgetConfig,
};
use mainstay_core::policy::bulkhead::{Bulkhead, BulkheadConfig};
use mainstay_core::policy::rate::{RateConfig, RateLimit};
use mainstay_core::time::Instant;

const NOW: Instant = Instant::from_millis(0);

/// Runs `body` in two threads on one `shared` and returns both results.
fn twice<S, T>(shared: &Arc<S>, body: fn(&S) -> T) -> [T; 2]
where
    S: Send + Sync + 'static,
    T: Send + 'static,
{
    let other = Arc::clone(shared);
    let thread = thread::spawn(move || body(&other));
    let here = body(shared);
    [here, thread.join().expect("the other thread does not panic")]
}

fn tokens(ratio: u32, reserve_per_sec: u32) -> Budget {
    let config = TokenBudgetConfig {
        ttl: Duration::from_secs(10),
        ratio: Ratio::percent(ratio),
        reserve_per_sec,
    };
    Budget::new(&BudgetConfig::Tokens(config)).expect("the config is sound")
}

#[test]
fn r14_two_withdrawals_never_share_one_token() {
    loom::model(|| {
        let budget = Arc::new(tokens(100, 0));
        budget.close(budget.deposit(NOW));
        let granted = twice(&budget, |budget| budget.withdraw(NOW).is_ok());
        assert_eq!(granted.iter().filter(|granted| **granted).count(), 1);
    });
}

#[test]
fn r14_two_withdrawals_never_share_the_last_place_in_flight() {
    loom::model(|| {
        let config = InFlightBudgetConfig { ratio: Ratio::ZERO, min: 1 };
        let budget = Arc::new(Budget::new(&BudgetConfig::InFlight(config)).unwrap());
        let charges = twice(&budget, |budget| budget.withdraw(NOW));
        assert_eq!(charges.iter().filter(|charge| charge.is_ok()).count(), 1);
        for charge in charges.into_iter().flatten() {
            budget.refund(charge);
        }
        assert_eq!(budget.available(NOW), 1);
    });
}

#[test]
fn r14_deposits_add_up_and_refunds_come_back() {
    loom::model(|| {
        let budget = Arc::new(tokens(100, 0));
        let charges = twice(&budget, |budget| {
            budget.close(budget.deposit(NOW));
            budget.withdraw(NOW)
        });
        for charge in charges.into_iter().map(Result::unwrap) {
            budget.refund(charge);
        }
        assert_eq!(budget.available(NOW), 2);
    });
}

#[test]
fn r14_two_threads_that_change_the_slot_pay_one_reserve() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let budget = Arc::new(tokens(0, 1));
        for _ in 0..10 {
            budget.spend(budget.withdraw(NOW).unwrap());
        }
        // One second later time has deposited one token, whoever notices it first.
        let granted = twice(&budget, |budget| budget.withdraw(Instant::from_millis(1_000)).is_ok());
        assert!(granted.iter().filter(|granted| **granted).count() <= 1);
        let left = budget.available(Instant::from_millis(1_000));
        assert_eq!(left + granted.iter().filter(|granted| **granted).count() as u64, 1);
    });
}

#[test]
fn l01_two_calls_never_share_one_place() {
    loom::model(|| {
        let config = RateConfig { limit: 10, burst: 1, ..RateConfig::default() };
        let limit = Arc::new(RateLimit::new(&config).unwrap());
        let admitted = twice(&limit, |limit| limit.admit(NOW, 1).is_ok());
        assert_eq!(admitted.iter().filter(|admitted| **admitted).count(), 1);
    });
}

#[test]
fn l04_l06_two_bookings_get_two_places_and_a_cancelled_one_is_not_lost_to_both() {
    loom::model(|| {
        let config = RateConfig { limit: 10, burst: 1, ..RateConfig::default() };
        let limit = Arc::new(RateLimit::new(&config).unwrap());
        limit.admit(NOW, 1).unwrap();
        let booked = twice(&limit, |limit| limit.reserve(NOW, 1, Duration::from_secs(1)).unwrap());
        let mut places = booked.iter().map(|place| place.at()).collect::<Vec<_>>();
        places.sort_unstable();
        assert_eq!(places, [Instant::from_millis(100), Instant::from_millis(200)]);
        let freed = booked.into_iter().map(|place| limit.cancel(place)).filter(|freed| *freed);
        assert!(freed.count() >= 1);
    });
}

#[test]
fn u02_two_callers_never_share_the_last_slot_and_both_releases_count_once() {
    loom::model(|| {
        let config = BulkheadConfig { max: 1, ..BulkheadConfig::default() };
        let bulkhead = Arc::new(Bulkhead::new(&config).unwrap());
        let slots = twice(&bulkhead, |bulkhead| bulkhead.try_acquire());
        assert_eq!(slots.iter().filter(|slot| slot.is_ok()).count(), 1);
        for slot in slots.into_iter().flatten() {
            assert!(bulkhead.release(slot));
        }
        assert_eq!(bulkhead.in_use(), 0);
    });
}

#[test]
fn u02_a_release_that_races_a_clear_never_frees_a_slot_of_after() {
    loom::model(|| {
        let config = BulkheadConfig { max: 2, ..BulkheadConfig::default() };
        let bulkhead = Arc::new(Bulkhead::new(&config).unwrap());
        let old = bulkhead.try_acquire().unwrap();
        let other = Arc::clone(&bulkhead);
        let thread = thread::spawn(move || other.release(old));
        bulkhead.clear();
        let new = bulkhead.try_acquire().unwrap();
        thread.join().unwrap();
        assert_eq!(bulkhead.in_use(), 1);
        assert!(bulkhead.release(new));
    });
}
