use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mainstay_core::time::Instant;
use serde::Serialize;

/// What is remembered of an operation.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    /// Its number in this process.
    pub id: u64,
    /// When it was created, in milliseconds since 1970.
    pub created_at_ms: u64,
    /// How it ended, such as `attempts_exhausted`.
    pub verdict: &'static str,
    /// Whether it worked.
    pub succeeded: bool,
    /// Attempts made.
    pub attempts: u32,
    /// Attempts allowed.
    pub attempts_max: u32,
    /// The gate it went through.
    pub endpoint: Option<Arc<str>>,
    /// How long it took, waits included.
    pub took_ms: u64,
    /// How long of that it waited between attempts.
    pub waited_ms: u64,
    /// Its failed attempts, at most 16.
    pub failures: Vec<AttemptRecord>,
}

/// What is remembered of an attempt that failed.
#[derive(Clone, Debug, Serialize)]
pub struct AttemptRecord {
    /// Its number, from 1.
    pub attempt: u32,
    /// In one word: `error`, `timed_out`, `rejected`, …
    pub kind: &'static str,
    /// The class the classifier gave it: `transient`, `throttled`, `permanent`, …
    pub class: &'static str,
    /// The error, at most 200 bytes of it.
    pub error: Arc<str>,
    /// When it failed, in milliseconds since 1970.
    pub at_ms: u64,
    /// The wait before it.
    pub waited_ms: u64,
    /// How long it took.
    pub took_ms: Option<u64>,
}

/// The latest operations by name.
#[derive(Debug)]
pub(super) struct Histories {
    names_max: usize,
    records_max: usize,
    names: HashMap<Arc<str>, Kept, BuildHasherDefault<Fnv>>,
    uses: u64,
    anchor: (Instant, SystemTime),
}

#[derive(Debug, Default)]
struct Kept {
    records: VecDeque<Record>,
    last_use: u64,
}

impl Kept {
    #[inline]
    fn push(&mut self, record: Record, records_max: usize, use_now: u64) {
        self.last_use = use_now;
        if self.records.len() == records_max {
            self.records.pop_front();
        }
        self.records.push_back(record);
    }
}

/// How long the wall clock is carried on by the monotonic one before it is read again.
const ANCHOR_MAX: Duration = Duration::from_secs(10);

impl Histories {
    pub(super) fn new(names_max: usize, records_max: usize) -> Self {
        let anchor = (Instant::default(), SystemTime::UNIX_EPOCH);
        Self { names_max, records_max, names: HashMap::default(), uses: 0, anchor }
    }

    /// The shared text of `name`, and the wall clock at `now`.
    pub(super) fn of(&mut self, name: &str, now: Instant) -> (Arc<str>, SystemTime) {
        let wall = self.wall(now);
        let known = self.names.get_key_value(name);
        (known.map_or_else(|| name.into(), |(name, _)| Arc::clone(name)), wall)
    }

    fn wall(&mut self, now: Instant) -> SystemTime {
        let (read_at, wall) = self.anchor;
        let since = now.since(read_at);
        if since > ANCHOR_MAX || now < read_at {
            self.anchor = (now, SystemTime::now());
            return self.anchor.1;
        }
        wall + since
    }

    pub(super) fn push(&mut self, name: &Arc<str>, record: Record) {
        if self.records_max == 0 || self.names_max == 0 {
            return;
        }
        self.uses += 1;
        let (uses, records_max) = (self.uses, self.records_max);
        if let Some(kept) = self.names.get_mut(name) {
            kept.push(record, records_max, uses);
            return;
        }
        self.make_room();
        let kept = self.names.entry(Arc::clone(name)).or_default();
        kept.push(record, records_max, uses);
    }

    fn make_room(&mut self) {
        if self.names.len() < self.names_max {
            return;
        }
        let oldest = self.names.iter().min_by_key(|(_, kept)| kept.last_use);
        if let Some(oldest) = oldest.map(|(name, _)| Arc::clone(name)) {
            self.names.remove(&oldest);
        }
    }

    pub(super) fn records(&self, name: &str) -> Vec<Record> {
        let kept = self.names.get(name);
        kept.map_or_else(Vec::new, |kept| kept.records.iter().cloned().collect())
    }

    pub(super) fn find(&self, id: u64) -> Option<(&Arc<str>, &Record)> {
        self.names.iter().find_map(|(name, kept)| {
            kept.records.iter().find(|record| record.id == id).map(|record| (name, record))
        })
    }

    pub(super) fn names(&self) -> Vec<Arc<str>> {
        let mut names: Vec<_> = self.names.keys().cloned().collect();
        names.sort();
        names
    }
}

/// FNV-1a: names are short and come from the program, not from strangers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xCBF2_9CE4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
