use std::time::Duration;

use mainstay::core::config::{ConfigError, in_range};
use serde::{Deserialize, Serialize};

/// How much may be asked of the API, and how long it is known who did what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiConfig {
    /// Requests a second from one address (of IPv6: from one /64 network), lasting; requests by
    /// which clients hold their sessions do not count. 1 to a million. Default 100: a page that
    /// shows everything asks about ten times a second.
    pub rate: u32,
    /// Requests it may send at once after a rest. 1 to a million. Default 400: four seconds' worth,
    /// for a program that reads all pages of a list.
    pub burst: u32,
    /// Requests with wrong credentials a minute from one address, lasting. 1 to a million. Default
    /// 10: guessing a key of 256 bits is hopeless, but a log full of guesses helps nobody.
    pub failures: u32,
    /// Requests with wrong credentials at once after a rest. 1 to a million. Default 20: a fleet
    /// behind one address that has an old key.
    pub failures_burst: u32,
    /// Actions that the audit log keeps, at most. 100 to a million. Default 10000.
    pub audit_max: u32,
    /// How long it keeps them. 1 day to 10 years. Default 90 days.
    #[serde(with = "mainstay::core::config::duration")]
    pub audit_age: Duration,
}

const DAY: Duration = Duration::from_secs(86_400);

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            rate: 100,
            burst: 400,
            failures: 10,
            failures_burst: 20,
            audit_max: 10_000,
            audit_age: Duration::from_secs(90 * 86_400),
        }
    }
}

impl ApiConfig {
    /// Whether it makes sense.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], which names the field.
    pub fn check(&self) -> Result<(), ConfigError> {
        in_range("rate", self.rate, 1, 1_000_000)?;
        in_range("burst", self.burst, 1, 1_000_000)?;
        in_range("failures", self.failures, 1, 1_000_000)?;
        in_range("failures_burst", self.failures_burst, 1, 1_000_000)?;
        in_range("audit_max", self.audit_max, 100, 1_000_000)?;
        in_range("audit_age", self.audit_age, DAY, 3650 * DAY)?;
        Ok(())
    }
}
