//! Calls what the application gave, so that its panic is not the link's end.

use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

/// What the application gave has panicked. The panic itself was reported by its hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Panicked;

/// What `call` makes comes to, unless one of both panics.
pub(super) async fn unpanicked<T>(
    call: impl FnOnce() -> Pin<Box<dyn Future<Output = T> + Send>> + Send,
) -> Result<T, Panicked> {
    // Whoever panicked is not called again: nothing half done is ever seen.
    let mut work = catch_unwind(AssertUnwindSafe(call)).map_err(|_| Panicked)?;
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
        Err(_) => Poll::Ready(Err(Panicked)),
    })
    .await
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a callback of the application panicked")
    }
}

impl Error for Panicked {}
