//! What a WebSocket's end means: its close code, or the status that refused its upgrade.
//!
//! | signal | reaction |
//! |---|---|
//! | 1000 | redial, never at once: after half a second to a second at least |
//! | 1001, 1005, 1006, 1011, 1014, end of stream, reset, timeout, and every code not listed | redial |
//! | 1012 (service restart) | redial after a random 5 to 30 s |
//! | 1013 (try again later) | redial after twice the usual wait |
//! | 1002, 1007 | redial three times, then fail: somebody's protocol is broken |
//! | 1009 | fail the message, redial three times |
//! | 1003, 1010 | fail: the peer will never take what we speak |
//! | 1008, 3000, 4401; HTTP 401, 403 | new credentials once, then fail |
//! | HTTP 408, 425, 429, 5xx | redial, not before `Retry-After` |
//! | other HTTP 4xx, 3xx | fail |
//!
//! A peer that says it was pinged too often (gRPC's `too_many_pings`) is pinged half as often; no close
//! code of RFC 6455 says so, but a reason may ([`Reaction::PingLess`]).
//!
//! RFC 6455 says what the codes mean; what to do about them is what the field does. Applications
//! have codes of their own (3000 to 4999) and put their own function in this one's place.

use core::time::Duration;

use crate::bits::uniform;
use crate::policy::outcome::Outcome;
use crate::time::nanos;

/// What to do after a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Reaction {
    /// Dial again, by the usual schedule and not before this.
    Redial {
        /// The least wait.
        at_least: Wait,
    },
    /// Dial again, but no more than so often in a row; then give up.
    RedialFew {
        /// How often.
        limit: u32,
        /// Whether the message sent last is to blame and must not be sent again.
        blames_message: bool,
    },
    /// Dial again, by the usual schedule, and ping half as often from then on: the peer was asked
    /// too often. Until the link is configured anew.
    PingLess,
    /// Ask for new credentials and dial again, once; refused again, give up.
    Refresh,
    /// Do not dial again: the peer has said goodbye, and that was all. The link is disconnected.
    Stop,
    /// Give up: the user must act.
    Fail,
}

impl Reaction {
    /// What to do when nothing more is known than the outcome.
    #[must_use]
    pub const fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Refused | Outcome::Permanent | Outcome::Mistake => Self::Fail,
            Outcome::Success
            | Outcome::Transient { .. }
            | Outcome::Elsewhere
            | Outcome::Throttled { .. }
            | Outcome::Rejected { .. }
            | Outcome::Abandoned => Self::Redial { at_least: Wait::hint(outcome.hint()) },
        }
    }
}

/// The least wait before a redial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Wait {
    /// None beyond the schedule's.
    Usual,
    /// So many times the schedule's.
    Times(u32),
    /// Drawn between these.
    Between(Duration, Duration),
    /// What the server asked for, and up to a quarter more: it told others the same.
    Hint(Duration),
}

impl Wait {
    /// The wait that a peer asked for, if it did.
    pub(super) const fn hint(hint: Option<Duration>) -> Self {
        match hint {
            Some(hint) => Self::Hint(hint),
            None => Self::Usual,
        }
    }

    /// The least wait, with the schedule's wait `usual` and 64 random `bits`.
    ///
    /// No wait of its own counts for more than `cap`; what is drawn on top of a hint may pass it.
    #[must_use]
    pub fn at_least(self, usual: Duration, cap: Duration, bits: u64) -> Duration {
        let drawn = |low: Duration, spread: Duration| {
            low.saturating_add(Duration::from_nanos(uniform(bits, nanos(spread))))
        };
        match self {
            Self::Usual => usual,
            Self::Times(times) => usual.max(usual.saturating_mul(times).min(cap)),
            Self::Between(low, high) => {
                let (low, high) = (low.min(cap), high.min(cap));
                usual.max(drawn(low, high.saturating_sub(low)))
            }
            Self::Hint(hint) => {
                let hint = hint.min(cap);
                if usual >= hint { usual } else { drawn(hint, hint / 4) }
            }
        }
    }
}

/// Redials after a broken protocol before it is given up.
const FEW: u32 = 3;
const RESTART: Wait = Wait::Between(Duration::from_secs(5), Duration::from_secs(30));
/// A peer that closes in good order as soon as it is reached would be redialled at full speed.
const NOT_AT_ONCE: Wait = Wait::Between(Duration::from_millis(500), Duration::from_secs(1));

/// What to do after the peer closed with `code`.
#[must_use]
pub const fn close_code(code: u16) -> Reaction {
    match code {
        1002 | 1007 => Reaction::RedialFew { limit: FEW, blames_message: false },
        1009 => Reaction::RedialFew { limit: FEW, blames_message: true },
        1003 | 1010 => Reaction::Fail,
        1008 | 3000 | 4401 => Reaction::Refresh,
        1000 => Reaction::Redial { at_least: NOT_AT_ONCE },
        1012 => Reaction::Redial { at_least: RESTART },
        1013 => Reaction::Redial { at_least: Wait::Times(2) },
        _ => Reaction::Redial { at_least: Wait::Usual },
    }
}

/// What to do after an upgrade was refused with the HTTP `status`, and the wish of its
/// `Retry-After`.
#[must_use]
pub const fn refused_upgrade(status: u16, hint: Option<Duration>) -> Reaction {
    match status {
        401 | 403 => Reaction::Refresh,
        408 | 425 | 429 | 500..=599 => Reaction::Redial { at_least: Wait::hint(hint) },
        _ => Reaction::Fail,
    }
}

#[cfg(test)]
mod tests {
    use super::{Reaction, Wait, close_code, refused_upgrade};
    use core::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);
    const USUAL: Reaction = Reaction::Redial { at_least: Wait::Usual };

    #[test]
    fn codes_mean_what_the_table_says() {
        for code in [1001, 1005, 1006, 1011, 1014, 1015, 3999, 4000, 4999, 0, u16::MAX] {
            assert_eq!(close_code(code), USUAL, "{code}");
        }
        for code in [1003, 1010] {
            assert_eq!(close_code(code), Reaction::Fail, "{code}");
        }
        for code in [1008, 3000, 4401] {
            assert_eq!(close_code(code), Reaction::Refresh, "{code}");
        }
        for (code, blames_message) in [(1002, false), (1007, false), (1009, true)] {
            assert_eq!(close_code(code), Reaction::RedialFew { limit: 3, blames_message });
        }
    }

    #[test]
    fn w14_a_restart_and_an_overload_widen_the_wait_and_never_shorten_it() {
        let wait = |code, usual, bits| {
            let Reaction::Redial { at_least } = close_code(code) else { panic!("{code} redials") };
            at_least.at_least(usual, 90 * SECOND, bits).as_secs()
        };
        assert_eq!((wait(1012, SECOND, 0), wait(1012, SECOND, u64::MAX)), (5, 30));
        assert_eq!(wait(1012, 60 * SECOND, 0), 60);
        assert_eq!(wait(1013, 4 * SECOND, 0), 8);
        assert_eq!(wait(1006, 4 * SECOND, 0), 4);
        let Reaction::Redial { at_least } = close_code(1000) else { panic!("1000 redials") };
        assert!(at_least.at_least(Duration::ZERO, 60 * SECOND, 0) >= SECOND / 2);
    }

    #[test]
    fn w14_a_refused_upgrade_says_when_to_come_back() {
        let hinted = Reaction::Redial { at_least: Wait::Hint(9 * SECOND) };
        assert_eq!(refused_upgrade(503, Some(9 * SECOND)), hinted);
        assert_eq!(refused_upgrade(429, None), USUAL);
        let least = |hint, usual, bits| {
            Wait::Hint(hint * SECOND).at_least(usual * SECOND, 60 * SECOND, bits)
        };
        assert_eq!((least(8, 1, 0), least(8, 1, u64::MAX)), (8 * SECOND, 10 * SECOND));
        assert_eq!(least(1, 9, 0), 9 * SECOND);
        assert_eq!((least(600, 1, 0), least(600, 1, u64::MAX)), (60 * SECOND, 75 * SECOND));
        for status in [301, 400, 404, 426] {
            assert_eq!(refused_upgrade(status, None), Reaction::Fail, "{status}");
        }
        assert_eq!(refused_upgrade(401, None), Reaction::Refresh);
    }
}
