//! Promises of a rate limit, asked in virtual time.

use std::time::Duration;

use crate::report::{Built, Promise, Verdict, kept_if, ready};

/// A limiter as strict as the library can make one of so many calls a second.
pub trait LimiterUnderTest: Sized {
    fn build(per_second: u32) -> Built<Self>;
    /// Whether a call may pass now.
    fn admit(&mut self) -> bool;
    fn leap(&mut self, by: Duration);
    /// Asks for `n` at once; whether the answer is an error value that says *never*.
    fn refuses_for_ever(&mut self, _n: u32) -> Option<bool> {
        None
    }
}

const PER_SECOND: u32 = 10;

pub fn ask<L: LimiterUnderTest>() -> Vec<Promise> {
    vec![
        ("L01", "no more calls than the quota over ten seconds", sustained::<L>),
        ("L02", "no double burst at a boundary", boundary::<L>),
        ("L05", "more than fits at once is an error, not a wait", too_large::<L>),
    ]
}

/// When a caller that asks every millisecond is admitted, in milliseconds.
fn greedy<L: LimiterUnderTest>(limiter: &mut L, millis: u64) -> Vec<u64> {
    let mut admitted = Vec::new();
    for now in 0..millis {
        // Rests at first, so that the window's end comes in the middle of the burst.
        if now >= 950 {
            while limiter.admit() {
                admitted.push(now);
            }
        }
        limiter.leap(Duration::from_millis(1));
    }
    admitted
}

fn sustained<L: LimiterUnderTest>() -> Verdict {
    let mut limiter: L = ready!(L::build(PER_SECOND));
    let admitted = greedy(&mut limiter, 10_950).len();
    let most = 10 * PER_SECOND as usize + 1;
    kept_if(admitted <= most, format!("{admitted} calls in 10 s, quota {PER_SECOND} per second"))
}

fn boundary<L: LimiterUnderTest>() -> Verdict {
    let mut limiter: L = ready!(L::build(PER_SECOND));
    // One call opens a window of its own where windows are fixed.
    limiter.admit();
    let admitted = greedy(&mut limiter, 4_000);
    let within =
        |from: &u64| admitted.iter().filter(|at| (*from..from + 1000).contains(*at)).count();
    let most = admitted.iter().map(within).max().unwrap_or(0);
    kept_if(
        most <= PER_SECOND as usize + 1,
        format!("{most} calls within one second, quota {PER_SECOND} per second"),
    )
}

fn too_large<L: LimiterUnderTest>() -> Verdict {
    let mut limiter: L = ready!(L::build(PER_SECOND));
    match limiter.refuses_for_ever(1_000) {
        None => Verdict::NotExpressible,
        Some(refuses) => kept_if(refuses, "waits for what never comes"),
    }
}
