//! Checkpoints of many sessions in a few large rows.
//!
//! A block holds sessions in the order of their names, each told apart by its time and 56 of its
//! random bits, which costs 9 bytes instead of 16; the other fields count from the block's own
//! first values. Two sessions of one millisecond share those bits once in 10¹⁶ times, and then
//! both are taken for as alive as the later one was.

use mainstay_core::session::quality::Quality;
use mainstay_registry::{Checkpoint, Record, SessionId};

use super::{In, Out, RowError};

const VERSION: u8 = 1;
/// A block ends before it is larger than this: with its key it fills four pages of the file.
const BLOCK_MAX: usize = 16_000;
/// The most that one entry takes.
const ENTRY_MAX: usize = 10 + 7 + 10 + 5 + 2;
/// `missed` stands in five bits; this value says that it stands behind.
const MISSED_BEHIND: u8 = 31;
const TAIL: u128 = (1 << 56) - 1;

/// The latest beats of one shard's sessions, packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    shard: u16,
    blocks: Vec<Box<[u8]>>,
}

/// The latest beat of a session, as it is unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    /// When its session was named, in milliseconds since 1970.
    unix_ms: u64,
    /// The lowest 56 bits of its session's name.
    tail: u64,
    /// When something was heard of it last, in milliseconds since 1970.
    pub last_heartbeat: u64,
    /// The smoothed round trip in microseconds; 0 before the first.
    pub latency_us: u32,
    /// How good its connection is.
    pub quality: Quality,
    /// Beats that did not come, in a row.
    pub missed: u8,
}

impl Packed {
    /// Packs what is known of a shard's sessions, in any order.
    #[must_use]
    pub fn new(shard: u16, mut checkpoints: Vec<Checkpoint>) -> Self {
        checkpoints.sort_unstable_by_key(|checkpoint| checkpoint.session);
        let mut blocks = Vec::new();
        let newest = checkpoints.iter().map(|checkpoint| checkpoint.last_heartbeat).max();
        let mut rest = &checkpoints[..];
        while !rest.is_empty() {
            let (block, taken) = pack(rest, newest.unwrap_or(0));
            blocks.push(block);
            rest = &rest[taken..];
        }
        Self { shard, blocks }
    }

    /// Which shard's.
    #[must_use]
    pub const fn shard(&self) -> u16 {
        self.shard
    }

    /// How many bytes it has on disk, but for keys.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.blocks.iter().map(|block| block.len()).sum()
    }

    pub(crate) fn blocks(&self) -> impl Iterator<Item = (u16, &[u8])> {
        (0..=u16::MAX).zip(self.blocks.iter().map(|block| &**block))
    }
}

impl Beat {
    /// Whether it is of this session.
    #[must_use]
    pub fn is_of(&self, session: SessionId) -> bool {
        (self.unix_ms, self.tail) == name(session)
    }
}

/// What tells a session apart in a block.
fn name(session: SessionId) -> (u64, u64) {
    (session.unix_ms(), (session.to_bits() & TAIL) as u64)
}

/// Packs as many as fit one block; answers it and how many those were.
fn pack(checkpoints: &[Checkpoint], newest: u64) -> (Box<[u8]>, usize) {
    let mut out = Out::versioned(VERSION);
    let mut named = checkpoints.first().map_or(0, |first| first.session.unix_ms());
    out.number(newest);
    out.number(named);
    let mut taken = 0;
    for checkpoint in checkpoints {
        if out.0.len() + ENTRY_MAX > BLOCK_MAX {
            break;
        }
        let (unix_ms, tail) = name(checkpoint.session);
        out.number(unix_ms - named);
        named = unix_ms;
        out.0.extend_from_slice(&tail.to_be_bytes()[1..]);
        out.number(newest - checkpoint.last_heartbeat);
        out.number(checkpoint.latency_us.into());
        let grade = super::codes::Coded::code(checkpoint.quality) << 5;
        out.byte(grade | checkpoint.missed.min(MISSED_BEHIND));
        if checkpoint.missed >= MISSED_BEHIND {
            out.byte(checkpoint.missed);
        }
        taken += 1;
    }
    (out.0.into(), taken)
}

/// Unpacks a block.
///
/// # Errors
///
/// [`RowError`] when nobody writes such a block. Beats before the fault were given out.
pub fn unpack(block: &[u8], each: &mut dyn FnMut(Beat)) -> Result<(), RowError> {
    let mut row = In::versioned(block, VERSION)?;
    let newest: u64 = row.number()?;
    let mut unix_ms: u64 = row.number()?;
    while !row.0.is_empty() {
        let later: u64 = row.number()?;
        unix_ms = unix_ms.checked_add(later).ok_or(RowError::Value)?;
        let tail = row.bytes(7)?.iter().fold(0, |tail, byte| tail << 8 | u64::from(*byte));
        let earlier: u64 = row.number()?;
        let last_heartbeat = newest.checked_sub(earlier).ok_or(RowError::Value)?;
        let latency_us = row.number()?;
        let packed = row.byte()?;
        let quality = super::codes::Coded::of(packed >> 5).ok_or(RowError::Value)?;
        let missed = match packed & MISSED_BEHIND {
            MISSED_BEHIND => row.byte()?,
            missed => missed,
        };
        each(Beat { unix_ms, tail, last_heartbeat, latency_us, quality, missed });
    }
    Ok(())
}

/// All beats of a store, to be looked up by session.
#[derive(Debug, Default)]
pub(crate) struct Beats(Vec<Beat>);

impl Beats {
    pub(crate) fn new(mut beats: Vec<Beat>) -> Self {
        beats.sort_unstable_by_key(|beat| (beat.unix_ms, beat.tail));
        Self(beats)
    }

    /// Brings `record` up to its checkpoint, if that is later; says whether it was.
    pub(crate) fn refresh(&self, record: &mut Record) -> bool {
        let name = name(record.session);
        let start = self.0.partition_point(|beat| (beat.unix_ms, beat.tail) < name);
        let found = self.0[start..].iter().take_while(|beat| (beat.unix_ms, beat.tail) == name);
        // More than one, where another number of shards kept it before.
        let latest = found.max_by_key(|beat| beat.last_heartbeat);
        let Some(beat) = latest.filter(|beat| beat.last_heartbeat > record.last_heartbeat) else {
            return false;
        };
        record.last_heartbeat = beat.last_heartbeat;
        if beat.latency_us != 0 {
            record.latency = Some(std::time::Duration::from_micros(beat.latency_us.into()));
        }
        record.quality = beat.quality;
        record.missed_heartbeats = beat.missed.into();
        true
    }
}
