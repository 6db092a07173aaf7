//! Sums over the last stretch of time, in fixed memory.
//!
//! The window is a ring of `N` buckets, each `width / N` long (rounded up to a whole nanosecond). A
//! sum covers the current bucket and the `N − 1` before it, that is between `width − width / N` and
//! `width`. Memory and work depend on `N`, never on the traffic or on how long nothing happened:
//! after any idle time at most `N` buckets are cleared, and a **read** leaves out what has expired,
//! written to or not.
//!
//! A clock that steps back by less than the window goes on in the current bucket; one that steps
//! back further starts the window anew, so that a clock that once leapt into the far future cannot
//! freeze it.

use alloc::boxed::Box;
use alloc::vec;
use core::time::Duration;

use crate::config::{ConfigError, duration_from, in_range};
use crate::time::{Instant, nanos};

/// `LANES` sums over a sliding window.
#[derive(Clone, Debug)]
pub struct Window<const LANES: usize> {
    bucket_nanos: u64,
    /// Number of the newest bucket, counted from the clock's origin.
    newest: u64,
    buckets: Box<[[u64; LANES]]>,
    sums: [u64; LANES],
}

impl<const LANES: usize> Window<LANES> {
    /// A window of `width`, cut into `buckets`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `buckets` is outside 1 to 1000, or `width` is shorter than a nanosecond
    /// per bucket or longer than a year.
    pub fn new(width: Duration, buckets: u32) -> Result<Self, ConfigError> {
        let buckets = u64::from(in_range("buckets", buckets, 1, 1000)?);
        let width = duration_from("width", width, Duration::from_nanos(buckets))?;
        let count = usize::try_from(buckets).unwrap_or(1);
        Ok(Self {
            bucket_nanos: nanos(width).div_ceil(buckets),
            newest: 0,
            buckets: vec![[0; LANES]; count].into_boxed_slice(),
            sums: [0; LANES],
        })
    }

    /// Adds `amounts`, lane by lane, to the bucket of `now`.
    pub fn add(&mut self, now: Instant, amounts: [u64; LANES]) {
        self.advance(now);
        let slot = slot(self.newest, self.buckets.len());
        for (lane, amount) in amounts.into_iter().enumerate() {
            // What a lane takes is what its total takes, so that the two never part.
            let taken = amount.min(u64::MAX - self.sums[lane]);
            self.sums[lane] += taken;
            self.buckets[slot][lane] += taken;
        }
    }

    /// The sums of what has not expired at `now`.
    #[must_use]
    pub fn sums(&self, now: Instant) -> [u64; LANES] {
        let Some(steps) = self.steps(now) else { return [0; LANES] };
        let mut sums = self.sums;
        for age in 1..=steps {
            let expired = self.buckets[slot(self.newest.wrapping_add(age), self.buckets.len())];
            for (sum, part) in sums.iter_mut().zip(expired) {
                *sum -= part;
            }
        }
        sums
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.buckets.fill([0; LANES]);
        self.sums = [0; LANES];
    }

    /// How many buckets expire by going to `now`; none when the window starts anew.
    fn steps(&self, now: Instant) -> Option<u64> {
        let count = self.buckets.len() as u64;
        let number = now.as_nanos() / self.bucket_nanos;
        let forward = number.saturating_sub(self.newest);
        let backward = self.newest.saturating_sub(number);
        (forward < count && backward < count).then_some(forward)
    }

    fn advance(&mut self, now: Instant) {
        let number = now.as_nanos() / self.bucket_nanos;
        let Some(steps) = self.steps(now) else {
            self.clear();
            self.newest = number;
            return;
        };
        for _ in 0..steps {
            self.newest += 1;
            let slot = slot(self.newest, self.buckets.len());
            for (sum, part) in self.sums.iter_mut().zip(self.buckets[slot]) {
                *sum -= part;
            }
            self.buckets[slot] = [0; LANES];
        }
    }
}

/// Where bucket `number` lies in a ring of `count`.
fn slot(number: u64, count: usize) -> usize {
    usize::try_from(number % count as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert_eq, prop_oneof, proptest};
    use proptest::strategy::Strategy;
    use std::vec::Vec;

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1000)
    }

    fn ten_seconds() -> Window<1> {
        Window::new(Duration::from_secs(10), 10).unwrap()
    }

    #[test]
    fn b11_an_hour_of_idleness_leaves_nothing_behind() {
        let mut window = ten_seconds();
        window.add(at(0), [4]);
        window.add(at(3600), [1]);
        assert_eq!(window.sums(at(3600)), [1]);
    }

    #[test]
    fn b12_reads_expire_without_a_write() {
        let mut window = ten_seconds();
        window.add(at(0), [4]);
        window.add(at(5), [3]);
        assert_eq!(window.sums(at(9)), [7]);
        assert_eq!(window.sums(at(10)), [3]);
        assert_eq!(window.sums(at(15)), [0]);
        assert_eq!(window.sums(Instant::MAX), [0]);
    }

    #[test]
    fn b13_idling_for_the_whole_clock_is_caught_up_in_one_sweep() {
        let mut window: Window<1> = Window::new(Duration::from_nanos(10), 10).unwrap();
        window.add(Instant::from_nanos(0), [4]);
        // 2⁶⁴ buckets later. A walk through them would not end.
        window.add(Instant::MAX, [1]);
        assert_eq!(window.sums(Instant::MAX), [1]);
    }

    #[test]
    fn a_leap_into_the_far_future_does_not_freeze_the_window() {
        let mut window = ten_seconds();
        window.add(Instant::MAX, [9]);
        window.add(at(100), [1]);
        assert_eq!(window.sums(at(100)), [1]);
        assert_eq!(window.sums(at(110)), [0]);
    }

    #[test]
    fn b28_a_window_without_buckets_or_width_is_refused() {
        assert_eq!(Window::<1>::new(Duration::from_secs(1), 0).unwrap_err().field, "buckets");
        assert_eq!(Window::<1>::new(Duration::ZERO, 1).unwrap_err().field, "width");
    }

    #[derive(Clone, Copy, Debug)]
    enum Move {
        Forward(u64),
        Back(u64),
        To(u64),
    }

    fn moves() -> impl Strategy<Value = Vec<(Move, u64, u64)>> {
        let step = prop_oneof![
            6 => (0..40_u64).prop_map(Move::Forward),
            2 => (0..200_u64).prop_map(Move::Back),
            1 => any::<u64>().prop_map(Move::To),
        ];
        let amount = prop_oneof![8 => 0..10_u64, 1 => any::<u64>()];
        proptest::collection::vec((step, amount, 0..10_u64), 1..60)
    }

    proptest! {
        /// The model keeps every addition and filters by bucket number.
        #[test]
        fn b12_b14_every_script_equals_a_list_of_all_additions(
            moves in moves(), buckets in 1..8_u32,
        ) {
            let mut window: Window<2> =
                Window::new(Duration::from_nanos(u64::from(buckets) * 10), buckets).unwrap();
            let mut list: Vec<(u64, u64, u64)> = Vec::new();
            let (mut now, mut newest, count) = (0_u64, 0_u64, u64::from(buckets));
            for (step, first, second) in moves {
                now = match step {
                    Move::Forward(nanos) => now.saturating_add(nanos),
                    Move::Back(nanos) => now.saturating_sub(nanos),
                    Move::To(nanos) => nanos,
                };
                let number = now / 10;
                if newest.saturating_sub(number) >= count {
                    list.clear();
                    newest = number;
                }
                newest = newest.max(number);
                list.retain(|(bucket, ..)| newest - bucket < count);
                let expected = |list: &[(u64, u64, u64)]| {
                    list.iter().fold([0_u64; 2], |sums, (_, a, b)| {
                        [sums[0].saturating_add(*a), sums[1] + b]
                    })
                };
                prop_assert_eq!(window.sums(Instant::from_nanos(now)), expected(&list));
                let room = u64::MAX - expected(&list)[0];
                list.push((newest, first.min(room), second));
                window.add(Instant::from_nanos(now), [first, second]);
                prop_assert_eq!(window.sums(Instant::from_nanos(now)), expected(&list));
            }
        }
    }
}
