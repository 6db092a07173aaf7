//! Cells as bytes: a version, then whole numbers of variable length.

use std::fmt;

use super::{Cell, Latencies};

const VERSION: u8 = 1;
/// The most buckets that are read.
const BUCKETS_MAX: u64 = 4_096;

/// Bytes that are no cell: damaged, or of a later version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotACell;

impl fmt::Display for NotACell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a cell of the history cannot be read: it is damaged, or of a later version")
    }
}

impl std::error::Error for NotACell {}

impl Cell {
    /// As bytes, with the number it has among those of its tier.
    #[must_use]
    pub fn encode(&self, number: u64) -> Vec<u8> {
        let mut bytes = vec![VERSION, u8::from(self.maintenance)];
        for value in [
            number,
            self.ok,
            self.fail,
            self.miss,
            self.min_ns,
            self.max_ns,
            self.sum_ns,
            self.levels,
            self.level_sum.to_bits(),
        ] {
            put(&mut bytes, value);
        }
        let buckets = self.latencies.buckets();
        put(&mut bytes, buckets.len() as u64);
        let mut before = 0;
        for (index, count) in buckets {
            put(&mut bytes, u64::from(index - before));
            put(&mut bytes, u64::from(*count));
            before = *index;
        }
        bytes
    }

    /// The cell with its number.
    ///
    /// # Errors
    ///
    /// [`NotACell`].
    pub fn decode(bytes: &[u8]) -> Result<(u64, Self), NotACell> {
        let [VERSION, maintenance @ (0 | 1), rest @ ..] = bytes else { return Err(NotACell) };
        let mut rest = rest;
        let mut next = || take(&mut rest);
        let number = next()?;
        let mut cell = Self {
            ok: next()?,
            fail: next()?,
            miss: next()?,
            min_ns: next()?,
            max_ns: next()?,
            sum_ns: next()?,
            levels: next()?,
            level_sum: f64::from_bits(next()?),
            latencies: Latencies::default(),
            maintenance: *maintenance == 1,
        };
        let buckets = next()?;
        if buckets > BUCKETS_MAX || !cell.level_sum.is_finite() {
            return Err(NotACell);
        }
        let mut index = 0_u16;
        for nr in 0..buckets {
            let gap = u16::try_from(next()?).map_err(|_| NotACell)?;
            let count = u32::try_from(next()?).map_err(|_| NotACell)?;
            if count == 0 || (nr > 0 && gap == 0) {
                return Err(NotACell);
            }
            index = index.checked_add(gap).ok_or(NotACell)?;
            cell.latencies.add(index, count);
        }
        if rest.is_empty() { Ok((number, cell)) } else { Err(NotACell) }
    }
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
fn put(bytes: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = u8::try_from(value & 0x7F).unwrap_or(0);
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

fn take(bytes: &mut &[u8]) -> Result<u64, NotACell> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(NotACell)?;
        *bytes = rest;
        let low = u64::from(byte & 0x7F);
        if shift == 63 && low > 1 {
            return Err(NotACell);
        }
        value |= low << shift;
        if byte & 0x80 == 0 {
            // One way to write each number.
            return if *byte == 0 && shift > 0 { Err(NotACell) } else { Ok(value) };
        }
    }
    Err(NotACell)
}
