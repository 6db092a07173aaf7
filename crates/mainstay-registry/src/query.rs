use std::fmt;
use std::str::FromStr;

use mainstay_core::session::quality::Quality;
use mainstay_core::session::status::Status;

use crate::{Record, SessionId};

/// Which sessions to list: those that fit every field that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Of this user.
    pub user: Option<Box<str>>,
    /// Of this organisation.
    pub organisation: Option<Box<str>>,
    /// Of this program.
    pub client_type: Option<Box<str>>,
    /// In this state.
    pub status: Option<Status>,
    /// With this grade.
    pub quality: Option<Quality>,
    /// This one.
    pub session: Option<SessionId>,
}

/// Where a list goes on.
///
/// Sessions keep their place, so a session that is there all the time is listed exactly once,
/// whatever comes and goes meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor {
    pub(crate) shard: u8,
    pub(crate) slot: u32,
}

/// A text that is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotACursor;

/// A part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The sessions; fewer than asked for where a search took long.
    pub records: Vec<Record>,
    /// Where the list goes on; none at its end.
    pub next: Option<Cursor>,
}

/// What the sessions of a registry take, in bytes; texts and metadata aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Sessions that are known.
    pub sessions: u64,
    /// Bytes of all columns for one session.
    pub a_session: usize,
    /// Bytes reserved in all columns.
    pub columns: usize,
    /// Bytes reserved in indexes and side tables.
    pub index: usize,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}{:06x}", self.shard, self.slot)
    }
}

impl FromStr for Cursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        if text.len() != 8 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NotACursor);
        }
        let shard = u8::from_str_radix(&text[..2], 16).map_err(|_| NotACursor)?;
        let slot = u32::from_str_radix(&text[2..], 16).map_err(|_| NotACursor)?;
        Ok(Self { shard, slot })
    }
}

impl fmt::Display for NotACursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a cursor: use what the page before said")
    }
}

impl std::error::Error for NotACursor {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_is_written() {
        for cursor in [Cursor::default(), Cursor { shard: 63, slot: 0xFF_FFFF }] {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for wrong in ["", "0", "+0000000", "0000000g", "000000000", "ää"] {
            assert_eq!(wrong.parse::<Cursor>(), Err(NotACursor), "{wrong}");
        }
    }
}
