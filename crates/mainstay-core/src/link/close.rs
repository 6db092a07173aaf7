//! What a WebSocket's end means: its close code, or the status that refused its upgrade.
//!
//! | signal | reaction |
//! |---|---|
//! | 1000, and every code not listed | redial, never at once |
//! | 1001, 1005, 1006, 1011, 1014, end of stream, reset, timeout | redial |
//! | 1012 (service restart) | redial after a random 5 to 30 s |
//! | 1013 (try again later) | redial after twice the usual wait |
//! | 1002, 1007 | redial three times, then fail: somebody's protocol is broken |
//! | 1009 | fail the message, redial three times |
//! | 1003, 1010 | fail: the peer will never take what we speak |
//! | 1008, 3000, 4401; HTTP 401, 403 | new credentials once, then fail |
//! | HTTP 408, 425, 429, 5xx | redial, not before `Retry-After` |
//! | other HTTP 4xx, 3xx | fail |
//!
//! RFC 6455 says what the codes mean; what to do about them is what the field does. Applications
//! have codes of their own (3000 to 4999) and put their own function in this one's place.

use core::time::Duration;

use crate::bits::uniform;
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
    /// Ask for new credentials and dial again, once; refused again, give up.
    Refresh,
    /// Give up: the user must act.
    Fail,
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
    /// What the server asked for.
    Hint(Duration),
}

impl Wait {
    /// The least wait, with the schedule's wait `usual` and 64 random `bits`.
    #[must_use]
    pub fn at_least(self, usual: Duration, bits: u64) -> Duration {
        match self {
            Self::Usual => usual,
            Self::Times(times) => usual.saturating_mul(times),
            Self::Between(low, high) => {
                let spread = uniform(bits, nanos(high.saturating_sub(low)));
                usual.max(low.saturating_add(Duration::from_nanos(spread)))
            }
            Self::Hint(hint) => usual.max(hint),
        }
    }
}

/// Redials after a broken protocol before it is given up.
const FEW: u32 = 3;
const RESTART: Wait = Wait::Between(Duration::from_secs(5), Duration::from_secs(30));

/// What to do after the peer closed with `code`.
#[must_use]
pub const fn close_code(code: u16) -> Reaction {
    match code {
        1002 | 1007 => Reaction::RedialFew { limit: FEW, blames_message: false },
        1009 => Reaction::RedialFew { limit: FEW, blames_message: true },
        1003 | 1010 => Reaction::Fail,
        1008 | 3000 | 4401 => Reaction::Refresh,
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
        408 | 425 | 429 | 500..=599 => match hint {
            Some(hint) => Reaction::Redial { at_least: Wait::Hint(hint) },
            None => Reaction::Redial { at_least: Wait::Usual },
        },
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
        for code in [1000, 1001, 1005, 1006, 1011, 1014, 1015, 3999, 4000, 4999, 0, u16::MAX] {
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
            at_least.at_least(usual, bits).as_secs()
        };
        assert_eq!((wait(1012, SECOND, 0), wait(1012, SECOND, u64::MAX)), (5, 30));
        assert_eq!(wait(1012, 60 * SECOND, 0), 60);
        assert_eq!(wait(1013, 4 * SECOND, 0), 8);
        assert_eq!(wait(1006, 4 * SECOND, 0), 4);
    }

    #[test]
    fn w14_a_refused_upgrade_says_when_to_come_back() {
        let hinted = Reaction::Redial { at_least: Wait::Hint(9 * SECOND) };
        assert_eq!(refused_upgrade(503, Some(9 * SECOND)), hinted);
        assert_eq!(refused_upgrade(429, None), USUAL);
        assert_eq!(Wait::Hint(9 * SECOND).at_least(SECOND, 0), 9 * SECOND);
        assert_eq!(Wait::Hint(SECOND).at_least(9 * SECOND, 0), 9 * SECOND);
        for status in [301, 400, 404, 426] {
            assert_eq!(refused_upgrade(status, None), Reaction::Fail, "{status}");
        }
        assert_eq!(refused_upgrade(401, None), Reaction::Refresh);
    }
}
