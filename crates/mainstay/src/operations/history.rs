use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

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
pub(super) struct History {
    names_max: usize,
    records_max: usize,
    names: HashMap<Arc<str>, Kept>,
    uses: u64,
}

#[derive(Debug, Default)]
struct Kept {
    records: VecDeque<Record>,
    last_use: u64,
}

impl History {
    pub(super) fn new(names_max: usize, records_max: usize) -> Self {
        Self { names_max, records_max, names: HashMap::new(), uses: 0 }
    }

    /// The shared text of `name`.
    pub(super) fn name(&self, name: &str) -> Arc<str> {
        self.names.get_key_value(name).map_or_else(|| name.into(), |(name, _)| Arc::clone(name))
    }

    pub(super) fn push(&mut self, name: &Arc<str>, record: Record) {
        if self.records_max == 0 || self.names_max == 0 {
            return;
        }
        if !self.names.contains_key(name) && self.names.len() >= self.names_max {
            let oldest = self.names.iter().min_by_key(|(_, kept)| kept.last_use);
            if let Some(oldest) = oldest.map(|(name, _)| Arc::clone(name)) {
                self.names.remove(&oldest);
            }
        }
        self.uses += 1;
        let kept = self.names.entry(Arc::clone(name)).or_default();
        kept.last_use = self.uses;
        if kept.records.len() == self.records_max {
            kept.records.pop_front();
        }
        kept.records.push_back(record);
    }

    pub(super) fn records(&self, name: &str) -> impl Iterator<Item = &Record> {
        self.names.get(name).into_iter().flat_map(|kept| &kept.records)
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
