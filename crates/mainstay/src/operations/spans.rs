use std::future::Future;
use std::sync::{Mutex, PoisonError};

use mainstay_core::policy::call::Verdict;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use crate::classify::Attempt;
use crate::gate::Gate;
use crate::trace::{Work, span};

/// The spans of one operation, for whoever follows traces.
pub(super) struct Spans {
    operation: Span,
    /// Of the last attempt, until it is known what came of it. Nothing while nobody looks.
    attempt: Mutex<Option<Span>>,
}

impl Spans {
    pub(super) const fn new(operation: Span) -> Self {
        Self { operation, attempt: Mutex::new(None) }
    }

    /// Makes an attempt, in a span of its own.
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
        let work = Work::join();
        let span = span!(
            DEBUG, "attempt", work.as_ref(), number = attempt.number,
            breaker = gate.map(|gate| gate.state().as_str()),
            outcome = Empty, error.type = Empty
        );
        let work = Work::seen(work, &span);
        if !span.is_disabled() {
            *self.open() = Some(span.clone());
        }
        Work::scope(work, op(attempt)).instrument(span)
    }

    /// The attempt under way failed.
    pub(super) fn failed(&self, class: &'static str, kind: &'static str) {
        if let Some(span) = self.take() {
            span.record("outcome", class).record("error.type", kind);
        }
    }

    /// The operation is over.
    pub(super) fn done(&self, verdict: Verdict, attempts: u32) {
        if self.operation.is_disabled() {
            return;
        }
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
