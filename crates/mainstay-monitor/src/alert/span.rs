//! How long something has lasted, also over a restart that began the clock anew.

use std::time::Duration;

use mainstay_core::time::Instant;
use serde::{Deserialize, Serialize};

/// Since `from`, and `before` it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    from: Instant,
    before: Duration,
}

impl Span {
    pub(super) const fn new(from: Instant) -> Self {
        Self { from, before: Duration::ZERO }
    }

    /// A span that has already lasted for `before`.
    pub(super) const fn lasted(from: Instant, before: Duration) -> Self {
        Self { from, before }
    }

    pub(super) fn elapsed(self, now: Instant) -> Duration {
        self.before.saturating_add(now.since(self.from))
    }

    /// The same, when a clock that had leapt ahead is back: it must not stand still until then.
    pub(super) fn seen(self, now: Instant) -> Self {
        Self { from: self.from.min(now), ..self }
    }
}

/// A duration as text, where serde wants a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Age(#[serde(with = "mainstay_core::config::duration")] pub(super) Duration);
