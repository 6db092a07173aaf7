//! What happened to the latest calls, in atomics that never need emptying: every lane carries the
//! generation or the point in time it belongs to, and a lane of another one reads as empty.

use alloc::boxed::Box;

use super::config::{BUCKETS, Window};
use super::word::GENERATION_MASK;
use crate::sync::{AtomicU64, Ordering};
use crate::time::{Instant, nanos};

/// What a window holds: calls, how many of them failed, how many were slow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) calls: u32,
    pub(super) failed: u32,
    pub(super) slow: u32,
}

/// The window of one breaker.
#[derive(Debug)]
pub(super) enum Calls {
    Off,
    Count { size: u32, failed: Bank, slow: Option<Box<Bank>> },
    Time(Box<Buckets>),
}

impl Calls {
    pub(super) fn new(window: Window, tells_slow: bool) -> Self {
        match window {
            Window::Off => Self::Off,
            Window::Count(size) => Self::Count {
                size,
                failed: Bank::new(size),
                slow: tells_slow.then(|| Box::new(Bank::new(size))),
            },
            Window::Time(length) => {
                let width = (nanos(length) / u64::from(BUCKETS)).max(1);
                Self::Time(Box::new(Buckets::new(width, tells_slow)))
            }
        }
    }

    /// Whether both are of one kind and size.
    pub(super) fn same_shape(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Off, Self::Off) => true,
            (Self::Count { size, slow, .. }, Self::Count { size: s, slow: w, .. }) => {
                size == s && slow.is_some() == w.is_some()
            }
            (Self::Time(one), Self::Time(two)) => {
                one.width_ns == two.width_ns && one.slow.is_some() == two.slow.is_some()
            }
            (Self::Off | Self::Count { .. } | Self::Time(_), _) => false,
        }
    }
}

/// One bit per call of a count window, 32 to a lane: `generation 32 | bits 32`.
///
/// The tally beside it (`generation 32 | count 32`) makes the count of set bits cost one load,
/// whatever the size of the window. It follows the bits one atomic step later, so whoever finds a
/// threshold reached counts the bits themselves before acting ([`Bank::count`]).
#[derive(Debug)]
pub(super) struct Bank {
    lanes: Box<[AtomicU64]>,
    tally: AtomicU64,
}

impl Bank {
    fn new(size: u32) -> Self {
        let lanes = (0..size.div_ceil(32)).map(|_| AtomicU64::new(0)).collect();
        Self { lanes, tally: AtomicU64::new(0) }
    }

    /// Writes the bit of the call that claimed `position` in `generation`.
    pub(super) fn write(&self, position: u32, generation: u32, set: bool) {
        let lane = &self.lanes[(position / 32) as usize];
        let mask = 1_u64 << (position % 32);
        let mut seen = lane.load(Ordering::Relaxed);
        loop {
            let tag = (seen >> 32) as u32;
            let bits = if tag == generation {
                seen & 0xFFFF_FFFF
            } else if newer(tag, generation) {
                return;
            } else {
                0
            };
            let was = bits & mask != 0;
            if was == set {
                return;
            }
            let written = u64::from(generation) << 32 | (bits ^ mask);
            match lane.compare_exchange_weak(seen, written, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => seen = now,
            }
        }
        self.adjust(generation, if set { 1 } else { u32::MAX });
    }

    /// Clears the bit of the call that claimed `position` in `generation`; mostly it is clear.
    ///
    /// A tally of zero says so without a look at the lanes. So a failure that is written but not
    /// tallied for a whole lap may stay for one lap more, as one that is written a lap late does.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the count is the low half")]
    pub(super) fn clear(&self, position: u32, generation: u32) {
        if self.tally.load(Ordering::Relaxed) as u32 != 0 {
            self.write(position, generation, false);
        }
    }

    /// Adds `step` (1, or `u32::MAX` for −1) to the tally of `generation`.
    #[expect(clippy::cast_possible_truncation, reason = "taking the halves of the tally")]
    fn adjust(&self, generation: u32, step: u32) {
        let mut seen = self.tally.load(Ordering::Relaxed);
        loop {
            let tag = (seen >> 32) as u32;
            if tag != generation && newer(tag, generation) {
                return;
            }
            let count = if tag == generation { seen as u32 } else { 0 };
            let next = u64::from(generation) << 32 | u64::from(count.wrapping_add(step));
            match self.tally.compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// The tally of `generation`: right, but for writes under way.
    #[expect(clippy::cast_possible_truncation, reason = "taking the halves of the tally")]
    pub(super) fn tally(&self, generation: u32) -> u32 {
        let seen = self.tally.load(Ordering::Acquire);
        // A removal may overtake its addition and leave −1 for a moment.
        if (seen >> 32) as u32 == generation { u32::try_from(seen as i32).unwrap_or(0) } else { 0 }
    }

    /// The set bits of `generation`, counted.
    #[expect(clippy::cast_possible_truncation, reason = "taking the halves of a lane")]
    pub(super) fn count(&self, generation: u32) -> u32 {
        let lanes = self.lanes.iter().map(|lane| lane.load(Ordering::Acquire));
        lanes
            .filter(|lane| (lane >> 32) as u32 == generation)
            .map(|l| (l as u32).count_ones())
            .sum()
    }
}

/// Whether generation `tag` comes after `generation`, within half the circle of 21 bits.
const fn newer(tag: u32, generation: u32) -> bool {
    let ahead = tag.wrapping_sub(generation) & GENERATION_MASK;
    ahead != 0 && ahead < GENERATION_MASK / 2
}

/// The buckets of a time window. Each lane is `tick 32 | count 32`.
///
/// A *tick* counts buckets since the clock's origin, plus one whole window for every generation:
/// what an earlier generation wrote lies exactly outside the window of the next.
#[derive(Debug)]
pub(super) struct Buckets {
    width_ns: u64,
    /// The latest time seen, in buckets: it does not run backwards.
    latest: AtomicU64,
    /// What is added to the clock's buckets since it last leapt back.
    offset: AtomicU64,
    /// The latest tick in which the window was seen to hold more than the minimum of calls.
    satisfied: AtomicU64,
    calls: [AtomicU64; BUCKETS as usize],
    failed: [AtomicU64; BUCKETS as usize],
    slow: Option<Box<[AtomicU64; BUCKETS as usize]>>,
}

impl Buckets {
    fn new(width_ns: u64, slow: bool) -> Self {
        let lanes = || core::array::from_fn(|_| AtomicU64::new(0));
        Self {
            width_ns,
            latest: AtomicU64::new(0),
            offset: AtomicU64::new(0),
            satisfied: AtomicU64::new(0),
            calls: lanes(),
            failed: lanes(),
            slow: slow.then(|| Box::new(lanes())),
        }
    }

    /// The tick of `now` in `generation`. A small step back counts as the latest time; a leap back
    /// of more than a window starts an empty window, in ticks that never run backwards.
    pub(super) fn tick(&self, now: Instant, generation: u32) -> u64 {
        self.time(now) + u64::from(generation) * u64::from(BUCKETS)
    }

    /// The time of `now` in buckets: never earlier than any time before.
    fn time(&self, now: Instant) -> u64 {
        let window = u64::from(BUCKETS);
        let offset = self.offset.load(Ordering::Relaxed);
        let time = (now.as_nanos() / self.width_ns).wrapping_add(offset);
        let latest = self.latest.load(Ordering::Relaxed);
        if time > latest {
            self.latest.fetch_max(time, Ordering::Relaxed);
            return time;
        }
        let behind = latest - time;
        if behind < window {
            return latest;
        }
        let leapt = offset.wrapping_add(behind + window);
        let order = Ordering::Relaxed;
        // Whoever is second finds the clock already set right.
        if self.offset.compare_exchange(offset, leapt, order, order).is_ok() {
            self.latest.fetch_max(latest + window, Ordering::Relaxed);
        }
        latest + window
    }

    /// Adds a call to the bucket of `tick`.
    pub(super) fn add(&self, tick: u64, failed: bool, slow: bool) {
        bump(&self.calls, tick);
        if failed {
            bump(&self.failed, tick);
        }
        if let (true, Some(lanes)) = (slow, &self.slow) {
            bump(lanes.as_slice(), tick);
        }
    }

    /// What the window holds at `tick`.
    pub(super) fn sums(&self, tick: u64) -> Sums {
        Sums {
            calls: sum(&self.calls, tick),
            failed: sum(&self.failed, tick),
            slow: self.slow.as_ref().map_or(0, |lanes| sum(lanes.as_slice(), tick)),
        }
    }

    /// Whether the window was already seen above its minimum in this very tick, so that one more
    /// success cannot be the call that reaches it.
    pub(super) fn is_satisfied(&self, tick: u64) -> bool {
        self.satisfied.load(Ordering::Relaxed) == tick.wrapping_add(1)
    }

    /// Notes that the window held more than its minimum in `tick`.
    pub(super) fn satisfy(&self, tick: u64) {
        self.satisfied.store(tick.wrapping_add(1), Ordering::Relaxed);
    }
}

/// How far ahead of this thread a lane may be for it to have overtaken us, rather than to be left
/// over from 2³² ticks ago.
const AHEAD_MAX: u32 = 1 << 20;

#[expect(clippy::cast_possible_truncation, reason = "a tick's low half is its tag")]
fn bump(lanes: &[AtomicU64], tick: u64) {
    let lane = &lanes[(tick % u64::from(BUCKETS)) as usize];
    let tag = tick as u32;
    let mut seen = lane.load(Ordering::Relaxed);
    loop {
        let (count, ahead) = (seen as u32, ((seen >> 32) as u32).wrapping_sub(tag));
        let next = if ahead == 0 {
            u64::from(tag) << 32 | u64::from(count.saturating_add(1))
        } else if count > 0 && ahead <= AHEAD_MAX {
            // This thread slept for a whole window, or into another generation: its call belongs
            // to no bucket any more.
            return;
        } else {
            u64::from(tag) << 32 | 1
        };
        match lane.compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => return,
            Err(now) => seen = now,
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a tick's low half is its tag")]
fn sum(lanes: &[AtomicU64], tick: u64) -> u32 {
    let now = tick as u32;
    let within = |lane: &u64| now.wrapping_sub((lane >> 32) as u32) < BUCKETS;
    let counts = lanes.iter().map(|lane| lane.load(Ordering::Acquire)).filter(within);
    counts.fold(0, |total, lane| total.saturating_add(lane as u32))
}

impl Bank {
    pub(super) fn copy_from(&self, other: &Self) {
        copy(&self.lanes, &other.lanes);
        self.tally.store(other.tally.load(Ordering::Acquire), Ordering::Release);
    }
}

impl Buckets {
    pub(super) fn copy_from(&self, other: &Self) {
        self.latest.store(other.latest.load(Ordering::Acquire), Ordering::Release);
        self.offset.store(other.offset.load(Ordering::Acquire), Ordering::Release);
        copy(&self.calls, &other.calls);
        copy(&self.failed, &other.failed);
        if let (Some(to), Some(from)) = (&self.slow, &other.slow) {
            copy(to.as_slice(), from.as_slice());
        }
    }
}

fn copy(to: &[AtomicU64], from: &[AtomicU64]) {
    for (to, from) in to.iter().zip(from) {
        to.store(from.load(Ordering::Acquire), Ordering::Release);
    }
}
