//! Retried operations with a name: list them, cancel them, look back at them.
//!
//! A [`Retry`] alone leaves no trace. Run through [`Operations`] each call has an id and a name; it
//! is listed while it runs, can be cancelled while it runs or waits, tells its events
//! (`retry.attempt`, `retry.success`, `retry.failed`, `retry.waiting`, `retry.exhausted`,
//! `retry.cancelled`), and afterwards stays in a bounded history with every attempt's error, delay
//! and duration.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use mainstay::core::policy::call::CallConfig;
//! use mainstay::operations::Operations;
//! use mainstay::retry::Retry;
//!
//! let operations = Operations::default();
//! let retry = Retry::new(&CallConfig::default())?;
//! let answer = operations.execute("sync", &retry, |_| async { Ok::<_, std::io::Error>(42) }).await;
//! assert_eq!(answer.unwrap(), 42);
//! assert_eq!(operations.history("sync").len(), 1);
//! # Ok::<(), mainstay::core::config::ConfigError>(())
//! # }).unwrap();
//! ```

mod analytics;
mod handle;
mod history;
mod instruments;
mod slab;
mod spans;
mod totals;
mod tracked;

pub use analytics::{Analytics, Burst};
pub use handle::Operation;
pub use history::{AttemptRecord, Record};
pub use totals::Totals;
pub use tracked::{Status, StatusState};

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use mainstay_core::policy::call::Verdict;
use tracing::Instrument as _;
use tracing::field::Empty;

use crate::classify::{Attempt, Classify};
use crate::clock;
use crate::event::Events;
use crate::retry::{CallError, Failed, Failure, Retry};
use crate::trace::{TraceContext, Work, polled, span};
use history::Histories;
use instruments::Instruments;
use slab::Slab;
use spans::Spans;
use tracked::{Tracked, Watch};

/// Operations remembered per name, unless told otherwise.
pub const RECORDS_PER_NAME: usize = 100;
/// Names remembered, unless told otherwise.
pub const NAMES: usize = 256;

/// Operations that are listed, cancelled by id, and remembered. Clones share them.
#[derive(Clone, Debug)]
pub struct Operations {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    events: Events,
    next: AtomicU64,
    instruments: Instruments,
    book: Mutex<Book>,
}

/// What is under way and what is remembered: one lock, taken when an operation begins and when it
/// ends.
#[derive(Debug)]
struct Book {
    active: Slab,
    histories: Histories,
}

impl Default for Operations {
    fn default() -> Self {
        Self::new(Events::new())
    }
}

impl Operations {
    /// Operations that tell their events to `events`. The last 100 operations of up to 256 names are
    /// remembered.
    #[must_use]
    pub fn new(events: Events) -> Self {
        Self::with_history(events, NAMES, RECORDS_PER_NAME)
    }

    /// Operations with another depth of history: `names` names, `records` operations each. The name
    /// used least recently makes room for a new one.
    #[must_use]
    pub fn with_history(events: Events, names: usize, records: usize) -> Self {
        Self {
            inner: Arc::new(Inner {
                events,
                next: AtomicU64::new(1),
                instruments: Instruments::new(),
                book: Mutex::new(Book {
                    active: Slab::default(),
                    histories: Histories::new(names, records),
                }),
            }),
        }
    }

    /// What has ended since this was last asked; nothing the first time. One of those who ask gets
    /// it: whoever has a
    /// [`Monitor`](crate::monitor::Monitor) leaves it to that.
    #[must_use = "what is taken is gone"]
    pub fn take_totals(&self) -> Totals {
        self.inner.instruments.take()
    }

    /// Where events are told.
    #[must_use]
    pub fn events(&self) -> &Events {
        &self.inner.events
    }

    /// Runs `op` under `retry` as an operation called `name`.
    ///
    /// Dropping the future ends the operation; its history says *cancelled*.
    ///
    /// # Errors
    ///
    /// See [`Retry::call`]; cancelled by id it fails with [`Verdict::Cancelled`].
    pub async fn execute<T, E, C, F, Fut>(
        &self,
        name: &str,
        retry: &Retry<C>,
        op: F,
    ) -> Result<T, CallError<E>>
    where
        E: fmt::Display,
        C: Classify<T, E>,
        F: FnMut(Attempt) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let tracked = self.register(name, retry, None);
        self.run(tracked, retry, op).await
    }

    /// Runs `op` in a task of its own and answers a handle at once.
    ///
    /// Dropping the handle lets the operation go on; [`Operation::cancel`] ends it.
    pub fn start<T, E, C, F, Fut>(&self, name: &str, retry: &Retry<C>, op: F) -> Operation<T, E>
    where
        T: Send + 'static,
        E: fmt::Display + Send + 'static,
        C: Classify<T, E> + Clone + Send + Sync + 'static,
        F: FnMut(Attempt) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send,
    {
        self.schedule(name, Duration::ZERO, retry, op)
    }

    /// Runs `op` in a task of its own after `delay`, and answers a handle at once. The delay is as
    /// long as it says, and the operation can be cancelled during it.
    pub fn schedule<T, E, C, F, Fut>(
        &self,
        name: &str,
        delay: Duration,
        retry: &Retry<C>,
        op: F,
    ) -> Operation<T, E>
    where
        T: Send + 'static,
        E: fmt::Display + Send + 'static,
        C: Classify<T, E> + Clone + Send + Sync + 'static,
        F: FnMut(Attempt) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send,
    {
        let at = (!delay.is_zero()).then(|| clock::now().after(delay));
        let tracked = self.register(name, retry, at);
        let (this, retry) = (self.clone(), retry.clone());
        let unbegun = Unbegun { operations: self.clone(), tracked: Some(Arc::clone(&tracked)) };
        let work = async move {
            if let (Some(at), Some(task)) = (at, &unbegun.tracked) {
                tokio::select! {
                    biased;
                    () = task.cancelled() => return Err(cancelled(0)),
                    () = clock::sleep_until(at) => task.begin(),
                }
            }
            match unbegun.begin() {
                Some(task) => this.run(task, &retry, op).await,
                None => Err(cancelled(0)),
            }
        };
        Operation::new(tracked, tokio::spawn(work))
    }

    /// Ends the operation `id`, whether it runs, waits or is scheduled. Answers whether there was
    /// one.
    #[expect(clippy::must_use_candidate, reason = "asked for what it does, not what it says")]
    pub fn cancel(&self, id: u64) -> bool {
        let tracked = self.inner.book().active.find(id);
        tracked.is_some_and(|tracked| tracked.cancel())
    }

    /// The status of the operation `id`: one that is active, or one still in the history.
    #[must_use]
    pub fn status(&self, id: u64) -> Option<Status> {
        let tracked = self.inner.book().active.find(id);
        tracked.map(|tracked| tracked.status()).or_else(|| {
            let book = self.inner.book();
            book.histories.find(id).map(|(name, record)| Status::past(name, record))
        })
    }

    /// All operations that run, wait or are scheduled, oldest first.
    #[must_use]
    pub fn active(&self) -> Vec<Status> {
        let mut all = self.inner.book().active.all();
        all.sort_by_key(|tracked| tracked.id);
        all.iter().map(|tracked| tracked.status()).collect()
    }

    /// The names in the history.
    #[must_use]
    pub fn names(&self) -> Vec<Arc<str>> {
        self.inner.book().histories.names()
    }

    /// What is remembered of the operations called `name`, oldest first.
    #[must_use]
    pub fn history(&self, name: &str) -> Vec<Record> {
        self.inner.book().histories.records(name)
    }

    /// What the history of `name` says: success by attempt, waiting, patterns of failure.
    #[must_use]
    pub fn analytics(&self, name: &str) -> Analytics {
        Analytics::of(self.history(name).iter())
    }

    fn register<C>(
        &self,
        name: &str,
        retry: &Retry<C>,
        at: Option<mainstay_core::time::Instant>,
    ) -> Arc<Tracked> {
        let id = self.inner.next.fetch_add(1, Ordering::Relaxed);
        let now = clock::now();
        let endpoint = retry.gate().map(|gate| Arc::clone(gate.name()));
        let attempts = retry.config().attempts;
        let mut book = self.inner.book();
        let (name, created_at) = book.histories.of(name, now);
        let created = (now, created_at);
        let make = |slot| Tracked::new(id, slot, name, endpoint, attempts, created, at);
        book.active.insert_with(make)
    }

    async fn run<T, E, C, F, Fut>(
        &self,
        tracked: Arc<Tracked>,
        retry: &Retry<C>,
        mut op: F,
    ) -> Result<T, CallError<E>>
    where
        E: fmt::Display,
        C: Classify<T, E>,
        F: FnMut(Attempt) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let work = Work::join();
        let span = span!(
            INFO, "operation", work.as_ref(), name = %tracked.name, id = tracked.id,
            attempts = Empty, outcome = Empty, error.type = Empty
        );
        let entry = Entry { inner: &self.inner, tracked: &tracked };
        let result = if span.is_disabled() {
            // Nobody looks, and attempts are made as they are: others would pay for what stands around a
            // traced one.
            let spans = Spans::new(span, None);
            let call = retry.call_observed(op, Watch::new(&self.inner, &tracked, &spans));
            unless_cancelled(&tracked, &spans, None, call).await
        } else {
            let around = if work.is_some() { TraceContext::around() } else { None };
            let trace = Work::seen(work, &span).map(Work::shared);
            let spans = Spans::new(span.clone(), trace.clone().or(around));
            let traced = |attempt: Attempt| spans.attempt(attempt, retry.gate(), &mut op);
            let call = retry.call_observed(traced, Watch::new(&self.inner, &tracked, &spans));
            // Boxed: its room in every call's own memory would cost those that nobody traces.
            Box::pin(unless_cancelled(&tracked, &spans, trace.as_ref(), call.instrument(span)))
                .await
        };
        drop(entry);
        result
    }
}

/// What comes of a call, unless the operation is cancelled by its id before.
async fn unless_cancelled<T, E>(
    tracked: &Tracked,
    spans: &Spans,
    trace: Option<&Arc<TraceContext>>,
    call: impl Future<Output = Result<T, CallError<E>>>,
) -> Result<T, CallError<E>> {
    let mut call = pin!(call);
    let mut cancelled_by_id = pin!(tracked.cancelled());
    poll_fn(|context| {
        // A result that is there counts, also when somebody cancels in the same moment.
        if !tracked.is_cancelled_unseen()
            && let Poll::Ready(result) = polled(trace, || call.as_mut().poll(context))
        {
            return Poll::Ready(result);
        }
        cancelled_by_id.as_mut().poll(context).map(|()| {
            let attempt = tracked.attempt();
            spans.done(Verdict::Cancelled, attempt);
            Err(cancelled(attempt))
        })
    })
    .await
}

impl Inner {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cancelled<E>(attempt: u32) -> CallError<E> {
    let failure = Failure::Cancelled;
    let last = Failed { attempt, failure, waited: Duration::ZERO, took: None };
    CallError { verdict: Verdict::Cancelled, last, earlier: Vec::new() }
}

/// An operation's place among the active ones: whatever ends the operation, dropping it moves the
/// operation into the history.
struct Entry<'a> {
    inner: &'a Inner,
    tracked: &'a Arc<Tracked>,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let record = self.tracked.close(self.inner);
        let mut book = self.inner.book();
        book.active.remove(self.tracked.slot);
        book.histories.push(&self.tracked.name, record);
    }
}

/// An operation whose task has not come to run it yet: dropped with its task, it ends.
struct Unbegun {
    operations: Operations,
    tracked: Option<Arc<Tracked>>,
}

impl Unbegun {
    /// It is run now, and no longer ended by this.
    fn begin(mut self) -> Option<Arc<Tracked>> {
        self.tracked.take()
    }
}

impl Drop for Unbegun {
    fn drop(&mut self) {
        if let Some(tracked) = &self.tracked {
            drop(Entry { inner: &self.operations.inner, tracked });
        }
    }
}
