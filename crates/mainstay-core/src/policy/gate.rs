//! Everything that decides whether a call to one endpoint may go, in one order.
//!
//! ```text
//! hold ─► throttle ─► rate limit ─► breaker ─► bulkhead / adaptive limit ─► the call
//! ```
//!
//! The order is fixed, because another order means something else: a bulkhead outside the breaker
//! fills up with calls that the breaker then rejects, a rate limit inside it spends its quota on
//! probes. What is asked first is what is cheapest and most certain. When a later policy rejects,
//! what an earlier one had granted is given back.
//!
//! A *hold* is what a server asked for (`Retry-After` with 429 or 503). It holds for **all** callers
//! of the endpoint, not only for the one that was told ([`Gate::record`]).
//!
//! The gate keeps no lock. What needs one (throttle, adaptive limit, hedging, pressure) is in
//! [`Meters`], which the driver keeps under a mutex and lends; with none of them configured no lock
//! is taken and, while all is well, no clock is read.

mod config;
mod meters;

pub use config::GateConfig;
pub use meters::Meters;

use alloc::sync::Arc;
use core::time::Duration;

use crate::config::ConfigError;
use crate::policy::breaker::{
    self, Breaker, BreakerSnapshot, BreakerView, RejectionReason, Transition,
};
use crate::policy::budget::Budget;
use crate::policy::bulkhead::{Bulkhead, Slot};
use crate::policy::outcome::{Outcome, Sample};
use crate::policy::rate::{NotAdmitted, RateLimit, Reservation};
use crate::policy::throttle::Decision;
use crate::sync::{AtomicU64, Ordering};
use crate::time::{Instant, Moment};

/// How much earlier than the one that set a hold another thread may have read the clock.
const CLOCK_GRACE: Duration = Duration::from_secs(1);

/// What decides whether calls to one endpoint may go. Shared by reference between threads.
#[derive(Debug)]
pub struct Gate {
    config: GateConfig,
    breaker: Option<Breaker>,
    rate: Option<Arc<RateLimit>>,
    bulkhead: Option<Arc<Bulkhead>>,
    budget: Option<Arc<Budget>>,
    /// Until when a server asked to be left alone, in nanoseconds; zero when it did not.
    hold: AtomicU64,
}

/// Leave to make one call. Give it back with [`Gate::record`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a permit that is not given back keeps its place"]
pub struct Permit {
    breaker: Option<breaker::Permit>,
    slot: Option<Slot>,
    in_flight: u32,
}

impl Permit {
    /// Whether the call is a probe of a half-open breaker.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.breaker.as_ref().is_some_and(breaker::Permit::is_probe)
    }
}

/// Why a call may not go, and when to ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Rejection {
    /// Which policy says so.
    pub by: RejectedBy,
    /// After how long a call may go at the earliest, when that is known.
    pub retry_after: Option<Duration>,
}

/// Which policy rejects a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum RejectedBy {
    /// The server asked to be left alone for a while.
    Hold,
    /// The adaptive throttle: the server fails most calls, and this one was drawn to stay here.
    Throttle,
    /// The rate limit.
    RateLimit,
    /// The breaker, for this reason.
    Breaker(RejectionReason),
    /// The bulkhead or the adaptive limit: too many calls in flight.
    Bulkhead,
}

impl RejectedBy {
    /// The policy in one word, for labels and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "server hold",
            Self::Throttle => "adaptive throttle",
            Self::RateLimit => "rate limit",
            Self::Breaker(RejectionReason::Open) => "circuit breaker (OPEN)",
            Self::Breaker(RejectionReason::ProbesBusy) => "circuit breaker (HALF_OPEN)",
            Self::Breaker(RejectionReason::Ramping) => "circuit breaker (ramping up)",
            Self::Breaker(RejectionReason::ForcedOpen) => "circuit breaker (FORCED_OPEN)",
            Self::Bulkhead => "bulkhead",
        }
    }
}

impl core::fmt::Display for Rejection {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "rejected by the {}", self.by.as_str())?;
        match self.retry_after {
            Some(after) => write!(f, ", next try in {:.1} s", after.as_secs_f64()),
            None => Ok(()),
        }
    }
}

impl core::error::Error for Rejection {}

/// An answer to the question whether a call may go.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Admission {
    /// The permit, or why there is none.
    pub verdict: Result<Permit, Rejection>,
    /// The transition of the breaker that asking brought about.
    pub transition: Option<Transition>,
}

/// What came of a call, for [`Gate::record`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Ended {
    /// In which class.
    pub outcome: Outcome,
    /// How long it took; zero when nobody measured ([`Gate::is_timed`]).
    pub elapsed: Duration,
    /// Whether it was given up at its timeout.
    pub timed_out: bool,
}

impl Gate {
    /// A gate under `config`, and the meters that belong to it.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field that makes no sense.
    pub fn new(config: &GateConfig) -> Result<(Self, Meters), ConfigError> {
        let meters = Meters::new(config)?;
        let within = |name: &'static str| move |error: ConfigError| error.within(name);
        let breaker = config.breaker.as_ref().map(Breaker::new).transpose();
        let rate = config.rate.as_ref().map(RateLimit::new).transpose();
        let budget = config.budget.as_ref().map(Budget::new).transpose();
        let bulkhead = config.slots(meters.limit()).as_ref().map(Bulkhead::new).transpose();
        let gate = Self {
            config: *config,
            breaker: breaker.map_err(within("breaker"))?,
            rate: rate.map_err(within("rate"))?.map(Arc::new),
            bulkhead: bulkhead.map_err(within("bulkhead"))?.map(Arc::new),
            budget: budget.map_err(within("budget"))?.map(Arc::new),
            hold: AtomicU64::new(0),
        };
        Ok((gate, meters))
    }

    /// The same gate under another `config`: the breaker's state, calls in flight, used quota and
    /// holds go on ([`Breaker::reloaded`] says what a breaker keeps). A budget whose configuration
    /// changed starts anew, and so do meters.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field that makes no sense; the old gate goes on.
    pub fn reloaded(
        &self,
        config: &GateConfig,
        now: Instant,
    ) -> Result<(Self, Meters), ConfigError> {
        let (mut new, meters) = Self::new(config)?;
        if let (Some(old), Some(breaker)) = (&self.breaker, &config.breaker) {
            let carried = old.reloaded(breaker, now).map_err(|error| error.within("breaker"))?;
            new.breaker = Some(carried);
        }
        if let (Some(old), Some(rate)) = (&self.rate, &config.rate) {
            old.reload(now, rate).map_err(|error| error.within("rate"))?;
            new.rate = Some(Arc::clone(old));
        }
        if let (Some(old), Some(bulkhead)) = (&self.bulkhead, &new.bulkhead) {
            old.resize(bulkhead.max());
            new.bulkhead = Some(Arc::clone(old));
        }
        if self.config.budget == config.budget {
            new.budget.clone_from(&self.budget);
        }
        new.hold.store(self.hold.load(Ordering::Acquire), Ordering::Release);
        Ok((new, meters))
    }

    /// The configuration in force.
    #[must_use]
    pub const fn config(&self) -> &GateConfig {
        &self.config
    }

    /// The budget that retries and hedges of this endpoint share.
    #[must_use]
    pub const fn budget(&self) -> Option<&Arc<Budget>> {
        self.budget.as_ref()
    }

    /// The breaker.
    #[must_use]
    pub const fn breaker(&self) -> Option<&Breaker> {
        self.breaker.as_ref()
    }

    /// Calls in flight and how many may be, where something bounds them.
    #[must_use]
    pub fn in_flight(&self) -> Option<(u32, u32)> {
        self.bulkhead.as_ref().map(|bulkhead| (bulkhead.in_use(), bulkhead.max()))
    }

    /// Whether the driver must measure how long calls take.
    #[must_use]
    pub fn is_timed(&self) -> bool {
        self.config.has_meters() || self.slow_threshold().is_some()
    }

    /// How long a call may be in flight before [`slow_in_flight`](Self::slow_in_flight) is due.
    #[must_use]
    pub fn slow_threshold(&self) -> Option<Duration> {
        self.breaker.as_ref().and_then(Breaker::slow_threshold)
    }

    /// Asks whether a call may go.
    ///
    /// `meters` are needed when [`GateConfig::has_meters`]; `at` is asked only when the time matters.
    #[inline]
    pub fn admit(&self, meters: Option<&mut Meters>, at: impl Fn() -> Moment) -> Admission {
        if meters.is_none() && self.rate.is_none() && self.hold.load(Ordering::Relaxed) == 0 {
            let plain = match &self.breaker {
                None => Some(None),
                Some(breaker) => breaker.admit_closed().map(Some),
            };
            if let Some(breaker) = plain {
                return self.enter_bulkhead(breaker, None, None);
            }
        }
        self.admit_at(meters, at())
    }

    fn admit_at(&self, meters: Option<&mut Meters>, at: Moment) -> Admission {
        if let Some(left) = self.held_for(at.now) {
            return rejected(RejectedBy::Hold, Some(left));
        }
        let Some(throttle) = meters.and_then(Meters::throttle) else {
            return self.admit_unthrottled(at);
        };
        match throttle.decide(at.now, at.bits) {
            Decision::Admit => {}
            Decision::Reject { .. } => return rejected(RejectedBy::Throttle, None),
        }
        let answer = self.admit_unthrottled(at);
        if answer.verdict.is_err() {
            throttle.record(at.now, Sample::Neutral);
        }
        answer
    }

    fn admit_unthrottled(&self, at: Moment) -> Admission {
        let reservation = match &self.rate {
            None => None,
            Some(rate) => match rate.reserve(at.now, 1, Duration::ZERO) {
                Ok(reservation) => Some(reservation),
                Err(NotAdmitted::NotUntil { at: until }) => {
                    return rejected(RejectedBy::RateLimit, Some(until.since(at.now)));
                }
                Err(NotAdmitted::TooLarge { .. }) => return rejected(RejectedBy::RateLimit, None),
            },
        };
        let Some(breaker) = &self.breaker else {
            return self.enter_bulkhead(None, reservation, None);
        };
        let admission = breaker.admit(at);
        match admission.verdict {
            Ok(permit) => {
                let mut answer = self.enter_bulkhead(Some(permit), reservation, Some(at));
                answer.transition = answer.transition.or(admission.transition);
                answer
            }
            Err(rejection) => {
                self.return_quota(reservation);
                let by = RejectedBy::Breaker(rejection.reason);
                let verdict = Err(Rejection { by, retry_after: rejection.retry_after });
                Admission { verdict, transition: admission.transition }
            }
        }
    }

    fn enter_bulkhead(
        &self,
        breaker: Option<breaker::Permit>,
        reservation: Option<Reservation>,
        at: Option<Moment>,
    ) -> Admission {
        let Some(bulkhead) = &self.bulkhead else {
            return admitted(Permit { breaker, slot: None, in_flight: 0 });
        };
        if let Ok(slot) = bulkhead.try_acquire() {
            let in_flight = bulkhead.in_use();
            return admitted(Permit { breaker, slot: Some(slot), in_flight });
        }
        self.return_quota(reservation);
        let mut answer = rejected(RejectedBy::Bulkhead, None);
        if let (Some(ours), Some(permit)) = (&self.breaker, breaker) {
            answer.transition = ours.abandon(permit, || at.unwrap_or_default());
        }
        answer
    }

    fn return_quota(&self, reservation: Option<Reservation>) {
        if let (Some(rate), Some(reservation)) = (&self.rate, reservation) {
            rate.cancel(reservation);
        }
    }

    /// Tells what came of the call that `permit` admitted.
    #[inline]
    #[must_use = "a transition is told to whoever listens"]
    pub fn record(
        &self,
        meters: Option<&mut Meters>,
        permit: Permit,
        ended: Ended,
        at: impl Fn() -> Moment,
    ) -> Option<Transition> {
        self.release(permit.slot);
        if let Some(hint) = ended.outcome.hint() {
            self.hold_until(at().now.after(hint.min(self.config.hold_cap)));
        }
        if let Some(meters) = meters {
            let limit = meters.record(at().now, ended, permit.in_flight);
            if let (Some(bulkhead), Some(limit)) = (&self.bulkhead, limit) {
                bulkhead.resize(limit);
            }
        }
        let (breaker, permit) = (self.breaker.as_ref()?, permit.breaker?);
        breaker.record(permit, ended.outcome.sample(), ended.elapsed, at)
    }

    /// Frees the place that an older gate gave, and answers the permit without it.
    ///
    /// A driver that reloaded its gate while a call was in flight gives the place back where it came
    /// from and the outcome to the new gate.
    pub fn release_place(&self, mut permit: Permit) -> Permit {
        self.release(permit.slot.take());
        permit
    }

    fn release(&self, slot: Option<Slot>) {
        if let (Some(bulkhead), Some(slot)) = (&self.bulkhead, slot) {
            bulkhead.release(slot);
        }
    }

    /// Tells that a call in flight has reached the slow threshold.
    #[must_use = "a transition is told to whoever listens"]
    pub fn slow_in_flight(
        &self,
        permit: &mut Permit,
        at: impl FnOnce() -> Moment,
    ) -> Option<Transition> {
        self.breaker.as_ref()?.slow_in_flight(permit.breaker.as_mut()?, at)
    }

    /// What is left of the pause a server asked for.
    #[must_use]
    pub fn held_for(&self, now: Instant) -> Option<Duration> {
        let hold = self.hold.load(Ordering::Acquire);
        if hold == 0 {
            return None;
        }
        let left = Instant::from_nanos(hold).since(now);
        let longest = self.config.hold_cap;
        if left.is_zero() || left > longest + CLOCK_GRACE {
            // Over, or set by a clock that has stepped back since.
            let order = Ordering::Relaxed;
            // Somebody who set a new hold meanwhile is right.
            let _raced = self.hold.compare_exchange(hold, 0, order, order);
            return None;
        }
        Some(left.min(longest))
    }

    fn hold_until(&self, until: Instant) {
        self.hold.fetch_max(until.as_nanos(), Ordering::AcqRel);
    }

    /// In how long the breaker lets the next probe through, when it is open.
    #[must_use]
    pub fn probe_in(&self, now: Instant) -> Option<Duration> {
        let view = self.breaker.as_ref()?.view(now);
        view.remaining
    }

    /// What the breaker looks like, if there is one.
    #[must_use]
    pub fn view(&self, now: Instant) -> Option<BreakerView> {
        self.breaker.as_ref().map(|breaker| breaker.view(now))
    }

    /// The breaker's state, to be kept over a restart.
    #[must_use]
    pub fn snapshot(&self, now: Instant) -> Option<BreakerSnapshot> {
        self.breaker.as_ref().map(|breaker| breaker.snapshot(now))
    }

    /// Puts the breaker into a state kept before a restart.
    ///
    /// # Errors
    ///
    /// Never with the configuration the gate was made of.
    pub fn restore(&mut self, snapshot: &BreakerSnapshot, now: Instant) -> Result<(), ConfigError> {
        if let Some(config) = &self.config.breaker {
            self.breaker = Some(Breaker::restore(config, snapshot, now)?);
        }
        Ok(())
    }
}

const fn admitted(permit: Permit) -> Admission {
    Admission { verdict: Ok(permit), transition: None }
}

const fn rejected(by: RejectedBy, retry_after: Option<Duration>) -> Admission {
    Admission { verdict: Err(Rejection { by, retry_after }), transition: None }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
