//! How long clients wait, and what they draw.

use std::time::Duration;

use mainstay::clock;
use mainstay::core::bits::uniform;
use mainstay_wire::{Bye, Retry, Schedule, Verdict};

/// How a client waits that was never told.
pub(super) const SCHEDULE: Schedule = Schedule { base_ms: 500, max_ms: 10_000, jitter_ms: 500 };
/// When a client comes back that is to come back later, and was not told when.
const RETRY: Retry = Retry { after_ms: 1_000, jitter_ms: 1_000 };

/// A random share of the first wait.
pub(super) fn first(schedule: Schedule) -> Duration {
    drawn(schedule.base_ms.saturating_add(schedule.jitter_ms))
}

/// The wait after so many failures in a row.
pub(super) fn later(schedule: Schedule, failures: u32) -> Duration {
    let Schedule { base_ms, max_ms, jitter_ms } = schedule;
    let doubled = base_ms.saturating_mul(1 << failures.min(16));
    drawn(doubled.min(max_ms).saturating_add(jitter_ms))
}

/// When the server wants a client back; none when it does not.
pub(super) fn asked(bye: &Bye, schedule: Schedule, failures: u32) -> Option<Duration> {
    match Verdict::of(bye.code) {
        Some(Verdict::Final) => None,
        Some(Verdict::AfterRetry) => {
            let Retry { after_ms, jitter_ms } = bye.retry.unwrap_or(RETRY);
            Some(Duration::from_millis(after_ms).saturating_add(drawn(jitter_ms)))
        }
        Some(Verdict::AtOnce) | None => Some(later(schedule, failures)),
    }
}

/// A random time up to `ms` milliseconds.
fn drawn(ms: u64) -> Duration {
    share(Duration::from_millis(ms))
}

/// A random share of a time.
pub(super) fn share(most: Duration) -> Duration {
    let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(uniform(clock::draw(), nanos))
}
