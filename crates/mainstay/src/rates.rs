//! How often each of many may ask.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay_core::config::ConfigError;
use mainstay_core::policy::rate::{NotAdmitted, RateConfig, RateLimit};
use mainstay_core::time::Instant;

/// Callers that are told apart. When more come at once, all further ones share one limit.
const CALLERS_MAX: usize = 16_384;

/// One [rate limit](RateLimit) for each caller: an address, a key, whatever tells them apart.
///
/// Up to 16 384 callers have a limit of their own; when more come at once, all further ones share
/// one until some have rested.
///
/// ```
/// use std::time::Duration;
/// use mainstay::core::time::Instant;
/// use mainstay::rates::Rates;
///
/// let rates = Rates::new(100, Duration::from_secs(60), 2)?;
/// let now = Instant::from_millis(0);
/// assert_eq!(rates.admit(now, "ann"), Ok(()));
/// assert_eq!(rates.admit(now, "ann"), Ok(()));
/// assert_eq!(rates.admit(now, "ann"), Err(1), "in a second");
/// assert_eq!(rates.admit(now, "bob"), Ok(()));
/// # Ok::<(), mainstay::core::config::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct Rates<K> {
    config: RateConfig,
    /// After so long without a request a caller has its whole burst again.
    rested: Duration,
    state: Mutex<State<K>>,
}

#[derive(Debug)]
struct State<K> {
    known: HashMap<K, Known>,
    /// For those who cannot be told apart.
    others: RateLimit,
}

#[derive(Debug)]
struct Known {
    limit: RateLimit,
    seen: Instant,
}

impl<K: Eq + Hash> Rates<K> {
    /// So many requests in each `period`, and so many at once after a rest.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when that makes no sense.
    pub fn new(limit: u32, period: Duration, burst: u32) -> Result<Self, ConfigError> {
        let config = RateConfig { limit, period, burst, max_wait: Duration::ZERO };
        let others = RateLimit::new(&config)?;
        let rested = period.saturating_mul(burst) / limit.max(1);
        Ok(Self { config, rested, state: Mutex::new(State { known: HashMap::new(), others }) })
    }

    /// Counts a request of that caller.
    ///
    /// # Errors
    ///
    /// In how many seconds there may be another one, at least 1.
    ///
    /// # Panics
    ///
    /// Never: the configuration was checked when the first limit was made.
    pub fn admit(&self, now: Instant, from: K) -> Result<(), u32> {
        self.admit_many(now, from, 1)
    }

    /// Counts so many requests of that caller, all or none; more than the burst are never admitted.
    ///
    /// # Errors
    ///
    /// In how many seconds there may be as many, at least 1.
    ///
    /// # Panics
    ///
    /// Never: the configuration was checked when the first limit was made.
    pub fn admit_many(&self, now: Instant, from: K, n: u32) -> Result<(), u32> {
        let mut state = self.state();
        let State { known, others } = &mut *state;
        if known.len() >= CALLERS_MAX && !known.contains_key(&from) {
            known.retain(|_, one| now.since(one.seen) < self.rested);
        }
        let admitted = if known.len() >= CALLERS_MAX && !known.contains_key(&from) {
            others.admit(now, n)
        } else {
            let one = known.entry(from).or_insert_with(|| Known {
                // The one for others was made of the same.
                limit: RateLimit::new(&self.config).expect("a checked configuration"),
                seen: now,
            });
            one.seen = now;
            one.limit.admit(now, n)
        };
        admitted.map_err(|why| match why {
            NotAdmitted::NotUntil { at } => {
                let seconds = at.since(now).as_millis().div_ceil(1000).max(1);
                u32::try_from(seconds).unwrap_or(u32::MAX)
            }
            NotAdmitted::TooLarge { .. } => 1,
        })
    }

    fn state(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn each_caller_has_a_limit_of_its_own() {
        let rates = Rates::new(10, Duration::from_secs(60), 3).unwrap();
        let (one, other) = (1, 2);
        for _ in 0..3 {
            assert_eq!(rates.admit(at(100), one), Ok(()));
        }
        assert_eq!(rates.admit(at(100), one), Err(6));
        assert_eq!(rates.admit(at(100), other), Ok(()));
        assert_eq!(rates.admit(at(106), one), Ok(()));
        assert_eq!(rates.admit(at(106), one), Err(6));
    }

    #[test]
    fn more_callers_than_are_told_apart_share_one_limit_until_some_have_rested() {
        let rates = Rates::new(1, Duration::from_secs(1), 2).unwrap();
        let most = u32::try_from(CALLERS_MAX).unwrap();
        for number in 0..most {
            assert_eq!(rates.admit(at(1), number), Ok(()));
        }
        assert_eq!(rates.admit(at(1), most), Ok(()));
        assert_eq!(rates.admit(at(1), most + 1), Ok(()));
        assert_eq!(rates.admit(at(1), most + 2), Err(1), "they share it");
        assert_eq!(rates.admit(at(1), 0), Ok(()), "one that is known has its own");
        assert_eq!(rates.state().known.len(), CALLERS_MAX);
        assert_eq!(rates.admit(at(3), most + 2), Ok(()));
        assert_eq!(rates.state().known.len(), 1, "all others have rested");
    }
}
