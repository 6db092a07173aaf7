//! How notices are gathered and repeated.

use std::time::Duration;

use mainstay_core::config::{ConfigError, Ratio, duration_from, in_range};
use serde::{Deserialize, Serialize};

/// How notices are gathered and repeated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DispatchConfig {
    /// Labels by which alerts are told together; `rule` is the rule; none: all together. Default
    /// `rule`.
    pub group_by: Vec<String>,
    /// How long the first alert of a group waits for others. Up to a year. Default 30 s
    /// (Alertmanager).
    #[serde(with = "mainstay_core::config::duration")]
    pub group_wait: Duration,
    /// The same for a critical alert, a severity that rises, and the end of what fired. Default 10 s.
    #[serde(with = "mainstay_core::config::duration")]
    pub group_wait_critical: Duration,
    /// The least time between two notices of a group that are not urgent. From 1 s. Default 5 min
    /// (Alertmanager).
    #[serde(with = "mainstay_core::config::duration")]
    pub group_interval: Duration,
    /// After how long what still fires is told again. From 1 min. Default 4 h (Alertmanager).
    #[serde(with = "mainstay_core::config::duration")]
    pub repeat: Duration,
    /// The same while something critical fires. Default 1 h.
    #[serde(with = "mainstay_core::config::duration")]
    pub repeat_critical: Duration,
    /// How long the notice of an end waits for the alert to come back. Default 0:
    /// `keep_firing_for` of the rule has waited already.
    #[serde(with = "mainstay_core::config::duration")]
    pub resolved_delay: Duration,
    /// What that wait is multiplied by each time it does come back meanwhile. 1 to 10. Default 1.5
    /// (Netdata).
    pub resolved_delay_factor: Ratio,
    /// The most that wait grows to; so long at most an end is kept back by flapping, too. Default
    /// 1 h (Netdata).
    #[serde(with = "mainstay_core::config::duration")]
    pub resolved_delay_max: Duration,
    /// Alerts that are known at the same time; more are not told. 1 to 100000. Default 40000: each alert of an engine and its lack
    /// of data.
    pub alerts_max: usize,
}

impl Default for DispatchConfig {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self {
            group_by: vec!["rule".into()],
            group_wait: Duration::from_secs(30),
            group_wait_critical: Duration::from_secs(10),
            group_interval: minute * 5,
            repeat: minute * 240,
            repeat_critical: minute * 60,
            resolved_delay: Duration::ZERO,
            resolved_delay_factor: Ratio::percent(150),
            resolved_delay_max: minute * 60,
            alerts_max: 40_000,
        }
    }
}

impl DispatchConfig {
    /// Whether it makes sense.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], which names the field.
    pub fn check(&self) -> Result<(), ConfigError> {
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        in_range("group_by", self.group_by.len(), 0, 16)?;
        duration_from("group_wait", self.group_wait, Duration::ZERO)?;
        duration_from("group_wait_critical", self.group_wait_critical, Duration::ZERO)?;
        duration_from("group_interval", self.group_interval, second)?;
        duration_from("repeat", self.repeat, minute)?;
        duration_from("repeat_critical", self.repeat_critical, minute)?;
        duration_from("resolved_delay", self.resolved_delay, Duration::ZERO)?;
        let (one, ten) = (Ratio::ONE, Ratio::percent(1_000));
        in_range("resolved_delay_factor", self.resolved_delay_factor, one, ten)?;
        duration_from("resolved_delay_max", self.resolved_delay_max, self.resolved_delay)?;
        in_range("alerts_max", self.alerts_max, 1, 100_000)?;
        Ok(())
    }
}
