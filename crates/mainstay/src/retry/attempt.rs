//! Runs one attempt within its time.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use mainstay_core::time::Instant;

use crate::clock;

/// The attempt was given up at its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Elapsed;

/// Runs `future` until `deadline`, and calls `slow` when it is still running at `slow_at`.
///
/// The first poll is made before any timer exists: an operation that is ready at once costs no
/// timer. When the result and the deadline come together, the result wins.
#[inline]
pub(crate) async fn drive<F: Future>(
    future: F,
    deadline: Option<Instant>,
    slow_at: Option<Instant>,
    slow: impl FnOnce(),
) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let first = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await;
    if let Poll::Ready(output) = first {
        return Ok(output);
    }
    if deadline.is_none() && slow_at.is_none() {
        return Ok(future.await);
    }
    timed(future, deadline, slow_at, slow).await
}

async fn timed<F: Future>(
    mut future: Pin<&mut F>,
    deadline: Option<Instant>,
    slow_at: Option<Instant>,
    slow: impl FnOnce(),
) -> Result<F::Output, Elapsed> {
    if let Some(slow_at) = slow_at
        && deadline.is_none_or(|deadline| slow_at < deadline)
    {
        let timer = Box::pin(clock::sleep_until(slow_at));
        tokio::select! {
            biased;
            output = future.as_mut() => return Ok(output),
            () = timer => slow(),
        }
    }
    let Some(deadline) = deadline else { return Ok(future.await) };
    let timer = Box::pin(clock::sleep_until(deadline));
    tokio::select! {
        biased;
        output = future => Ok(output),
        () = timer => Err(Elapsed),
    }
}
