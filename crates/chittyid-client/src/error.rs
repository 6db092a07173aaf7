//! Why there is no answer, and who must act.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chittyid::{ChittyId, Profile, Profiles, UnsupportedEntity};

use crate::Page;

/// Why a call brought nothing. [`who`](Self::who) says who must act.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The service refuses the request as it is: 400, 413, 422 and the like.
    Refused(Said),
    /// The service does not know the key: 401.
    Unauthorized(Said),
    /// The key may not do that: 403.
    Forbidden(Said),
    /// There is no such thing there, or no such service at that address: 404, 410.
    NotFound(Said),
    /// What is asked for contradicts what is there: 409, such as a sequence whose ids are all given.
    Conflict(Said),
    /// Too many requests: the service said so (429, or 503 with a pause), or the limit of this client.
    RateLimited {
        /// Who said so.
        by: LimitedBy,
        /// After how long there may be another.
        retry_after: Option<Duration>,
        /// What the service said, when it did.
        said: Option<Said>,
    },
    /// The service failed: 5xx, and statuses that nobody expects.
    Service(Said),
    /// Something in between answered with a page for people.
    Page(Page),
    /// The service answers from somewhere else. It is not followed: the key would go along.
    Redirected {
        /// The status.
        status: u16,
        /// The origin it names, if it names one.
        to: Option<Box<str>>,
    },
    /// The answer is not what the API answers.
    Malformed {
        /// What is wrong with it.
        what: Box<str>,
    },
    /// The answer is longer than allowed.
    TooLarge {
        /// What is allowed, in bytes.
        limit: usize,
    },
    /// The answer says that it worked, and has no id.
    NoId,
    /// The id that was given has none of the profiles that are accepted.
    FormatMismatch {
        /// The profile that it has, if it is one of those that are known.
        detected: Option<Profile>,
        /// The profiles that are accepted.
        accepted: Profiles,
        /// What was given, cut after 64 characters.
        found: Box<str>,
    },
    /// The id that was given has wrong check digits.
    Checksum(ChittyId),
    /// No connection could be made, or it broke: name, network or service.
    Unreachable {
        /// What it looks like.
        why: Unreachable,
        /// Attempts that were made.
        attempts: u32,
        /// What the attempts ended in.
        source: Arc<dyn StdError + Send + Sync>,
    },
    /// No complete answer came in time.
    Timeout {
        /// Attempts that were made.
        attempts: u32,
        /// What the attempts ended in.
        source: Arc<dyn StdError + Send + Sync>,
    },
    /// The breaker refuses the call: enough others have failed.
    CircuitOpen {
        /// Its state, such as `OPEN`.
        state: &'static str,
        /// After how long one is let through.
        retry_after: Option<Duration>,
    },
    /// The watched connection is `FAILED`, and calls are to fail then.
    Disconnected,
    /// The request cannot be made: what is configured or passed cannot be sent.
    Unsendable {
        /// What is wrong.
        what: Box<str>,
    },
}

/// What a service said when it refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Said {
    /// The HTTP status.
    pub status: u16,
    /// Its word for programs, such as `INVALID_ENTITY`.
    pub code: Option<Box<str>>,
    /// Its sentence for people, cut after 300 characters, without control characters and without the
    /// key that was sent.
    pub message: Option<Box<str>>,
    /// Its wish for a pause.
    pub retry_after: Option<Duration>,
}

/// Who says that there are too many requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitedBy {
    /// The service, just now.
    Service,
    /// This client, for as long as the service has asked it to pause.
    Pause,
    /// This client's own limit.
    Client,
}

/// Why a service cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unreachable {
    /// Its name has no address: DNS.
    Name,
    /// Nothing listens there.
    Refused,
    /// Its certificate is not trusted, or TLS fails otherwise.
    Tls,
    /// The connection broke before the answer was complete.
    Broken,
    /// Anything else of the network.
    Network,
}

/// Who must act, so that a call works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Whoever makes the call: it would be refused again.
    Caller,
    /// Whoever runs this program, or whose key was passed on: address, key, accepted profiles, network.
    Operator,
    /// Whoever runs the service, or what stands in front of it.
    Service,
    /// Nobody: later it may work.
    Nobody,
}

impl Error {
    /// Who must act.
    #[must_use]
    pub const fn who(&self) -> Who {
        match self {
            Self::Refused(_) | Self::Forbidden(_) => Who::Caller,
            Self::Unauthorized(_)
            | Self::NotFound(_)
            | Self::Redirected { .. }
            | Self::FormatMismatch { .. }
            | Self::Disconnected
            | Self::Unsendable { .. } => Who::Operator,
            Self::Unreachable { why, .. } => match why {
                Unreachable::Name | Unreachable::Tls => Who::Operator,
                Unreachable::Refused | Unreachable::Broken | Unreachable::Network => Who::Service,
            },
            Self::Conflict(_)
            | Self::Service(_)
            | Self::Page(_)
            | Self::Malformed { .. }
            | Self::TooLarge { .. }
            | Self::NoId
            | Self::Checksum(_)
            | Self::Timeout { .. } => Who::Service,
            Self::RateLimited { .. } | Self::CircuitOpen { .. } => Who::Nobody,
        }
    }

    /// After how long another call makes sense, where that is known.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } | Self::CircuitOpen { retry_after, .. } => {
                *retry_after
            }
            Self::Refused(said)
            | Self::Unauthorized(said)
            | Self::Forbidden(said)
            | Self::NotFound(said)
            | Self::Conflict(said)
            | Self::Service(said) => said.retry_after,
            Self::Page(_)
            | Self::Redirected { .. }
            | Self::Malformed { .. }
            | Self::TooLarge { .. }
            | Self::NoId
            | Self::FormatMismatch { .. }
            | Self::Checksum(_)
            | Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Disconnected
            | Self::Unsendable { .. } => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(said) => write!(f, "the service refused the request {said}"),
            Self::Unauthorized(said) => {
                write!(f, "authentication failed: invalid API key, unauthorized {said}")
            }
            Self::Forbidden(said) => write!(f, "the API key may not do that: forbidden {said}"),
            Self::NotFound(said) => write!(f, "not found {said}"),
            Self::Conflict(said) => write!(f, "conflict {said}"),
            Self::RateLimited { by, retry_after, said } => {
                limited(f, *by, *retry_after, said.as_ref())
            }
            Self::Service(said) => write!(f, "the service failed {said}"),
            Self::Page(page) => page.fmt(f),
            Self::Redirected { status, to } => {
                let to = to.as_deref().unwrap_or("somewhere else");
                write!(f, "the service redirects to {to} (HTTP {status}), which is not followed")
            }
            Self::Malformed { what } => write!(f, "the service's answer makes no sense: {what}"),
            Self::TooLarge { limit } => write!(f, "the answer is longer than {limit} bytes"),
            Self::NoId => f.write_str("the service says that it worked, and gave no id"),
            Self::FormatMismatch { detected: Some(detected), accepted, found } => write!(
                f,
                "the service gave {found:?}, whose profile is {detected}, and accepted are only {accepted}"
            ),
            Self::FormatMismatch { detected: None, accepted, found } => {
                write!(f, "the service gave {found:?}, which is no id (accepted are {accepted})")
            }
            Self::Checksum(id) => write!(f, "the service gave {id}, whose check digits are wrong"),
            Self::Unreachable { why, attempts, .. } => write!(f, "{why}{}", Tries(*attempts)),
            Self::Timeout { attempts, .. } => {
                write!(f, "the service did not answer in time{}", Tries(*attempts))
            }
            Self::CircuitOpen { state, retry_after } => {
                write!(f, "ChittyID service circuit breaker is {state} - service unavailable")?;
                match retry_after {
                    Some(after) => write!(f, ". Will retry in {}s", whole_seconds(*after)),
                    None => Ok(()),
                }
            }
            Self::Disconnected => f.write_str("the connection to the service is FAILED"),
            Self::Unsendable { what } => write!(f, "the request cannot be sent: {what}"),
        }
    }
}

fn limited(
    f: &mut fmt::Formatter<'_>,
    by: LimitedBy,
    retry_after: Option<Duration>,
    said: Option<&Said>,
) -> fmt::Result {
    f.write_str("rate limit: too many requests")?;
    match (by, said) {
        (_, Some(said)) => write!(f, " {said}")?,
        (LimitedBy::Service, None) => {}
        (LimitedBy::Pause, None) => f.write_str(" (the service asked for a pause)")?,
        (LimitedBy::Client, None) => f.write_str(" (this client's own limit)")?,
    }
    match retry_after {
        Some(after) => write!(f, ", again in {}s", whole_seconds(after)),
        None => Ok(()),
    }
}

/// At least 1: "in 0s" would mean now.
pub(crate) fn whole_seconds(after: Duration) -> u128 {
    after.as_millis().div_ceil(1_000).max(1)
}

/// How often it was tried, where that was more than once.
struct Tries(u32);

impl fmt::Display for Tries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 > 1 { write!(f, " ({} attempts)", self.0) } else { Ok(()) }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Unreachable { source, .. } | Self::Timeout { source, .. } => Some(&**source),
            Self::Refused(_)
            | Self::Unauthorized(_)
            | Self::Forbidden(_)
            | Self::NotFound(_)
            | Self::Conflict(_)
            | Self::RateLimited { .. }
            | Self::Service(_)
            | Self::Page(_)
            | Self::Redirected { .. }
            | Self::Malformed { .. }
            | Self::TooLarge { .. }
            | Self::NoId
            | Self::FormatMismatch { .. }
            | Self::Checksum(_)
            | Self::CircuitOpen { .. }
            | Self::Disconnected
            | Self::Unsendable { .. } => None,
        }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // HTTP/2 has no reason words: ours are used always.
        write!(f, "(HTTP {}", self.status)?;
        if let Some(reason) = reason(self.status) {
            write!(f, " {reason}")?;
        }
        if let Some(code) = &self.code {
            write!(f, ", {code}")?;
        }
        if let Some(message) = &self.message {
            write!(f, ": {message}")?;
        }
        f.write_str(")")
    }
}

fn reason(status: u16) -> Option<&'static str> {
    reqwest::StatusCode::from_u16(status).ok()?.canonical_reason()
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "the service's name has no address (DNS)",
            Self::Refused => "the service refuses connections",
            Self::Tls => "the service's certificate is not trusted",
            Self::Broken => "the connection to the service broke",
            Self::Network => "the service cannot be reached",
        })
    }
}

/// Why [`generate_chitty_id`](crate::Client::generate_chitty_id) gave no id, in the seeds' words.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum GenerationError {
    /// There is no such entity; the caller must act.
    Entity(UnsupportedEntity),
    /// Minting failed; [`Error::who`] says who must act.
    Failed(Error),
}

impl fmt::Display for GenerationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entity(error) => error.fmt(f),
            Self::Failed(error) => {
                write!(f, "ChittyID generation failed: {error}. Service must be available.")
            }
        }
    }
}

impl StdError for GenerationError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Entity(_) => None,
            // The text holds the error's own, as the seeds have it: what is behind it follows.
            Self::Failed(error) => error.source(),
        }
    }
}
