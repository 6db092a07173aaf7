//! Promises of a retry budget.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crate::report::{Built, Promise, Verdict, kept_if, ready};

#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Retries per call.
    pub ratio: f64,
    pub reserve_per_sec: u32,
}

pub trait BudgetUnderTest: Sized + Sync {
    fn build(plan: &Plan) -> Built<Self>;
    /// A call, which pays into the budget.
    fn deposit(&self);
    /// Whether a retry is allowed.
    fn withdraw(&self) -> bool;
    /// Lets a virtual clock leap, if the library has one.
    fn leap(&self, _by: Duration) -> bool {
        false
    }
}

pub fn ask<B: BudgetUnderTest>() -> Vec<Promise> {
    vec![
        ("R13", "any ratio is exact to one retry", exact_ratio::<B>),
        ("R14", "threads neither overdraw nor lose a deposit", atomic::<B>),
        ("R16", "zero means zero", zero::<B>),
        ("B13b", "30 days of idle cost no time (budget)", idle::<B>),
    ]
}

fn exact_ratio<B: BudgetUnderTest>() -> Verdict {
    for ratio in [0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.9, 1.0, 1.5, 3.0] {
        let budget: B = ready!(B::build(&Plan { ratio, reserve_per_sec: 0 }));
        (0..1000).for_each(|_| budget.deposit());
        let allowed = (0..10_000).take_while(|_| budget.withdraw()).count();
        let exact = (ratio * 1000.0).round() as usize;
        if allowed.abs_diff(exact) > 1 {
            return Verdict::Broken(format!("ratio {ratio}: {allowed} retries for 1000 calls"));
        }
    }
    Verdict::Kept
}

fn atomic<B: BudgetUnderTest>() -> Verdict {
    for _ in 0..20 {
        let budget: B = ready!(B::build(&Plan { ratio: 1.0, reserve_per_sec: 0 }));
        let barrier = Barrier::new(2);
        let granted: usize = thread::scope(|scope| {
            let body = || {
                barrier.wait();
                let mut granted = 0;
                for _ in 0..5_000 {
                    budget.deposit();
                    granted += usize::from(budget.withdraw()) + usize::from(budget.withdraw());
                }
                granted
            };
            let threads = [scope.spawn(body), scope.spawn(body)];
            threads.map(|thread| thread.join().unwrap_or(0)).iter().sum()
        });
        let left = (0..20_000).take_while(|_| budget.withdraw()).count();
        if granted + left != 10_000 {
            return Verdict::Broken(format!("{} retries for 10000 calls", granted + left));
        }
    }
    Verdict::Kept
}

fn zero<B: BudgetUnderTest>() -> Verdict {
    let budget: B = ready!(B::build(&Plan { ratio: 0.0, reserve_per_sec: 0 }));
    (0..100).for_each(|_| budget.deposit());
    kept_if(!budget.withdraw(), "allows a retry")
}

fn idle<B: BudgetUnderTest>() -> Verdict {
    let budget: B = ready!(B::build(&Plan { ratio: 0.2, reserve_per_sec: 10 }));
    budget.deposit();
    if !budget.leap(Duration::from_secs(30 * 24 * 3600)) {
        return Verdict::NotExpressible;
    }
    let start = Instant::now();
    budget.withdraw();
    let took = start.elapsed();
    kept_if(took < Duration::from_millis(5), format!("the next retry takes {took:.1?} to decide"))
}
