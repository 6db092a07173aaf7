//! While closed: counting outcomes, and opening when they say so.

use core::time::Duration;

use super::window::{Bank, Calls, Sums};
use super::word::{Code, Counts, Word, until_data};
use super::{Breaker, Cause, Transition, public};
use crate::config::Ratio;
use crate::policy::outcome::Sample;
use crate::policy::pressure::Pressure;
use crate::sync::{Ordering, fence};
use crate::time::{Instant, Moment, nanos};

/// What one outcome is to the window.
#[derive(Clone, Copy)]
struct Entry {
    failed: bool,
    slow: bool,
}

impl Breaker {
    /// Counts an outcome. `seen` is the word as just read, of the permit's generation.
    pub(super) fn record_closed(
        &self,
        seen: Word,
        counted: bool,
        sample: Sample,
        slow: bool,
        at: impl FnOnce() -> Moment,
    ) -> Option<Transition> {
        let failed = match sample {
            Sample::Success => false,
            Sample::Failure | Sample::Throttled => true,
            Sample::Neutral => return None,
        };
        // A call already counted as slow adds its failure, and nothing when it succeeds.
        let counts = !counted || failed;
        let claimed = self.claim(seen, sample, counts)?;
        let at = Lazy::new(at);
        if matches!(sample, Sample::Failure)
            && self.rules.consecutive != 0
            && claimed.consecutive >= u32::from(self.rules.consecutive)
        {
            return self.trip(
                seen.generation(),
                Cause::ConsecutiveFailures(claimed.consecutive),
                at.take(),
            );
        }
        if !counts {
            return None;
        }
        self.enter(seen.generation(), claimed, Entry { failed, slow }, at)
    }

    /// Counts a success in a full count window of `size`, where it can tip nothing; `false` when
    /// this is not the case, or somebody else was faster, and nothing was counted.
    ///
    /// What the next word is made of is tested, not calculated: the processor predicts the tests,
    /// and only an addition stands between the load and the compare-and-swap. Few instructions
    /// matter here: the next compare-and-swap waits until all of them are done.
    #[inline]
    pub(super) fn count_plain_success(&self, seen: Word, size: u32, failed: &Bank) -> bool {
        let Some(position) = seen.position_when_filled(size) else { return false };
        let next = if position + 1 < size {
            seen.next_position()
        } else if u32::from(self.rules.minimum) < size {
            seen.with(Counts { filled: size, position: 0, consecutive: 0 }.data())
        } else {
            // The last of a first lap may be the one that reaches the minimum, see `enter`.
            return false;
        };
        if !self.swap(seen, next) {
            return false;
        }
        failed.clear(position, seen.generation());
        true
    }

    /// Counts a success that ends no row of failures and is not slow, in a time window.
    #[inline(never)]
    pub(super) fn enter_success(&self, generation: u32, at: Moment) -> Option<Transition> {
        let nothing = Counts { filled: 0, position: 0, consecutive: 0 };
        let good = Entry { failed: false, slow: false };
        self.enter(generation, nothing, good, Lazy::new(|| at))
    }

    /// Counts a call in flight as slow.
    pub(super) fn count_slow(&self, seen: Word, at: impl FnOnce() -> Moment) -> Option<Transition> {
        // Throttled is the sample that leaves the row of failures alone.
        let claimed = self.claim(seen, Sample::Throttled, true)?;
        let entry = Entry { failed: false, slow: true };
        self.enter(seen.generation(), claimed, entry, Lazy::new(at))
    }

    /// Claims a position in the count window and updates the row of failures, in one step.
    ///
    /// `None` when the generation has passed meanwhile. Answers the counts with the *claimed*
    /// position and the *new* row and fill.
    fn claim(&self, seen: Word, sample: Sample, counts: bool) -> Option<Counts> {
        let mut word = seen;
        loop {
            let old = Counts::of(word);
            let consecutive = match sample {
                Sample::Success => 0,
                Sample::Failure => (old.consecutive + 1).min(255),
                Sample::Throttled | Sample::Neutral => old.consecutive,
            };
            let (filled, position) = match self.calls {
                Calls::Count { size, .. } if counts => {
                    let next = if old.position + 1 == size { 0 } else { old.position + 1 };
                    ((old.filled + 1).min(size), next)
                }
                Calls::Count { .. } | Calls::Off | Calls::Time(_) => (old.filled, old.position),
            };
            let new = word.with(Counts { filled, position, consecutive }.data());
            let claimed = Counts { filled, position: old.position, consecutive };
            if new == word || self.swap(word, new) {
                return Some(claimed);
            }
            word = self.load();
            if word.generation() != seen.generation() {
                return None;
            }
        }
    }

    /// Writes the outcome into the window, and judges the window if this outcome may tip it: a bad
    /// one, or the one that reaches the minimum of calls.
    fn enter<F: FnOnce() -> Moment>(
        &self,
        generation: u32,
        claimed: Counts,
        entry: Entry,
        at: Lazy<F>,
    ) -> Option<Transition> {
        match &self.calls {
            Calls::Off => None,
            Calls::Count { size, failed, slow } => {
                failed.write(claimed.position, generation, entry.failed);
                if let Some(bank) = slow {
                    bank.write(claimed.position, generation, entry.slow);
                }
                let reaches = claimed.filled == u32::from(self.rules.minimum)
                    && (claimed.filled < *size || claimed.position + 1 == *size);
                if !(entry.failed || entry.slow || reaches) {
                    return None;
                }
                // Two recorders that each see only their own write would both leave it closed.
                fence(Ordering::SeqCst);
                let word = self.load();
                if word.generation() != generation {
                    return None;
                }
                let sums = |failed, slow| Sums { calls: Counts::of(word).filled, failed, slow };
                let slow_tally = slow.as_ref().map_or(0, |bank| bank.tally(generation));
                self.verdict(sums(failed.tally(generation), slow_tally))?;
                let slow_count = slow.as_ref().map_or(0, |bank| bank.count(generation));
                let cause = self.verdict(sums(failed.count(generation), slow_count))?;
                self.trip(generation, cause, at.take())
            }
            Calls::Time(buckets) => {
                let at = at.take();
                let tick = buckets.tick(at.now, generation);
                buckets.add(tick, entry.failed, entry.slow);
                let bad = entry.failed || entry.slow;
                if !bad && buckets.is_satisfied(tick) {
                    return None;
                }
                fence(Ordering::SeqCst);
                let sums = buckets.sums(tick);
                if sums.calls > u32::from(self.rules.minimum) {
                    buckets.satisfy(tick);
                    if !bad {
                        return None;
                    }
                }
                let cause = self.verdict(sums)?;
                self.trip(generation, cause, at)
            }
        }
    }

    /// Why a window that holds `sums` opens the breaker, if it does.
    fn verdict(&self, sums: Sums) -> Option<Cause> {
        let failures = u32::from(self.rules.failures);
        if failures != 0 && sums.failed >= failures {
            Some(Cause::FailuresInWindow(sums.failed))
        } else if sums.calls < u32::from(self.rules.minimum) {
            None
        } else if self.rules.failure_rate.reached_by(sums.failed, sums.calls) {
            Some(Cause::FailureRate(Ratio::of(sums.failed.into(), sums.calls.into())))
        } else if self.rules.tells_slow() && self.rules.slow_rate.reached_by(sums.slow, sums.calls)
        {
            Some(Cause::SlowRate(Ratio::of(sums.slow.into(), sums.calls.into())))
        } else {
            None
        }
    }

    /// Opens the breaker, unless the generation has passed.
    fn trip(&self, generation: u32, cause: Cause, at: Moment) -> Option<Transition> {
        loop {
            let word = self.load();
            let watching = matches!(word.code(), Code::Closed | Code::Ramping);
            if word.generation() != generation || !watching {
                return None;
            }
            if let Some(transition) = self.open(word, self.openings(at.now), cause, at) {
                return Some(transition);
            }
        }
    }

    /// Goes from `word` to Open after `openings` earlier openings; `None` if somebody was faster.
    pub(super) fn open(
        &self,
        word: Word,
        openings: u8,
        cause: Cause,
        at: Moment,
    ) -> Option<Transition> {
        let attempt = u32::from(openings) + 1;
        let open_for = self.rules.open().delay(attempt, Duration::ZERO, Pressure::NONE, at.bits);
        let until = at.now.after(open_for);
        let opened = word.next(Code::Open, until_data(until.as_nanos()));
        if !self.swap(word, opened) {
            return None;
        }
        // Nobody reads the history of openings before the breaker has been half-open.
        self.remember(openings.saturating_add(1), at.now);
        Some(Transition {
            from: public(word.code()),
            to: super::State::Open,
            generation: opened.generation(),
            open_for: Some(open_for),
            cause,
        })
    }

    /// Openings in a row, less one for every decay interval spent closed since.
    fn openings(&self, now: Instant) -> u8 {
        let (openings, since) = self.remembered();
        let steps = nanos(now.since(since)) / self.rules.decay_ns;
        openings.saturating_sub(u8::try_from(steps).unwrap_or(u8::MAX))
    }

    /// Openings in a row, and since when the breaker has been closed.
    pub(super) fn remembered(&self) -> (u8, Instant) {
        let history = self.history.load(Ordering::Acquire);
        let openings = u8::try_from(history >> 56).unwrap_or(u8::MAX);
        (openings, Instant::from_nanos(history << 8))
    }

    pub(super) fn remember(&self, openings: u8, since: Instant) {
        let history = u64::from(openings) << 56 | since.as_nanos() >> 8;
        self.history.store(history, Ordering::Release);
    }

    /// What the window holds, for people.
    pub(super) fn sums(&self, now: Instant, word: Word) -> Sums {
        let generation = word.generation();
        match &self.calls {
            Calls::Off => Sums::default(),
            Calls::Count { failed, slow, .. } => Sums {
                calls: Counts::of(word).filled,
                failed: failed.count(generation),
                slow: slow.as_ref().map_or(0, |bank| bank.count(generation)),
            },
            Calls::Time(buckets) => buckets.sums(buckets.tick(now, generation)),
        }
    }
}

/// A clock that is read at most once.
struct Lazy<F>(F);

impl<F: FnOnce() -> Moment> Lazy<F> {
    const fn new(at: F) -> Self {
        Self(at)
    }

    fn take(self) -> Moment {
        (self.0)()
    }
}
