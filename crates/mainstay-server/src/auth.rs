//! Who asks, and what that one may do.

mod identity;
mod jwt;
mod keys;
mod ring_provider;

use std::fmt;

pub use identity::{DEFAULT_ORGANISATION, Identity, Role};
pub use jwt::{JwtConfig, JwtError, JwtKeys, JwtKeysError};
pub use keys::{ApiKey, KeyHash, Keys, NewKey, NotAHash};

use crate::config::Secret;

/// The credentials in force.
#[derive(Debug, Default)]
pub struct Auth {
    /// The one token of `server.token`, which opens everything.
    pub token: Option<Secret>,
    /// The keys.
    pub keys: Keys,
    /// Whose tokens are taken, if any are.
    pub jwt: Option<JwtKeys>,
    /// Whether clients may connect without credentials where others must show some.
    pub anonymous_clients: bool,
}

/// Why nobody is let in.
#[derive(Debug)]
#[non_exhaustive]
pub enum AuthError {
    /// Nothing was shown.
    Missing,
    /// What was shown is no key of ours.
    Unknown,
    /// What was shown is a token that does not hold.
    Jwt(JwtError),
}

impl Auth {
    /// Whether anything at all must be shown.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.token.is_none() && self.keys.is_empty() && self.jwt.is_none()
    }

    /// Who shows this; `now` is the wall clock in seconds since 1970.
    ///
    /// # Errors
    ///
    /// [`AuthError`]: nobody we know.
    pub fn identify(&self, shown: Option<&str>, now: u64) -> Result<Identity, AuthError> {
        let Some(shown) = shown else {
            return if self.is_open() {
                Ok(Identity::open())
            } else if self.anonymous_clients {
                Ok(Identity::anonymous())
            } else {
                Err(AuthError::Missing)
            };
        };
        if let Some(token) = &self.token
            && token.is(shown.as_bytes())
        {
            return Ok(Identity::token());
        }
        if let Some(key) = self.keys.find(shown) {
            return Ok(key.identity());
        }
        match &self.jwt {
            Some(jwt) if jwt::looks_like_one(shown) => {
                jwt.identify(shown, now).map_err(AuthError::Jwt)
            }
            Some(_) | None if self.is_open() => Ok(Identity::open()),
            Some(_) | None => Err(AuthError::Unknown),
        }
    }
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("no credentials were shown"),
            Self::Unknown => f.write_str("the credentials are not known here"),
            Self::Jwt(_) => f.write_str("the token does not hold"),
        }
    }
}

impl std::error::Error for AuthError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Missing | Self::Unknown => None,
            Self::Jwt(error) => Some(error),
        }
    }
}
