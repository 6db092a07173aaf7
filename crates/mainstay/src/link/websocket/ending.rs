//! What the end of a connection says to a link.

use std::time::Duration;

use mainstay_core::link::Reaction;
use mainstay_core::policy::outcome::Outcome;

use super::config::Ending;
use super::socket::Broken;
use crate::link::transport::DialError;

/// Characters of a peer's reason that are shown.
const REASON_MAX: usize = 123;

/// A connection that broke.
pub(super) fn ended(broken: Broken, decide: impl Fn(&Ending<'_>) -> Reaction) -> DialError {
    match broken {
        Broken::Ended(source) => {
            let reaction = decide(&Ending::Closed { code: 1006, reason: "" });
            let error = DialError::new(outcome(reaction, None), "the connection ended");
            let error = error.reaction(reaction);
            match source {
                Some(source) => error.because(source),
                None => error,
            }
        }
        Broken::Protocol(code, source) => {
            let reaction = decide(&Ending::Closed { code, reason: "" });
            let error = DialError::new(outcome(reaction, None), "the peer broke the protocol");
            error.reaction(reaction).because(source)
        }
    }
}

/// A connection that the peer closed.
pub(in crate::link) fn closed_as(code: u16, reason: &str, reaction: Reaction) -> DialError {
    let reason: String = reason.chars().filter(|c| !c.is_control()).take(REASON_MAX).collect();
    let what = match reason.as_str() {
        "" => format!("the peer closed with code {code}"),
        reason => format!("the peer closed with code {code}: {reason}"),
    };
    DialError::new(outcome(reaction, None), what).reaction(reaction)
}

/// An upgrade that was refused.
pub(super) fn refused(status: u16, hint: Option<Duration>, reaction: Reaction) -> DialError {
    let outcome = match status {
        429 => Outcome::Throttled { hint },
        _ => outcome(reaction, hint),
    };
    DialError::new(outcome, format!("the peer answered the upgrade with {status}"))
        .reaction(reaction)
}

/// The class of an ending, for statistics and breakers.
const fn outcome(reaction: Reaction, hint: Option<Duration>) -> Outcome {
    match reaction {
        Reaction::Redial { .. }
        | Reaction::RedialFew { .. }
        | Reaction::PingLess
        | Reaction::Stop => Outcome::Transient { hint },
        Reaction::Refresh => Outcome::Refused,
        Reaction::Fail => Outcome::Permanent,
    }
}
