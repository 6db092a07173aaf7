//! What a result means: worked, worth another try, or final.
//!
//! A classifier is a value, not a trait on the error: the same `io::Error` is final for a file and
//! transient for a socket. Closures are classifiers.

use std::error::Error;
use std::io;

use mainstay_core::policy::outcome::Outcome;
use mainstay_core::time::Instant;

/// One attempt of a call, as told to the operation and the classifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Its number, from 1. A nested layer that sees a number above 1 is being retried already.
    pub number: u32,
    /// When it is given up, if ever.
    pub deadline: Option<Instant>,
    /// Whether the last attempt asked to be sent to another endpoint.
    pub elsewhere: bool,
    /// Which hedge of the attempt it is; 0 is the attempt itself.
    pub hedge: u8,
}

impl Attempt {
    /// The first attempt of a call without a deadline.
    pub const FIRST: Self = Self { number: 1, deadline: None, elsewhere: false, hedge: 0 };
}

/// Says what a result means.
pub trait Classify<T, E> {
    /// The class of `result`, which `attempt` brought.
    fn classify(&self, result: &Result<T, E>, attempt: Attempt) -> Outcome;

    /// Whether the operation may be run again after `result`, of this class: not when it must not
    /// take effect twice, and may have. The class still counts for the peer's health.
    fn may_repeat(&self, _result: &Result<T, E>, _outcome: Outcome) -> bool {
        true
    }

    /// Whether the operation may be run again after it was given up at its timeout.
    fn may_repeat_after_timeout(&self) -> bool {
        true
    }
}

impl<T, E, F: Fn(&Result<T, E>, Attempt) -> Outcome> Classify<T, E> for F {
    fn classify(&self, result: &Result<T, E>, attempt: Attempt) -> Outcome {
        self(result, attempt)
    }
}

/// Every error is worth another try, every `Ok` is a success. The default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EveryError;

impl<T, E> Classify<T, E> for EveryError {
    fn classify(&self, result: &Result<T, E>, _attempt: Attempt) -> Outcome {
        if result.is_ok() { Outcome::Success } else { Outcome::TRANSIENT }
    }
}

/// Looks for a cause it knows in an error and its sources: [`io::Error`], a timeout of tokio, a
/// [`Rejection`](mainstay_core::policy::gate::Rejection) and, with the feature `http`, an error of
/// reqwest. What it does not know is final, and taken for the caller's own: it says nothing of the
/// peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KnownErrors;

impl<T, E: Error + 'static> Classify<T, E> for KnownErrors {
    fn classify(&self, result: &Result<T, E>, _attempt: Attempt) -> Outcome {
        match result {
            Ok(_) => Outcome::Success,
            Err(error) => error_outcome(error),
        }
    }
}

/// What an error means, by the first cause among it and its sources that is known.
#[must_use]
pub fn error_outcome(error: &(dyn Error + 'static)) -> Outcome {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(outcome) = known(error) {
            return outcome;
        }
        cause = error.source();
    }
    Outcome::Mistake
}

fn known(error: &(dyn Error + 'static)) -> Option<Outcome> {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return Some(io_outcome(error));
    }
    if error.is::<tokio::time::error::Elapsed>() {
        return Some(Outcome::TRANSIENT);
    }
    if let Some(rejection) = error.downcast_ref::<mainstay_core::policy::gate::Rejection>() {
        return Some(Outcome::Rejected { retry_after: rejection.retry_after });
    }
    #[cfg(feature = "http")]
    if let Some(error) = error.downcast_ref::<reqwest::Error>() {
        return crate::http::transport_outcome(error);
    }
    None
}

/// What an IO error means: connections that are refused, reset, aborted or time out are worth
/// another try, and so is a peer or network that is not reachable right now.
///
/// It looks through errors that wrap another (a name that was not found comes that way).
#[must_use]
pub fn io_outcome(error: &io::Error) -> Outcome {
    use io::ErrorKind;
    let passing = matches!(
        error.kind(),
        ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::NotConnected
            | ErrorKind::BrokenPipe
            | ErrorKind::TimedOut
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::AddrInUse
            | ErrorKind::Interrupted
            | ErrorKind::WouldBlock
            | ErrorKind::UnexpectedEof
            | ErrorKind::StaleNetworkFileHandle
            | ErrorKind::ResourceBusy
    );
    // The standard library gives a failed look-up of a name no kind of its own.
    if passing || is_lookup(error) {
        return Outcome::TRANSIENT;
    }
    // What it wraps is not among its sources: those begin with that one's.
    let wrapped = error.get_ref().and_then(|inner| inner.downcast_ref::<io::Error>());
    wrapped.map_or(Outcome::Permanent, io_outcome)
}

fn is_lookup(error: &io::Error) -> bool {
    error.raw_os_error().is_none() && error.to_string().contains("lookup address information")
}

#[cfg(test)]
mod tests {
    use super::*;
    use io::ErrorKind;

    #[test]
    fn an_error_that_wraps_another_means_what_that_one_means() {
        let reset = || io::Error::from(ErrorKind::ConnectionReset);
        for wrapped in [
            io::Error::other(reset()),
            io::Error::other(io::Error::other(reset())),
            io::Error::new(ErrorKind::InvalidData, reset()),
        ] {
            assert_eq!(io_outcome(&wrapped), Outcome::TRANSIENT, "{wrapped:?}");
        }
        let own = io::Error::other("no room on the stage");
        assert_eq!(io_outcome(&own), Outcome::Permanent);
        assert_eq!(io_outcome(&ErrorKind::NotFound.into()), Outcome::Permanent);
    }
}
