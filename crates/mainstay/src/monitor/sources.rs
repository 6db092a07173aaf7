use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use mainstay_monitor::engine::Reading;

use crate::gate::{Gate, GateView};
use crate::link::Link;

/// What a cache has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheFigures {
    /// Lookups that it answered, since it was made.
    pub hits: u64,
    /// Lookups that it did not.
    pub misses: u64,
    /// Places that are taken now.
    pub taken: u64,
    /// All its places.
    pub places: u64,
}

#[cfg(feature = "cache")]
impl From<crate::cache::CacheStats> for CacheFigures {
    fn from(stats: crate::cache::CacheStats) -> Self {
        let count = |number| u64::try_from(number).unwrap_or(u64::MAX);
        Self {
            hits: stats.hits,
            misses: stats.misses,
            taken: count(stats.size),
            places: count(stats.capacity),
        }
    }
}

/// What is watched beside what has a list of its own: caches, and the links and gates inside of other
/// parts. Clones share it.
///
/// Names must differ from those of other links, gates and caches that the same monitor watches.
///
/// ```
/// use mainstay::monitor::{CacheFigures, Sources};
///
/// let sources = Sources::default();
/// sources.cache("verdicts", || CacheFigures { hits: 7, misses: 3, taken: 3, places: 100 });
/// assert_eq!(sources.caches()[0].1.hits, 7);
/// ```
#[derive(Clone, Default)]
pub struct Sources(Arc<Mutex<All>>);

#[derive(Default)]
struct All {
    links: Vec<Named<Option<Link>>>,
    expiries: Vec<Named<Option<SystemTime>>>,
    gates: Vec<(Arc<str>, Gate)>,
    caches: Vec<Named<CacheFigures>>,
    readings: Vec<Ask<Vec<Reading>>>,
}

type Ask<T> = Box<dyn Fn() -> T + Send + Sync>;
type Named<T> = (Arc<str>, Ask<T>);

impl Sources {
    /// Watches a link, once there is one. `link` must answer at once.
    pub fn link(&self, name: &str, link: impl Fn() -> Option<Link> + Send + Sync + 'static) {
        self.all().links.push((name.into(), Box::new(link)));
    }

    /// Watches until when the certificate is valid that a link's peer shows, once that is known.
    /// `expiry` must answer at once.
    pub fn certificate(
        &self,
        name: &str,
        expiry: impl Fn() -> Option<SystemTime> + Send + Sync + 'static,
    ) {
        self.all().expiries.push((name.into(), Box::new(expiry)));
    }

    /// Watches a gate.
    pub fn gate(&self, name: &str, gate: Gate) {
        self.all().gates.push((name.into(), gate));
    }

    /// Watches a cache. `figures` must answer at once.
    pub fn cache(&self, name: &str, figures: impl Fn() -> CacheFigures + Send + Sync + 'static) {
        self.all().caches.push((name.into(), Box::new(figures)));
    }

    /// Takes readings for rules to judge. `readings` must answer at once.
    pub fn reading(&self, readings: impl Fn() -> Vec<Reading> + Send + Sync + 'static) {
        self.all().readings.push(Box::new(readings));
    }

    /// The links that there are now.
    #[must_use]
    pub fn links(&self) -> Vec<(Arc<str>, Link)> {
        let all = self.all();
        all.links.iter().filter_map(|(name, link)| Some((name.clone(), link()?))).collect()
    }

    /// Until when the certificates are valid that are known now.
    #[must_use]
    pub fn certificates(&self) -> Vec<(Arc<str>, SystemTime)> {
        let all = self.all();
        all.expiries.iter().filter_map(|(name, expiry)| Some((name.clone(), expiry()?))).collect()
    }

    /// The gates as they are now, under the names given here.
    #[must_use]
    pub fn gates(&self) -> Vec<GateView> {
        let all = self.all();
        all.gates
            .iter()
            .map(|(name, gate)| GateView { name: name.clone(), ..gate.view() })
            .collect()
    }

    /// The caches as they are now.
    #[must_use]
    pub fn caches(&self) -> Vec<(Arc<str>, CacheFigures)> {
        self.all().caches.iter().map(|(name, figures)| (name.clone(), figures())).collect()
    }

    /// The readings of this moment.
    #[must_use]
    pub fn readings(&self) -> Vec<Reading> {
        self.all().readings.iter().flat_map(|readings| readings()).collect()
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}
