use core::time::Duration;

use crate::bits::uniform;
use crate::time::nanos;

/// How long a connection of the age limit `max_age` lives: the limit, less up to a tenth that the
/// `bits` draw, so that connections made together are not replaced together, and none outlives it.
#[must_use]
pub fn lifetime(max_age: Duration, bits: u64) -> Duration {
    let whole = nanos(max_age);
    Duration::from_nanos(whole - uniform(bits, whole / 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w43_a_connection_lives_nine_tenths_of_its_limit_at_least_and_never_longer() {
        let limit = Duration::from_secs(100);
        assert_eq!(lifetime(limit, 0), limit);
        assert_eq!(lifetime(limit, u64::MAX), Duration::from_secs(90));
        assert_eq!(lifetime(Duration::ZERO, u64::MAX), Duration::ZERO);
        assert!(lifetime(Duration::MAX, u64::MAX) <= Duration::MAX);
    }
}
