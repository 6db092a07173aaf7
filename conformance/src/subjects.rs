//! The libraries, each behind the same small adapters.

pub mod backon;
pub mod failsafe;
pub mod governor;
pub mod ours;
pub mod recloser;
pub mod tower;
pub mod tower_resilience;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Waker};

use crate::breaker::Answer;

/// How a guarded call ended.
pub enum Ended {
    Rejected,
    Answered,
}

type Guarded = Pin<Box<dyn Future<Output = Ended>>>;

/// A call in flight: a guarded future, and the answer that its inner future waits for.
pub struct InFlight {
    guarded: Guarded,
    inner: Inner,
}

/// An inner future that is pending until it is told its answer.
#[derive(Clone, Default)]
pub struct Inner(Arc<AtomicU8>);

impl Future for Inner {
    type Output = Result<(), ()>;

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.0.load(Ordering::SeqCst) {
            0 => Poll::Pending,
            1 => Poll::Ready(Ok(())),
            _ => Poll::Ready(Err(())),
        }
    }
}

/// Begins a call of a library that guards futures.
pub fn begin(guard: impl FnOnce(Inner) -> Guarded) -> Option<InFlight> {
    let inner = Inner::default();
    let mut guarded = guard(inner.clone());
    match poll(&mut guarded) {
        Poll::Pending => Some(InFlight { guarded, inner }),
        Poll::Ready(Ended::Rejected) => None,
        Poll::Ready(Ended::Answered) => panic!("answered before the answer was known"),
    }
}

/// Ends a call of a library that guards futures.
pub fn end(mut call: InFlight, answer: Answer) {
    let code = if answer == Answer::Success { 1 } else { 2 };
    call.inner.0.store(code, Ordering::SeqCst);
    assert!(poll(&mut call.guarded).is_ready(), "the answer is passed on at once");
}

fn poll(guarded: &mut Guarded) -> Poll<Ended> {
    guarded.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}
