use std::time::Duration;

use mainstay_core::config::{ConfigError, duration_from, in_range};
use mainstay_core::detect::{Detector, DetectorConfig};
use mainstay_core::session::heartbeat::{Heartbeat, HeartbeatConfig};
use mainstay_core::session::quality::{Grader, QualityConfig};
use serde::{Deserialize, Serialize};

/// What a [`Registry`](crate::Registry) is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegistryConfig {
    /// Sessions that are not over, at most. 1 to 100 million. Default 1 million.
    pub sessions_max: u32,
    /// The same for one user. From 1. Default: as many as there may be.
    pub sessions_per_user_max: Option<u32>,
    /// Sessions that are over and still known, at most; the oldest give way. Up to 100 million.
    /// Default 100 000.
    pub ended_max: u32,
    /// How long a session that is over stays known. Default 1 h (seed 004).
    #[serde(with = "mainstay_core::config::duration")]
    pub keep_ended: Duration,
    /// How long a session outlives its connection. 1 s to 30 days. Default 120 s (Ably, Socket.IO).
    #[serde(with = "mainstay_core::config::duration")]
    pub grace: Duration,
    /// The longest rest a client may ask for. `grace` to 30 days. Default 1 h.
    #[serde(with = "mainstay_core::config::duration")]
    pub rest_max: Duration,
    /// How often a session may be expected back. 1 to 65535. Default 5 (seed 004).
    pub reconnect_attempts: u16,
    /// How long after its latest connection began its attempts start again. Default 5 min (seed 004).
    #[serde(with = "mainstay_core::config::duration")]
    pub reset_after: Duration,
    /// How good a connection is.
    pub quality: QualityConfig,
    /// How often it is asked.
    pub heartbeat: HeartbeatConfig,
    /// When it is given up.
    pub detector: DetectorConfig,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self {
            sessions_max: 1_000_000,
            sessions_per_user_max: None,
            ended_max: 100_000,
            keep_ended: Duration::from_secs(3_600),
            grace: Duration::from_secs(120),
            rest_max: Duration::from_secs(3_600),
            reconnect_attempts: 5,
            reset_after: Duration::from_secs(300),
            quality: QualityConfig::default(),
            heartbeat: HeartbeatConfig::default(),
            detector: DetectorConfig::default(),
        }
    }
}

/// A checked [`RegistryConfig`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) config: RegistryConfig,
    pub(crate) grader: Grader,
    pub(crate) heartbeat: Heartbeat,
    pub(crate) detector: Detector,
}

impl Rules {
    pub(crate) fn new(config: &RegistryConfig) -> Result<Self, ConfigError> {
        let month = Duration::from_secs(30 * 24 * 3_600);
        in_range("sessions_max", config.sessions_max, 1, 100_000_000)?;
        if let Some(most) = config.sessions_per_user_max {
            in_range("sessions_per_user_max", most, 1, u32::MAX)?;
        }
        in_range("ended_max", config.ended_max, 0, 100_000_000)?;
        in_range("keep_ended", config.keep_ended, Duration::ZERO, month)?;
        in_range("grace", config.grace, Duration::from_secs(1), month)?;
        in_range("rest_max", config.rest_max, config.grace, month)?;
        in_range("reconnect_attempts", config.reconnect_attempts, 1, u16::MAX)?;
        duration_from("reset_after", config.reset_after, Duration::ZERO)?;
        let grader = Grader::new(&config.quality).map_err(|error| error.within("quality"))?;
        let heartbeat =
            Heartbeat::new(&config.heartbeat).map_err(|error| error.within("heartbeat"))?;
        let detector = Detector::new(&config.detector).map_err(|error| error.within("detector"))?;
        Ok(Self { config: *config, grader, heartbeat, detector })
    }
}
