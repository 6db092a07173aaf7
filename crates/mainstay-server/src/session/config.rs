use std::time::Duration;

use mainstay::core::config::{ConfigError, duration_from, in_range};
use mainstay::core::session::stream::{Stream, StreamConfig};
use mainstay_registry::{Origin, Registry, RegistryConfig};
use mainstay_wire::FRAME_MAX;
use serde::{Deserialize, Serialize};

use mainstay::core::time::Instant;

/// How the server holds sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionsConfig {
    /// How many, how long, how often they are asked.
    pub registry: RegistryConfig,
    /// Messages that are held for a replay, for each session and direction.
    pub stream: StreamConfig,
    /// What clients may do, and how much of it.
    pub limits: LimitsConfig,
    /// How clients come back, and how they are sent away.
    pub retry: RetryConfig,
    /// What becomes of messages of clients where no application takes them.
    pub messages: Messages,
}

/// What clients may do, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Bytes of a frame. 1 KiB to 1 MiB. Default 16 KiB.
    pub frame_max: usize,
    /// Frames a second that a client may send. 1 to a million. Default 100.
    pub rate: u32,
    /// Frames it may send at once after a rest. From 1. Default 200: twice the rate.
    pub burst: u32,
    /// How long a client may take for its `hello`. 10 ms to 5 min. Default 10 s (Centrifugo; others
    /// 8 to 15 s).
    #[serde(with = "mainstay::core::config::duration")]
    pub hello_within: Duration,
    /// Connections that have not said `hello` yet, at most. From 1. Default 1000.
    pub unauthenticated_max: u32,
    /// Connections from one address (of IPv6: from one /64 network), at most; 0 for no limit, which
    /// is the default, since many people can share one.
    pub per_address_max: u32,
    /// How long a client may not take what is written to it. 100 ms to 5 min. Default 10 s.
    #[serde(with = "mainstay::core::config::duration")]
    pub slow_after: Duration,
    /// How deep metadata may nest, itself counted. 1 to 64. Default 8.
    pub metadata_depth: u32,
    /// Keys that metadata must not have, at any depth and in any case. Default `password`, `secret`,
    /// `token`, `authorization`: they end up where people read them.
    pub metadata_forbidden: Vec<String>,
}

/// How clients come back, and how they are sent away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryConfig {
    /// Ceiling of a client's first wait after a connection that broke. Default 1 s.
    #[serde(with = "mainstay::core::config::duration")]
    pub base: Duration,
    /// Ceiling of all its waits. Default 60 s.
    #[serde(with = "mainstay::core::config::duration")]
    pub max: Duration,
    /// What is drawn on top of the first wait, so that not all come back at once. Default 5 s.
    #[serde(with = "mainstay::core::config::duration")]
    pub jitter: Duration,
    /// Over how long goodbyes are spread when the server stops. Default 5 s; it is cut to what the
    /// deadline of the shutdown leaves.
    #[serde(with = "mainstay::core::config::duration")]
    pub drain: Duration,
}

/// What becomes of messages of clients where no application takes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Messages {
    /// They are told to whoever listens at `/api/v1/messages`.
    #[default]
    Tell,
    /// They are sent back, each as it came.
    Echo,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            frame_max: FRAME_MAX,
            rate: 100,
            burst: 200,
            hello_within: Duration::from_secs(10),
            unauthenticated_max: 1000,
            per_address_max: 0,
            slow_after: Duration::from_secs(10),
            metadata_depth: 8,
            metadata_forbidden: ["password", "secret", "token", "authorization"]
                .map(String::from)
                .into(),
        }
    }
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            base: Duration::from_secs(1),
            max: Duration::from_secs(60),
            jitter: Duration::from_secs(5),
            drain: Duration::from_secs(5),
        }
    }
}

impl SessionsConfig {
    /// Checks every field.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field that makes no sense.
    pub fn check(&self) -> Result<(), ConfigError> {
        let origin = Origin { now: Instant::from_nanos(0), unix_ms: 0 };
        let registry = Registry::new(&self.registry, origin);
        registry.map_err(|error| error.within("registry"))?;
        let stream = Stream::<()>::new(&self.stream, mainstay::core::session::stream::Epoch(1));
        stream.map_err(|error| error.within("stream"))?;
        self.limits.check().map_err(|error| error.within("limits"))?;
        self.retry.check().map_err(|error| error.within("retry"))
    }
}

impl LimitsConfig {
    fn check(&self) -> Result<(), ConfigError> {
        let (millisecond, minute) = (Duration::from_millis(1), Duration::from_secs(60));
        in_range("frame_max", self.frame_max, 1 << 10, 1 << 20)?;
        in_range("rate", self.rate, 1, 1_000_000)?;
        in_range("burst", self.burst, 1, 1_000_000)?;
        in_range("hello_within", self.hello_within, 10 * millisecond, 5 * minute)?;
        in_range("unauthenticated_max", self.unauthenticated_max, 1, u32::MAX)?;
        in_range("slow_after", self.slow_after, 100 * millisecond, 5 * minute)?;
        in_range("metadata_depth", self.metadata_depth, 1, 64)?;
        Ok(())
    }
}

impl RetryConfig {
    fn check(&self) -> Result<(), ConfigError> {
        duration_from("base", self.base, Duration::from_millis(1))?;
        duration_from("max", self.max, self.base)?;
        duration_from("jitter", self.jitter, Duration::ZERO)?;
        duration_from("drain", self.drain, Duration::ZERO)?;
        Ok(())
    }
}
