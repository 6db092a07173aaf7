use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::task::JoinHandle;

use super::cancelled;
use super::tracked::{Status, Tracked};
use crate::retry::CallError;

/// An operation that runs in a task of its own. Await it for its result.
///
/// Dropping it lets the operation go on.
#[must_use = "await it, or say `.detach()`"]
pub struct Operation<T, E> {
    tracked: Arc<Tracked>,
    task: JoinHandle<Result<T, CallError<E>>>,
}

impl<T, E> Operation<T, E> {
    pub(super) fn new(tracked: Arc<Tracked>, task: JoinHandle<Result<T, CallError<E>>>) -> Self {
        Self { tracked, task }
    }

    /// Its number in this process.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.tracked.id
    }

    /// What it does now.
    #[must_use]
    pub fn status(&self) -> Status {
        self.tracked.status()
    }

    /// Ends it, whether it runs, waits or is scheduled. Answers whether this call did it.
    #[expect(clippy::must_use_candidate, reason = "asked for what it does, not what it says")]
    pub fn cancel(&self) -> bool {
        !self.task.is_finished() && self.tracked.cancel()
    }

    /// Lets it go on by itself.
    pub fn detach(self) {
        drop(self.task);
    }
}

impl<T, E> Future for Operation<T, E> {
    type Output = Result<T, CallError<E>>;

    /// # Panics
    ///
    /// With the operation's own panic.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match Pin::new(&mut self.task).poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(result)) => Poll::Ready(result),
            Poll::Ready(Err(error)) if error.is_panic() => {
                std::panic::resume_unwind(error.into_panic())
            }
            // The runtime is shutting down.
            Poll::Ready(Err(_)) => Poll::Ready(Err(cancelled(self.tracked.attempt()))),
        }
    }
}

impl<T, E> fmt::Debug for Operation<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operation").field("id", &self.tracked.id).finish_non_exhaustive()
    }
}
