use std::error::Error;
use std::fmt;
use std::time::Duration;

use mainstay_core::policy::call::Verdict;
use mainstay_core::policy::gate::Rejection;

/// How many earlier failures a [`CallError`] keeps; older ones are counted only.
pub(super) const EARLIER_MAX: usize = 16;

/// A call that did not work: the last failure, the earlier ones, and why it went no further.
///
/// [`verdict`](Self::verdict) says who must act: after `Final` the caller (the request itself is
/// wrong), after `Rejected` nobody before the time it names, otherwise whoever runs the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError<E> {
    /// Why no further attempt was made.
    pub verdict: Verdict,
    /// The last failure.
    pub last: Failed<E>,
    /// The failures before it, oldest first, at most 16.
    pub earlier: Vec<Failed<E>>,
}

/// An attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed<E> {
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// What came of it.
    pub failure: Failure<E>,
    /// The wait before it.
    pub waited: Duration,
    /// How long it took; `None` when nothing made anybody measure.
    pub took: Option<Duration>,
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure<E> {
    /// The operation answered with this error.
    Error(E),
    /// The operation answered with something the classifier found wanting, and a retry that
    /// followed failed in another way.
    Unacceptable,
    /// It did not answer in time.
    TimedOut,
    /// A policy of ours rejected it: it was never sent.
    Rejected(Rejection),
    /// The caller cancelled it.
    Cancelled,
}

impl<E> CallError<E> {
    /// The operation's own error that came last, by value.
    #[must_use]
    pub fn into_error(self) -> Option<E> {
        let all = self.earlier.into_iter().chain([self.last]);
        let errors = all.filter_map(|failed| match failed.failure {
            Failure::Error(error) => Some(error),
            Failure::Unacceptable
            | Failure::TimedOut
            | Failure::Rejected(_)
            | Failure::Cancelled => None,
        });
        errors.last()
    }

    /// The operation's own error that came last.
    #[must_use]
    pub fn error(&self) -> Option<&E> {
        let all = self.earlier.iter().chain([&self.last]);
        all.filter_map(|failed| failed.failure.error()).next_back()
    }

    /// How many attempts were made.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.last.attempt
    }
}

impl<E> Failure<E> {
    /// The operation's own error, if that was it.
    pub const fn error(&self) -> Option<&E> {
        match self {
            Self::Error(error) => Some(error),
            Self::Unacceptable | Self::TimedOut | Self::Rejected(_) | Self::Cancelled => None,
        }
    }

    /// The failure in one word, for labels: `error`, `timed_out`, …
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Error(_) => "error",
            Self::Unacceptable => "unacceptable",
            Self::TimedOut => "timed_out",
            Self::Rejected(_) => "rejected",
            Self::Cancelled => "cancelled",
        }
    }
}

impl<E: fmt::Display> fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => error.fmt(f),
            Self::Unacceptable => f.write_str("unacceptable answer"),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::Rejected(rejection) => rejection.fmt(f),
            Self::Cancelled => f.write_str("cancelled"),
        }
    }
}

impl<E> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attempts = self.attempts();
        let plural = if attempts == 1 { "" } else { "s" };
        write!(f, "failed after {attempts} attempt{plural}: ")?;
        match self.verdict {
            Verdict::Succeeded | Verdict::Final => f.write_str("a retry would not help"),
            Verdict::AttemptsExhausted => f.write_str("no attempts left"),
            Verdict::DeadlineExceeded { wait } if wait.is_zero() => {
                f.write_str("the deadline has passed")
            }
            Verdict::DeadlineExceeded { wait } => {
                write!(
                    f,
                    "the deadline comes before the next attempt in {:.3} s",
                    wait.as_secs_f64()
                )
            }
            Verdict::BudgetExhausted => f.write_str("the retry budget is exhausted"),
            Verdict::Rejected { retry_after: Some(after) } => {
                write!(f, "rejected by policy for another {:.1} s", after.as_secs_f64())
            }
            Verdict::Rejected { retry_after: None } => f.write_str("rejected by policy"),
            Verdict::Cancelled => f.write_str("cancelled"),
        }
    }
}

impl<E: Error + 'static> Error for CallError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.last.failure {
            Failure::Error(error) => Some(error),
            Failure::Rejected(rejection) => Some(rejection),
            Failure::Unacceptable | Failure::TimedOut | Failure::Cancelled => None,
        }
    }
}
