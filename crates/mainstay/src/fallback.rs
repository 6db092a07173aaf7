//! Something to answer with when a call did not work.
//!
//! A fallback must not hide what happened: it is not asked when the *caller* cancelled, and when it
//! fails too, both errors come back.

use std::error::Error;
use std::fmt;
use std::future::Future;

use mainstay_core::policy::call::Verdict;

use crate::retry::CallError;

/// The call failed, and its fallback too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FallbackError<E, F> {
    /// Why the call failed.
    pub call: CallError<E>,
    /// Why the fallback failed; `None` when it was not asked (the call was cancelled).
    pub fallback: Option<F>,
}

impl<E, F: fmt::Display> fmt::Display for FallbackError<E, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fallback {
            Some(error) => write!(f, "the call and its fallback failed ({error})"),
            None => f.write_str("the call was cancelled"),
        }
    }
}

impl<E: Error + 'static, F: fmt::Debug + fmt::Display> Error for FallbackError<E, F> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.call)
    }
}

/// Answers with `result`, or with what `fallback` makes of the error.
///
/// # Errors
///
/// [`FallbackError`] with both errors when `fallback` fails, and with the call's alone when it was
/// cancelled.
pub async fn or_else<T, E, F, Fut>(
    result: Result<T, CallError<E>>,
    fallback: impl FnOnce(&CallError<E>) -> Fut,
) -> Result<T, FallbackError<E, F>>
where
    Fut: Future<Output = Result<T, F>>,
{
    let call = match result {
        Ok(value) => return Ok(value),
        Err(call) if call.verdict == Verdict::Cancelled => {
            return Err(FallbackError { call, fallback: None });
        }
        Err(call) => call,
    };
    match fallback(&call).await {
        Ok(value) => Ok(value),
        Err(error) => Err(FallbackError { call, fallback: Some(error) }),
    }
}
