use core::time::Duration;

use crate::time::Instant;

/// By how much two clocks may drift apart between two looks without anybody having slept.
const SLACK: Duration = Duration::from_secs(3);

/// Notices that the machine slept: its monotonic clock stood still while the wall clock went on.
///
/// A wall clock that is set forward looks the same, and is taken for a sleep: what follows is a
/// question to the peer, which does no harm. One that is set back is followed.
///
/// ```
/// use core::time::Duration;
/// use mainstay_core::link::SleepWatch;
/// use mainstay_core::time::Instant;
///
/// let mut watch = SleepWatch::new(Instant::from_millis(0), Duration::from_secs(1_000));
/// assert_eq!(watch.look(Instant::from_millis(1_000), Duration::from_secs(1_001)), None);
/// let slept = watch.look(Instant::from_millis(2_000), Duration::from_secs(1_602));
/// assert_eq!(slept, Some(Duration::from_secs(600)));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SleepWatch {
    now: Instant,
    wall: Duration,
}

impl SleepWatch {
    /// Begins at this reading of the monotonic clock and of the wall clock (since any fixed time).
    #[must_use]
    pub const fn new(now: Instant, wall: Duration) -> Self {
        Self { now, wall }
    }

    /// Takes a reading; answers for how long the machine slept since the last, if it did.
    #[must_use]
    pub fn look(&mut self, now: Instant, wall: Duration) -> Option<Duration> {
        let ran = now.since(self.now);
        let passed = wall.saturating_sub(self.wall);
        (self.now, self.wall) = (now, wall);
        passed.checked_sub(ran).filter(|slept| *slept >= SLACK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1_000)
    }

    #[test]
    fn w24_a_leap_of_the_wall_clock_alone_is_a_sleep_once() {
        let mut watch = SleepWatch::new(at(0), MINUTE);
        assert_eq!(watch.look(at(1), MINUTE + Duration::from_secs(601)), Some(10 * MINUTE));
        assert_eq!(watch.look(at(2), MINUTE + Duration::from_secs(602)), None);
    }

    #[test]
    fn w25_a_clock_set_back_and_a_slow_look_are_no_sleep() {
        let mut watch = SleepWatch::new(at(0), 100 * MINUTE);
        assert_eq!(watch.look(at(1), MINUTE), None);
        assert_eq!(watch.look(at(301), MINUTE + 5 * MINUTE), None, "both clocks ran");
        assert_eq!(watch.look(at(302), MINUTE + 5 * MINUTE + Duration::from_secs(3)), None);
    }
}
