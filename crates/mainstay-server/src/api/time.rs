//! Times and durations as the API writes them.

use std::time::{Duration, SystemTime};

use jiff::{Timestamp, Unit};
use mainstay::clock;
use mainstay::core::time::Instant;

/// A wall-clock time as RFC 3339 in UTC, to the millisecond.
pub(super) fn text(at: SystemTime) -> String {
    let stamp = Timestamp::try_from(at).unwrap_or(Timestamp::UNIX_EPOCH);
    // Always three digits: so texts sort as times do.
    format!("{:.3}", stamp.round(Unit::Millisecond).unwrap_or(stamp))
}

/// The wall clock as RFC 3339 in UTC.
pub(crate) fn now() -> String {
    text(SystemTime::now())
}

/// Milliseconds since 1970 as RFC 3339 in UTC.
pub(crate) fn unix(ms: u64) -> String {
    let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(ms));
    text(at.unwrap_or(SystemTime::UNIX_EPOCH))
}

/// A point on the links' clock as a wall-clock time.
pub(super) fn wall(instant: Instant) -> String {
    let (now, past) = (SystemTime::now(), clock::now().since(instant));
    let future = instant.since(clock::now());
    let at = if past.is_zero() { now.checked_add(future) } else { now.checked_sub(past) };
    text(at.unwrap_or(now))
}

/// The wall clock in seconds since 1970.
pub(crate) fn unix_secs() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_in_utc() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(784_111_777_250);
        assert_eq!(text(at), "1994-11-06T08:49:37.250Z");
        assert!(wall(clock::now_blocking()).ends_with('Z'));
    }
}
