//! What came of a call, in the classes that policies tell apart.

use core::time::Duration;

/// What came of one attempt, as a classifier sees it.
///
/// One value answers two questions: *may it be tried again?* ([`Outcome::retry`]) and *what does it
/// say about the peer's health?* ([`Outcome::sample`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Outcome {
    /// It worked.
    Success,
    /// The peer answered and would answer the same again (HTTP 404): healthy, not retried.
    Refused,
    /// It failed by the peer's fault and would fail again (HTTP 501, a bad certificate).
    Permanent,
    /// It failed and may work later; the peer may have said how much later.
    Transient {
        /// The peer's own wish, such as an HTTP `Retry-After`.
        hint: Option<Duration>,
    },
    /// It failed here and may work at another endpoint (HTTP 421).
    Elsewhere,
    /// The peer is alive and asks for less (HTTP 429, or 503 with a `Retry-After`).
    Throttled {
        /// The peer's own wish.
        hint: Option<Duration>,
    },
    /// A policy of ours refused the attempt: it never left this process, and tells nothing of the
    /// peer.
    Rejected {
        /// When the policy would admit it at the earliest, from now.
        retry_after: Option<Duration>,
    },
    /// The caller went away before there was a result: neutral.
    Abandoned,
    /// The caller's own mistake, such as a request that cannot be built or an answer it cannot read:
    /// tells nothing of the peer, and would be the same again.
    Mistake,
}

/// Whether and how an outcome may be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Return it.
    No,
    /// Try again, not sooner than the hint.
    Later {
        /// The least wait wished for.
        hint: Option<Duration>,
    },
    /// Try again at another endpoint.
    Elsewhere,
}

/// What an outcome says about the peer's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Sample {
    /// Alive and well.
    Success,
    /// Broken.
    Failure,
    /// Alive and overloaded: a failure for a rate, not for a run of consecutive failures, and never
    /// a recovery.
    Throttled,
    /// Nothing.
    Neutral,
}

impl Outcome {
    /// The class in one word, such as `transient`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Refused => "refused",
            Self::Permanent => "permanent",
            Self::Transient { .. } => "transient",
            Self::Elsewhere => "elsewhere",
            Self::Throttled { .. } => "throttled",
            Self::Rejected { .. } => "rejected",
            Self::Abandoned => "abandoned",
            Self::Mistake => "mistake",
        }
    }

    /// A transient failure without a hint.
    pub const TRANSIENT: Self = Self::Transient { hint: None };
    /// A throttled answer without a hint.
    pub const THROTTLED: Self = Self::Throttled { hint: None };

    /// Whether the outcome may be tried again.
    #[must_use]
    pub const fn retry(self) -> Retry {
        match self {
            Self::Success | Self::Refused | Self::Permanent | Self::Abandoned | Self::Mistake => {
                Retry::No
            }
            Self::Transient { hint } | Self::Throttled { hint } => Retry::Later { hint },
            Self::Rejected { retry_after } => Retry::Later { hint: retry_after },
            Self::Elsewhere => Retry::Elsewhere,
        }
    }

    /// What the outcome says about the peer's health.
    #[must_use]
    pub const fn sample(self) -> Sample {
        match self {
            Self::Success | Self::Refused => Sample::Success,
            Self::Permanent | Self::Transient { .. } | Self::Elsewhere => Sample::Failure,
            Self::Throttled { .. } => Sample::Throttled,
            Self::Rejected { .. } | Self::Abandoned | Self::Mistake => Sample::Neutral,
        }
    }

    /// The peer's wish for a pause, when it gave one.
    #[must_use]
    pub const fn hint(self) -> Option<Duration> {
        match self {
            Self::Transient { hint } | Self::Throttled { hint } => hint,
            Self::Success
            | Self::Refused
            | Self::Permanent
            | Self::Elsewhere
            | Self::Rejected { .. }
            | Self::Abandoned
            | Self::Mistake => None,
        }
    }
}
