//! What configurations have in common: ratios without NaN, durations with a unit, errors that name
//! the field.

use alloc::format;
use alloc::string::String;
use core::fmt;
use core::time::Duration;

pub mod duration;
mod ratio;
#[cfg(feature = "serde")]
pub mod switch;

pub use ratio::Ratio;

/// Why a configuration makes no sense: which field, what it says, and what it may say.
///
/// The person who wrote the configuration must act.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigError {
    /// Path of the field, such as `breaker.window.calls`.
    pub field: String,
    /// The value found, as text.
    pub value: String,
    /// What is allowed, such as `1 to 4095`.
    pub allowed: String,
}

impl ConfigError {
    /// An error about `field`, which says `value` and may only say `allowed`.
    #[must_use]
    pub fn new(field: &str, value: impl fmt::Debug, allowed: &str) -> Self {
        Self { field: field.into(), value: format!("{value:?}"), allowed: allowed.into() }
    }

    /// The same error, seen from the configuration that holds this one under the name `outer`.
    #[must_use]
    pub fn within(mut self, outer: &str) -> Self {
        self.field = format!("{outer}.{}", self.field);
        self
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is {}, allowed: {}", self.field, self.value, self.allowed)
    }
}

impl core::error::Error for ConfigError {}

/// Checks that `value` lies in `lowest..=highest`.
///
/// # Errors
///
/// [`ConfigError`] naming `field` when it does not.
pub fn in_range<T: PartialOrd + fmt::Debug>(
    field: &str,
    value: T,
    lowest: T,
    highest: T,
) -> Result<T, ConfigError> {
    if value >= lowest && value <= highest {
        Ok(value)
    } else {
        Err(ConfigError::new(field, &value, &format!("{lowest:?} to {highest:?}")))
    }
}

/// The longest duration any configuration takes: a year. Longer ones are mistakes.
pub const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Checks that `value` lies between `lowest` and [`LONGEST`].
///
/// # Errors
///
/// [`ConfigError`] naming `field` when it does not.
pub fn duration_from(
    field: &str,
    value: Duration,
    lowest: Duration,
) -> Result<Duration, ConfigError> {
    in_range(field, value, lowest, LONGEST)
}
