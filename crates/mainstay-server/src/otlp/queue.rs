use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use metrics::Counter;
use tokio::sync::Notify;

use super::span::Finished;

/// Spans that wait to be exported: no more than so many, however long nobody takes them.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: Mutex<VecDeque<Finished>>,
    queue_max: usize,
    batch_max: usize,
    on_their_way: AtomicUsize,
    /// A batch is full.
    full: Notify,
    dropped: Counter,
}

impl Queue {
    pub(super) fn new(queue_max: usize, batch_max: usize, dropped: Counter) -> Self {
        Self {
            waiting: Mutex::new(VecDeque::new()),
            queue_max,
            batch_max,
            on_their_way: AtomicUsize::new(0),
            full: Notify::new(),
            dropped,
        }
    }

    /// Takes a span in, unless there are too many; waits for nothing.
    pub(super) fn push(&self, span: Finished) {
        let mut waiting = self.waiting();
        if waiting.len() >= self.queue_max {
            drop(waiting);
            self.dropped.increment(1);
            return;
        }
        waiting.push_back(span);
        if waiting.len() == self.batch_max {
            self.full.notify_one();
        }
    }

    /// The oldest, at most as many as make a batch.
    pub(super) fn take(&self) -> Vec<Finished> {
        let mut waiting = self.waiting();
        let count = waiting.len().min(self.batch_max);
        self.on_their_way.store(count, Ordering::Relaxed);
        waiting.drain(..count).collect()
    }

    /// What was taken last is exported, or refused.
    pub(super) fn settled(&self) {
        self.on_their_way.store(0, Ordering::Relaxed);
    }

    /// Those that nobody has taken yet.
    pub(super) fn len(&self) -> usize {
        self.waiting().len()
    }

    /// The same with those that are on their way.
    pub(super) fn left(&self) -> usize {
        self.len() + self.on_their_way.load(Ordering::Relaxed)
    }

    /// Ends when there was enough for a batch.
    pub(super) async fn full(&self) {
        self.full.notified().await;
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Finished>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
