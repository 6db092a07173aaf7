//! Retries for programs without an async runtime, under the same policies.
//!
//! Time comes from the operating system's clock and waits put the thread to sleep. What needs a
//! second thread to enforce is left to the operation: an attempt cannot be interrupted, so it is
//! told its deadline ([`Attempt::deadline`], and [`time_left`] in a form that sockets take) and must
//! keep it itself.
//!
//! ```
//! use mainstay::core::policy::call::CallConfig;
//! use mainstay::{blocking, retry::Retry};
//!
//! let retry = Retry::new(&CallConfig::default())?;
//! let answer = blocking::call(&retry, |attempt| {
//!     if attempt.number < 2 { Err("not yet") } else { Ok(42) }
//! });
//! assert_eq!(answer.unwrap(), 42);
//! # Ok::<(), mainstay::core::config::ConfigError>(())
//! ```

use std::thread;
use std::time::Duration;

use mainstay_core::time::{Instant, Moment};

use crate::classify::{Attempt, Classify};
use crate::clock;
use crate::retry::{CallError, Clock, Next, Nobody, Retry, Run};

/// Runs `op` on this thread until it works, is not worth another try, or a limit is reached.
///
/// # Errors
///
/// See [`Retry::call`].
pub fn call<T, E, C: Classify<T, E>>(
    retry: &Retry<C>,
    op: impl FnMut(Attempt) -> Result<T, E>,
) -> Result<T, CallError<E>> {
    call_by(retry, op, thread::sleep)
}

/// Like [`call`], with another way to sleep: one that returns early when the program is told to end,
/// say. A wait that returns early is begun again with what is left of it.
///
/// # Errors
///
/// See [`Retry::call`].
pub fn call_by<T, E, C: Classify<T, E>>(
    retry: &Retry<C>,
    mut op: impl FnMut(Attempt) -> Result<T, E>,
    mut sleep: impl FnMut(Duration),
) -> Result<T, CallError<E>> {
    let mut run = Run::start(retry, Nobody, CLOCK);
    loop {
        let next = match run.admit_now() {
            Ok(attempt) => run.ended(Ok(op(attempt)), attempt, None),
            Err(next) => next,
        };
        match next {
            Next::Return(result) => return result,
            Next::Wait(until) => {
                loop {
                    let left = until.since(clock::now_blocking());
                    if left.is_zero() {
                        break;
                    }
                    sleep(left);
                }
                run.wait_over()?;
            }
        }
    }
}

/// What is left until `deadline`, at least a millisecond: sockets refuse a timeout of zero.
#[must_use]
pub fn time_left(deadline: Option<Instant>) -> Option<Duration> {
    deadline.map(|end| end.since(clock::now_blocking()).max(Duration::from_millis(1)))
}

/// The operating system's clock, which nothing pauses.
const CLOCK: Clock = Clock { now: clock::now_blocking, moment };

fn moment() -> Moment {
    Moment { now: clock::now_blocking(), bits: clock::draw() }
}
