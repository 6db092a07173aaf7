use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::HeaderMap;

use super::unpanicked::unpanicked;

/// Gives an attempt its address, headers and token: asked anew before every one.
#[derive(Clone)]
pub struct Provider(Arc<Call>);

type Answer = Pin<Box<dyn Future<Output = Result<Offer, ProvideError>> + Send>>;
type Call = dyn Fn(Ask) -> Answer + Send + Sync;

/// What a [`Provider`] is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ask {
    /// Attempts since the link was last connected, from 1.
    pub attempt: u32,
    /// Whether the peer refused what was offered last: what is kept must not be offered again.
    pub refresh: bool,
}

/// What a [`Provider`] offers. What it leaves out is taken from the configuration.
#[derive(Clone, Default)]
pub struct Offer {
    /// Another address.
    pub url: Option<String>,
    /// Headers, over those of the configuration.
    pub headers: HeaderMap,
    /// A token, sent as `Authorization: Bearer`.
    pub token: Option<String>,
}

/// Why a [`Provider`] offers nothing.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProvideError {
    /// Not now: the attempt failed, and the next asks again.
    Temporary(Box<dyn Error + Send + Sync>),
    /// Never: the user has no right to connect. The link fails.
    Unauthorized,
}

impl Provider {
    /// Whatever `ask` answers. If it panics, the attempt has failed, and the next asks again.
    #[must_use]
    pub fn new<F, Fut>(ask: F) -> Self
    where
        F: Fn(Ask) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Offer, ProvideError>> + Send + 'static,
    {
        Self(Arc::new(move |about| Box::pin(ask(about))))
    }

    /// Only tokens, as `ask` answers them.
    #[must_use]
    pub fn tokens<F, Fut>(ask: F) -> Self
    where
        F: Fn(Ask) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, ProvideError>> + Send + 'static,
    {
        Self::new(move |about| {
            let token = ask(about);
            async move { Ok(Offer { token: Some(token.await?), ..Offer::default() }) }
        })
    }

    pub(super) async fn ask(&self, attempt: u32, refresh: bool) -> Result<Offer, ProvideError> {
        let answer = unpanicked(|| (self.0)(Ask { attempt, refresh })).await;
        answer.unwrap_or_else(|panicked| Err(ProvideError::Temporary(panicked.into())))
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Provider(…)")
    }
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Address, headers and token may all be secrets.
        f.debug_struct("Offer").finish_non_exhaustive()
    }
}

impl fmt::Display for ProvideError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Temporary(_) => f.write_str("no credentials can be had now"),
            Self::Unauthorized => f.write_str("there is no right to connect"),
        }
    }
}

impl Error for ProvideError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Temporary(source) => Some(&**source),
            Self::Unauthorized => None,
        }
    }
}
