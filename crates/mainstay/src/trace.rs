//! Traces that go on over HTTP calls, as W3C Trace Context has them.

use std::future::Future;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
pub use mainstay_core::trace::{NoTraceParent, TraceParent};

use crate::clock;

const PARENT: HeaderName = HeaderName::from_static("traceparent");
const STATE: HeaderName = HeaderName::from_static("tracestate");
/// The most bytes of a state that is passed on; the recommendation asks for 512 at least.
const STATE_MAX: usize = 4096;

tokio::task_local! {
    static CURRENT: TraceContext;
}

/// The trace that a task works for: sent by [`http::Client`](crate::http::Client) with each attempt of
/// each call, as `traceparent` and `tracestate`.
///
/// ```
/// use mainstay::trace::TraceContext;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let trace = TraceContext::begin(true);
/// let id = trace.parent().trace_id();
/// trace.scope(async {
///     let current = TraceContext::current().expect("inside a scope");
///     assert_eq!(current.parent().trace_id(), id);
/// }).await;
/// assert!(TraceContext::current().is_none());
/// # });
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    parent: TraceParent,
    /// As it came, line for line.
    state: Arc<[HeaderValue]>,
}

impl TraceContext {
    /// A trace that begins here; `sampled` says whether it is recorded.
    #[must_use]
    pub fn begin(sampled: bool) -> Self {
        let bits = (clock::draw(), clock::draw(), clock::draw());
        Self { parent: TraceParent::root(bits, sampled), state: Arc::default() }
    }

    /// The trace that came with a request; none without exactly one good `traceparent`.
    ///
    /// A `tracestate` of more than 4096 bytes is left out.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut shown = headers.get_all(PARENT).iter();
        let parent = shown.next()?.to_str().ok()?.parse().ok()?;
        if shown.next().is_some() {
            return None;
        }
        let state: Arc<[HeaderValue]> = headers.get_all(STATE).iter().cloned().collect();
        let fits = state.iter().map(HeaderValue::len).sum::<usize>() <= STATE_MAX;
        Some(Self { parent, state: if fits { state } else { Arc::default() } })
    }

    /// Which trace it is, and what called.
    #[must_use]
    pub const fn parent(&self) -> TraceParent {
        self.parent
    }

    /// The same trace, with a caller of its own.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { parent: self.parent.child(clock::draw()), state: Arc::clone(&self.state) }
    }

    /// The trace that this task works for; none outside of a [`scope`](Self::scope). Tasks that are
    /// spawned have none: put them into a scope of their own.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Does `work` for this trace.
    pub async fn scope<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }

    /// Adds a child of the current trace to a request that names none itself.
    pub(crate) fn send(headers: &mut HeaderMap) {
        if headers.contains_key(PARENT) {
            return;
        }
        let Some(trace) = Self::current() else { return };
        let child = trace.child();
        let Ok(parent) = HeaderValue::try_from(child.parent.to_string()) else { return };
        headers.insert(PARENT, parent);
        // One without its parent is of another trace.
        headers.remove(STATE);
        for state in &*child.state {
            headers.append(STATE, state.clone());
        }
    }
}
