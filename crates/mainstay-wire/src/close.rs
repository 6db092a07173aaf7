use core::time::Duration;

use mainstay_core::link::{Reaction, Wait, close_code};

use crate::frame::Retry;

/// The longest wait that a peer's [`Retry`] is read as, and the most jitter: an hour. The limits of
/// the link apply on top.
pub const RETRY_MAX: Duration = Duration::from_secs(3600);

/// Why a connection ends, as a code of the protocol's own.
///
/// The range says what the other end does, so that a code which it does not know is understood too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseCode {
    /// The number in `bye` and in the WebSocket's close.
    pub code: u16,
    /// In a word, for `bye.reason` and for metrics.
    pub name: &'static str,
    /// For people.
    pub meaning: &'static str,
}

/// What the other end does after a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// 4000 to 4099: it reconnects, by its own schedule from the first wait on.
    AtOnce,
    /// 4100 to 4199: it reconnects, not before `retry` says.
    AfterRetry,
    /// 4200 to 4299: it gives up.
    Final,
}

const fn row(code: u16, name: &'static str, meaning: &'static str) -> CloseCode {
    CloseCode { code, name, meaning }
}

impl CloseCode {
    /// 4001.
    pub const MOVED: Self = row(4001, "moved", "the session lives on another server now");
    /// 4002.
    pub const REBALANCE: Self =
        row(4002, "rebalance", "this server has more than its share; another one has room");
    /// 4101.
    pub const SHUTTING_DOWN: Self = row(4101, "shutting_down", "this server is shutting down");
    /// 4102.
    pub const OVERLOADED: Self = row(4102, "overloaded", "this server has too much to do");
    /// 4103.
    pub const NO_PONG: Self = row(4103, "no_pong", "a ping was not answered in time");
    /// 4104.
    pub const SLOW_CONSUMER: Self =
        row(4104, "slow_consumer", "messages are read more slowly than they come");
    /// 4105.
    pub const RATE_LIMITED: Self = row(4105, "rate_limited", "frames come faster than is allowed");
    /// 4106.
    pub const RESUME_IMPOSSIBLE: Self = row(
        4106,
        "resume_impossible",
        "the session cannot go on; come back with a `hello` without `resume`",
    );
    /// 4107.
    pub const SUSPENDED: Self = row(
        4107,
        "suspended",
        "the session was put to rest for a while; it may go on after `retry`",
    );
    /// 4201.
    pub const UNAUTHORISED: Self =
        row(4201, "unauthorised", "the credentials are wrong or have expired; new ones may help");
    /// 4202.
    pub const BANNED: Self = row(4202, "banned", "this client is not wanted");
    /// 4203.
    pub const SUPERSEDED: Self =
        row(4203, "superseded", "a later connection of the same session has taken over");
    /// 4204.
    pub const BAD_FRAME: Self = row(4204, "bad_frame", "a frame was not understood");
    /// 4205.
    pub const CONNECTION_LIMIT: Self =
        row(4205, "connection_limit", "this client has as many connections as it may");
    /// 4206.
    pub const UNSUPPORTED_VERSION: Self =
        row(4206, "unsupported_version", "this version of the protocol is not spoken here");

    /// All of them, by number.
    pub const ALL: [Self; 15] = [
        Self::MOVED,
        Self::REBALANCE,
        Self::SHUTTING_DOWN,
        Self::OVERLOADED,
        Self::NO_PONG,
        Self::SLOW_CONSUMER,
        Self::RATE_LIMITED,
        Self::RESUME_IMPOSSIBLE,
        Self::SUSPENDED,
        Self::UNAUTHORISED,
        Self::BANNED,
        Self::SUPERSEDED,
        Self::BAD_FRAME,
        Self::CONNECTION_LIMIT,
        Self::UNSUPPORTED_VERSION,
    ];

    /// The one with this number.
    #[must_use]
    pub fn find(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.code == code)
    }
}

impl Verdict {
    /// What the range of `code` says; nothing for a code that is not the protocol's.
    #[must_use]
    pub const fn of(code: u16) -> Option<Self> {
        match code {
            4000..=4099 => Some(Self::AtOnce),
            4100..=4199 => Some(Self::AfterRetry),
            4200..=4299 => Some(Self::Final),
            _ => None,
        }
    }
}

/// What a link does after a close with `code`, and with the `retry` of the `bye` before it.
///
/// Codes that are not the protocol's mean what they mean to any WebSocket
/// ([`mainstay_core::link::close_code`]).
///
/// ```
/// use mainstay_core::link::{Reaction, Wait};
/// use mainstay_wire::{CloseCode, Retry, reaction};
///
/// let retry = Retry { after_ms: 2_000, jitter_ms: 3_000 };
/// let Reaction::Redial { at_least } = reaction(CloseCode::SHUTTING_DOWN.code, Some(retry)) else {
///     panic!("a server that shuts down has a successor");
/// };
/// assert_eq!(at_least, Wait::Between(2 * SECOND, 5 * SECOND));
/// assert_eq!(reaction(CloseCode::BANNED.code, Some(retry)), Reaction::Fail);
/// # const SECOND: core::time::Duration = core::time::Duration::from_secs(1);
/// ```
#[must_use]
pub fn reaction(code: u16, retry: Option<Retry>) -> Reaction {
    match Verdict::of(code) {
        Some(Verdict::AtOnce | Verdict::AfterRetry) => Reaction::Redial { at_least: wait(retry) },
        Some(Verdict::Final) if code == CloseCode::UNAUTHORISED.code => Reaction::Refresh,
        Some(Verdict::Final) => Reaction::Fail,
        None => close_code(code),
    }
}

fn wait(retry: Option<Retry>) -> Wait {
    let Some(Retry { after_ms, jitter_ms }) = retry else { return Wait::Usual };
    let limited = |ms| Duration::from_millis(ms).min(RETRY_MAX);
    Wait::Between(limited(after_ms), limited(after_ms) + limited(jitter_ms))
}

/// The table of codes, as `docs/protocol.md` shows it between its markers.
#[must_use]
pub fn close_codes_as_markdown() -> String {
    let mut table = String::from("| code | name | why | the other end then |\n|---|---|---|---|\n");
    for CloseCode { code, name, meaning } in CloseCode::ALL {
        let then = match reaction(code, None) {
            Reaction::Refresh => "gets new credentials once, then gives up",
            Reaction::Fail | Reaction::Stop => "gives up",
            Reaction::Redial { .. } | Reaction::RedialFew { .. } | Reaction::PingLess => {
                match Verdict::of(code) {
                    Some(Verdict::AfterRetry) => "reconnects, not before `retry`",
                    Some(Verdict::AtOnce | Verdict::Final) | None => "reconnects at once",
                }
            }
        };
        table.push_str(&format!("| {code} | `{name}` | {meaning} | {then} |\n"));
    }
    table
}
