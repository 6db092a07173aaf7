//! Whether an id is valid, and how long that is believed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chittyid::{ChittyId, EntityType, Profile};
use mainstay::core::config::Ratio;
use moka::Expiry;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use serde::Serialize;
use tokio::sync::watch;

use crate::breaker::millis;
use crate::error::Error;
use crate::{CacheConfig, Credentials};

/// Others for whose answer one waits who could not use it, before one asks alone.
const IN_VAIN_MAX: u32 = 2;

/// Whether an id is valid: only the service that gives ids knows.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Verdict {
    /// The service says that it is.
    Valid {
        /// What it stands for, if the service says so.
        entity: Option<EntityType>,
        /// Its profile, if it is one of those that are known.
        profile: Option<Profile>,
        /// When it was given, as the service says.
        issued_at: Option<Arc<str>>,
    },
    /// The service says that it is not; or no id of any profile can look so.
    Invalid {
        /// Why.
        why: Arc<str>,
    },
    /// The service could not be asked: nobody knows.
    Unverified {
        /// The id, if it is at least well-formed in some profile, or what is wrong with it.
        format: Result<ChittyId, chittyid::Error>,
        /// Why it could not be asked.
        why: Arc<Error>,
    },
}

impl Verdict {
    /// Whether the service says that it is valid.
    #[must_use]
    pub const fn is_valid(&self) -> bool {
        matches!(self, Self::Valid { .. })
    }

    /// Whether the service was asked, now or a while ago.
    #[must_use]
    pub const fn is_verified(&self) -> bool {
        !matches!(self, Self::Unverified { .. })
    }
}

/// What the cache of verdicts has seen: `getCacheStats` of the seeds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CacheStats {
    /// Questions that it answered.
    pub hits: u64,
    /// Questions that it did not.
    pub misses: u64,
    /// Verdicts that went because it was full or they were too old.
    pub evictions: u64,
    /// Verdicts that came in.
    pub sets: u64,
    /// Verdicts in it.
    pub size: u64,
    /// The most of them.
    pub max_size: u64,
    /// How long *valid* is kept, in milliseconds.
    pub ttl_ms: u64,
    /// The share of the hits as text: `"77.15%"`, and `"0%"` when there were no questions.
    pub hit_rate: String,
    /// The same as a number from 0 to 1.
    pub hit_ratio: f64,
    /// Questions.
    pub total_requests: u64,
}

/// Verdicts that are believed for a while.
#[derive(Debug)]
pub(crate) struct Verdicts {
    config: CacheConfig,
    kept: Cache<Box<str>, Verdict>,
    counts: Arc<Counts>,
    flights: Flights,
}

#[derive(Debug, Default)]
struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
    evictions: AtomicU64,
    sets: AtomicU64,
}

/// Says how long each verdict is believed.
struct Believed(CacheConfig);

impl Believed {
    const fn span(&self, verdict: &Verdict) -> Duration {
        match verdict {
            Verdict::Valid { .. } => self.0.ttl,
            Verdict::Invalid { .. } => self.0.negative_ttl,
            Verdict::Unverified { .. } => Duration::ZERO,
        }
    }
}

impl Expiry<Box<str>, Verdict> for Believed {
    fn expire_after_create(&self, _: &Box<str>, verdict: &Verdict, _: Instant) -> Option<Duration> {
        Some(self.span(verdict))
    }

    fn expire_after_update(
        &self,
        _: &Box<str>,
        verdict: &Verdict,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(self.span(verdict))
    }
}

impl Verdicts {
    pub(crate) fn new(config: CacheConfig) -> Self {
        let counts = Arc::<Counts>::default();
        let evictions = counts.clone();
        let kept = Cache::builder()
            .max_capacity(config.max_size)
            .eviction_policy(EvictionPolicy::lru())
            .expire_after(Believed(config))
            .eviction_listener(move |_, _, cause| {
                if cause.was_evicted() {
                    evictions.evictions.fetch_add(1, Ordering::Relaxed);
                }
            })
            .build();
        Self { config, kept, counts, flights: Flights::default() }
    }

    /// The verdict, if it is still believed; counts.
    pub(crate) fn get(&self, id: &str) -> Option<Verdict> {
        let found = self.kept.get(id);
        let count = if found.is_some() { &self.counts.hits } else { &self.counts.misses };
        count.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// The verdict that is kept for `id`, or what `ask` brings: all who ask at the same time share one
    /// answer. What could not be asked is not kept, and is shared only by those who show the same
    /// credentials: others may be answered. Whoever waited in vain for [two](IN_VAIN_MAX) others asks
    /// alone: a crowd with bad credentials makes nobody wait for each of them.
    pub(crate) async fn get_or_ask<Fut: Future<Output = Verdict>>(
        &self,
        id: &str,
        credentials: &Credentials,
        ask: impl Fn() -> Fut,
    ) -> Verdict {
        if let Some(verdict) = self.get(id) {
            return verdict;
        }
        for _ in 0..IN_VAIN_MAX {
            match self.flights.join(id, credentials) {
                Place::Leads(flight) => {
                    // Another flight may have landed since.
                    if let Some(verdict) = self.kept.get(id) {
                        return flight.lands(verdict);
                    }
                    let verdict = ask().await;
                    self.keep(id, &verdict);
                    return flight.lands(verdict);
                }
                Place::Follows { mut flight, is_alike } => {
                    let landed = flight.wait_for(Option::is_some).await;
                    let landed = landed.ok().and_then(|landed| landed.clone());
                    if let Some(verdict) = landed.filter(|it| is_alike || it.is_verified()) {
                        return verdict;
                    }
                    // Whoever led went away, or could not be told: somebody else leads.
                }
            }
        }
        let verdict = ask().await;
        self.keep(id, &verdict);
        verdict
    }

    fn keep(&self, id: &str, verdict: &Verdict) {
        if verdict.is_verified() {
            self.kept.insert(id.into(), verdict.clone());
            self.counts.sets.fetch_add(1, Ordering::Relaxed);
            // After each: then what is used least recently goes, and nothing else.
            self.kept.run_pending_tasks();
        }
    }

    pub(crate) fn forget(&self, id: &str) {
        self.kept.invalidate(id);
    }

    pub(crate) fn clear(&self) {
        self.kept.invalidate_all();
        self.kept.run_pending_tasks();
        let counts = &self.counts;
        for count in [&counts.hits, &counts.misses, &counts.evictions, &counts.sets] {
            count.store(0, Ordering::Relaxed);
        }
    }

    pub(crate) fn stats(&self) -> CacheStats {
        self.kept.run_pending_tasks();
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (hits, misses) = (read(&self.counts.hits), read(&self.counts.misses));
        CacheStats {
            hits,
            misses,
            evictions: read(&self.counts.evictions),
            sets: read(&self.counts.sets),
            size: self.kept.entry_count(),
            max_size: self.config.max_size,
            ttl_ms: millis(self.config.ttl),
            hit_rate: percent(hits, hits + misses),
            hit_ratio: Ratio::of(hits, hits + misses).as_f64(),
            total_requests: hits + misses,
        }
    }
}

/// A share as the seeds write it: `"77.15%"`, and `"0%"` of nothing.
fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "0%".into();
    }
    let (part, whole) = (u128::from(part) * 20_000, u128::from(whole));
    let rounded = (part + whole) / (2 * whole);
    format!("{}.{:02}%", rounded / 100, rounded % 100)
}

/// Questions that are being asked.
#[derive(Debug, Default)]
struct Flights {
    under_way: Mutex<HashMap<Box<str>, UnderWay>>,
}

#[derive(Debug)]
struct UnderWay {
    /// What the one who leads shows.
    credentials: Credentials,
    flight: watch::Receiver<Option<Verdict>>,
}

enum Place<'a> {
    Leads(Flight<'a>),
    Follows {
        flight: watch::Receiver<Option<Verdict>>,
        /// Whether the one who leads shows the same.
        is_alike: bool,
    },
}

/// A question that this caller asks for all; when it is dropped, another must.
struct Flight<'a> {
    flights: &'a Flights,
    id: Box<str>,
    landing: watch::Sender<Option<Verdict>>,
}

impl Flights {
    fn join(&self, id: &str, credentials: &Credentials) -> Place<'_> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = under_way.get(id) {
            let is_alike = found.credentials == *credentials;
            return Place::Follows { flight: found.flight.clone(), is_alike };
        }
        let (landing, flight) = watch::channel(None);
        under_way.insert(id.into(), UnderWay { credentials: credentials.clone(), flight });
        Place::Leads(Flight { flights: self, id: id.into(), landing })
    }
}

impl Flight<'_> {
    fn lands(self, verdict: Verdict) -> Verdict {
        self.landing.send_replace(Some(verdict.clone()));
        verdict
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut under_way = self.flights.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(max_size: u64, ttl: Duration) -> Verdicts {
        Verdicts::new(CacheConfig { max_size, ttl, negative_ttl: ttl })
    }

    fn valid() -> Verdict {
        Verdict::Valid { entity: None, profile: None, issued_at: None }
    }

    #[test]
    fn the_oldest_entry_is_evicted_when_the_cache_is_full() {
        let cache = cache(3, Duration::from_secs(300));
        for id in ["id1", "id2", "id3", "id4"] {
            cache.keep(id, &valid());
        }
        assert!(cache.kept.get("id1").is_none());
        assert!(cache.kept.get("id4").is_some());
        let stats = cache.stats();
        assert_eq!((stats.size, stats.evictions, stats.sets), (3, 1, 4));
    }

    #[test]
    fn what_was_used_stays_and_what_is_set_again_evicts_nothing() {
        let cache = cache(3, Duration::from_secs(300));
        for id in ["id1", "id2", "id3"] {
            cache.keep(id, &valid());
        }
        assert!(cache.get("id1").is_some());
        cache.keep("id2", &valid());
        assert_eq!((cache.stats().size, cache.stats().evictions), (3, 0));
        cache.keep("id4", &valid());
        let there = ["id1", "id2", "id3", "id4"].map(|id| cache.kept.contains_key(id));
        assert_eq!(there, [true, true, false, true]);
    }

    #[test]
    fn what_is_too_old_is_a_miss_and_an_eviction() {
        let cache = cache(3, Duration::from_millis(1));
        cache.keep("id1", &valid());
        let begun = Instant::now();
        while cache.kept.get("id1").is_some() {
            assert!(begun.elapsed() < Duration::from_secs(30), "it never grows old");
            std::thread::yield_now();
        }
        assert!(cache.get("id1").is_none());
        let begun = Instant::now();
        while cache.stats().evictions == 0 {
            assert!(begun.elapsed() < Duration::from_secs(30), "it never goes");
            std::thread::yield_now();
        }
        let stats = cache.stats();
        assert_eq!((stats.size, stats.misses, stats.hits), (0, 1, 0));
    }

    proptest::proptest! {
        #[test]
        fn a_rate_as_text_is_the_rate_as_a_number_rounded(part: u32, more: u32) {
            let whole = u64::from(part) + u64::from(more);
            let text = percent(part.into(), whole);
            let number: f64 = text.strip_suffix('%').unwrap().parse().unwrap();
            let exact = if whole == 0 { 0.0 } else { f64::from(part) / whole as f64 * 100.0 };
            proptest::prop_assert!((number - exact).abs() <= 0.005_000_1, "{} {}", text, exact);
        }
    }

    #[test]
    fn rates_are_written_as_the_seeds_write_them() {
        let cases = [(0, 0, "0%"), (0, 7, "0.00%"), (1, 1, "100.00%"), (2, 3, "66.67%")];
        for (part, whole, expected) in cases {
            assert_eq!(percent(part, whole), expected);
        }
        assert_eq!(percent(7_715, 10_000), "77.15%");
    }
}
