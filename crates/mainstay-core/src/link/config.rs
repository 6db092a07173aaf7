use core::time::Duration;

use crate::config::{ConfigError, Ratio, duration_from, in_range};
use crate::policy::backoff::{Backoff, BackoffConfig, Jitter, Strategy};
use crate::time::nanos;

const MILLISECOND: Duration = Duration::from_millis(1);

/// What a [`crate::link::Link`] is made of.
///
/// ```
/// use mainstay_core::link::{LinkConfig, LinkOverrides};
///
/// let house = LinkConfig::default();
/// let mut one = LinkOverrides::default();
/// one.reconnect.attempts = Some(Some(3));
/// let merged = house.merged(&one);
/// assert_eq!(merged.reconnect.attempts, Some(3));
/// assert_eq!(merged.health, house.health);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct LinkConfig {
    /// Longest time one connect may take. Default 10 s (5 s for name and TCP, 5 s for TLS and
    /// upgrade).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub dial_timeout: Duration,
    /// Longest time a graceful close may take. Default 5 s.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub close_timeout: Duration,
    /// How long a connection must hold before the attempts start from one again. Default 10 s; a
    /// connection that opens and drops at once would otherwise be redialled at full speed for ever.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub stable_after: Duration,
    /// How long a link may fail before the application is told and redials slow down. Default
    /// 2 min; the longest, a year, is as good as never.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub suspend_after: Duration,
    /// When to redial.
    pub reconnect: ReconnectConfig,
    /// When to look whether the peer is well.
    pub health: HealthConfig,
}

/// When a link redials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct ReconnectConfig {
    /// Whether it redials at all. Default yes.
    pub enabled: bool,
    /// Redials before the link gives up; the first connect is not counted. Default: no limit.
    pub attempts: Option<u32>,
    /// The most a peer's wish for a pause (`Retry-After`) is honoured. Default 60 s.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub hint_cap: Duration,
    /// The waits. Default 1 s, doubling to 60 s (seed 000), drawn with full jitter.
    pub backoff: BackoffConfig,
    /// A breaker over redials of this link alone. Default none; `true` or a table switches it on.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::switch"))]
    pub circuit: Option<CircuitConfig>,
}

/// A breaker over the redials of one link: a run of failures pauses them for a fixed time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct CircuitConfig {
    /// Failed connects in a row that open it. 1 to 65535. Default 3 (seed 003).
    pub threshold: u32,
    /// How long it stays open. Default 30 s (seed 003).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub cooldown: Duration,
    /// Whether the end of the cooldown is announced as *closed* already, as seed 003 words it.
    /// Default no: then it is *half open* until one connect succeeds.
    pub closed_after_cooldown: bool,
}

/// When a link looks whether its peer is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct HealthConfig {
    /// Whether it probes at all. Default yes. Real calls count in any case.
    pub enabled: bool,
    /// From the end of one probe to the next. Default 30 s (seed 000).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub interval: Duration,
    /// Longest time a probe may take, at most `interval`. Default 5 s (seed 000).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub timeout: Duration,
    /// The interval between the first failure and the verdict. Default 1 s; at most `interval`
    /// counts.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub edge_interval: Duration,
    /// Failures that make the peer unhealthy. 1 to 1000. Default 3.
    pub down: u32,
    /// Successes in a row that forgive the failures before them. 1 to 1000. Default 2.
    pub up: u32,
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self {
            dial_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(5),
            stable_after: Duration::from_secs(10),
            suspend_after: Duration::from_secs(120),
            reconnect: ReconnectConfig::default(),
            health: HealthConfig::default(),
        }
    }
}

impl Default for ReconnectConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            attempts: None,
            hint_cap: Duration::from_secs(60),
            backoff: BackoffConfig {
                base: Duration::from_secs(1),
                cap: Duration::from_secs(60),
                ..BackoffConfig::default()
            },
            circuit: None,
        }
    }
}

impl Default for CircuitConfig {
    fn default() -> Self {
        Self { threshold: 3, cooldown: Duration::from_secs(30), closed_after_cooldown: false }
    }
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            edge_interval: Duration::from_secs(1),
            down: 3,
            up: 2,
        }
    }
}

impl LinkConfig {
    /// The numbers of seed 000: probes every 30 s, one failed probe reconnects, waits of 1, 2, 4,
    /// 8, 16, 32, 60, 60 s without jitter, no limit of attempts, which start again at each success.
    #[must_use]
    pub fn chittyid_reconnect() -> Self {
        let mut config = Self::default();
        config.dial_timeout = Duration::from_secs(5);
        config.stable_after = Duration::ZERO;
        config.suspend_after = crate::config::LONGEST;
        config.reconnect.backoff.jitter = Jitter::None;
        config.health.down = 1;
        config.health.up = 1;
        config
    }

    /// For a WebSocket: a ping after 15 s of silence that may take 5 s, one missed pong
    /// reconnects, and 20 s for a connect, since it takes an upgrade and the application's own
    /// handshake.
    #[must_use]
    pub fn websocket() -> Self {
        let mut config = Self { dial_timeout: Duration::from_secs(20), ..Self::default() };
        config.health.interval = Duration::from_secs(15);
        config.health.timeout = Duration::from_secs(5);
        config.health.down = 1;
        config.health.up = 1;
        config
    }

    /// The numbers of seed 003: at most 5 redials, 1 s doubling to 30 s with ±20 % of jitter, a
    /// breaker of 3 failures and 30 s whose end is announced as *closed*, pings every 5 s that may
    /// take 2 s, one missed pong reconnects.
    #[must_use]
    pub fn streamotter() -> Self {
        let mut config = Self::default();
        config.reconnect.attempts = Some(5);
        config.reconnect.backoff = BackoffConfig {
            strategy: Strategy::Exponential,
            base: Duration::from_secs(1),
            cap: Duration::from_secs(30),
            factor: Ratio::percent(200),
            increment: None,
            jitter: Jitter::Ratio(Ratio::percent(20)),
        };
        config.reconnect.circuit =
            Some(CircuitConfig { closed_after_cooldown: true, ..CircuitConfig::default() });
        config.health.interval = Duration::from_secs(5);
        config.health.timeout = Duration::from_secs(2);
        config.health.down = 1;
        config.health.up = 1;
        config
    }
}

/// A checked [`LinkConfig`], as small as it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) backoff: Backoff,
    pub(super) jittered: bool,
    pub(super) probing: bool,
    pub(super) closed_after_cooldown: bool,
    pub(super) down: u16,
    pub(super) up: u16,
    /// 0: no breaker.
    pub(super) threshold: u16,
    /// [`u32::MAX`]: no limit.
    pub(super) attempts: u32,
    pub(super) cooldown: u64,
    pub(super) hint_cap: u64,
    pub(super) dial_timeout: u64,
    pub(super) close_timeout: u64,
    pub(super) stable_after: u64,
    pub(super) suspend_after: u64,
    pub(super) interval: u64,
    pub(super) timeout: u64,
    pub(super) edge_interval: u64,
}

/// Less often than this is not at all.
const LEAST_OFTEN: u64 = 3_600_000_000_000;

impl Settings {
    /// Doubles the interval between probes, up to an hour.
    pub(super) fn ping_less(&mut self) {
        self.interval = self.interval.saturating_mul(2).min(LEAST_OFTEN.max(self.interval));
    }

    pub(super) fn new(config: &LinkConfig) -> Result<Self, ConfigError> {
        let (reconnect, health) = (&config.reconnect, &config.health);
        let backoff =
            Backoff::new(&reconnect.backoff).map_err(|e| e.within("reconnect.backoff"))?;
        let circuit = reconnect.circuit.unwrap_or_default();
        in_range("reconnect.circuit.threshold", circuit.threshold, 1, u32::from(u16::MAX))?;
        duration_from("reconnect.circuit.cooldown", circuit.cooldown, MILLISECOND)?;
        duration_from("reconnect.hint_cap", reconnect.hint_cap, Duration::ZERO)?;
        duration_from("dial_timeout", config.dial_timeout, MILLISECOND)?;
        duration_from("close_timeout", config.close_timeout, Duration::ZERO)?;
        duration_from("stable_after", config.stable_after, Duration::ZERO)?;
        duration_from("suspend_after", config.suspend_after, MILLISECOND)?;
        duration_from("health.interval", health.interval, MILLISECOND)?;
        in_range("health.timeout", health.timeout, MILLISECOND, health.interval)?;
        duration_from("health.edge_interval", health.edge_interval, MILLISECOND)?;
        in_range("health.down", health.down, 1, 1000)?;
        in_range("health.up", health.up, 1, 1000)?;
        let small = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
        Ok(Self {
            backoff,
            jittered: reconnect.backoff.jitter != Jitter::None,
            probing: health.enabled,
            closed_after_cooldown: circuit.closed_after_cooldown,
            down: small(health.down),
            up: small(health.up),
            threshold: if reconnect.circuit.is_some() { small(circuit.threshold) } else { 0 },
            attempts: reconnect.attempts.unwrap_or(u32::MAX),
            cooldown: nanos(circuit.cooldown),
            hint_cap: nanos(reconnect.hint_cap),
            dial_timeout: nanos(config.dial_timeout),
            close_timeout: nanos(config.close_timeout),
            stable_after: nanos(config.stable_after),
            suspend_after: nanos(config.suspend_after),
            interval: nanos(health.interval),
            timeout: nanos(health.timeout),
            edge_interval: nanos(health.edge_interval.min(health.interval)),
        })
    }
}
