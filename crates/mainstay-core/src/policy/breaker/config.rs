use core::time::Duration;

use crate::config::{ConfigError, Ratio, duration_from, in_range};
use crate::policy::backoff::Backoff;
use crate::time::nanos;

/// Buckets of a time window.
pub const BUCKETS: u32 = 10;
/// Most calls a count window may hold.
pub const CALLS_MAX: u32 = 4095;
/// Most probes that may be in flight while half-open.
pub const PROBES_MAX: u32 = 16;

/// When a breaker opens, for how long, and what closes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct BreakerConfig {
    /// Failures in a row that open it; 0 turns this signal off. 0 to 255. Default 5.
    pub consecutive_failures: u32,
    /// Which calls the rates look at. Default the last 10 s.
    pub window: Window,
    /// Failures in the window that open it, however many calls succeeded; 0 turns this signal off.
    /// 0 to 4095. Default 0 (seed 000 counts this way).
    pub failures_in_window: u32,
    /// Calls in the window before a rate is judged. 1 to 4095. Default 20.
    pub minimum_calls: u32,
    /// Share of failed calls in the window that opens it (≥). Above 0 to 1. Default 0.5.
    pub failure_rate: Ratio,
    /// What counts as slow, and the share of slow calls that opens it. Default off.
    pub slow: Option<SlowConfig>,
    /// How long it stays open.
    pub open: OpenConfig,
    /// What closes it again.
    pub half_open: HalfOpenConfig,
    /// Time over which the share of admitted calls grows from 10 % to 100 % after it closed.
    /// Default off; worth it above ten calls a second (Envoy's slow start).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration::option"))]
    pub ramp: Option<Duration>,
}

/// Which calls the rates of a breaker look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Window {
    /// None: only failures in a row open the breaker, and a success writes nothing.
    Off,
    /// The last so many calls. 1 to 4095.
    Count(u32),
    /// The calls of the last so long, in [`BUCKETS`] steps. 10 ms to a year.
    Time(#[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))] Duration),
}

/// What counts as a slow call, and how many are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct SlowConfig {
    /// A call that takes this long or longer is slow, also while it is in flight.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub threshold: Duration,
    /// Share of slow calls in the window that opens the breaker (≥). Above 0 to 1.
    pub rate: Ratio,
}

/// How long a breaker stays open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct OpenConfig {
    /// The first time. Default 5 s.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub base: Duration,
    /// The longest time, jitter included. Default 60 s.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub cap: Duration,
    /// Growth each time it opens again. 1 to 100. Default 2.
    pub factor: Ratio,
    /// Spread around that time, so that many instances do not probe in step. 0 to 1. Default 0.2.
    pub jitter: Ratio,
    /// Time closed that takes one step of growth back (gRPC A50 decays the same way). Default 30 s.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub decay: Duration,
}

/// What closes a breaker again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct HalfOpenConfig {
    /// Calls let through to find out. 1 to 16. Default 3.
    pub probes: u32,
    /// Share of them that must succeed (≥). Above 0 to 1. Default 0.6, that is 2 of 3.
    pub success_rate: Ratio,
    /// How long a probe may take before it counts as failed. Default: `open.base`.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration::option"))]
    pub lease: Option<Duration>,
    /// How long it may stay half-open without a verdict before it opens again. Default for ever.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration::option"))]
    pub dwell: Option<Duration>,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            failures_in_window: 0,
            window: Window::Time(Duration::from_secs(10)),
            minimum_calls: 20,
            failure_rate: Ratio::percent(50),
            slow: None,
            open: OpenConfig::default(),
            half_open: HalfOpenConfig::default(),
            ramp: None,
        }
    }
}

impl Default for OpenConfig {
    fn default() -> Self {
        Self {
            base: Duration::from_secs(5),
            cap: Duration::from_secs(60),
            factor: Ratio::percent(200),
            jitter: Ratio::percent(20),
            decay: Duration::from_secs(30),
        }
    }
}

impl Default for HalfOpenConfig {
    fn default() -> Self {
        Self { probes: 3, success_rate: Ratio::percent(60), lease: None, dwell: None }
    }
}

/// A checked [`BreakerConfig`], in the units the machine works with and packed: a breaker is counted
/// in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// `u64::MAX` when slow calls are not told apart.
    pub(super) slow_ns: u64,
    base_ns: u64,
    cap_ns: u64,
    pub(super) decay_ns: u64,
    pub(super) lease_ns: u64,
    /// `u64::MAX` for ever.
    pub(super) dwell_ns: u64,
    /// Zero when it closes at once.
    pub(super) ramp_ns: u64,
    factor: Ratio,
    jitter: Ratio,
    pub(super) failure_rate: Ratio,
    pub(super) slow_rate: Ratio,
    pub(super) minimum: u16,
    /// Zero when only the rate counts.
    pub(super) failures: u16,
    pub(super) consecutive: u8,
    pub(super) probes: u8,
    /// Successes among the probes that close it.
    pub(super) needed: u8,
}

impl Rules {
    pub(super) fn new(config: &BreakerConfig) -> Result<Self, ConfigError> {
        let over_zero = Ratio::from_ppm(1);
        let tick = Duration::from_millis(1);
        in_range("consecutive_failures", config.consecutive_failures, 0, 255)?;
        in_range("minimum_calls", config.minimum_calls, 1, CALLS_MAX)?;
        in_range("failure_rate", config.failure_rate, over_zero, Ratio::ONE)?;
        check_window(config)?;
        if let Some(slow) = config.slow {
            duration_from("slow.threshold", slow.threshold, Duration::from_nanos(1))?;
            in_range("slow.rate", slow.rate, over_zero, Ratio::ONE)?;
        }
        let half = config.half_open;
        in_range("half_open.probes", half.probes, 1, PROBES_MAX)?;
        in_range("half_open.success_rate", half.success_rate, over_zero, Ratio::ONE)?;
        half.dwell.map(|dwell| duration_from("half_open.dwell", dwell, tick)).transpose()?;
        config.ramp.map(|ramp| duration_from("ramp", ramp, tick)).transpose()?;
        let open = config.open;
        duration_from("open.base", open.base, tick)?;
        let lease = duration_from("half_open.lease", half.lease.unwrap_or(open.base), tick)?;
        duration_from("open.decay", open.decay, tick)?;
        duration_from("open.cap", open.cap, open.base)?;
        in_range("open.factor", open.factor, Ratio::ONE, Ratio::percent(10_000))?;
        in_range("open.jitter", open.jitter, Ratio::ZERO, Ratio::ONE)?;
        let needed = (1..=half.probes)
            .find(|good| half.success_rate.reached_by(*good, half.probes))
            .unwrap_or(half.probes);
        Ok(Self {
            slow_ns: config.slow.map_or(u64::MAX, |slow| nanos(slow.threshold)),
            base_ns: nanos(open.base),
            cap_ns: nanos(open.cap),
            decay_ns: nanos(open.decay),
            lease_ns: nanos(lease),
            dwell_ns: half.dwell.map_or(u64::MAX, nanos),
            ramp_ns: config.ramp.map_or(0, nanos),
            factor: open.factor,
            jitter: open.jitter,
            failure_rate: config.failure_rate,
            slow_rate: config.slow.map_or(Ratio::ONE, |slow| slow.rate),
            failures: u16::try_from(config.failures_in_window).unwrap_or(u16::MAX),
            minimum: u16::try_from(config.minimum_calls).unwrap_or(u16::MAX),
            consecutive: u8::try_from(config.consecutive_failures).unwrap_or(u8::MAX),
            probes: u8::try_from(half.probes).unwrap_or(u8::MAX),
            needed: u8::try_from(needed).unwrap_or(u8::MAX),
        })
    }

    /// The open time as a backoff.
    pub(super) const fn open(&self) -> Backoff {
        Backoff::spread(self.base_ns, self.cap_ns, self.factor, self.jitter)
    }

    /// The longest open time.
    pub(super) const fn cap(&self) -> Duration {
        Duration::from_nanos(self.cap_ns)
    }

    #[inline]
    pub(super) const fn tells_slow(&self) -> bool {
        self.slow_ns != u64::MAX
    }
}

fn check_window(config: &BreakerConfig) -> Result<(), ConfigError> {
    match config.window {
        Window::Off if config.consecutive_failures == 0 => {
            return Err(ConfigError::new(
                "window",
                "off",
                "a window, or consecutive_failures above 0: otherwise nothing ever opens it",
            ));
        }
        Window::Off => {
            in_range("failures_in_window", config.failures_in_window, 0, 0)?;
        }
        Window::Count(calls) => {
            in_range("window.count", calls, 1, CALLS_MAX)?;
            in_range("minimum_calls", config.minimum_calls, 1, calls)?;
            in_range("failures_in_window", config.failures_in_window, 0, calls)?;
        }
        Window::Time(length) => {
            duration_from("window.time", length, Duration::from_millis(10))?;
            in_range("failures_in_window", config.failures_in_window, 0, CALLS_MAX)?;
        }
    }
    Ok(())
}
