//! A circuit breaker: stops calling a peer that does not answer, and finds out when it does.
//!
//! A call to a dead peer costs its caller a timeout and the peer a request it cannot serve. A
//! breaker watches what comes of the calls, *opens* when too many fail (calls are then rejected at
//! once), and after a while lets a few *probes* through to find out whether to *close* again.
//!
//! ```text
//!            failures in a row, failure rate or slow rate reached
//!        ┌────────────────────────────────────────────────────────────┐
//!        │                                                            ▼
//!   ┌────────┐   ramp over   ┌─────────┐   failures reached      ┌────────┐
//!   │ Closed │ ◄──────────── │ Ramping │ ──────────────────────► │  Open  │
//!   └────────┘               └─────────┘                         └────────┘
//!        ▲                        ▲                               │      ▲
//!        │ probes succeeded,      │ probes succeeded              │      │ too many probes
//!        │ no ramp                │                   wait over,  │      │ failed, or no
//!        │                   ┌──────────┐  a call asks to pass    │      │ verdict in time
//!        └────────────────── │ HalfOpen │ ◄───────────────────────┘      │
//!                            └──────────┘ ───────────────────────────────┘
//!
//!   any ── force_open, isolate ──► ForcedOpen ── release, reset ──► Closed
//!   any ── disable ──► Disabled ── enable, reset ──► Closed
//! ```
//!
//! * **Several signals, any opens it.** Failures in a row see a total outage at once; a rate (or a
//!   number of failures) over a window sees a partial one. A throttled answer (HTTP 429) counts for the rate, not for the row.
//! * **Admission is tied to its outcome.** A [`Permit`] carries the generation in which it was
//!   given; a result from an earlier generation changes nothing. A dropped call is *abandoned*
//!   ([`Breaker::abandon`]): neutral, and a probe's place is free again.
//! * **Probes are bounded in flight, at admission.** Each has a lease; a probe that outlives it has
//!   failed, and its late result is stale. So nothing can leave the breaker half-open for ever.
//! * **The open time is jittered, grows, and decays.** Growth is taken back one step for every
//!   [`OpenConfig::decay`] spent closed, not at the first success, so a flapping peer is left alone
//!   for longer each time.
//!
//! Shared by reference between threads, without a lock: the state is one atomic word
//! ([`Breaker::admit_closed`] is one load and takes no clock). With failures in a row as the only
//! signal, a success while all is well writes nothing at all.

mod config;
mod half_open;
mod judge;
mod manual;
mod replay;
mod snapshot;
mod window;
mod word;

pub use config::{
    BUCKETS, BreakerConfig, CALLS_MAX, HalfOpenConfig, OpenConfig, PROBES_MAX, SlowConfig, Window,
};
pub use replay::{Answer, Input};
pub use snapshot::{BreakerSnapshot, BreakerView, SnapshotState};

use alloc::boxed::Box;
use core::time::Duration;

use crate::bits::uniform;
use crate::config::{ConfigError, Ratio};
use crate::policy::outcome::Sample;
use crate::sync::{AtomicU64, Ordering};
use crate::time::{Instant, Moment, nanos};
use config::Rules;
use window::Calls;
use word::{Code, Word, until_ns};

/// The least share of calls admitted at the start of a ramp (Envoy's slow start: 10 %).
const RAMP_FLOOR: Ratio = Ratio::percent(10);

/// The state of a breaker, as people know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "SCREAMING_SNAKE_CASE"))]
pub enum State {
    /// Calls are admitted and watched (all of them, or a growing share during a ramp).
    Closed,
    /// Calls are rejected.
    Open,
    /// A few calls are let through as probes.
    HalfOpen,
    /// Calls are rejected, until somebody says otherwise.
    ForcedOpen,
    /// Calls are admitted and not watched, until somebody says otherwise.
    Disabled,
}

impl State {
    /// The name in the seeds' spelling, such as `HALF_OPEN`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "CLOSED",
            Self::Open => "OPEN",
            Self::HalfOpen => "HALF_OPEN",
            Self::ForcedOpen => "FORCED_OPEN",
            Self::Disabled => "DISABLED",
        }
    }
}

/// Leave to make one call. Give it back with [`Breaker::record`] or [`Breaker::abandon`].
///
/// Neither `Clone` nor `Copy`: one admission has one outcome.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[must_use = "a permit that is not given back keeps its place until the lease ends"]
pub struct Permit {
    /// The lease of a probe, zero for other calls. It tells this probe from the next one in its place.
    lease: u64,
    generation: u32,
    /// The place of a probe.
    slot: u8,
    /// Whether this call was already counted as slow while in flight.
    counted_slow: bool,
}

impl Permit {
    /// The generation of the breaker in which the permit was given.
    #[must_use]
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// Whether the call is a probe of a half-open breaker.
    #[must_use]
    pub const fn is_probe(&self) -> bool {
        self.lease != 0
    }
}

/// Why a call may not pass, and when to ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Rejection {
    /// Why.
    pub reason: RejectionReason,
    /// After how long the next call may pass at the earliest; unknown when it is up to a person or
    /// a probe in flight.
    pub retry_after: Option<Duration>,
}

/// Why a breaker rejects a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum RejectionReason {
    /// It is open.
    Open,
    /// It is half-open and all probes are under way.
    ProbesBusy,
    /// It closed a moment ago, and this call is not in the share admitted so far.
    Ramping,
    /// Somebody forced it open.
    ForcedOpen,
}

/// An answer to the question whether a call may pass.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[must_use]
pub struct Admission {
    /// The permit, or why there is none.
    pub verdict: Result<Permit, Rejection>,
    /// The transition that asking brought about: an open time was over, a lease had ended.
    pub transition: Option<Transition>,
}

/// A change of state, with its cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Transition {
    /// The state left.
    pub from: State,
    /// The state entered.
    pub to: State,
    /// The generation that begins. Transitions of one breaker are ordered by it.
    pub generation: u32,
    /// How long it stays open, when it opened.
    pub open_for: Option<Duration>,
    /// Why.
    pub cause: Cause,
}

/// Why a breaker changed its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Cause {
    /// So many failures in a row.
    ConsecutiveFailures(u32),
    /// So many calls in the window failed.
    FailuresInWindow(u32),
    /// This share of the calls in the window failed.
    FailureRate(Ratio),
    /// This share of the calls in the window was slow.
    SlowRate(Ratio),
    /// The open time was over, and a call asked to pass.
    WaitOver,
    /// Enough probes succeeded.
    ProbesSucceeded,
    /// Too many probes failed or outlived their lease.
    ProbesFailed,
    /// The probes gave no verdict in time.
    NoVerdict,
    /// Somebody asked for it.
    ByHand,
    /// Somebody reset it.
    Reset,
}

/// A circuit breaker. See the [module documentation](self) for what it does and why.
///
/// ```
/// use core::time::Duration;
/// use mainstay_core::policy::breaker::{Breaker, BreakerConfig};
/// use mainstay_core::policy::outcome::Sample;
/// use mainstay_core::time::{Instant, Moment};
///
/// let breaker = Breaker::new(&BreakerConfig::default())?;
/// let at = Moment { now: Instant::from_millis(0), bits: 0 };
/// for _ in 0..5 {
///     let permit = breaker.admit(at).verdict.expect("closed");
///     let _transition = breaker.record(permit, Sample::Failure, Duration::ZERO, || at);
/// }
/// let rejection = breaker.admit(at).verdict.unwrap_err();
/// assert!(rejection.retry_after >= Some(Duration::from_secs(4)), "5 s less 20 % of jitter");
/// # Ok::<(), mainstay_core::config::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct Breaker {
    word: AtomicU64,
    calls: Calls,
    rules: Rules,
    /// Leases of the probes in flight: `generation 16 | end 48`, see [`half_open`].
    leases: Box<[AtomicU64]>,
    /// When the present ramp or half-open phase began, in nanoseconds.
    since: AtomicU64,
    /// `openings in a row 8 | closed since 56` (nanoseconds >> 8).
    history: AtomicU64,
}

impl Breaker {
    /// A closed breaker under `config`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field that makes no sense.
    pub fn new(config: &BreakerConfig) -> Result<Self, ConfigError> {
        let rules = Rules::new(config)?;
        Ok(Self {
            word: AtomicU64::new(Word::new(Code::Closed, 0, 0).0),
            calls: Calls::new(config.window, rules.tells_slow()),
            leases: (0..rules.probes).map(|_| AtomicU64::new(0)).collect(),
            rules,
            since: AtomicU64::new(0),
            history: AtomicU64::new(0),
        })
    }

    /// Whether the driver must measure how long calls take (a slow threshold is set).
    #[must_use]
    pub fn slow_threshold(&self) -> Option<Duration> {
        self.rules.tells_slow().then(|| Duration::from_nanos(self.rules.slow_ns))
    }

    /// A permit if the breaker is plainly closed (or disabled): one load, no clock, no randomness.
    ///
    /// `None` means *ask [`admit`](Self::admit)*, not *no*.
    #[inline]
    pub fn admit_closed(&self) -> Option<Permit> {
        let word = self.load();
        let admits = word.code() == Code::Closed || word.code() == Code::Disabled;
        admits.then(|| Permit::plain(word))
    }

    /// Asks whether a call may pass at this moment.
    pub fn admit(&self, at: Moment) -> Admission {
        loop {
            let word = self.load();
            let answer = match word.code() {
                Code::Closed | Code::Disabled => Some(admitted(Permit::plain(word))),
                Code::Ramping => self.admit_ramping(word, at),
                Code::Open => self.admit_open(word, at.now),
                Code::HalfOpen => self.admit_half_open(word, at),
                Code::Forced => Some(rejected(RejectionReason::ForcedOpen, None)),
            };
            if let Some(answer) = answer {
                return answer;
            }
        }
    }

    /// Tells what came of the call that `permit` admitted, after `elapsed`.
    ///
    /// `elapsed` matters only with a slow threshold (see [`slow_threshold`](Self::slow_threshold));
    /// `at` is asked only when the decision needs the time: with a time window, for a probe, or when
    /// the breaker is about to open.
    #[inline]
    #[must_use = "a transition is told to whoever listens"]
    pub fn record(
        &self,
        permit: Permit,
        sample: Sample,
        elapsed: Duration,
        at: impl FnOnce() -> Moment,
    ) -> Option<Transition> {
        // The common case, small enough to become a part of the caller: a success that can tip
        // nothing.
        let word = self.load();
        if matches!(sample, Sample::Success) && word.is_closed_in(permit.generation) {
            if let Calls::Count { size, failed, slow: None } = &self.calls {
                if !permit.counted_slow && self.count_plain_success(word, *size, failed) {
                    return None;
                }
            } else if word.data() == 0 {
                if matches!(self.calls, Calls::Off) {
                    return None;
                }
                if !self.rules.tells_slow() {
                    return self.enter_success(permit.generation, at());
                }
            }
        }
        self.record_any(permit.packed(), sample, elapsed, at)
    }

    /// [`record`](Self::record) for whatever is not its common case.
    #[inline(never)]
    fn record_any(
        &self,
        packed: (u64, u64),
        sample: Sample,
        elapsed: Duration,
        at: impl FnOnce() -> Moment,
    ) -> Option<Transition> {
        let permit = Permit::unpacked(packed);
        let word = self.load();
        if word.generation() != permit.generation {
            return None;
        }
        let slow = !permit.counted_slow && nanos(elapsed) >= self.rules.slow_ns;
        match word.code() {
            Code::Closed | Code::Ramping => {
                self.record_closed(word, permit.counted_slow, sample, slow, at)
            }
            // A probe counted as slow has had its verdict.
            Code::HalfOpen if permit.counted_slow => None,
            Code::HalfOpen => self.record_probe(&permit, sample, slow, at()),
            Code::Open | Code::Forced | Code::Disabled => None,
        }
    }

    /// Gives `permit` back without an outcome: the caller went away. Neutral.
    ///
    /// It is told the time because a probe abandoned after its lease has failed all the same.
    #[must_use = "a transition is told to whoever listens"]
    pub fn abandon(&self, permit: Permit, at: impl FnOnce() -> Moment) -> Option<Transition> {
        self.record(permit, Sample::Neutral, Duration::ZERO, at)
    }

    /// Tells that a call in flight has reached the slow threshold: it counts as slow now, once.
    ///
    /// When it fails later, its failure counts then; when it succeeds, nothing more is counted.
    #[must_use = "a transition is told to whoever listens"]
    pub fn slow_in_flight(
        &self,
        permit: &mut Permit,
        at: impl FnOnce() -> Moment,
    ) -> Option<Transition> {
        let word = self.load();
        if word.generation() != permit.generation || permit.counted_slow {
            return None;
        }
        permit.counted_slow = true;
        match word.code() {
            Code::Closed | Code::Ramping => self.count_slow(word, at),
            Code::HalfOpen => self.record_probe(permit, Sample::Failure, true, at()),
            Code::Open | Code::Forced | Code::Disabled => None,
        }
    }

    /// The state. `now` tells a breaker whose open time is over, which is half-open in waiting and
    /// still reads as open until a call asks to pass.
    #[must_use]
    pub fn state(&self) -> State {
        public(self.load().code())
    }

    #[inline]
    fn load(&self) -> Word {
        Word(self.word.load(Ordering::Acquire))
    }

    /// Replaces `old` by `new` unless somebody was faster.
    #[inline]
    fn swap(&self, old: Word, new: Word) -> bool {
        self.word.compare_exchange(old.0, new.0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    fn admit_ramping(&self, word: Word, at: Moment) -> Option<Admission> {
        let since = Instant::from_nanos(self.since.load(Ordering::Acquire));
        let elapsed = nanos(at.now.since(since));
        if elapsed >= self.rules.ramp_ns {
            // Same generation: permits given during the ramp stay good.
            let closed = Word::new(Code::Closed, word.generation(), word.data());
            return self.swap(word, closed).then(|| admitted(Permit::plain(closed)));
        }
        let share = Ratio::of(elapsed, self.rules.ramp_ns).max(RAMP_FLOOR);
        Some(if uniform(at.bits, 999_999) < u64::from(share.ppm()) {
            admitted(Permit::plain(word))
        } else {
            rejected(RejectionReason::Ramping, Some(Duration::from_nanos(self.rules.ramp_ns / 10)))
        })
    }

    fn admit_open(&self, word: Word, now: Instant) -> Option<Admission> {
        let until = Instant::from_nanos(until_ns(word));
        let left = until.since(now);
        if left.is_zero() {
            return self.begin_half_open(word, now);
        }
        let longest = self.rules.cap() + Duration::from_millis(2);
        if left > longest {
            // The clock stepped back: never stay open for longer than configured.
            let until = now.after(self.rules.cap());
            let anchored = word.with(word::until_data(until.as_nanos()));
            self.swap(word, anchored);
            return None;
        }
        Some(rejected(RejectionReason::Open, Some(left)))
    }
}

impl Permit {
    const fn plain(word: Word) -> Self {
        Self { lease: 0, generation: word.generation(), slot: 0, counted_slow: false }
    }

    /// The permit as two words, which travel in registers: a permit in memory would cost the common
    /// case of `record`, which never looks at it, its stores.
    #[inline]
    const fn packed(self) -> (u64, u64) {
        let counted_slow = self.counted_slow as u64;
        (self.lease, self.generation as u64 | (self.slot as u64) << 32 | counted_slow << 40)
    }

    /// The inverse of [`packed`](Self::packed).
    #[expect(clippy::cast_possible_truncation, reason = "taking the parts that were put together")]
    const fn unpacked((lease, rest): (u64, u64)) -> Self {
        let counted_slow = rest >> 40 != 0;
        Self { lease, generation: rest as u32, slot: (rest >> 32) as u8, counted_slow }
    }
}

const fn public(code: Code) -> State {
    match code {
        Code::Closed | Code::Ramping => State::Closed,
        Code::Open => State::Open,
        Code::HalfOpen => State::HalfOpen,
        Code::Forced => State::ForcedOpen,
        Code::Disabled => State::Disabled,
    }
}

const fn admitted(permit: Permit) -> Admission {
    Admission { verdict: Ok(permit), transition: None }
}

const fn rejected(reason: RejectionReason, retry_after: Option<Duration>) -> Admission {
    Admission { verdict: Err(Rejection { reason, retry_after }), transition: None }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
