use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::StoreError;

/// Says when something that was submitted is kept, or why it is not: await it, or [`Ticket::wait`].
///
/// Dropping it takes nothing back. Clones wait for the same.
#[derive(Clone, Debug)]
#[must_use = "it says whether the changes are kept; drop it where nobody needs to know"]
pub struct Ticket(Arc<Slot>);

/// The writer's end of a ticket. Dropped without being kept, it says that the writer is gone.
#[derive(Debug)]
pub(super) struct Promise(Option<Arc<Slot>>);

#[derive(Debug, Default)]
struct Slot {
    state: Mutex<State>,
    ready: Condvar,
}

#[derive(Debug, Default)]
struct State {
    result: Option<Result<(), StoreError>>,
    wakers: Vec<Waker>,
}

impl Ticket {
    /// A ticket that is ready.
    pub(super) fn kept() -> Self {
        let state = State { result: Some(Ok(())), wakers: Vec::new() };
        Self(Arc::new(Slot { state: Mutex::new(state), ready: Condvar::new() }))
    }

    /// Blocks this thread until the changes are kept. In an async task, await the ticket instead.
    ///
    /// # Errors
    ///
    /// Why they are not kept: [`StoreError::Conflict`] and [`StoreError::TooLarge`] concern this
    /// submission alone, others everything of its commit.
    pub fn wait(self) -> Result<(), StoreError> {
        let mut state = self.0.state();
        loop {
            if let Some(result) = &state.result {
                return result.clone();
            }
            state = self.0.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Future for Ticket {
    type Output = Result<(), StoreError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.0.state();
        if let Some(result) = &state.result {
            return Poll::Ready(result.clone());
        }
        if !state.wakers.iter().any(|waker| waker.will_wake(context.waker())) {
            state.wakers.push(context.waker().clone());
        }
        Poll::Pending
    }
}

impl Promise {
    pub(super) fn new() -> (Self, Ticket) {
        let slot = Arc::new(Slot::default());
        (Self(Some(Arc::clone(&slot))), Ticket(slot))
    }

    pub(super) fn keep(mut self, result: Result<(), StoreError>) {
        self.settle(result);
    }

    fn settle(&mut self, result: Result<(), StoreError>) {
        let Some(slot) = self.0.take() else { return };
        let wakers = {
            let mut state = slot.state();
            state.result = Some(result);
            std::mem::take(&mut state.wakers)
        };
        slot.ready.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.settle(Err(StoreError::Closed));
    }
}

impl Slot {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
