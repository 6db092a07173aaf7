//! Several endpoints of one peer: which one a link uses.
//!
//! * **Sticky.** As long as the endpoint in use is well, it stays in use.
//! * **A failure rotates** to the endpoint that has failed least since it was last well. Which of
//!   several: by the strategy, and where it is indifferent by a draw, so that a fleet whose endpoint
//!   dies spreads over the others.
//! * **Ejection.** An endpoint that fails [`EndpointsConfig::eject_after`] times in a row is left
//!   alone for a time that grows with every further failure, capped and drawn.
//! * **Never nobody.** When all are ejected, the one whose time ends first is used.
//! * **The way back is by proof.** An endpoint that would be preferred is asked for its health every
//!   [`EndpointsConfig::return_after`]; a good answer brings the link back, nothing else does.
//!
//! | strategy | begins at | a failure rotates to, of the least failed | comes back to |
//! |---|---|---|---|
//! | ordered | the first | the first in the list | any that stands before it |
//! | round robin | a drawn one | a drawn one: each has its turn before any has a second | none: all are equal |
//! | lowest rtt | a drawn one | the fastest known, else a drawn one | any that is faster by a margin |

use alloc::boxed::Box;
use alloc::vec;
use core::time::Duration;

use crate::bits::uniform;
use crate::config::{ConfigError, Ratio, duration_from, in_range};
use crate::measure::ewma::Rtt;
use crate::policy::backoff::{Backoff, BackoffConfig, Jitter};
use crate::policy::pressure::Pressure;
use crate::time::Instant;

/// Endpoints that one peer may have.
pub const ENDPOINTS_MAX: usize = 64;

/// What [`Endpoints`] are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct EndpointsConfig {
    /// Which endpoint is preferred. Default ordered: what stands first in the list.
    pub strategy: EndpointStrategy,
    /// Failures in a row after which an endpoint is left alone for a while. 1 to 1000. Default 3
    /// (as [`crate::link::HealthConfig::down`]).
    pub eject_after: u32,
    /// For how long. Default 10 s, doubling with every further failure to 5 min (Envoy begins at
    /// 30 s and ends at 5 min), drawn from the upper half.
    pub ejection: BackoffConfig,
    /// How long to wait before a preferred endpoint that failed is asked whether it is well again,
    /// and between two such questions. Default 60 s (the cap of the waits between redials).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub return_after: Duration,
    /// By how much the round trip of another endpoint must be shorter to be preferred by lowest rtt,
    /// as a share of the present one. 0 to 1. Default 0.25: less is noise, and every change costs.
    pub margin: Ratio,
}

/// Which of several endpoints is preferred.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum EndpointStrategy {
    /// The one that stands first in the list: a main one and its replacements.
    #[default]
    Ordered,
    /// None: they take turns, in an order that each client draws.
    RoundRobin,
    /// The one with the shortest round trip.
    LowestRtt,
}

impl Default for EndpointsConfig {
    fn default() -> Self {
        Self {
            strategy: EndpointStrategy::Ordered,
            eject_after: 3,
            ejection: BackoffConfig {
                base: Duration::from_secs(10),
                cap: Duration::from_secs(300),
                jitter: Jitter::Equal,
                ..BackoffConfig::default()
            },
            return_after: Duration::from_secs(60),
            margin: Ratio::percent(25),
        }
    }
}

/// The endpoints of one peer, by their place in the list of whoever owns them.
///
/// ```
/// use core::time::Duration;
/// use mainstay_core::link::{Endpoints, EndpointsConfig, Probed};
/// use mainstay_core::time::Instant;
///
/// let mut endpoints = Endpoints::new(2, &EndpointsConfig::default(), 0)?;
/// assert_eq!(endpoints.current(), 0);
/// assert_eq!(endpoints.failed(Instant::from_millis(0), 0, 0), 1);
/// let later = Instant::from_millis(60_000);
/// assert_eq!(endpoints.probe_due(later), Some(0));
/// let took = Duration::from_millis(3);
/// assert_eq!(endpoints.probed(later, 0, Some(took), 0), Probed::Migrate { from: 1, to: 0 });
/// assert_eq!(endpoints.current(), 0);
/// # Ok::<(), mainstay_core::config::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    all: Box<[Endpoint]>,
    current: usize,
    strategy: EndpointStrategy,
    eject_after: u32,
    ejection: Backoff,
    return_after: Duration,
    margin: Ratio,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Endpoint {
    /// In a row.
    failures: u32,
    ejected_until: Instant,
    /// When it may next be asked for its health; only looked at while it is not in use.
    probe_at: Instant,
    rtt: Rtt,
}

/// What is known of one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct EndpointView {
    /// Whether it is in use.
    pub current: bool,
    /// Failures since it was last well.
    pub failures: u32,
    /// Until when it is left alone; none when it is not.
    pub ejected_until: Option<Instant>,
    /// Its smoothed round trip, once there is one.
    pub rtt: Option<Duration>,
}

/// What follows from the health of an endpoint that is not in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[must_use]
pub enum Probed {
    /// Nothing.
    Stay,
    /// The link uses another endpoint from now on.
    Migrate {
        /// The one that was in use.
        from: usize,
        /// The one that is.
        to: usize,
    },
}

impl Endpoints {
    /// `count` endpoints that nothing is known of; `bits` draw where to begin.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `count` is not 1 to [`ENDPOINTS_MAX`] (field `endpoints`), or a number
    /// of `config` makes no sense.
    pub fn new(count: usize, config: &EndpointsConfig, bits: u64) -> Result<Self, ConfigError> {
        in_range("endpoints", count, 1, ENDPOINTS_MAX)?;
        in_range("eject_after", config.eject_after, 1, 1000)?;
        let ejection = Backoff::new(&config.ejection).map_err(|e| e.within("ejection"))?;
        duration_from("return_after", config.return_after, Duration::from_millis(1))?;
        in_range("margin", config.margin, Ratio::ZERO, Ratio::ONE)?;
        let current = match config.strategy {
            EndpointStrategy::Ordered => 0,
            EndpointStrategy::RoundRobin | EndpointStrategy::LowestRtt => draw(bits, count),
        };
        Ok(Self {
            all: vec![Endpoint::default(); count].into(),
            current,
            strategy: config.strategy,
            eject_after: config.eject_after,
            ejection,
            return_after: config.return_after,
            margin: config.margin,
        })
    }

    /// The one to dial, and to ask for its health.
    #[must_use]
    pub const fn current(&self) -> usize {
        self.current
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.all.len()
    }

    /// What is known of the one at `index`; none when there is none.
    #[must_use]
    pub fn view(&self, now: Instant, index: usize) -> Option<EndpointView> {
        self.all.get(index).map(|endpoint| EndpointView {
            current: index == self.current,
            failures: endpoint.failures,
            ejected_until: endpoint.is_ejected(now).then_some(endpoint.ejected_until),
            rtt: endpoint.rtt.smoothed(),
        })
    }

    /// A dial or a health check of the one at `index` went well, and took `rtt` where that is known:
    /// what it failed before is forgiven.
    pub fn succeeded(&mut self, index: usize, rtt: Option<Duration>) {
        if let Some(endpoint) = self.all.get_mut(index) {
            endpoint.failures = 0;
            endpoint.ejected_until = Instant::default();
            if let Some(rtt) = rtt {
                endpoint.rtt.record(rtt);
            }
        }
    }

    /// The one at `index` could not be dialled, or was lost, or is not well. Answers which one is
    /// current now. A failure of one that is not in use only counts against it.
    pub fn failed(&mut self, now: Instant, index: usize, bits: u64) -> usize {
        let (eject_after, probe_at) = (self.eject_after, now.after(self.return_after));
        if let Some(endpoint) = self.all.get_mut(index) {
            endpoint.failures = endpoint.failures.saturating_add(1);
            endpoint.probe_at = probe_at;
            if let Some(over) = endpoint.failures.checked_sub(eject_after) {
                let attempt = over.saturating_add(1);
                let wait = self.ejection.delay(attempt, Duration::ZERO, Pressure::NONE, bits);
                endpoint.ejected_until = now.after(wait);
            }
            if index == self.current {
                // Another draw than that of the ejection.
                self.current = self.next(now, crate::bits::bits(bits, 1, 0));
            }
        }
        self.current
    }

    /// Which endpoint is to be asked for its health now, beside the one in use; none when none is.
    /// Asks the same again until [`Endpoints::probed`] tells.
    #[must_use]
    pub fn probe_due(&self, now: Instant) -> Option<usize> {
        self.question().filter(|&(at, _)| now >= at).map(|(_, index)| index)
    }

    /// When [`Endpoints::probe_due`] will have an answer; none when no other endpoint could be
    /// preferred to the one in use.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.question().map(|(at, _)| at)
    }

    /// Who is to be asked next, and when. That is the one that may be asked first, so that a dead
    /// one does not keep others from being asked.
    fn question(&self) -> Option<(Instant, usize)> {
        let found = self.all.iter().enumerate().filter(|(index, _)| self.may_be_preferred(*index));
        found.map(|(index, endpoint)| (endpoint.probe_at.max(endpoint.ejected_until), index)).min()
    }

    /// The health of an endpoint that is not in use: how long its good answer took, or none when it
    /// is not well. Says whether the link changes over to it.
    pub fn probed(
        &mut self,
        now: Instant,
        index: usize,
        good: Option<Duration>,
        bits: u64,
    ) -> Probed {
        let Some(rtt) = good else {
            self.failed(now, index, bits);
            return Probed::Stay;
        };
        self.succeeded(index, Some(rtt));
        if let Some(endpoint) = self.all.get_mut(index) {
            endpoint.probe_at = now.after(self.return_after);
        }
        if !self.is_preferred(index) {
            return Probed::Stay;
        }
        let from = core::mem::replace(&mut self.current, index);
        // It was well until now, so it is not asked before its time.
        self.all[from].probe_at = now.after(self.return_after);
        Probed::Migrate { from, to: index }
    }

    /// Whether a good answer of the one at `index` could bring the link there.
    const fn may_be_preferred(&self, index: usize) -> bool {
        match self.strategy {
            EndpointStrategy::Ordered => index < self.current,
            EndpointStrategy::RoundRobin => false,
            EndpointStrategy::LowestRtt => index != self.current,
        }
    }

    /// Whether the link belongs at `index`, which is well, rather than where it is.
    fn is_preferred(&self, index: usize) -> bool {
        if index >= self.all.len() || !self.may_be_preferred(index) {
            return false;
        }
        match self.strategy {
            EndpointStrategy::Ordered => true,
            EndpointStrategy::RoundRobin => false,
            EndpointStrategy::LowestRtt => {
                let rtt = |at: usize| self.all[at].rtt.smoothed().map(crate::time::nanos);
                match (rtt(index), rtt(self.current)) {
                    (Some(there), Some(here)) => {
                        there < here.saturating_sub(self.margin.times(here))
                    }
                    // One that is in use without ever having answered is no better than this one.
                    (there, None) => there.is_some(),
                    (None, Some(_)) => false,
                }
            }
        }
    }

    /// The one that follows when the present one has failed.
    fn next(&self, now: Instant, bits: u64) -> usize {
        let usable = |&index: &usize| index != self.current && !self.all[index].is_ejected(now);
        let others = (0..self.all.len()).filter(usable);
        let Some(best) = others.clone().map(|index| self.rank(index)).min() else {
            return self.soonest(now);
        };
        let mut best = others.filter(|&index| self.rank(index) == best);
        let chosen = match self.strategy {
            EndpointStrategy::Ordered => 0,
            EndpointStrategy::RoundRobin | EndpointStrategy::LowestRtt => {
                draw(bits, best.clone().count())
            }
        };
        best.nth(chosen).unwrap_or(self.current)
    }

    /// The one to use when no other may be: the present one if it is not ejected, otherwise that
    /// whose time ends first.
    fn soonest(&self, now: Instant) -> usize {
        if !self.all[self.current].is_ejected(now) {
            return self.current;
        }
        let ends = |index: &usize| (self.all[*index].ejected_until, *index);
        (0..self.all.len()).min_by_key(ends).unwrap_or(self.current)
    }

    /// How far behind the one at `index` stands: first by failures, then by the strategy.
    fn rank(&self, index: usize) -> (u32, u64) {
        let endpoint = &self.all[index];
        let second = match self.strategy {
            EndpointStrategy::Ordered => index as u64,
            EndpointStrategy::RoundRobin => 0,
            EndpointStrategy::LowestRtt => {
                endpoint.rtt.smoothed().map_or(u64::MAX, crate::time::nanos)
            }
        };
        (endpoint.failures, second)
    }
}

impl Endpoint {
    fn is_ejected(&self, now: Instant) -> bool {
        now < self.ejected_until
    }
}

/// A place in a list of `count`.
fn draw(bits: u64, count: usize) -> usize {
    let last = count.saturating_sub(1) as u64;
    usize::try_from(uniform(bits, last)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
