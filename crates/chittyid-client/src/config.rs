//! What a client is made of.

use core::time::Duration;

use chittyid::Profiles;
use mainstay::core::config::{ConfigError, Ratio, duration, duration_from, in_range};
use mainstay::core::link::LinkConfig;
use mainstay::core::policy::backoff::{BackoffConfig, Jitter};
use mainstay::core::policy::breaker::Window;
use mainstay::core::policy::preset::PolicyConfig;
use serde::{Deserialize, Serialize};

use crate::ApiKey;
use crate::address::Address;

const MILLISECOND: Duration = Duration::from_millis(1);

/// What a [`Client`](crate::Client) is made of: plain values with the seeds' numbers, checked once.
///
/// In a file, durations are text (`"30s"`), and what is left out has its default. Zero is refused,
/// never taken for "the default".
///
/// ```
/// use chittyid_client::ClientConfig;
///
/// let config = ClientConfig { base_url: "https://ids.example/v1".into(), ..ClientConfig::default() };
/// assert!(config.check().is_ok());
/// let wrong = ClientConfig { body_max: 0, ..config };
/// assert_eq!(wrong.check().unwrap_err().field, "body_max");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientConfig {
    /// Where the authority is: `http` or `https`, without credentials. One that ends in `/v1` or
    /// `/api/v1` brings its own prefix. Default `https://id.chitty.cc` (seed 000).
    pub base_url: String,
    /// What stands before the paths of the API. Default `/v1`.
    pub api_prefix: String,
    /// Path of the health check, on the origin. Default `/health` (seed 000).
    pub health_path: String,
    /// The key that is sent. Default none. It is read, and never written.
    #[serde(skip_serializing)]
    pub api_key: Option<ApiKey>,
    /// The profiles that a minted id may have. Default client-v1 alone, what the seeds call official;
    /// [`interop`](Self::interop) takes what services really give.
    pub accepted: Profiles,
    /// Longest time to make a connection. Default 5 s.
    #[serde(with = "duration")]
    pub connect_timeout: Duration,
    /// Longest time of one attempt: connect, headers and body. Default 10 s (the seeds' client,
    /// whose time ended with the headers).
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// Longest time of a call with its retries and waits. Default 30 s: three attempts.
    #[serde(with = "duration")]
    pub deadline: Duration,
    /// The longest answer, in bytes. Default 1 MiB.
    pub body_max: usize,
    /// Whether the proxies of the environment are used. Default yes.
    pub system_proxy: bool,
    /// Whether retries, breaker and cache are on. Default yes.
    pub resilience: bool,
    /// How failed attempts are repeated.
    pub retry: RetryConfig,
    /// When calls are refused because the service is down.
    pub breaker: BreakerConfig,
    /// How long verdicts are kept.
    pub cache: CacheConfig,
    /// How the connection is watched.
    pub watch: WatchConfig,
    /// Ids that each key may ask for a minute, refused here beyond. Default none: the authority
    /// counts (seed 002 recommends 100 there).
    pub mints_per_minute: Option<u32>,
    /// How long a mint waits for others to go with it in one request. Default none: each goes at once.
    #[serde(with = "duration::option")]
    pub batch_within: Option<Duration>,
    /// The most ids that are asked for in one request. Default 100, what our authority takes.
    pub batch_max: usize,
    /// Whether calls fail at once while the watched connection is `FAILED`, which is only when the
    /// service refused the credentials of its health check or the allowed reconnects are used up.
    /// Default no (seeds: the state gated nothing).
    pub fail_fast_when_disconnected: bool,
}

/// How failed attempts are repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryConfig {
    /// Attempts in all. 1 to 100. Default 3 (seed 000).
    pub attempts: u32,
    /// The wait before the second. Default 100 ms (seed 000).
    #[serde(with = "duration")]
    pub first_wait: Duration,
    /// What each wait is multiplied by. 1 to 10. Default 2 (seed 000).
    pub factor: Ratio,
    /// The longest wait. Default 5 s (seed 000).
    #[serde(with = "duration")]
    pub longest_wait: Duration,
    /// The longest wish of the service (`Retry-After`) that is followed. Default 60 s; what goes
    /// beyond the deadline ends the call.
    #[serde(with = "duration")]
    pub retry_after_max: Duration,
}

/// When calls are refused because the service is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerConfig {
    /// Calls that fail, each with all its retries, within the window. 1 to 4095. Default 5 (seed 000).
    pub failures: u32,
    /// The window. Default 60 s; the seeds' 10 s never hold five timeouts of 10 s.
    #[serde(with = "duration")]
    pub window: Duration,
    /// How long calls are refused then. Default 60 s (seed 000).
    #[serde(with = "duration")]
    pub open: Duration,
    /// Calls that must succeed afterwards, and the most that are let through to find out. 1 to 16.
    /// Default 3 (seed 000).
    pub probes: u32,
}

/// How long verdicts are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheConfig {
    /// The most of them; the one used least recently goes first. 1 to 10 million. Default 10 000
    /// (seed 000).
    pub max_size: u64,
    /// How long *valid* is kept. Default 5 min (seed 000).
    #[serde(with = "duration")]
    pub ttl: Duration,
    /// How long *not valid* is kept: it may be issued any moment. Default 30 s.
    #[serde(with = "duration")]
    pub negative_ttl: Duration,
}

/// How the connection is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WatchConfig {
    /// Whether the first request starts it. Default yes. [`Client::connect`](crate::Client::connect)
    /// starts it in any case.
    pub enabled: bool,
    /// From one health check to the next. Default 30 s (seed 000).
    #[serde(with = "duration")]
    pub interval: Duration,
    /// Longest time of a health check. Default 5 s (seed 000).
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// Failed checks that end a connection. 1 to 1000. Default 1 (seed 000).
    pub unhealthy_threshold: u32,
    /// The wait before the first reconnect. Default 1 s (seed 000).
    #[serde(with = "duration")]
    pub first_wait: Duration,
    /// The longest wait. Default 60 s (seed 000).
    #[serde(with = "duration")]
    pub longest_wait: Duration,
    /// Reconnects before it gives up. Default none: no limit (seed 000).
    pub attempts: Option<u32>,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            base_url: "https://id.chitty.cc".into(),
            api_prefix: "/v1".into(),
            health_path: "/health".into(),
            api_key: None,
            accepted: Profiles::CLIENT_V1,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(10),
            deadline: Duration::from_secs(30),
            body_max: 1 << 20,
            system_proxy: true,
            resilience: true,
            retry: RetryConfig::default(),
            breaker: BreakerConfig::default(),
            cache: CacheConfig::default(),
            watch: WatchConfig::default(),
            mints_per_minute: None,
            batch_within: None,
            batch_max: 100,
            fail_fast_when_disconnected: false,
        }
    }
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            attempts: 3,
            first_wait: Duration::from_millis(100),
            factor: Ratio::percent(200),
            longest_wait: Duration::from_secs(5),
            retry_after_max: Duration::from_secs(60),
        }
    }
}

impl Default for BreakerConfig {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self { failures: 5, window: minute, open: minute, probes: 3 }
    }
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            max_size: 10_000,
            ttl: Duration::from_secs(300),
            negative_ttl: Duration::from_secs(30),
        }
    }
}

impl Default for WatchConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            unhealthy_threshold: 1,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(60),
            attempts: None,
        }
    }
}

impl ClientConfig {
    /// The defaults, for the authority at `base_url`.
    #[must_use]
    pub fn new(base_url: impl Into<String>) -> Self {
        Self { base_url: base_url.into(), ..Self::default() }
    }

    /// The defaults with `CHITTY_ID_TOKEN` as the key and `CHITTYID_SERVICE_URL` as the address, where
    /// the environment has them; empty ones count as not there.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when they make no sense, without repeating the key.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// The same with the variables that `variable` answers.
    ///
    /// # Errors
    ///
    /// As [`from_env`](Self::from_env).
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let said = |name| variable(name).filter(|value| !value.trim().is_empty());
        let mut config = Self::default();
        if let Some(url) = said("CHITTYID_SERVICE_URL") {
            url.trim().clone_into(&mut config.base_url);
        }
        config.api_key = said("CHITTY_ID_TOKEN").map(|key| ApiKey::new(&key)).transpose()?;
        config.check()?;
        Ok(config)
    }

    /// The same, accepting what services in the real world give: client-v1, service-v1 and
    /// canonical-03.
    #[must_use]
    pub fn interop(mut self) -> Self {
        self.accepted = Profiles::INTEROP;
        self
    }

    /// The same with the breaker's window of seed 000: 10 s.
    #[must_use]
    pub fn chittyid_v2_2(mut self) -> Self {
        self.breaker.window = Duration::from_secs(10);
        self
    }

    /// Whether it makes sense.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field that does not.
    pub fn check(&self) -> Result<(), ConfigError> {
        Address::new(self)?;
        if self.accepted.is_empty() {
            return Err(ConfigError::new("accepted", self.accepted, "at least one profile"));
        }
        duration_from("connect_timeout", self.connect_timeout, MILLISECOND)?;
        duration_from("timeout", self.timeout, MILLISECOND)?;
        duration_from("deadline", self.deadline, MILLISECOND)?;
        in_range("body_max", self.body_max, 1, 1 << 30)?;
        self.mints_per_minute
            .map(|mints| in_range("mints_per_minute", mints, 1, 1_000_000))
            .transpose()?;
        self.batch_within
            .map(|within| in_range("batch_within", within, MILLISECOND, self.deadline))
            .transpose()?;
        in_range("batch_max", self.batch_max, 1, 1_000)?;
        self.retry.check().map_err(|error| error.within("retry"))?;
        self.breaker.check().map_err(|error| error.within("breaker"))?;
        self.cache.check().map_err(|error| error.within("cache"))?;
        self.watch.check().map_err(|error| error.within("watch"))?;
        self.policy().checked().map(drop)
    }

    /// What a call does, as the library's policies say it.
    pub(crate) fn policy(&self) -> PolicyConfig {
        let mut policy = PolicyConfig::chittyid_request();
        policy.call.attempts = self.retry.attempts;
        policy.call.backoff = BackoffConfig {
            base: self.retry.first_wait,
            cap: self.retry.longest_wait,
            factor: self.retry.factor,
            jitter: Jitter::None,
            ..policy.call.backoff
        };
        policy.call.hint_cap = self.retry.retry_after_max;
        policy.call.attempt_timeout = Some(self.timeout);
        policy.call.deadline = Some(self.deadline);
        policy.gate.hold_cap = self.retry.retry_after_max;
        if let Some(breaker) = &mut policy.gate.breaker {
            breaker.failures_in_window = self.breaker.failures;
            breaker.window = Window::Time(self.breaker.window);
            breaker.open.base = self.breaker.open;
            breaker.open.cap = self.breaker.open;
            breaker.half_open.probes = self.breaker.probes;
            // A probe may take as long as any call.
            breaker.half_open.lease = Some(self.deadline);
        }
        policy
    }
}

impl RetryConfig {
    fn check(&self) -> Result<(), ConfigError> {
        in_range("attempts", self.attempts, 1, 100)?;
        duration_from("first_wait", self.first_wait, MILLISECOND)?;
        in_range("factor", self.factor, Ratio::ONE, Ratio::percent(1_000))?;
        duration_from("longest_wait", self.longest_wait, self.first_wait)?;
        duration_from("retry_after_max", self.retry_after_max, MILLISECOND).map(drop)
    }
}

impl BreakerConfig {
    fn check(&self) -> Result<(), ConfigError> {
        in_range("failures", self.failures, 1, 4095)?;
        duration_from("window", self.window, 10 * MILLISECOND)?;
        duration_from("open", self.open, MILLISECOND)?;
        in_range("probes", self.probes, 1, 16).map(drop)
    }
}

impl CacheConfig {
    fn check(&self) -> Result<(), ConfigError> {
        in_range("max_size", self.max_size, 1, 10_000_000)?;
        duration_from("ttl", self.ttl, MILLISECOND)?;
        duration_from("negative_ttl", self.negative_ttl, MILLISECOND).map(drop)
    }
}

impl WatchConfig {
    fn check(&self) -> Result<(), ConfigError> {
        duration_from("interval", self.interval, MILLISECOND)?;
        in_range("timeout", self.timeout, MILLISECOND, self.interval)?;
        in_range("unhealthy_threshold", self.unhealthy_threshold, 1, 1_000)?;
        duration_from("first_wait", self.first_wait, MILLISECOND)?;
        duration_from("longest_wait", self.longest_wait, self.first_wait)?;
        self.attempts.map(|attempts| in_range("attempts", attempts, 1, u32::MAX)).transpose()?;
        Ok(())
    }

    /// As a link takes it.
    pub(crate) fn link(&self) -> LinkConfig {
        let mut link = LinkConfig::chittyid_reconnect();
        link.dial_timeout = self.timeout;
        link.health.interval = self.interval;
        link.health.timeout = self.timeout;
        link.health.down = self.unhealthy_threshold;
        link.reconnect.backoff.base = self.first_wait;
        link.reconnect.backoff.cap = self.longest_wait;
        link.reconnect.attempts = self.attempts;
        link
    }
}
