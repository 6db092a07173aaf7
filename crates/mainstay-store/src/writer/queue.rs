use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use super::ticket::Promise;
use super::{Refused, WriterStats};
use crate::{Change, StoreConfig, StoreError};

/// What waits for the writer's thread. Bounded by count and bytes; a submission larger than the
/// bounds is taken when nothing else waits, so that it does not wait for ever.
pub(super) struct Queue {
    state: Mutex<State>,
    /// The thread waits here for work.
    work: Condvar,
    /// Blocking submitters wait here for room.
    room: Condvar,
    changes_max: usize,
    bytes_max: usize,
    commit_max: usize,
}

#[derive(Default)]
struct State {
    entries: VecDeque<Entry>,
    /// Submissions that wait for room without blocking.
    wakers: Vec<Waker>,
    retain_at: Option<u64>,
    closed: bool,
    stats: WriterStats,
}

/// What was submitted at once.
pub(super) struct Entry {
    pub(super) changes: Vec<Change>,
    pub(super) promise: Option<Promise>,
    bytes: usize,
}

/// What the thread does next.
pub(super) enum Work {
    /// Commits these.
    Commit(Vec<Entry>),
    /// Drops some of the history that is too old at this time.
    Retain(u64),
    /// Ends: everything is committed.
    End,
}

impl Entry {
    pub(super) fn new(changes: Vec<Change>, promise: Option<Promise>) -> Self {
        let bytes = changes.iter().map(Change::bytes).sum();
        Self { changes, promise, bytes }
    }
}

impl Queue {
    pub(super) fn new(config: &StoreConfig) -> Self {
        Self {
            state: Mutex::default(),
            work: Condvar::new(),
            room: Condvar::new(),
            changes_max: config.queue_changes,
            bytes_max: config.queue_bytes,
            commit_max: config.commit_changes,
        }
    }

    pub(super) fn push(&self, entry: Entry) -> Result<(), Refused> {
        self.take(&mut self.state(), entry).map_err(|(refused, _)| refused)
    }

    /// As [`Queue::push`]; where there is no room, `waker` is woken once there may be.
    pub(super) fn push_or_wake(&self, entry: Entry, waker: &Waker) -> Result<(), Refused> {
        let mut state = self.state();
        let done = self.take(&mut state, entry).map_err(|(refused, _)| refused);
        if let Err(Refused::Full(_)) = done
            && !state.wakers.iter().any(|known| known.will_wake(waker))
        {
            state.wakers.push(waker.clone());
        }
        done
    }

    pub(super) fn push_blocking(&self, mut entry: Entry) -> Result<(), StoreError> {
        let mut state = self.state();
        loop {
            match self.take(&mut state, entry) {
                Ok(()) => return Ok(()),
                Err((Refused::Closed(_), _)) => return Err(StoreError::Closed),
                Err((Refused::Full(changes), promise)) => entry = Entry::new(changes, promise),
            }
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes a promise that is kept once all before it is committed. It needs no room.
    pub(super) fn push_flush(&self, promise: Promise) {
        let mut state = self.state();
        if state.closed && state.entries.is_empty() {
            // The last commit may still be under way, but the thread's end is behind it.
            drop(state);
            promise.keep(Err(StoreError::Closed));
            return;
        }
        state.entries.push_back(Entry::new(Vec::new(), Some(promise)));
        self.work.notify_one();
    }

    pub(super) fn ask_to_retain(&self, now_unix_ms: u64) {
        self.state().retain_at = Some(now_unix_ms);
        self.work.notify_one();
    }

    /// There is more to drop; unless a later time was asked for meanwhile.
    pub(super) fn retain_on(&self, now_unix_ms: u64) {
        self.state().retain_at.get_or_insert(now_unix_ms);
    }

    pub(super) fn close(&self) {
        let wakers = {
            let mut state = self.state();
            state.closed = true;
            std::mem::take(&mut state.wakers)
        };
        self.work.notify_one();
        self.room.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Waits for work. Commits come first, unless `retain_first`.
    pub(super) fn next(&self, retain_first: bool) -> Work {
        let mut state = self.state();
        loop {
            if (retain_first || state.entries.is_empty())
                && !state.closed
                && let Some(now) = state.retain_at.take()
            {
                return Work::Retain(now);
            }
            if !state.entries.is_empty() {
                let entries = self.pop(&mut state);
                let wakers = std::mem::take(&mut state.wakers);
                drop(state);
                self.room.notify_all();
                wakers.into_iter().for_each(Waker::wake);
                return Work::Commit(entries);
            }
            if state.closed {
                return Work::End;
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Counts a commit; says whether it is the first one after some that failed.
    pub(super) fn committed(&self, changes: usize) -> bool {
        let stats = &mut self.state().stats;
        stats.commits += 1;
        stats.changes += changes as u64;
        stats.failing.take().is_some()
    }

    /// Counts a commit that failed; says whether the one before it did not.
    pub(super) fn failed(&self, error: &StoreError) -> bool {
        let stats = &mut self.state().stats;
        stats.failures += 1;
        stats.failing.replace(error.clone()).is_none()
    }

    pub(super) fn stats(&self) -> WriterStats {
        self.state().stats.clone()
    }

    fn take(&self, state: &mut State, entry: Entry) -> Result<(), (Refused, Option<Promise>)> {
        if state.closed {
            return Err((Refused::Closed(entry.changes), entry.promise));
        }
        let changes = state.stats.queued_changes + entry.changes.len();
        let bytes = state.stats.queued_bytes + entry.bytes;
        let fits = changes <= self.changes_max && bytes <= self.bytes_max;
        if !fits && state.stats.queued_changes > 0 {
            return Err((Refused::Full(entry.changes), entry.promise));
        }
        state.stats.queued_changes = changes;
        state.stats.queued_bytes = bytes;
        state.entries.push_back(entry);
        self.work.notify_one();
        Ok(())
    }

    /// As many entries as make one commit.
    fn pop(&self, state: &mut State) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut changes = 0;
        while let Some(next) = state.entries.front() {
            changes += next.changes.len();
            if !entries.is_empty() && changes > self.commit_max {
                break;
            }
            entries.extend(state.entries.pop_front());
        }
        let popped: usize = entries.iter().map(|entry| entry.changes.len()).sum();
        let bytes: usize = entries.iter().map(|entry| entry.bytes).sum();
        state.stats.queued_changes -= popped;
        state.stats.queued_bytes -= bytes;
        entries
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
