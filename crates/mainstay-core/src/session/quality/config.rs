use crate::config::{ConfigError, Ratio, in_range};

use super::Quality;

/// What a connection is judged for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Profile {
    /// Somebody waits for answers.
    #[default]
    Interactive,
    /// Nobody waits: delay weighs 0.4 of what it weighs for `interactive`.
    Background,
    /// The way is long: only what exceeds the shortest round trip counts.
    Satellite,
    /// Seed 004's cut-offs: 500, 1000 and 3000 ms, and misses in a row.
    Axon,
}

/// What a [`Grader`] is made of. Scores are points from 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct QualityConfig {
    /// What connections are judged for. Default `interactive`.
    pub profile: Profile,
    /// Score from which it is `EXCELLENT`. Above `good`, up to 95. Default 80.
    pub excellent: u8,
    /// Score from which it is `GOOD`. Above `poor`. Default 60.
    pub good: u8,
    /// Score from which it is `POOR`. From 1. Default 30.
    pub poor: u8,
    /// How far beyond an edge the score must be. 0 to 20. Default 5.
    pub margin: u8,
    /// How far below its edge a grade falls at once. 1 to 100. Default 20.
    pub cliff: u8,
    /// Beats in a row below before it falls. 1 to 15. Default 2.
    pub down_after: u8,
    /// Beats in a row above before it rises. 1 to 15. Default 6.
    pub up_after: u8,
    /// Beats before there is a grade. 1 to 15. Default 3.
    pub samples: u8,
    /// Share of the way that the score falls towards a lower one. Default 0.5.
    pub falling: Ratio,
    /// Share of the way that the score rises towards a higher one. Default 0.2.
    pub rising: Ratio,
}

impl Default for QualityConfig {
    fn default() -> Self {
        Self {
            profile: Profile::Interactive,
            excellent: 80,
            good: 60,
            poor: 30,
            margin: 5,
            cliff: 20,
            down_after: 2,
            up_after: 6,
            samples: 3,
            falling: Ratio::percent(50),
            rising: Ratio::percent(20),
        }
    }
}

impl QualityConfig {
    /// Seed 004's grade: known from the first beat on, down at once, up after 2 better beats.
    ///
    /// ```
    /// use mainstay_core::session::quality::{Profile, QualityConfig};
    ///
    /// assert_eq!(QualityConfig::axon().profile, Profile::Axon);
    /// ```
    #[must_use]
    pub fn axon() -> Self {
        Self { profile: Profile::Axon, down_after: 1, up_after: 2, samples: 1, ..Self::default() }
    }
}

/// A checked [`QualityConfig`]: judges the beats of any number of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grader {
    pub(super) config: QualityConfig,
}

impl Grader {
    /// Checks `config` once, so that no later call can fail.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field outside what its documentation allows.
    pub fn new(config: &QualityConfig) -> Result<Self, ConfigError> {
        in_range("poor", config.poor, 1, 93)?;
        in_range("good", config.good, config.poor + 1, 94)?;
        in_range("excellent", config.excellent, config.good + 1, 95)?;
        in_range("margin", config.margin, 0, 20)?;
        in_range("cliff", config.cliff, 1, 100)?;
        in_range("down_after", config.down_after, 1, 15)?;
        in_range("up_after", config.up_after, 1, 15)?;
        in_range("samples", config.samples, 1, 15)?;
        in_range("falling", config.falling, Ratio::from_ppm(1), Ratio::ONE)?;
        in_range("rising", config.rising, Ratio::from_ppm(1), Ratio::ONE)?;
        Ok(Self { config: *config })
    }

    /// The grade of a score in hundredths of a point, without any margin.
    pub(super) fn band(&self, score: u16) -> Quality {
        [Quality::Excellent, Quality::Good, Quality::Poor]
            .into_iter()
            .find(|quality| score >= self.edge(*quality))
            .unwrap_or(Quality::Critical)
    }

    /// The score from which `quality` begins, in hundredths of a point.
    pub(super) fn edge(&self, quality: Quality) -> u16 {
        let points = match quality {
            Quality::Unknown | Quality::Critical => 0,
            Quality::Poor => self.config.poor,
            Quality::Good => self.config.good,
            Quality::Excellent => self.config.excellent,
        };
        u16::from(points) * 100
    }
}
