//! One thread that commits what many callers submit.

mod queue;
pub(crate) mod ticket;

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::thread::JoinHandle;

use crate::writer::queue::{Entry, Queue, Work};
use crate::writer::ticket::{Promise, Ticket};
use crate::{Change, Durability, Store, StoreConfig, StoreError, retain};

/// With this many commits in between, history is dropped although there is always more to commit.
const COMMITS_BETWEEN_STEPS: u32 = 8;

/// Commits what many callers submit: whatever has queued while one commit was under way is the
/// next one. So a commit is as large as the disk is slow, and one caller alone waits for no other.
///
/// What was submitted first is committed first. Changes that were submitted together are kept
/// together or not at all; a submission that is refused does not touch the others of its commit. A
/// commit that fails is told to everyone who had changes in it, and the next one is tried.
///
/// Dropping the writer is [`Writer::close`].
pub struct Writer {
    queue: Arc<Queue>,
    durability: Durability,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Why something was not taken for commit. The changes come back.
#[derive(Debug)]
pub enum Refused {
    /// As much waits as may; a later try may succeed.
    Full(Vec<Change>),
    /// The writer is closed.
    Closed(Vec<Change>),
}

/// What a writer does and has done.
#[derive(Clone, Debug, Default)]
pub struct WriterStats {
    /// Changes that wait for their commit.
    pub queued_changes: usize,
    /// Their bytes, about.
    pub queued_bytes: usize,
    /// Commits that succeeded.
    pub commits: u64,
    /// Changes in them.
    pub changes: u64,
    /// Commits that failed.
    pub failures: u64,
    /// Why the latest commit failed; none once one has succeeded since.
    pub failing: Option<StoreError>,
}

impl Writer {
    /// Starts the thread that commits to `store`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Config`] when `config` makes no sense, [`StoreError::Io`] when there can be no
    /// more threads.
    pub fn start(store: Arc<dyn Store>, config: &StoreConfig) -> Result<Self, StoreError> {
        config.check().map_err(StoreError::Config)?;
        let queue = Arc::new(Queue::new(config));
        let (shared, config) = (Arc::clone(&queue), *config);
        let thread = std::thread::Builder::new()
            .name("mainstay-store".to_owned())
            .spawn(move || serve(&*store, &shared, &config))
            .map_err(|error| StoreError::io("the writer's thread".as_ref(), error))?;
        let thread = Mutex::new(Some(thread));
        Ok(Self { queue, durability: config.durability, thread })
    }

    /// Submits `changes` as soon as there is room for them. The order of submission is the order
    /// in which they find room.
    ///
    /// The inner result of the future is a [`Ticket`], which says when they are kept. Dropping the
    /// future before it is ready submits nothing; dropping the ticket takes nothing back.
    pub fn submit(&self, changes: Vec<Change>) -> Submit<'_> {
        Submit { writer: self, changes: Some(changes) }
    }

    /// Submits `changes`, or gives them back when there is no room now.
    ///
    /// # Errors
    ///
    /// [`Refused`] with the changes.
    pub fn try_submit(&self, changes: Vec<Change>) -> Result<Ticket, Refused> {
        let (entry, ticket) = self.entry(changes);
        match self.queue.push(entry) {
            Ok(()) => Ok(ticket),
            Err(refused) => Err(refused),
        }
    }

    /// Submits `changes`, and blocks this thread until there is room for them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Closed`].
    pub fn submit_blocking(&self, changes: Vec<Change>) -> Result<Ticket, StoreError> {
        let (entry, ticket) = self.entry(changes);
        self.queue.push_blocking(entry).map(|()| ticket)
    }

    /// A ticket for everything that was submitted before: it is ready once all of that is
    /// committed or has failed. With [`Durability::None`], too, it waits for the commits.
    pub fn flush(&self) -> Ticket {
        let (promise, ticket) = Promise::new();
        self.queue.push_flush(promise);
        ticket
    }

    /// Asks for history to be dropped where it is too old or too large at `now_unix_ms`: step by
    /// step, between commits. It returns at once; call it every minute or so.
    pub fn retain(&self, now_unix_ms: u64) {
        self.queue.ask_to_retain(now_unix_ms);
    }

    /// When its tickets are ready.
    #[must_use]
    pub const fn durability(&self) -> Durability {
        self.durability
    }

    /// What it does and has done.
    #[must_use]
    pub fn stats(&self) -> WriterStats {
        self.queue.stats()
    }

    /// Takes nothing more, commits everything that was taken, and ends the thread. It blocks until
    /// then; a second call returns at once.
    pub fn close(&self) {
        self.queue.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the store's writer ended by a panic");
        }
    }

    fn entry(&self, changes: Vec<Change>) -> (Entry, Ticket) {
        if self.durability == Durability::None {
            return (Entry::new(changes, None), Ticket::kept());
        }
        let (promise, ticket) = Promise::new();
        (Entry::new(changes, Some(promise)), ticket)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("the writer's queue is full"),
            Self::Closed(_) => f.write_str("the writer is closed"),
        }
    }
}

impl std::error::Error for Refused {}

/// A submission that waits for room. See [`Writer::submit`].
#[derive(Debug)]
#[must_use = "nothing is submitted until it is awaited"]
pub struct Submit<'a> {
    writer: &'a Writer,
    changes: Option<Vec<Change>>,
}

impl Future for Submit<'_> {
    type Output = Result<Ticket, StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(changes) = self.changes.take() else {
            return Poll::Ready(Err(StoreError::Closed));
        };
        let (entry, ticket) = self.writer.entry(changes);
        match self.writer.queue.push_or_wake(entry, context.waker()) {
            Ok(()) => Poll::Ready(Ok(ticket)),
            Err(Refused::Full(changes)) => {
                self.changes = Some(changes);
                Poll::Pending
            }
            Err(Refused::Closed(_)) => Poll::Ready(Err(StoreError::Closed)),
        }
    }
}

/// What the thread does until the queue is closed and empty.
fn serve(store: &dyn Store, queue: &Queue, config: &StoreConfig) {
    let mut commits_since_step = 0;
    loop {
        let work = queue.next(commits_since_step >= COMMITS_BETWEEN_STEPS);
        match work {
            Work::Commit(entries) => {
                commits_since_step += 1;
                commit(store, queue, entries);
            }
            Work::Retain(now_unix_ms) => {
                commits_since_step = 0;
                step(store, queue, config, now_unix_ms);
            }
            Work::End => return,
        }
    }
}

fn commit(store: &dyn Store, queue: &Queue, entries: Vec<Entry>) {
    let groups: Vec<&[Change]> = entries.iter().map(|entry| &*entry.changes).collect();
    let changes: usize = groups.iter().map(|group| group.len()).sum();
    let done = if changes == 0 {
        Ok(groups.iter().map(|_| Ok(())).collect())
    } else {
        // A store does not panic; if one did, everybody who waits would wait for ever.
        catch_unwind(AssertUnwindSafe(|| store.commit_groups(&groups))).unwrap_or_else(|_| {
            let why = "the store panicked";
            Err(StoreError::io("the store".as_ref(), std::io::Error::other(why)))
        })
    };
    match done {
        Ok(verdicts) => {
            if changes > 0 && queue.committed(changes) {
                tracing::info!("changes are kept again");
            }
            for (entry, verdict) in entries.into_iter().zip(verdicts) {
                match (entry.promise, verdict) {
                    (Some(promise), verdict) => promise.keep(verdict),
                    (None, Err(error)) => tracing::warn!(%error, "changes were refused"),
                    (None, Ok(())) => {}
                }
            }
        }
        Err(error) => {
            // A full disk fails many commits a second: the log has the first.
            if queue.failed(&error) {
                tracing::error!(%error, changes, "changes cannot be kept");
            }
            for promise in entries.into_iter().filter_map(|entry| entry.promise) {
                promise.keep(Err(error.clone()));
            }
        }
    }
}

fn step(store: &dyn Store, queue: &Queue, config: &StoreConfig, now_unix_ms: u64) {
    match catch_unwind(AssertUnwindSafe(|| retain(store, config, now_unix_ms))) {
        Ok(Ok(dropped)) => {
            if dropped.events > 0 {
                tracing::debug!(events = dropped.events, "old history was dropped");
            }
            if dropped.more {
                queue.retain_on(now_unix_ms);
            }
        }
        Ok(Err(error)) => tracing::warn!(%error, "old history could not be dropped"),
        Err(_) => tracing::error!("old history could not be dropped: the store panicked"),
    }
}
