//! A cache in front of calls: one load at a time per key, short memory for *not found*, and stale
//! values when the source fails.
//!
//! * **One load at a time.** Who asks for a key that is being loaded waits for that load and shares
//!   what comes of it, its error too. When the one that loads goes away, the next in line takes over.
//! * **Errors are not kept.** The next call asks again.
//! * **Not found is kept**, for [`CacheConfig::negative_ttl`].
//! * **Stale on error.** A value past its time is still served for [`CacheConfig::stale_on_error`]
//!   when it cannot be loaded again.
//! * **Lifetimes are jittered**, so that what was stored together does not expire together.

use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay_core::bits::uniform;
use mainstay_core::config::{ConfigError, Ratio, duration_from, in_range};
use mainstay_core::time::{Instant, nanos};
use quick_cache::sync::{self, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, Lifecycle, UnitWeighter};
use serde::{Deserialize, Serialize};

use crate::clock;

/// What a [`Cache`] is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheConfig {
    /// Values kept; the least useful ones make room. 1 to 100 million. Default 10 000 (seed 002).
    pub capacity: usize,
    /// How long a value is good. Default 5 min (seed 002).
    #[serde(with = "mainstay_core::config::duration")]
    pub ttl: Duration,
    /// Share of a lifetime taken off at random. 0 to 1. Default 0.1.
    pub ttl_jitter: Ratio,
    /// How long *not found* is good. Default 10 s.
    #[serde(with = "mainstay_core::config::duration")]
    pub negative_ttl: Duration,
    /// How long past its time a value is served when it cannot be loaded again. Default 1 min; zero
    /// never.
    #[serde(with = "mainstay_core::config::duration")]
    pub stale_on_error: Duration,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            capacity: 10_000,
            ttl: Duration::from_secs(300),
            ttl_jitter: Ratio::percent(10),
            negative_ttl: Duration::from_secs(10),
            stale_on_error: Duration::from_secs(60),
        }
    }
}

/// What a cache has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct CacheStats {
    /// Answers from memory.
    pub hits: u64,
    /// Answers that had to be loaded, or shared a load under way.
    pub misses: u64,
    /// Values past their time, served because their source failed.
    pub stale: u64,
    /// Loads made.
    pub loads: u64,
    /// Loads that failed.
    pub errors: u64,
    /// Values kept now.
    pub size: usize,
    /// The most of them.
    pub capacity: usize,
    /// Share of answers from memory, from 0 to 1.
    pub hit_rate: f64,
}

/// A cache of `V` by `K`, whose loads fail with `E`. Clones share it.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use mainstay::cache::{Cache, CacheConfig};
///
/// let cache: Cache<&str, u32, std::io::Error> = Cache::new(&CacheConfig::default())?;
/// let answer = cache.get_or_load("key", || async { Ok(Some(42)) }).await;
/// assert_eq!(answer.unwrap(), Some(42));
/// assert_eq!(cache.get(&"key"), Some(Some(42)));
/// # Ok::<(), mainstay::core::config::ConfigError>(())
/// # }).unwrap();
/// ```
pub struct Cache<K, V, E> {
    shared: Arc<Shared<K, V, E>>,
}

struct Shared<K, V, E> {
    config: CacheConfig,
    slots: Slots<K, V, E>,
    hits: AtomicU64,
    misses: AtomicU64,
    stale: AtomicU64,
    loads: AtomicU64,
    errors: AtomicU64,
}

type Slots<K, V, E> =
    sync::Cache<K, Arc<Slot<V, E>>, UnitWeighter, DefaultHashBuilder, InUse<K, V, E>>;

/// Keeps the slots that somebody loads or waits for: whoever asks for such a key next must find the
/// load under way. There are at most as many as calls.
struct InUse<K, V, E>(DefaultLifecycle<K, Arc<Slot<V, E>>>);

impl<K, V, E> Clone for InUse<K, V, E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K, V, E> Lifecycle<K, Arc<Slot<V, E>>> for InUse<K, V, E> {
    type RequestState =
        <DefaultLifecycle<K, Arc<Slot<V, E>>> as Lifecycle<K, Arc<Slot<V, E>>>>::RequestState;

    fn is_pinned(&self, _key: &K, slot: &Arc<Slot<V, E>>) -> bool {
        Arc::strong_count(slot) > 1
    }

    fn on_evict(&self, state: &mut Self::RequestState, key: K, slot: Arc<Slot<V, E>>) {
        self.0.on_evict(state, key, slot);
    }
}

struct Slot<V, E> {
    /// Held by the one that loads.
    flight: tokio::sync::Mutex<()>,
    kept: Mutex<Kept<V, E>>,
}

struct Kept<V, E> {
    value: Option<Option<V>>,
    good_until: Instant,
    served_until: Instant,
    /// How many loads have failed, and how the last one did: for those who waited for it.
    failures: u64,
    error: Option<Arc<E>>,
}

impl<K, V, E> Clone for Cache<K, V, E> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<K, V, E> fmt::Debug for Cache<K, V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

impl<V, E> Slot<V, E> {
    fn empty() -> Arc<Self> {
        let kept = Kept {
            value: None,
            good_until: Instant::default(),
            served_until: Instant::default(),
            failures: 0,
            error: None,
        };
        Arc::new(Self { flight: tokio::sync::Mutex::new(()), kept: Mutex::new(kept) })
    }

    fn kept(&self) -> MutexGuard<'_, Kept<V, E>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V: Clone, E> Slot<V, E> {
    fn good(&self, now: Instant) -> Option<Option<V>> {
        let kept = self.kept();
        if now < kept.good_until { kept.value.clone() } else { None }
    }
}

impl<K: Eq + Hash + Clone, V: Clone, E> Cache<K, V, E> {
    /// An empty cache.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field that makes no sense.
    pub fn new(config: &CacheConfig) -> Result<Self, ConfigError> {
        in_range("capacity", config.capacity, 1, 100_000_000)?;
        in_range("ttl_jitter", config.ttl_jitter, Ratio::ZERO, Ratio::ONE)?;
        duration_from("ttl", config.ttl, Duration::from_millis(1))?;
        duration_from("negative_ttl", config.negative_ttl, Duration::ZERO)?;
        duration_from("stale_on_error", config.stale_on_error, Duration::ZERO)?;
        let shared = Shared {
            config: *config,
            slots: sync::Cache::with(
                config.capacity,
                config.capacity as u64,
                UnitWeighter,
                DefaultHashBuilder::default(),
                InUse(DefaultLifecycle::default()),
            ),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            stale: AtomicU64::new(0),
            loads: AtomicU64::new(0),
            errors: AtomicU64::new(0),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// What is kept for `key`, if it is still good: a value, or *not found*. Does not count.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<Option<V>> {
        self.shared.slots.get(key)?.good(clock::now())
    }

    /// What is kept for `key`, or what `load` brings. `Ok(None)` is *not found*.
    ///
    /// # Errors
    ///
    /// The load's error, shared by all who waited for it.
    pub async fn get_or_load<Fut>(
        &self,
        key: K,
        load: impl FnOnce() -> Fut,
    ) -> Result<Option<V>, Arc<E>>
    where
        Fut: Future<Output = Result<Option<V>, E>>,
    {
        let shared = &self.shared;
        let slot = shared.slot(&key);
        if let Some(value) = slot.good(clock::now()) {
            shared.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(value);
        }
        shared.misses.fetch_add(1, Ordering::Relaxed);
        let failures_before = slot.kept().failures;
        // Cancelled here, the next in line gets the lock.
        let _flight = slot.flight.lock().await;
        let now = clock::now();
        if let Some(value) = slot.good(now) {
            return Ok(value);
        }
        {
            let kept = slot.kept();
            if let (true, Some(error)) = (kept.failures > failures_before, &kept.error) {
                // The load we waited for has failed: what came of it is ours too.
                return shared.stale(&kept, now).ok_or_else(|| Arc::clone(error));
            }
        }
        shared.loads.fetch_add(1, Ordering::Relaxed);
        match load().await {
            Ok(value) => {
                shared.keep(&slot, value.clone());
                Ok(value)
            }
            Err(error) => {
                shared.errors.fetch_add(1, Ordering::Relaxed);
                let mut kept = slot.kept();
                kept.failures += 1;
                let error = Arc::new(error);
                kept.error = Some(Arc::clone(&error));
                let stale = shared.stale(&kept, clock::now());
                let is_empty = kept.value.is_none();
                drop(kept);
                if is_empty {
                    // Those who wait have the slot in hand; nobody else needs it.
                    shared.slots.remove_if(&key, |kept| Arc::ptr_eq(kept, &slot));
                }
                stale.ok_or(error)
            }
        }
    }

    /// Keeps `value` for `key` (`None` is *not found*), as if it had been loaded.
    pub fn insert(&self, key: &K, value: Option<V>) {
        self.shared.keep(&self.shared.slot(key), value);
    }

    /// Forgets `key`; answers whether it was kept.
    pub fn invalidate(&self, key: &K) -> bool {
        self.shared.slots.remove(key).is_some()
    }

    /// Forgets everything, and its statistics.
    pub fn clear(&self) {
        let shared = &self.shared;
        shared.slots.clear();
        for count in [&shared.hits, &shared.misses, &shared.stale, &shared.loads, &shared.errors] {
            count.store(0, Ordering::Relaxed);
        }
    }

    /// What the cache has seen.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        let shared = &self.shared;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (hits, misses) = (read(&shared.hits), read(&shared.misses));
        CacheStats {
            hits,
            misses,
            stale: read(&shared.stale),
            loads: read(&shared.loads),
            errors: read(&shared.errors),
            size: shared.slots.len(),
            capacity: shared.config.capacity,
            hit_rate: Ratio::of(hits, hits + misses).as_f64(),
        }
    }
}

impl<K: Eq + Hash + Clone, V: Clone, E> Shared<K, V, E> {
    fn slot(&self, key: &K) -> Arc<Slot<V, E>> {
        let made = self.slots.get_or_insert_with(key, || Ok::<_, fmt::Error>(Slot::empty()));
        made.unwrap_or_else(|_| Slot::empty())
    }

    fn keep(&self, slot: &Slot<V, E>, value: Option<V>) {
        let ttl = if value.is_some() { self.config.ttl } else { self.config.negative_ttl };
        let spread = uniform(clock::draw(), self.config.ttl_jitter.times(nanos(ttl)));
        let good_for = ttl.saturating_sub(Duration::from_nanos(spread));
        let now = clock::now();
        let mut kept = slot.kept();
        kept.good_until = now.after(good_for);
        // *Not found* is never served past its time: it may have been found since.
        let stale = if value.is_some() { self.config.stale_on_error } else { Duration::ZERO };
        kept.served_until = kept.good_until.after(stale);
        kept.value = Some(value);
        kept.error = None;
    }

    fn stale(&self, kept: &Kept<V, E>, now: Instant) -> Option<Option<V>> {
        if now >= kept.served_until {
            return None;
        }
        self.stale.fetch_add(1, Ordering::Relaxed);
        kept.value.clone()
    }
}
