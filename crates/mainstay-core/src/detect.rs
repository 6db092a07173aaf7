//! When a peer that says nothing is suspected, and when it is given up.
//!
//! ```text
//! heard ──────── interval ────────┬── max(2 s, rtt + 4 × variation) ──┬─────────────┐
//!                                 │                                SUSPECT: probe  DEAD: interval + slack
//! ```
//!
//! Two stages, both by deadline. How often a live peer is given up by mistake depends nearly only on
//! the *slack* beyond the expected beat: stalls are heavy-tailed, so no model of their variance
//! helps. What adapts is the early suspicion. [`phi`] is shown, and never decides.
//!
//! Two guards keep a server from convicting others for its own trouble: [`OwnPause`] (a sweep that
//! comes late means that *we* slept) and [`MassSuspicion`] (when many fall silent together, the
//! trouble is on our side).

use core::time::Duration;

use crate::config::{ConfigError, Ratio, in_range};
use crate::time::Instant;

mod mass;
mod pause;

pub use mass::MassSuspicion;
pub use pause::OwnPause;

/// What a [`Detector`] is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct DetectorConfig {
    /// How long after an expected beat a peer is given up. 10 s to 30 s. Default 20 s (engine.io).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub slack: Duration,
    /// How long after an expected beat a peer is suspected at the earliest. Default 2 s.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub suspect_after: Duration,
    /// How often a suspect is asked. Default 2 s.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub probe_every: Duration,
    /// How late a sweep may be before we take it that we slept. Default 5 s (Cassandra).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub pause: Duration,
    /// New suspects at once, at least, before we doubt ourselves. Default 10.
    pub mass: u32,
    /// Share of live peers at once before we doubt ourselves. Above 0, up to 1. Default 0.2.
    pub mass_share: Ratio,
    /// What *at once* means: 1 s to 1 min. Default 5 s.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub mass_within: Duration,
}

impl Default for DetectorConfig {
    fn default() -> Self {
        Self {
            slack: Duration::from_secs(20),
            suspect_after: Duration::from_secs(2),
            probe_every: Duration::from_secs(2),
            pause: Duration::from_secs(5),
            mass: 10,
            mass_share: Ratio::percent(20),
            mass_within: Duration::from_secs(5),
        }
    }
}

/// A checked [`DetectorConfig`]: the two deadlines of a silent peer.
///
/// ```
/// use core::time::Duration;
/// use mainstay_core::detect::{Detector, DetectorConfig};
///
/// let detector = Detector::new(&DetectorConfig::default())?;
/// let (interval, rtt) = (Duration::from_secs(25), Some((Duration::from_millis(40), Duration::ZERO)));
/// assert_eq!(detector.suspect_after(interval, rtt, 0), Duration::from_secs(27));
/// assert_eq!(detector.dead_after(interval, 0), Duration::from_secs(45));
/// # Ok::<(), mainstay_core::config::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detector {
    config: DetectorConfig,
}

impl Detector {
    /// Checks `config` once, so that no later call can fail.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field outside what its documentation allows.
    pub fn new(config: &DetectorConfig) -> Result<Self, ConfigError> {
        let second = Duration::from_secs(1);
        in_range("slack", config.slack, second * 10, second * 30)?;
        in_range("suspect_after", config.suspect_after, second / 10, config.slack)?;
        in_range("probe_every", config.probe_every, second / 10, config.slack)?;
        in_range("pause", config.pause, second, second * 60)?;
        in_range("mass", config.mass, 1, u32::MAX)?;
        in_range("mass_share", config.mass_share, Ratio::from_ppm(1), Ratio::ONE)?;
        in_range("mass_within", config.mass_within, second, second * 60)?;
        Ok(Self { config: *config })
    }

    /// What it was made of.
    #[must_use]
    pub const fn config(&self) -> &DetectorConfig {
        &self.config
    }

    /// How long a peer may be silent before it is suspected; `rtt` is the smoothed round trip and its
    /// variation, `stress` that of this server (0 to 7). Never later than it is given up.
    #[must_use]
    pub fn suspect_after(
        &self,
        interval: Duration,
        rtt: Option<(Duration, Duration)>,
        stress: u8,
    ) -> Duration {
        let (smoothed, variation) = rtt.unwrap_or_default();
        let usual = smoothed.saturating_add(variation.saturating_mul(4));
        let wait = self.config.suspect_after.max(usual).saturating_mul(stressed(stress));
        interval.saturating_add(wait.min(self.slack(stress)))
    }

    /// How long a peer may be silent before it is given up.
    #[must_use]
    pub fn dead_after(&self, interval: Duration, stress: u8) -> Duration {
        interval.saturating_add(self.slack(stress))
    }

    /// How long after an expected beat a peer is given up, by a server under this stress.
    #[must_use]
    pub fn slack(&self, stress: u8) -> Duration {
        self.config.slack.saturating_mul(stressed(stress))
    }
}

fn stressed(stress: u8) -> u32 {
    1 + u32::from(stress.min(7))
}

/// How surprising a silence is: −log₁₀ of its probability when beats come at random, `mean` apart on
/// average. For people only.
///
/// ```
/// use core::time::Duration;
/// use mainstay_core::detect::phi;
///
/// // Eight is reached after 18.4 mean intervals (Cassandra's detector).
/// assert!((phi(Duration::from_millis(18_421), Duration::from_secs(1)) - 8.0).abs() < 0.001);
/// ```
#[must_use]
pub fn phi(silence: Duration, mean: Duration) -> f64 {
    silence.as_secs_f64() / mean.as_secs_f64().max(0.001) * core::f64::consts::LOG10_E
}

/// The later of two points, for deadlines that are held.
fn later(first: Instant, second: Instant) -> Instant {
    Instant::from_nanos(first.as_nanos().max(second.as_nanos()))
}

#[cfg(test)]
mod tests;
