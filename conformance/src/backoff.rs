//! Promises of a backoff.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::report::{Built, Promise, Verdict, kept_if, ready};

#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub base: Duration,
    pub cap: Duration,
    pub factor: f64,
    /// The library's own recommended jitter, or none.
    pub jittered: bool,
}

/// The waits of one operation after the other, from one configuration.
pub trait BackoffUnderTest: Sized {
    fn build(plan: &Plan) -> Built<Self>;
    /// The first `attempts` waits of a new operation.
    fn session(&mut self, attempts: usize) -> Vec<Duration>;
    /// The wait before an attempt with any number, where the library has such a function.
    fn at(&mut self, _attempt: u32) -> Option<Duration> {
        None
    }
}

const BASE: Duration = Duration::from_millis(100);
const CAP: Duration = Duration::from_secs(2);

pub fn ask<B: BackoffUnderTest>() -> Vec<Promise> {
    vec![
        ("R01", "no attempt number and no setting overflows", total::<B>),
        ("R02", "waits stay spread at the cap", spread_at_cap::<B>),
        ("R03", "no wait exceeds the cap", below_cap::<B>),
        ("R04", "two operations draw independently", independent::<B>),
        ("R05", "jitter does not compound", no_compounding::<B>),
        ("R06", "jitter is proportional to the wait", proportional::<B>),
        ("R07", "starts at the base and doubles; base above cap is refused", starts_at_base::<B>),
    ]
}

fn jittered() -> Plan {
    Plan { base: BASE, cap: CAP, factor: 2.0, jittered: true }
}

/// Waits of many operations, each from a configuration of its own, attempt by attempt.
fn columns<B: BackoffUnderTest>(plan: &Plan, attempts: usize) -> Built<Vec<Vec<Duration>>> {
    let mut sessions = Vec::new();
    for _ in 0..1000 {
        match B::build(plan) {
            Built::Ready(mut backoff) => sessions.push(backoff.session(attempts)),
            Built::Refused => return Built::Refused,
            Built::NotExpressible => return Built::NotExpressible,
        }
    }
    Built::Ready((0..attempts).map(|n| sessions.iter().map(|waits| waits[n]).collect()).collect())
}

fn total<B: BackoffUnderTest>() -> Verdict {
    let year = Duration::from_secs(365 * 24 * 3600);
    let tiny = Duration::from_nanos(1);
    let settings =
        [(tiny, year, 100.0), (year / 2, year, 100.0), (tiny, year, 1.0), (tiny, year, 1e30)];
    for (base, cap, factor) in settings {
        let plan = Plan { base, cap, factor, jittered: false };
        let mut backoff = match B::build(&plan) {
            Built::Ready(backoff) => backoff,
            Built::Refused | Built::NotExpressible => continue,
        };
        let waits = backoff.session(200);
        if waits.windows(2).any(|pair| pair[1] < pair[0]) || waits.iter().any(|wait| *wait > cap) {
            return Verdict::Broken(format!("waits shrink or pass the cap under {plan:?}"));
        }
        for attempt in [0, 1, 63, 64, 65, 1 << 20, u32::MAX] {
            if backoff.at(attempt).is_some_and(|wait| wait > cap || wait < base) {
                return Verdict::Broken(format!("attempt {attempt} is out of bounds, {plan:?}"));
            }
        }
    }
    Verdict::Kept
}

fn spread_at_cap<B: BackoffUnderTest>() -> Verdict {
    let late = ready!(columns::<B>(&jittered(), 30)).pop().unwrap_or_default();
    let most = late.iter().max().copied().unwrap_or_default();
    let same = late.iter().filter(|wait| **wait == most).count();
    kept_if(same < 10, format!("{same} of 1000 waits before attempt 30 are exactly {most:?}"))
}

fn below_cap<B: BackoffUnderTest>() -> Verdict {
    let waits = ready!(columns::<B>(&jittered(), 30));
    let most = waits.iter().flatten().max().copied().unwrap_or_default();
    kept_if(most <= CAP, format!("{most:?} under a cap of {CAP:?}"))
}

fn independent<B: BackoffUnderTest>() -> Verdict {
    let mut backoff: B = ready!(B::build(&jittered()));
    let different: BTreeSet<_> = (0..50).map(|_| backoff.session(4)).collect();
    kept_if(different.len() == 50, format!("50 operations have {} sequences", different.len()))
}

fn no_compounding<B: BackoffUnderTest>() -> Verdict {
    let cap = Duration::from_secs(100_000);
    let waits = ready!(columns::<B>(&Plan { cap, ..jittered() }, 9));
    let most = |n: usize| {
        let ceiling = BASE * 2_u32.pow(u32::try_from(n).unwrap_or(0));
        waits[n].iter().max().map_or(0.0, |most| most.as_secs_f64() / ceiling.as_secs_f64())
    };
    let (first, ninth) = (most(0), most(8));
    kept_if(
        ninth <= first * 1.2,
        format!("up to {first:.2} × the ceiling first, {ninth:.2} × ninth"),
    )
}

fn proportional<B: BackoffUnderTest>() -> Verdict {
    let cap = Duration::from_secs(100_000);
    let waits = ready!(columns::<B>(&Plan { cap, ..jittered() }, 9));
    let spread = |n: usize| {
        let (least, most) = (waits[n].iter().min(), waits[n].iter().max());
        most.zip(least).map_or(0.0, |(most, least)| (*most - *least).as_secs_f64())
    };
    let growth = spread(8) / spread(0).max(f64::MIN_POSITIVE);
    kept_if(
        (128.0..512.0).contains(&growth),
        format!("the spread grows {growth:.0} × while waits grow 256 ×"),
    )
}

fn starts_at_base<B: BackoffUnderTest>() -> Verdict {
    let plan = Plan { jittered: false, ..jittered() };
    let mut backoff: B = ready!(B::build(&plan));
    let waits = backoff.session(4);
    let expected = [BASE, 2 * BASE, 4 * BASE, 8 * BASE];
    // Some calculate in floats: a microsecond is granted.
    let near = |(a, b): (&Duration, &Duration)| a.abs_diff(*b) < Duration::from_micros(1);
    if !waits.iter().zip(&expected).all(near) {
        return Verdict::Broken(format!("waits without jitter: {waits:?}"));
    }
    match B::build(&Plan { base: Duration::from_secs(5), ..plan }) {
        Built::Refused => Verdict::Kept,
        Built::NotExpressible => Verdict::NotExpressible,
        Built::Ready(mut backoff) => {
            let first = backoff.session(1)[0];
            Verdict::Broken(format!("base 5 s above cap 2 s is accepted, first wait {first:?}"))
        }
    }
}
