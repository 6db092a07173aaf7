//! The clock and the random bits that the machines of [`mainstay_core`] are given.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainstay_core::bits::bits;
use mainstay_core::time::Instant;

/// How long before the first reading the origin lies.
///
/// A test's paused runtime may have been frozen before another thread read the clock first; a day of
/// room keeps its readings above zero.
const ROOM: Duration = Duration::from_secs(24 * 3600);

static ORIGIN: LazyLock<std::time::Instant> = LazyLock::new(|| {
    let now = std::time::Instant::now();
    now.checked_sub(ROOM).unwrap_or(now)
});
static SEED: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(0_u64));
static STREAMS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The stream of this thread (from 1; 0 before the first draw), and how often it has drawn.
    static DRAWS: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// Now, on tokio's monotonic clock, which tests may pause.
#[must_use]
pub fn now() -> Instant {
    from_tokio(tokio::time::Instant::now())
}

/// Now, on the operating system's monotonic clock, for code outside a runtime.
#[must_use]
pub fn now_blocking() -> Instant {
    Instant::from_nanos(mainstay_core::time::nanos(ORIGIN.elapsed()))
}

/// 64 fresh random bits, keyed by process entropy, thread and draw: no two draws are alike.
#[must_use]
pub fn draw() -> u64 {
    DRAWS.with(|draws| {
        let (mut stream, counter) = draws.get();
        if stream == 0 {
            stream = STREAMS.fetch_add(1, Ordering::Relaxed) + 1;
        }
        draws.set((stream, counter.wrapping_add(1)));
        bits(*SEED, stream, counter)
    })
}

/// The reading of tokio's clock `instant` as a machine sees it.
#[must_use]
pub fn from_tokio(instant: tokio::time::Instant) -> Instant {
    let since = instant.into_std().saturating_duration_since(*ORIGIN);
    // A process does not live for the 584 years that would overflow.
    let nanos = since.as_secs().wrapping_mul(1_000_000_000);
    Instant::from_nanos(nanos.wrapping_add(u64::from(since.subsec_nanos())))
}

/// The point `instant` on tokio's clock.
#[must_use]
pub fn to_tokio(instant: Instant) -> tokio::time::Instant {
    let since = instant.since(Instant::from_nanos(0));
    let far = || tokio::time::Instant::now() + mainstay_core::config::LONGEST;
    ORIGIN.checked_add(since).map_or_else(far, tokio::time::Instant::from_std)
}

/// Waits until `instant`.
pub async fn sleep_until(instant: Instant) {
    tokio::time::sleep_until(to_tokio(instant)).await;
}
