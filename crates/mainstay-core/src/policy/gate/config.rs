use core::time::Duration;

use crate::policy::adaptive_limit::AdaptiveLimitConfig;
use crate::policy::breaker::BreakerConfig;
use crate::policy::budget::BudgetConfig;
use crate::policy::bulkhead::BulkheadConfig;
use crate::policy::hedge::HedgeConfig;
use crate::policy::rate::RateConfig;
use crate::policy::throttle::ThrottleConfig;

/// What a [`Gate`](super::Gate) is made of. In a configuration file, `breaker = false` switches a
/// policy off that is on by default, and a table switches one on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct GateConfig {
    /// The circuit breaker. On by default.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::switch"))]
    pub breaker: Option<BreakerConfig>,
    /// The budget that retries and hedges share. On by default.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::switch"))]
    pub budget: Option<BudgetConfig>,
    /// Calls per time. Off by default.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::switch"))]
    pub rate: Option<RateConfig>,
    /// Calls at the same time. Off by default.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::switch"))]
    pub bulkhead: Option<BulkheadConfig>,
    /// Calls at the same time, as many as the peer can take. Off by default.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::switch"))]
    pub adaptive_limit: Option<AdaptiveLimitConfig>,
    /// Turns away here what the peer would turn away. Off by default.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::switch"))]
    pub throttle: Option<ThrottleConfig>,
    /// Sends a second request when the first is slow. Off by default, and only for calls that may
    /// run twice.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::switch"))]
    pub hedge: Option<HedgeConfig>,
    /// Whether failures and latency are measured for adaptive backoff. Off by default: it takes a
    /// lock and the time of every call.
    pub measure: bool,
    /// The longest pause a server may ask of all callers. Default 60 s.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub hold_cap: Duration,
}

impl Default for GateConfig {
    fn default() -> Self {
        Self {
            breaker: Some(BreakerConfig::default()),
            budget: Some(BudgetConfig::default()),
            rate: None,
            bulkhead: None,
            adaptive_limit: None,
            throttle: None,
            hedge: None,
            measure: false,
            hold_cap: Duration::from_secs(60),
        }
    }
}

impl GateConfig {
    /// A gate that lets everything through: no policy at all.
    pub const OPEN: Self = Self {
        breaker: None,
        budget: None,
        rate: None,
        bulkhead: None,
        adaptive_limit: None,
        throttle: None,
        hedge: None,
        measure: false,
        hold_cap: Duration::from_secs(60),
    };

    /// Whether the gate has [`Meters`](super::Meters) that must be lent to it.
    #[must_use]
    pub const fn has_meters(&self) -> bool {
        self.measure
            || self.throttle.is_some()
            || self.adaptive_limit.is_some()
            || self.hedge.is_some()
    }

    /// The bulkhead, or the one that enforces the adaptive limit; the smaller wins when both are on.
    pub(super) fn slots(&self, limit: Option<u32>) -> Option<BulkheadConfig> {
        match (self.bulkhead, limit) {
            (Some(fixed), Some(limit)) => {
                Some(BulkheadConfig { max: fixed.max.min(limit), ..fixed })
            }
            (Some(fixed), None) => Some(fixed),
            (None, Some(max)) => Some(BulkheadConfig { max, ..BulkheadConfig::default() }),
            (None, None) => None,
        }
    }
}
