use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use mainstay_core::policy::call::Verdict;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use crate::classify::Attempt;
use crate::gate::Gate;
use crate::trace::{TraceContext, Work, span, within};

/// The spans of one operation, for whoever follows traces.
pub(super) struct Spans {
    operation: Span,
    /// What its attempts are done for; none where nobody traces.
    trace: Option<Arc<TraceContext>>,
    /// Of the last attempt, until it is known what came of it. Nothing while nobody looks.
    attempt: Mutex<Option<Span>>,
}

impl Spans {
    #[inline]
    pub(super) const fn new(operation: Span, trace: Option<Arc<TraceContext>>) -> Self {
        Self { operation, trace, attempt: Mutex::new(None) }
    }

    /// Makes an attempt, in a span of its own.
    #[inline]
    pub(super) fn attempt<F, Fut>(
        &self,
        attempt: Attempt,
        gate: Option<&Gate>,
        op: &mut F,
    ) -> impl Future<Output = Fut::Output> + use<F, Fut>
    where
        F: FnMut(Attempt) -> Fut,
        Fut: Future,
    {
        let work = self.trace.as_deref().map(Work::within);
        let span = span!(
            DEBUG, "attempt", work.as_ref(), number = attempt.number,
            breaker = gate.map(|gate| gate.state().as_str()),
            outcome = Empty, error.type = Empty
        );
        let own = Work::seen(work, &span).map(Work::shared);
        if !span.is_disabled() {
            *self.open() = Some(span.clone());
        }
        within(own.or_else(|| self.trace.clone()), op(attempt)).instrument(span)
    }

    /// The attempt under way failed.
    pub(super) fn failed(&self, class: &'static str, kind: &'static str) {
        if let Some(span) = self.take() {
            span.record("outcome", class).record("error.type", kind);
        }
    }

    /// The operation is over.
    #[inline]
    pub(super) fn done(&self, verdict: Verdict, attempts: u32) {
        if !self.operation.is_disabled() {
            self.seen_done(verdict, attempts);
        }
    }

    fn seen_done(&self, verdict: Verdict, attempts: u32) {
        let attempt = self.take();
        self.operation.record("outcome", verdict.as_str()).record("attempts", attempts);
        if verdict == Verdict::Succeeded {
            attempt.iter().for_each(|span| _ = span.record("outcome", "success"));
        } else {
            self.operation.record("error.type", verdict.as_str());
        }
    }

    fn take(&self) -> Option<Span> {
        if self.operation.is_disabled() { None } else { self.open().take() }
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Option<Span>> {
        self.attempt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
