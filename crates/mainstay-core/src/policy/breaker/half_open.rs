//! While half-open: probes, bounded in flight and leased.
//!
//! A probe takes a place by one compare-and-swap on the state word, then writes its lease. Answer,
//! abandonment and the end of the lease race for that lease, and only the winner changes the counts.

use core::time::Duration;

use super::word::{Code, Probes, Word};
use super::{
    Admission, Breaker, Cause, Permit, RejectionReason, State, Transition, admitted, public,
    rejected,
};
use crate::policy::outcome::Sample;
use crate::sync::{AtomicU64, Ordering};
use crate::time::{Instant, Moment};

/// What became of a probe.
#[derive(Clone, Copy)]
enum Verdict {
    Good,
    Bad,
    None,
}

impl Breaker {
    /// Leaves Open with the asking call as the first probe; `None` if somebody was faster.
    pub(super) fn begin_half_open(&self, word: Word, now: Instant) -> Option<Admission> {
        // Only read while half-open, so that the thread that wins has written the right time.
        self.since.store(now.as_nanos(), Ordering::Release);
        let first = Probes { busy: 1, good: 0, bad: 0 };
        let half_open = word.next(Code::HalfOpen, first.data());
        if !self.swap(word, half_open) {
            return None;
        }
        let transition = Transition {
            from: State::Open,
            to: State::HalfOpen,
            generation: half_open.generation(),
            open_for: None,
            cause: Cause::WaitOver,
        };
        let permit = self.lease(half_open.generation(), 0, now);
        Some(Admission { verdict: Ok(permit), transition: Some(transition) })
    }

    /// Admits a probe if there is a place; `None` asks to look again.
    pub(super) fn admit_half_open(&self, word: Word, at: Moment) -> Option<Admission> {
        if let Some(transition) = self.expire(word.generation(), at) {
            return Some(open_now(transition));
        }
        let word_now = self.load();
        if word_now.generation() != word.generation() {
            return None;
        }
        let probes = Probes::of(word_now);
        if self.dwelt_too_long(at.now) {
            let (openings, _) = self.remembered();
            return self.open(word_now, openings, Cause::NoVerdict, at).map(open_now);
        }
        if probes.spent() >= u32::from(self.rules.probes) {
            let wait = self.first_lease_end(word_now.generation(), at.now);
            return Some(rejected(RejectionReason::ProbesBusy, wait));
        }
        let slot = (!probes.busy).trailing_zeros();
        let taken = Probes { busy: probes.busy | 1 << slot, ..probes };
        if !self.swap(word_now, word_now.with(taken.data())) {
            return None;
        }
        Some(admitted(self.lease(word.generation(), slot, at.now)))
    }

    /// Tells what came of the probe that `permit` admitted.
    pub(super) fn record_probe(
        &self,
        permit: &Permit,
        sample: Sample,
        slow: bool,
        at: Moment,
    ) -> Option<Transition> {
        let place = self.leases.get(usize::from(permit.slot))?;
        let lease = permit.lease;
        if lease == 0 || !taken(place, lease) {
            return None;
        }
        let verdict = match sample {
            _ if lease_end(lease) <= at.now => Verdict::Bad,
            Sample::Success if !slow => Verdict::Good,
            Sample::Success | Sample::Failure | Sample::Throttled => Verdict::Bad,
            Sample::Neutral => Verdict::None,
        };
        self.settle(permit.generation, permit.slot, verdict, at)
    }

    /// Ends the leases that are over; each counts as a failed probe.
    fn expire(&self, generation: u32, at: Moment) -> Option<Transition> {
        for (slot, place) in (0..).zip(&self.leases) {
            let lease = place.load(Ordering::Acquire);
            let over = lease != 0 && lease_end(lease) <= at.now;
            if over && same_generation(lease, generation) && taken(place, lease) {
                let transition = self.settle(generation, slot, Verdict::Bad, at);
                if transition.is_some() {
                    return transition;
                }
            }
        }
        None
    }

    /// Frees the place of a probe, counts its verdict, and closes or opens when that decides it.
    fn settle(
        &self,
        generation: u32,
        slot: u8,
        verdict: Verdict,
        at: Moment,
    ) -> Option<Transition> {
        loop {
            let word = self.load();
            if word.generation() != generation {
                return None;
            }
            let old = Probes::of(word);
            let new = Probes {
                busy: old.busy & !(1 << slot),
                good: old.good + u32::from(matches!(verdict, Verdict::Good)),
                bad: old.bad + u32::from(matches!(verdict, Verdict::Bad)),
            };
            let transition = if new.good >= u32::from(self.rules.needed) {
                self.close(word, at.now)
            } else if new.bad > u32::from(self.rules.probes - self.rules.needed) {
                let (openings, _) = self.remembered();
                self.open(word, openings, Cause::ProbesFailed, at)
            } else if self.swap(word, word.with(new.data())) {
                return None;
            } else {
                None
            };
            if transition.is_some() {
                return transition;
            }
        }
    }

    /// Goes to Closed, or to its ramp; `None` if somebody was faster.
    fn close(&self, word: Word, now: Instant) -> Option<Transition> {
        let code = if self.rules.ramp_ns == 0 { Code::Closed } else { Code::Ramping };
        let (openings, _) = self.remembered();
        // Nobody reads either while half-open, except for a dwell that is now decided anyway.
        self.since.store(now.as_nanos(), Ordering::Release);
        self.remember(openings, now);
        let closed = word.next(code, 0);
        self.swap(word, closed).then(|| Transition {
            from: public(word.code()),
            to: State::Closed,
            generation: closed.generation(),
            open_for: None,
            cause: Cause::ProbesSucceeded,
        })
    }

    fn lease(&self, generation: u32, slot: u32, now: Instant) -> Permit {
        let slot = u8::try_from(slot).unwrap_or(u8::MAX);
        let length = Duration::from_nanos(self.rules.lease_ns);
        let end = now.after(length).as_nanos().div_ceil(1 << 16);
        let lease = u64::from(generation & 0xFFFF) << 48 | (end & LEASE_END).max(1);
        if let Some(place) = self.leases.get(usize::from(slot)) {
            place.store(lease, Ordering::Release);
        }
        Permit { lease, generation, slot, counted_slow: false }
    }

    fn dwelt_too_long(&self, now: Instant) -> bool {
        let since = Instant::from_nanos(self.since.load(Ordering::Acquire));
        now.since(since) >= Duration::from_nanos(self.rules.dwell_ns)
    }

    /// When the first probe of this phase must have answered. A probe of an earlier phase that
    /// never did may have left its lease behind.
    fn first_lease_end(&self, generation: u32, now: Instant) -> Option<Duration> {
        let leases = self.leases.iter().map(|place| place.load(Ordering::Acquire));
        let present = leases.filter(|lease| *lease != 0 && same_generation(*lease, generation));
        present.map(|lease| lease_end(lease).since(now)).min()
    }
}

const LEASE_END: u64 = (1 << 48) - 1;

const fn same_generation(lease: u64, generation: u32) -> bool {
    lease >> 48 == (generation & 0xFFFF) as u64
}

const fn lease_end(lease: u64) -> Instant {
    Instant::from_nanos((lease & LEASE_END) << 16)
}

/// Whether this thread is the one that ends `lease`.
fn taken(place: &AtomicU64, lease: u64) -> bool {
    place.compare_exchange(lease, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
}

fn open_now(transition: Transition) -> Admission {
    let mut answer = rejected(RejectionReason::Open, transition.open_for);
    answer.transition = Some(transition);
    answer
}
