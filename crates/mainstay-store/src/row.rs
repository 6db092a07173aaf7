//! Rows as they stand on disk: a version byte, then fields in a fixed order.
//!
//! Numbers are written seven bits to a byte, the lowest first; texts with their length before them.
//! Reading trusts nothing: whatever the bytes are, it answers a value or a [`RowError`]. What
//! stands in keys (the session, the time) is not repeated in the row.

pub mod beats;
mod codes;
mod event;
mod session;

use std::fmt;
use std::time::Duration;

use crate::row::codes::Coded;

pub use event::{decode_event, encode_event};
pub use session::{decode_record, encode_record};

/// The largest value, and about the largest session or event, in bytes.
pub const ROW_MAX: usize = 1 << 20;
/// The longest key of a value or a sequence, in bytes.
pub const KEY_MAX: usize = 512;

/// Why a row cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowError {
    /// It ends too early.
    Short,
    /// Something follows its last field.
    Long,
    /// A version that nobody wrote yet.
    Version(u8),
    /// A code that stands for nothing, or a number that is too large for its field.
    Value,
    /// A text that is not UTF-8.
    Text,
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("a row ends too early"),
            Self::Long => f.write_str("a row has bytes behind its end"),
            Self::Version(version) => write!(f, "a row has the unknown version {version}"),
            Self::Value => f.write_str("a row has a value that nobody writes"),
            Self::Text => f.write_str("a row has a text that is none"),
        }
    }
}

impl std::error::Error for RowError {}

/// A row that is being written.
#[derive(Default)]
struct Out(Vec<u8>);

impl Out {
    fn versioned(version: u8) -> Self {
        let mut bytes = Vec::with_capacity(192);
        bytes.push(version);
        Self(bytes)
    }

    fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    fn code(&mut self, value: impl Coded) {
        self.0.push(value.code());
    }

    #[expect(clippy::cast_possible_truncation, reason = "the lowest seven bits are what is meant")]
    fn wide(&mut self, mut number: u128) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn number(&mut self, number: u64) {
        self.wide(number.into());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    fn duration(&mut self, duration: Duration) {
        self.wide(duration.as_nanos());
    }

    /// A byte that says whether there is one, then the value.
    fn maybe<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.byte(value.is_some().into());
        if let Some(value) = value {
            write(self, value);
        }
    }
}

/// A row that is being read.
struct In<'a>(&'a [u8]);

impl<'a> In<'a> {
    fn versioned(bytes: &'a [u8], version: u8) -> Result<Self, RowError> {
        let mut row = In(bytes);
        let found = row.byte()?;
        if found == version { Ok(row) } else { Err(RowError::Version(found)) }
    }

    fn byte(&mut self) -> Result<u8, RowError> {
        let (first, rest) = self.0.split_first().ok_or(RowError::Short)?;
        self.0 = rest;
        Ok(*first)
    }

    fn bytes(&mut self, count: usize) -> Result<&'a [u8], RowError> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or(RowError::Short)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn code<T: Coded>(&mut self) -> Result<T, RowError> {
        T::of(self.byte()?).ok_or(RowError::Value)
    }

    fn flag(&mut self) -> Result<bool, RowError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(RowError::Value),
        }
    }

    fn wide(&mut self) -> Result<u128, RowError> {
        let mut number = 0_u128;
        for shift in (0..128).step_by(7) {
            let byte = self.byte()?;
            let bits = u128::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return Err(RowError::Value);
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(RowError::Value)
    }

    /// A number of any width that fits it.
    fn number<T: TryFrom<u128>>(&mut self) -> Result<T, RowError> {
        T::try_from(self.wide()?).map_err(|_| RowError::Value)
    }

    fn text(&mut self) -> Result<Box<str>, RowError> {
        let count = self.number()?;
        let text = std::str::from_utf8(self.bytes(count)?).map_err(|_| RowError::Text)?;
        Ok(text.into())
    }

    fn duration(&mut self) -> Result<Duration, RowError> {
        let nanos = self.wide()?;
        let seconds = u64::try_from(nanos / 1_000_000_000).map_err(|_| RowError::Value)?;
        let rest = u32::try_from(nanos % 1_000_000_000).map_err(|_| RowError::Value)?;
        Ok(Duration::new(seconds, rest))
    }

    fn maybe<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, RowError>,
    ) -> Result<Option<T>, RowError> {
        if self.flag()? { read(self).map(Some) } else { Ok(None) }
    }

    fn end(&self) -> Result<(), RowError> {
        if self.0.is_empty() { Ok(()) } else { Err(RowError::Long) }
    }
}
