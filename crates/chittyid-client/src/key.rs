use std::fmt;
use std::sync::Arc;

use mainstay::core::config::ConfigError;
use reqwest::header::HeaderValue;
use serde::{Deserialize, Deserializer};

/// An API key of an authority; it is never shown.
///
/// ```
/// let key = chittyid_client::ApiKey::new("ck_7f3a")?;
/// assert_eq!(format!("{key:?}"), "ApiKey(…)");
/// # Ok::<(), mainstay::core::config::ConfigError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ApiKey(Arc<str>);

/// Whose key goes with a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Credentials {
    /// The client's own, if its configuration has one. The default.
    #[default]
    Own,
    /// This one: a gateway passes on what its caller showed.
    Key(ApiKey),
    /// None: for a caller that showed none.
    Anonymous,
    /// What the caller of a gateway showed, if anything, and the gateways that its request came
    /// through.
    Passed {
        /// What it showed.
        key: Option<ApiKey>,
        /// The header `Via` (RFC 9110, 7.6.3): by it a gateway sees that it asks itself.
        via: Arc<str>,
    },
}

impl ApiKey {
    /// Keeps `key`, without blanks around it.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when it is empty, longer than 4 096 bytes, or has other characters than visible ASCII,
    /// which a header cannot carry. It does not repeat the key.
    pub fn new(key: &str) -> Result<Self, ConfigError> {
        let key = key.trim();
        let is_sendable =
            (1..=4096).contains(&key.len()) && key.bytes().all(|c| c.is_ascii_graphic());
        if is_sendable {
            Ok(Self(key.into()))
        } else {
            let hidden = format_args!("… ({} bytes, not shown)", key.len());
            Err(ConfigError::new("api_key", hidden, "1 to 4096 visible ASCII characters"))
        }
    }

    /// The key, for whoever must send it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// As it is sent.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::try_from(format!("Bearer {}", self.0)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

impl<'de> Deserialize<'de> for ApiKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // An error about the wrong kind of value would repeat it: a key of digits only, perhaps.
        let text = String::deserialize(deserializer)
            .map_err(|_| serde::de::Error::custom("must be text (what was found is not shown)"))?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}
