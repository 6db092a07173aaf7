//! Traces that go on over HTTP calls, as W3C Trace Context has them.
//!
//! A task works for a trace inside of a [`TraceContext::scope`]. What is done there on behalf of somebody
//! has a [`Work`]: the same trace, with an id of its own, which is the `span_id` of the span that a
//! subscriber of `tracing` sees and the parent in the `traceparent` that goes out. A program that exports
//! spans says so by [`sample_new`]; then work that nobody asked for begins traces.

#[cfg(feature = "http")]
mod call;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(feature = "http")]
use http::{HeaderMap, HeaderName, HeaderValue};
use mainstay_core::config::Ratio;
pub use mainstay_core::trace::{NoTraceParent, TraceParent};

use crate::clock;
#[cfg(feature = "http")]
pub(crate) use call::Call;

#[cfg(feature = "http")]
const PARENT: HeaderName = HeaderName::from_static("traceparent");
#[cfg(feature = "http")]
const STATE: HeaderName = HeaderName::from_static("tracestate");
/// The most bytes of a state that is passed on; the recommendation asks for 512 at least.
#[cfg(feature = "http")]
const STATE_MAX: usize = 4096;

/// Traces that begin here are sampled when the random part of their id is as great; [`NOBODY`] when
/// none begin by themselves.
static THRESHOLD: AtomicU64 = AtomicU64::new(NOBODY);
const NOBODY: u64 = u64::MAX;
/// What of a trace's id is random for all who sample by it.
const RANDOM: u64 = (1 << 56) - 1;

/// From now on what this process does by itself begins traces, of which `share` are sampled: said by
/// whoever exports spans, once, for the whole process.
///
/// Which ones depends on their ids alone, as OpenTelemetry's samplers have it, so that others who
/// sample the same share choose the same traces.
///
/// ```
/// use mainstay::core::config::Ratio;
/// use mainstay::trace::{TraceContext, sample_new};
///
/// assert!(!TraceContext::root().parent().is_sampled(), "nobody exports");
/// sample_new(Ratio::ONE);
/// assert!(TraceContext::root().parent().is_sampled());
/// ```
pub fn sample_new(share: Ratio) {
    THRESHOLD.store(threshold(share), Ordering::Relaxed);
}

fn threshold(share: Ratio) -> u64 {
    let left_out = u128::from(Ratio::ONE.ppm().saturating_sub(share.ppm())) << 56;
    // At most 2^56.
    u64::try_from(left_out / u128::from(Ratio::ONE.ppm())).unwrap_or(NOBODY)
}

tokio::task_local! {
    /// As small as it can be: it is put aside and back with every poll.
    static CURRENT: Option<Arc<TraceContext>>;
}

/// The trace that a task works for: sent by the HTTP client with each attempt of each call, as
/// `traceparent` and `tracestate`.
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
    #[cfg(feature = "http")]
    state: Arc<[HeaderValue]>,
}

impl TraceContext {
    /// A trace that begins here; `sampled` says whether it is recorded.
    #[must_use]
    pub fn begin(sampled: bool) -> Self {
        Self::of(TraceParent::root(draws(), sampled))
    }

    /// The same, sampled as [`sample_new`] said; without it never.
    #[must_use]
    pub fn root() -> Self {
        let bits = draws();
        let is_sampled = bits.1 & RANDOM >= THRESHOLD.load(Ordering::Relaxed);
        Self::of(TraceParent::root(bits, is_sampled))
    }

    fn of(parent: TraceParent) -> Self {
        Self {
            parent,
            #[cfg(feature = "http")]
            state: Arc::default(),
        }
    }

    /// The trace that came with a request; none without exactly one good `traceparent`.
    ///
    /// A `tracestate` of more than 4096 bytes is left out.
    #[cfg(feature = "http")]
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
        let mut child = self.clone();
        child.parent = child.parent.child(clock::draw());
        child
    }

    /// The trace that this task works for; none outside of a [`scope`](Self::scope). Tasks that are
    /// spawned have none: put them into a scope of their own.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(|current| current.as_deref().cloned()).ok().flatten()
    }

    /// The same, not copied.
    #[inline]
    pub(crate) fn around() -> Option<Arc<Self>> {
        CURRENT.try_with(Clone::clone).ok().flatten()
    }

    /// Does `work` for this trace.
    pub async fn scope<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(Some(Arc::new(self)), work).await
    }

    /// Puts it into the head of a request that names no trace itself.
    #[cfg(feature = "http")]
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        if headers.contains_key(PARENT) {
            return;
        }
        let Ok(parent) = HeaderValue::try_from(self.parent.to_string()) else { return };
        headers.insert(PARENT, parent);
        // One without its parent is of another trace.
        headers.remove(STATE);
        for state in &*self.state {
            headers.append(STATE, state.clone());
        }
    }
}

fn draws() -> (u64, u64, u64) {
    (clock::draw(), clock::draw(), clock::draw())
}

/// Something that is done for a trace, under an id of its own.
///
/// Its texts are what a span of `tracing` has as `trace_id`, `span_id`, `parent_id` and `sampled`.
#[derive(Clone, Debug)]
pub struct Work {
    own: TraceContext,
    caller: Option<TraceParent>,
}

impl Work {
    /// For the current trace; without one for a new one, where this process [begins
    /// any](sample_new).
    #[inline]
    #[must_use]
    pub fn join() -> Option<Self> {
        match TraceContext::around() {
            Some(current) => Some(Self::within(&current)),
            None if THRESHOLD.load(Ordering::Relaxed) == NOBODY => None,
            None => Some(Self::begin()),
        }
    }

    /// For the current trace, or a new one.
    #[must_use]
    pub fn join_or_begin() -> Self {
        TraceContext::current().map_or_else(Self::begin, |current| Self::within(&current))
    }

    /// For the trace `caller`, such as that of a request.
    #[must_use]
    pub fn within(caller: &TraceContext) -> Self {
        Self { own: caller.child(), caller: Some(caller.parent) }
    }

    fn begin() -> Self {
        Self { own: TraceContext::root(), caller: None }
    }

    /// The trace with the id of this work: what it calls is called by it.
    #[must_use]
    pub const fn context(&self) -> &TraceContext {
        &self.own
    }

    /// The trace's id.
    #[must_use]
    pub fn trace_id(&self) -> String {
        self.own.parent.trace_id()
    }

    /// Its own id.
    #[must_use]
    pub fn span_id(&self) -> String {
        self.own.parent.parent_id()
    }

    /// The id of whoever wants it; none where the trace begins.
    #[must_use]
    pub fn parent_id(&self) -> Option<String> {
        self.caller.map(TraceParent::parent_id)
    }

    /// Whether the trace is recorded.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.own.parent.is_sampled()
    }

    /// What is done for this work has it: see [`within`] and [`polled`].
    pub(crate) fn shared(self) -> Arc<TraceContext> {
        Arc::new(self.own)
    }

    /// A span of this work, as [`span!`] makes it, unless nobody looks at it.
    #[inline]
    pub(crate) fn seen(this: Option<Self>, span: &tracing::Span) -> Option<Self> {
        this.filter(|_| !span.is_disabled())
    }
}

/// Does `future` for the trace `context`; for none, when there is none.
pub(crate) fn within<F: Future>(
    context: Option<Arc<TraceContext>>,
    future: F,
) -> impl Future<Output = F::Output> {
    CURRENT.scope(context, future)
}

/// What `poll` answers for the trace `context`, and without one where it is called. This costs nothing
/// where nobody traces, as a future around another would.
#[inline]
pub(crate) fn polled<T>(context: Option<&Arc<TraceContext>>, poll: impl FnOnce() -> T) -> T {
    match context {
        Some(context) => CURRENT.sync_scope(Some(Arc::clone(context)), poll),
        None => poll(),
    }
}

/// A span with the ids of a [`Work`], if there is one.
macro_rules! span {
    ($level:ident, $name:literal, $work:expr $(, $($fields:tt)*)?) => {{
        let work: Option<&$crate::trace::Work> = $work;
        tracing::span!(
            tracing::Level::$level,
            $name,
            $($($fields)*,)?
            trace_id = work.map($crate::trace::Work::trace_id),
            span_id = work.map($crate::trace::Work::span_id),
            parent_id = work.and_then($crate::trace::Work::parent_id),
            sampled = work.map($crate::trace::Work::is_sampled),
        )
    }};
}
pub(crate) use span;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_that_is_sampled_is_that_of_the_ids() {
        let of = |share| RANDOM + 1 - threshold(share);
        assert_eq!([of(Ratio::ZERO), of(Ratio::ONE)], [0, RANDOM + 1]);
        assert_eq!(of(Ratio::percent(25)), (RANDOM + 1) / 4);
        assert!(threshold(Ratio::ZERO) > RANDOM && threshold(Ratio::ZERO) != NOBODY);
    }
}
