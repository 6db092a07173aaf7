//! Turning calls away here that the peer would turn away anyway.
//!
//! An overloaded peer pays even for saying no. When it accepts less than it is asked, the askers
//! should ask less (*Handling Overload*, Site Reliability Engineering, chapter 21). Each call is
//! turned away at random, with the probability
//!
//! ```text
//! p = max(0, n − successes / threshold) / (n + 1), at most max_rejection
//! ```
//!
//! over the last `window`: `n` counts the calls wanted, those turned away here included, so that
//! `p` stays up while the peer is down and falls as soon as it accepts again. A `threshold` of 0.5
//! starts to turn away when fewer than half succeed (the book's `K` = 2). Since `p` never reaches
//! 1, some calls always go through and find out about the peer's recovery.
//!
//! A call is counted when it is *wanted*, its success when it is *known*. So the window must be at
//! least as long as the slowest call, which the configuration checks, and `min_calls` keeps a
//! start, when nothing is known yet, from looking like a failure. A call that came to nothing
//! either way (abandoned, or refused by another policy of ours) is taken out of the count again.

use core::time::Duration;

use crate::bits::uniform;
use crate::config::{ConfigError, Ratio, duration_from, in_range};
use crate::measure::window::Window;
use crate::policy::outcome::Sample;
use crate::time::Instant;

/// What a [`Throttle`] is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct ThrottleConfig {
    /// Share of successes below which calls are turned away. 0.01 to 1. Default 0.5 (the SRE book).
    pub threshold: Ratio,
    /// Largest probability of turning a call away. 0 to 0.99. Default 0.9 (failsafe-go): one call
    /// in ten finds out.
    pub max_rejection: Ratio,
    /// Calls in the window below which none is turned away. Default 20: one failure among fewer
    /// says little.
    pub min_calls: u32,
    /// How far back calls count, in 20 buckets. At least `max_latency`. Default 1 min
    /// (failsafe-go).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub window: Duration,
    /// How long the slowest call takes; the timeout of an attempt is a good choice. Default 30 s.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub max_latency: Duration,
}

impl Default for ThrottleConfig {
    fn default() -> Self {
        Self {
            threshold: Ratio::percent(50),
            max_rejection: Ratio::percent(90),
            min_calls: 20,
            window: Duration::from_secs(60),
            max_latency: Duration::from_secs(30),
        }
    }
}

/// Turns away at random what the peer would turn away.
#[derive(Clone, Debug)]
pub struct Throttle {
    threshold: Ratio,
    max_rejection: Ratio,
    min_calls: u64,
    window: Window<LANES>,
}

/// Whether a call may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[must_use]
pub enum Decision {
    /// It may. Say what came of it with [`Throttle::record`].
    Admit,
    /// It may not, like this share of all calls now.
    Reject {
        /// The probability it was drawn with.
        probability: Ratio,
    },
}

const BUCKETS: u32 = 20;
const LANES: usize = 3;
const WANTED: [u64; LANES] = [1, 0, 0];
const SUCCEEDED: [u64; LANES] = [0, 1, 0];
const TAKEN_OUT: [u64; LANES] = [0, 0, 1];

impl Throttle {
    /// A throttle that has seen no call.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `threshold` is outside 0.01 to 1, `max_rejection` is above 0.99, or
    /// `window` is shorter than 1 ms or than `max_latency`, or longer than a year.
    pub fn new(config: &ThrottleConfig) -> Result<Self, ConfigError> {
        let percent = Ratio::percent;
        let threshold = in_range("threshold", config.threshold, percent(1), Ratio::ONE)?;
        let max_rejection =
            in_range("max_rejection", config.max_rejection, Ratio::ZERO, percent(99))?;
        let shortest = config.max_latency.max(Duration::from_millis(1));
        let window = duration_from("window", config.window, shortest)?;
        let min_calls = u64::from(config.min_calls);
        Ok(Self { threshold, max_rejection, min_calls, window: Window::new(window, BUCKETS)? })
    }

    /// Counts a call that is wanted, and decides with 64 random `bits` whether it may go.
    pub fn decide(&mut self, now: Instant, bits: u64) -> Decision {
        let probability = self.probability(now);
        self.window.add(now, WANTED);
        if uniform(bits, 999_999) < u64::from(probability.ppm()) {
            Decision::Reject { probability }
        } else {
            Decision::Admit
        }
    }

    /// Says what came of an admitted call.
    pub fn record(&mut self, now: Instant, sample: Sample) {
        match sample {
            Sample::Success => self.window.add(now, SUCCEEDED),
            Sample::Neutral => self.window.add(now, TAKEN_OUT),
            Sample::Failure | Sample::Throttled => {}
        }
    }

    /// The probability with which a call would be turned away now.
    #[must_use]
    pub fn probability(&self, now: Instant) -> Ratio {
        let [wanted, succeeded, taken_out] = self.window.sums(now);
        let calls = wanted.saturating_sub(taken_out);
        if calls < self.min_calls {
            return Ratio::ZERO;
        }
        // n − successes / threshold, in parts of the threshold's unit so that nothing is rounded.
        let unit = u128::from(self.threshold.ppm());
        let carried = u128::from(succeeded) * 1_000_000;
        let excess = (u128::from(calls) * unit).saturating_sub(carried);
        let ppm = excess * 1_000_000 / (unit * (u128::from(calls) + 1));
        Ratio::from_ppm(u32::try_from(ppm).unwrap_or(u32::MAX)).min(self.max_rejection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1000)
    }

    fn throttle() -> Throttle {
        let config = ThrottleConfig { min_calls: 0, ..ThrottleConfig::default() };
        Throttle::new(&config).unwrap()
    }

    /// Wants `calls` of which `successes` succeed, and says the probability after them.
    #[track_caller]
    fn check(calls: u64, successes: u64, expected_ppm: u32) {
        let mut throttle = throttle();
        for call in 0..calls {
            assert!(matches!(throttle.decide(at(1), u64::MAX), Decision::Admit));
            let sample = if call < successes { Sample::Success } else { Sample::Failure };
            throttle.record(at(1), sample);
        }
        assert_eq!(throttle.probability(at(1)), Ratio::from_ppm(expected_ppm));
    }

    #[test]
    fn calls_are_turned_away_by_what_successes_do_not_carry() {
        check(0, 0, 0);
        check(100, 100, 0);
        check(100, 50, 0);
        check(100, 25, 495_049);
        check(3, 0, 750_000);
        check(100, 0, 900_000);
    }

    #[test]
    fn few_calls_are_never_turned_away() {
        let mut throttle = Throttle::new(&ThrottleConfig::default()).unwrap();
        for _ in 0..20 {
            assert_eq!(throttle.decide(at(1), 0), Decision::Admit);
        }
        assert!(matches!(throttle.decide(at(1), 0), Decision::Reject { .. }));
    }

    #[test]
    fn s01_calls_turned_away_here_keep_counting_as_wanted() {
        let mut throttle = throttle();
        for _ in 0..10 {
            assert!(matches!(throttle.decide(at(1), u64::MAX), Decision::Admit));
        }
        let before = throttle.window.sums(at(1))[0];
        assert!(matches!(throttle.decide(at(1), 0), Decision::Reject { .. }));
        assert_eq!(throttle.window.sums(at(1))[0], before + 1);
    }

    #[test]
    fn s01_calls_count_before_anything_has_come_of_them() {
        let mut throttle = throttle();
        for _ in 0..9 {
            assert!(matches!(throttle.decide(at(1), u64::MAX), Decision::Admit));
        }
        assert_eq!(throttle.probability(at(1)), Ratio::percent(90));
    }

    #[test]
    fn s01_a_window_shorter_than_the_slowest_call_is_refused() {
        let good = ThrottleConfig::default();
        let cases = [
            (ThrottleConfig { max_latency: Duration::from_secs(61), ..good }, "window"),
            (ThrottleConfig { window: Duration::ZERO, ..good }, "window"),
            (ThrottleConfig { threshold: Ratio::ZERO, ..good }, "threshold"),
            (ThrottleConfig { max_rejection: Ratio::ONE, ..good }, "max_rejection"),
        ];
        for (config, field) in cases {
            assert_eq!(Throttle::new(&config).unwrap_err().field, field);
        }
    }

    #[test]
    fn b12_the_probability_falls_by_waiting() {
        let mut throttle = throttle();
        for _ in 0..100 {
            assert!(matches!(throttle.decide(at(1), u64::MAX), Decision::Admit));
        }
        assert_eq!(throttle.probability(at(30)), Ratio::percent(90));
        assert_eq!(throttle.probability(at(63)), Ratio::ZERO);
    }

    #[test]
    fn h06_an_abandoned_call_leaves_no_trace() {
        let mut throttle = throttle();
        for _ in 0..100 {
            assert_eq!(throttle.decide(at(1), 0), Decision::Admit);
            throttle.record(at(1), Sample::Neutral);
        }
    }

    #[test]
    fn s02_a_peer_that_recovers_is_found_out() {
        let mut throttle = throttle();
        let mut admitted_down = 0;
        for call in 0..40_000_u64 {
            let now = Instant::from_millis(call * 10);
            let up = call >= 10_000;
            if matches!(throttle.decide(now, crate::bits::bits(1, 1, call)), Decision::Admit) {
                admitted_down += u64::from(!up);
                throttle.record(now, if up { Sample::Success } else { Sample::Failure });
            }
        }
        assert!((800..1_300).contains(&admitted_down), "{admitted_down} of 10000 went through");
        assert_eq!(throttle.probability(at(400)), Ratio::ZERO);
    }

    proptest! {
        #[test]
        fn s02_whatever_happened_some_calls_go_through(
            script in proptest::collection::vec((any::<u64>(), 0..4_u8), 1..200),
        ) {
            let mut throttle = throttle();
            for (now, kind) in script {
                let now = Instant::from_nanos(now);
                match kind {
                    0 => throttle.record(now, Sample::Success),
                    1 => throttle.record(now, Sample::Neutral),
                    _ => prop_assert_eq!(throttle.decide(now, u64::MAX), Decision::Admit),
                }
                prop_assert!(throttle.probability(now) <= Ratio::percent(90));
            }
        }
    }
}
