//! A whole policy, and the named ones that earlier systems shipped.
//!
//! The plain default is the field's best practice; the presets carry the numbers of the systems that
//! Mainstay replaces, for those who move over and want the same timing.

use core::time::Duration;

use crate::config::{ConfigError, Ratio};
use crate::policy::backoff::{BackoffConfig, Jitter, Strategy};
use crate::policy::breaker::{BreakerConfig, HalfOpenConfig, OpenConfig, Window};
use crate::policy::call::{CallConfig, CallRules};
use crate::policy::gate::{Gate, GateConfig};

/// What a call does, what its endpoint allows, and which of the two is outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct PolicyConfig {
    /// Attempts, timeouts and waits of one call.
    pub call: CallConfig,
    /// Breaker, budget and limits of the endpoint.
    pub gate: GateConfig,
    /// What the breaker judges. Default each attempt.
    pub order: Order,
}

/// What the breaker judges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Order {
    /// Each attempt (breaker inside retry): it learns soonest, and ends the retries when it opens.
    #[default]
    BreakerInside,
    /// Each call with all its retries (breaker around retry), as seeds 000 and 002 do: one failure
    /// counts per exhausted call.
    BreakerAround,
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// `consecutive` failures open it for `open` (never longer), and `probes` successes in a row close
/// it.
const fn breaker(consecutive: u32, open: Duration, probes: u32) -> BreakerConfig {
    BreakerConfig {
        consecutive_failures: consecutive,
        failures_in_window: 0,
        window: Window::Off,
        minimum_calls: 1,
        failure_rate: Ratio::ONE,
        slow: None,
        open: OpenConfig {
            base: open,
            cap: open,
            factor: Ratio::ONE,
            jitter: Ratio::ZERO,
            decay: open,
        },
        half_open: HalfOpenConfig { probes, success_rate: Ratio::ONE, lease: None, dwell: None },
        ramp: None,
    }
}

impl PolicyConfig {
    /// Requests of seeds 000 and 002: 3 attempts, 100 ms × 2 up to 5 s without jitter; around them a
    /// breaker of 5 failures in 60 s, open for 60 s, closed by 3 successes.
    ///
    /// The seeds' own window is 10 s, in which calls made one after the other, each timing out after
    /// 10 s, never add up to five: [`chittyid_v2_2`](Self::chittyid_v2_2) keeps it.
    #[must_use]
    pub fn chittyid_request() -> Self {
        let backoff = BackoffConfig {
            base: Duration::from_millis(100),
            cap: seconds(5),
            jitter: Jitter::None,
            ..BackoffConfig::default()
        };
        let breaker = BreakerConfig {
            consecutive_failures: 0,
            failures_in_window: 5,
            window: Window::Time(seconds(60)),
            // The rate plays no part: it is reached by failures alone, and five of them are enough.
            minimum_calls: crate::policy::breaker::CALLS_MAX,
            ..breaker(0, seconds(60), 3)
        };
        Self {
            call: CallConfig { attempts: 3, backoff, ..CallConfig::default() },
            gate: GateConfig { breaker: Some(breaker), budget: None, ..GateConfig::default() },
            order: Order::BreakerAround,
        }
    }

    /// [`chittyid_request`](Self::chittyid_request) with the seeds' own window of 10 s.
    #[must_use]
    pub fn chittyid_v2_2() -> Self {
        let mut policy = Self::chittyid_request();
        if let Some(breaker) = &mut policy.gate.breaker {
            breaker.window = Window::Time(seconds(10));
        }
        policy
    }

    /// Seed 003: 5 retries, 1 s × 2 up to 30 s ± 20 %; 3 failures in a row open the breaker for
    /// 30 s, one success closes it.
    #[must_use]
    pub fn streamotter() -> Self {
        let backoff = BackoffConfig {
            base: seconds(1),
            cap: seconds(30),
            jitter: Jitter::Ratio(Ratio::percent(20)),
            ..BackoffConfig::default()
        };
        Self {
            call: CallConfig { attempts: 6, backoff, ..CallConfig::default() },
            gate: GateConfig {
                breaker: Some(breaker(3, seconds(30), 1)),
                budget: None,
                ..GateConfig::default()
            },
            order: Order::BreakerInside,
        }
    }

    /// Operations of seed 004: 3 attempts, 1 s × 2 up to 30 s ± 10 %; 5 failures open the breaker
    /// for 60 s, one success closes it.
    #[must_use]
    pub fn axon() -> Self {
        let backoff = BackoffConfig {
            base: seconds(1),
            cap: seconds(30),
            jitter: Jitter::Ratio(Ratio::percent(10)),
            ..BackoffConfig::default()
        };
        Self {
            call: CallConfig { attempts: 3, backoff, ..CallConfig::default() },
            gate: GateConfig {
                breaker: Some(breaker(5, seconds(60), 1)),
                budget: None,
                ..GateConfig::default()
            },
            order: Order::BreakerInside,
        }
    }

    /// The policy called `name`: `default`, `chittyid_request`, `chittyid_v2_2`, `streamotter` or
    /// `axon`.
    #[must_use]
    pub fn preset(name: &str) -> Option<Self> {
        match name {
            "default" => Some(Self::default()),
            "chittyid_request" => Some(Self::chittyid_request()),
            "chittyid_v2_2" => Some(Self::chittyid_v2_2()),
            "streamotter" => Some(Self::streamotter()),
            "axon" => Some(Self::axon()),
            _ => None,
        }
    }

    /// Checks the whole policy. An adaptive backoff switches the measuring on that it needs.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field that makes no sense.
    pub fn checked(mut self) -> Result<Self, ConfigError> {
        CallRules::new(&self.call).map_err(|error| error.within("call"))?;
        Gate::new(&self.gate).map_err(|error| error.within("gate"))?;
        self.gate.measure |= self.call.backoff.strategy == Strategy::Adaptive;
        Ok(self)
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::PolicyConfig;
    use crate::policy::backoff::{Backoff, Strategy};
    use crate::policy::breaker::Breaker;
    use crate::policy::outcome::Sample;
    use crate::policy::pressure::Pressure;
    use crate::time::{Instant, Moment};
    use core::time::Duration;
    use std::vec::Vec;

    const NAMES: [&str; 5] =
        ["default", "chittyid_request", "chittyid_v2_2", "streamotter", "axon"];

    fn preset(name: &str) -> PolicyConfig {
        PolicyConfig::preset(name).unwrap().checked().unwrap()
    }

    fn waits(name: &str, bits: u64) -> Vec<u128> {
        let backoff = Backoff::new(&preset(name).call.backoff).unwrap();
        let wait = |n| backoff.delay(n, Duration::ZERO, Pressure::NONE, bits).as_millis();
        (1..=7).map(wait).collect()
    }

    #[test]
    fn every_preset_makes_sense() {
        for name in NAMES {
            preset(name);
        }
        assert_eq!(PolicyConfig::preset("nonsense"), None);
    }

    #[test]
    fn presets_wait_as_the_seeds_say() {
        assert_eq!(waits("chittyid_request", 0), [100, 200, 400, 800, 1_600, 3_200, 5_000]);
        assert_eq!(waits("streamotter", 0)[..3], [800, 1_600, 3_200]);
        assert_eq!(waits("axon", 0)[..3], [900, 1_800, 3_600]);
        assert_eq!(waits("axon", u64::MAX)[..3], [1_100, 2_200, 4_400]);
        assert!(waits("axon", u64::MAX)[6] <= 30_000);
    }

    /// Failures, one every `gap_ms`, until the breaker of `name` opens; `None` if 100 do not.
    fn failures_to_open(name: &str, gap_ms: u64) -> Option<usize> {
        let breaker = Breaker::new(&preset(name).gate.breaker.unwrap()).unwrap();
        (1..100).find(|n| {
            let now = Instant::from_millis(*n as u64 * gap_ms);
            let at = Moment { now, bits: 0 };
            let permit = breaker.admit(at).verdict.unwrap();
            breaker.record(permit, Sample::Failure, Duration::ZERO, || at).is_some()
        })
    }

    #[test]
    fn breakers_open_as_the_seeds_say() {
        assert_eq!(failures_to_open("chittyid_request", 10_000), Some(5));
        assert_eq!(failures_to_open("chittyid_v2_2", 10_000), None, "the seeds' own trap");
        assert_eq!(failures_to_open("chittyid_v2_2", 1_000), Some(5));
        assert_eq!(failures_to_open("streamotter", 1), Some(3));
        assert_eq!(failures_to_open("axon", 1), Some(5));
    }

    #[test]
    fn an_adaptive_backoff_switches_its_measuring_on() {
        let mut policy = PolicyConfig::default();
        policy.call.backoff.strategy = Strategy::Adaptive;
        assert!(!policy.gate.measure && policy.checked().unwrap().gate.measure);
        policy.call.attempts = 0;
        assert_eq!(policy.checked().unwrap_err().field, "call.attempts");
    }
}
