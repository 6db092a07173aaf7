//! Runs one attempt within its time.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use mainstay_core::time::Instant;

use crate::clock;
use crate::gate::Permit;

/// The attempt was given up at its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Elapsed;

/// Runs `future` until `deadline`, and tells `permit` when it becomes slow.
///
/// The first poll is made before any timer exists: an operation that is ready at once costs no
/// timer. When the result and the deadline come together, the result wins.
pub(crate) async fn drive<F: Future>(
    future: F,
    deadline: Option<Instant>,
    permit: Option<&mut Permit>,
) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let first = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await;
    if let Poll::Ready(output) = first {
        return Ok(output);
    }
    if let Some(permit) = permit
        && let Some(slow_at) = permit.slow_at()
        && deadline.is_none_or(|deadline| slow_at < deadline)
    {
        let timer = Box::pin(clock::sleep_until(slow_at));
        tokio::select! {
            biased;
            output = future.as_mut() => return Ok(output),
            () = timer => permit.slow(),
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
