//! The gate of one endpoint: breaker, budget and limits, shared by all who call it.
//!
//! [`mainstay_core::policy::gate`] decides; this module gives it a clock, tells its events, and
//! makes sure that a call that is dropped or panics gives its place back.

mod announce;
mod by_hand;
mod permit;
mod queue;
mod registry;
mod view;

pub use permit::Permit;
pub use registry::{CAPACITY, Gates, RegistryError};
pub use view::GateView;

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use mainstay_core::config::ConfigError;
use mainstay_core::policy::breaker::{Cause, State, Transition};
use mainstay_core::policy::budget::Budget;
use mainstay_core::policy::gate as core;
use mainstay_core::policy::gate::{Ended, GateConfig, Meters, Permit as CorePermit, Rejection};
use mainstay_core::policy::outcome::Sample;
use mainstay_core::policy::pressure::Pressure;
use mainstay_core::time::{Instant, Moment};

use crate::clock;
use crate::event::{BreakerEvent, BreakerWhat, Events, Kind};
use announce::Announcer;
use queue::Waiters;

/// The gate of one endpoint. Clones share it.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use mainstay::core::policy::gate::GateConfig;
/// use mainstay::core::policy::outcome::Outcome;
/// use mainstay::gate::Gate;
///
/// let gate = Gate::new("search", &GateConfig::default())?;
/// let permit = gate.admit().expect("all is well");
/// // … call the endpoint …
/// permit.record(Outcome::Success);
/// # Ok::<(), mainstay::core::config::ConfigError>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Gate {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    name: Arc<str>,
    policies: ArcSwap<Policies>,
    /// How often the policies were replaced.
    version: AtomicU64,
    reload: Mutex<()>,
    events: Events,
    announcer: Announcer,
    waiters: Waiters,
    counts: Counts,
    meters: Labelled,
}

/// What one configuration made; swapped as a whole on reload.
#[derive(Debug)]
pub(crate) struct Policies {
    version: u64,
    gate: core::Gate,
    meters: Option<Mutex<Meters>>,
}

impl Policies {
    fn new((gate, meters): (core::Gate, Meters), version: u64) -> Arc<Self> {
        let meters = gate.config().has_meters().then(|| Mutex::new(meters));
        Arc::new(Self { version, gate, meters })
    }

    /// The gate's decisions.
    pub(crate) const fn gate(&self) -> &core::Gate {
        &self.gate
    }

    fn lend(&self) -> Option<MutexGuard<'_, Meters>> {
        // A panic while they were lent leaves numbers that are merely less exact.
        self.meters.as_ref().map(|meters| meters.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[derive(Debug, Default)]
struct Counts {
    rejected: AtomicU64,
    succeeded: AtomicU64,
    failed: AtomicU64,
    abandoned: AtomicU64,
}

/// Instruments with the gate's name as their only label, so that labels stay bounded.
struct Labelled {
    admitted: metrics::Counter,
    rejected: metrics::Counter,
    state: metrics::Gauge,
}

impl std::fmt::Debug for Labelled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Labelled").finish_non_exhaustive()
    }
}

impl Labelled {
    fn new(name: &Arc<str>) -> Self {
        let name = name.to_string();
        Self {
            admitted: metrics::counter!("mainstay_gate_admitted_total", "gate" => name.clone()),
            rejected: metrics::counter!("mainstay_gate_rejected_total", "gate" => name.clone()),
            state: metrics::gauge!("mainstay_breaker_open", "gate" => name),
        }
    }
}

impl Gate {
    /// A gate called `name` with a channel of events of its own.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field that makes no sense.
    pub fn new(name: &str, config: &GateConfig) -> Result<Self, ConfigError> {
        Self::with_events(name, config, Events::new())
    }

    /// A gate called `name` that tells its events to `events`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field that makes no sense.
    pub fn with_events(
        name: &str,
        config: &GateConfig,
        events: Events,
    ) -> Result<Self, ConfigError> {
        let policies = Policies::new(core::Gate::new(config)?, 0);
        let name: Arc<str> = name.into();
        let shared = Shared {
            meters: Labelled::new(&name),
            name,
            waiters: Waiters::new(config)?,
            policies: ArcSwap::new(policies),
            version: AtomicU64::new(0),
            reload: Mutex::new(()),
            events,
            announcer: Announcer::default(),
            counts: Counts::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.shared.name
    }

    /// Where the gate tells its events.
    #[must_use]
    pub fn events(&self) -> &Events {
        &self.shared.events
    }

    /// Asks whether a call may go now.
    ///
    /// # Errors
    ///
    /// [`Rejection`], with the policy that says no and when to ask again.
    pub fn admit(&self) -> Result<Permit, Rejection> {
        self.admit_at(moment)
    }

    /// Asks whether a call may go, and waits in line for a place in the bulkhead if that is all it
    /// lacks and its configuration has a queue.
    ///
    /// # Errors
    ///
    /// [`Rejection`] when another policy says no, the queue is full, or its `max_wait` is over.
    pub async fn admit_in_line(&self) -> Result<Permit, Rejection> {
        if self.shared.waiters.is_off() {
            return self.admit();
        }
        queue::admit(self, None).await
    }

    /// Like [`admit_in_line`](Self::admit_in_line), waiting until `until` at most.
    pub(crate) async fn admit_in_line_until(
        &self,
        until: Option<Instant>,
    ) -> Result<Permit, Rejection> {
        if self.shared.waiters.is_off() {
            return self.admit();
        }
        queue::admit(self, until).await
    }

    /// Asks for somebody who may wait in line yet: a no is not counted.
    fn ask_at(&self) -> Result<Permit, Rejection> {
        let policies = self.policies();
        let permit = self.ask_by(&policies, moment)?;
        Ok(Permit::new(self.clone(), policies, permit, moment))
    }

    /// How many more calls may be in flight.
    fn room(&self) -> u32 {
        let in_flight = self.shared.policies.load().gate.in_flight();
        in_flight.map_or(u32::MAX, |(now, most)| most.saturating_sub(now))
    }

    /// Asks with a clock of the caller's.
    pub(crate) fn admit_at(&self, at: fn() -> Moment) -> Result<Permit, Rejection> {
        let policies = self.policies();
        let permit = self.admit_by(&policies, at)?;
        Ok(Permit::new(self.clone(), policies, permit, at))
    }

    /// The policies in force.
    pub(crate) fn policies(&self) -> Arc<Policies> {
        self.shared.policies.load_full()
    }

    /// The policies in force: `known`, unless they were replaced since.
    #[inline]
    pub(crate) fn policies_or<'a>(&self, known: &'a Arc<Policies>) -> Cow<'a, Arc<Policies>> {
        if self.shared.version.load(Ordering::Acquire) == known.version {
            Cow::Borrowed(known)
        } else {
            Cow::Owned(self.policies())
        }
    }

    /// Whether calls may have to wait in line.
    pub(crate) fn has_line(&self) -> bool {
        !self.shared.waiters.is_off()
    }

    /// Asks `policies`, and counts a rejection.
    #[inline]
    pub(crate) fn admit_by(
        &self,
        policies: &Policies,
        at: impl Fn() -> Moment,
    ) -> Result<CorePermit, Rejection> {
        let verdict = self.ask_by(policies, at);
        if verdict.is_err() {
            self.count_rejected();
        }
        verdict
    }

    fn count_rejected(&self) {
        self.shared.counts.rejected.fetch_add(1, Ordering::Relaxed);
        self.shared.meters.rejected.increment(1);
    }

    /// Asks `policies`: the one place where a permit is made.
    #[inline]
    fn ask_by(
        &self,
        policies: &Policies,
        at: impl Fn() -> Moment,
    ) -> Result<CorePermit, Rejection> {
        let admission = {
            let mut meters = policies.lend();
            policies.gate.admit(meters.as_deref_mut(), at)
        };
        if let Some(transition) = admission.transition {
            self.announce(transition);
        }
        if admission.verdict.is_ok() {
            self.shared.meters.admitted.increment(1);
        }
        admission.verdict
    }

    /// Tells what came of the call that `permit` of `from` admitted: the one place where a permit
    /// ends.
    #[inline]
    pub(crate) fn give_back(
        &self,
        from: &Arc<Policies>,
        mut permit: CorePermit,
        ended: Ended,
        at: impl Fn() -> Moment,
    ) {
        let shared = &*self.shared;
        let transition = if shared.version.load(Ordering::Acquire) == from.version {
            let mut meters = from.lend();
            from.gate.record(meters.as_deref_mut(), permit, ended, at)
        } else {
            // Reloaded meanwhile: the place goes back to where it came from, the outcome does not.
            permit = from.gate.release_place(permit);
            let current = shared.policies.load();
            let mut meters = current.lend();
            current.gate.record(meters.as_deref_mut(), permit, ended, at)
        };
        let count = match ended.outcome.sample() {
            Sample::Success => &shared.counts.succeeded,
            Sample::Failure | Sample::Throttled => &shared.counts.failed,
            Sample::Neutral => &shared.counts.abandoned,
        };
        count.fetch_add(1, Ordering::Relaxed);
        if let Some(transition) = transition {
            self.announce(transition);
        }
        shared.waiters.call(self);
    }

    /// Tells that the call that `permit` of `from` admitted is still in flight at the slow threshold.
    pub(crate) fn slow_by(&self, from: &Policies, permit: &mut CorePermit, at: fn() -> Moment) {
        if let Some(transition) = from.gate.slow_in_flight(permit, at) {
            self.announce(transition);
        }
    }

    /// How much trouble the endpoint is known to be in; none unless the gate measures
    /// ([`GateConfig::measure`]). `cap` is the longest wait of the backoff that asks.
    #[must_use]
    pub fn pressure(&self, now: Instant, cap: Duration) -> Pressure {
        let policies = self.shared.policies.load();
        let held = policies.gate.held_for(now);
        policies.lend().map_or(Pressure::NONE, |meters| meters.pressure(now, held, cap))
    }

    /// Tells how late the runtime's own timers fire, as one source of pressure.
    pub fn report_lag(&self, lag: Duration) {
        if let Some(mut meters) = self.shared.policies.load().lend() {
            meters.report_lag(clock::now(), lag);
        }
    }

    /// In how long the breaker lets the next probe through, when it is open.
    #[must_use]
    pub fn probe_in(&self, now: Instant) -> Option<Duration> {
        self.shared.policies.load().gate.probe_in(now)
    }

    /// The budget that retries and hedges of this endpoint share.
    #[must_use]
    pub fn budget(&self) -> Option<Arc<Budget>> {
        self.shared.policies.load().gate.budget().cloned()
    }

    /// When the next hedge is due after an attempt was sent, and how many a call may have; `None`
    /// while hedging is off or too little is known.
    #[must_use]
    pub fn hedging(&self, now: Instant) -> Option<(Duration, u8)> {
        let policies = self.shared.policies.load();
        let mut meters = policies.lend()?;
        let hedging = meters.hedging()?;
        hedging.delay(now).map(|delay| (delay, hedging.max_hedges()))
    }

    /// Counts an attempt that a hedge overtook after `elapsed`.
    pub fn overtaken(&self, now: Instant, elapsed: Duration) {
        if let Some(mut meters) = self.shared.policies.load().lend()
            && let Some(hedging) = meters.hedging()
        {
            hedging.censored(now, elapsed);
        }
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> GateConfig {
        *self.shared.policies.load().gate.config()
    }

    /// The state of the breaker; closed when there is none.
    #[must_use]
    pub fn state(&self) -> State {
        let policies = self.shared.policies.load();
        policies.gate.breaker().map_or(State::Closed, |breaker| breaker.state())
    }

    /// Puts another configuration in force. The breaker's state, calls in flight, used quota, holds
    /// and listeners go on; see [`core::Gate::reloaded`].
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field that makes no sense; the old configuration stays in force.
    pub fn reload(&self, config: &GateConfig) -> Result<(), ConfigError> {
        let _one_at_a_time = self.shared.reload.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.shared.policies.load_full();
        let version = old.version + 1;
        let new = Policies::new(old.gate.reloaded(config, clock::now())?, version);
        let line = queue::Line::new(config)?;
        if let Some(view) = new.gate.view(clock::now()) {
            self.shared.announcer.skip_to(view.generation);
        }
        self.shared.policies.store(new);
        self.shared.version.store(version, Ordering::Release);
        // Last, so that those who wait ask under the new configuration.
        self.shared.waiters.replace(line);
        Ok(())
    }

    /// Whether anybody but the registry and the caller holds the gate.
    fn is_idle(&self) -> bool {
        Arc::strong_count(&self.shared) == 1
    }

    fn announce(&self, transition: Transition) {
        self.shared.announcer.hand_in(transition, |transition| self.tell(transition));
    }

    fn tell(&self, transition: Transition) {
        let what = match transition.to {
            _ if transition.cause == Cause::Reset => BreakerWhat::Reset,
            State::Open | State::ForcedOpen => BreakerWhat::Opened,
            State::HalfOpen => BreakerWhat::HalfOpen,
            State::Closed | State::Disabled => BreakerWhat::Closed,
        };
        let shared = &self.shared;
        let is_open = matches!(transition.to, State::Open | State::ForcedOpen);
        shared.meters.state.set(if is_open { 1.0 } else { 0.0 });
        tracing::info!(gate = %shared.name, from = transition.from.as_str(),
            to = transition.to.as_str(), cause = ?transition.cause, "breaker changed its state");
        shared.events.send(|| {
            Kind::Breaker(BreakerEvent {
                what,
                gate: Arc::clone(&shared.name),
                retry_after: transition.open_for,
                generation: transition.generation,
            })
        });
    }
}

/// Now, and fresh random bits.
pub(crate) fn moment() -> Moment {
    Moment { now: clock::now(), bits: clock::draw() }
}
