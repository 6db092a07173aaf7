use std::time::Duration;

use mainstay_core::time::Instant;

/// What the driver's clock and the calendar say at the same moment.
///
/// All calendar times of a registry are this one plus what the driver's clock advanced, so a step of
/// the system's clock disturbs nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The driver's clock.
    pub now: Instant,
    /// Milliseconds since 1970.
    pub unix_ms: u64,
}

/// A point in time of 16.8 ms (2²⁴ ns), in four bytes.
///
/// Good for 52 days before the origin and two years after it; before that is over, the origin
/// moves.
pub(crate) type Tick = u32;

/// Never due.
pub(crate) const NEVER: Tick = u32::MAX;
const BIAS: u64 = 1 << 28;
const SHIFT: u32 = 24;
/// By how much an origin moves: 208 days.
pub(crate) const MOVE: Tick = 1 << 30;
const MOVE_NANOS: u64 = (MOVE as u64) << SHIFT;
/// Rounded up, so that the calendar does not go back.
const MOVE_MS: u64 = MOVE_NANOS.div_ceil(1_000_000);

/// Which way an origin moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Later,
    /// Back where it was: the driver's clock stepped back.
    Sooner,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Origin,
}

impl Clock {
    pub(crate) const fn new(origin: Origin) -> Self {
        Self { origin }
    }

    /// Whether ticks are about to run out, or `now` lies before all of them.
    pub(crate) fn moves(&self, now: Instant, first: Instant) -> Option<Way> {
        if self.tick(now) >= 3 * MOVE {
            Some(Way::Later)
        } else {
            (now < self.origin.now && first < self.origin.now).then_some(Way::Sooner)
        }
    }

    /// Moves the origin; every tick that is kept moves by [`MOVE`] the other way.
    pub(crate) fn shift(&mut self, way: Way) {
        let Origin { now, unix_ms } = &mut self.origin;
        match way {
            Way::Later => {
                *now = now.after(Duration::from_nanos(MOVE_NANOS));
                *unix_ms = unix_ms.saturating_add(MOVE_MS);
            }
            Way::Sooner => {
                *now = Instant::from_nanos(now.as_nanos().saturating_sub(MOVE_NANOS));
                *unix_ms = unix_ms.saturating_sub(MOVE_MS);
            }
        }
    }

    pub(crate) fn unix_ms(&self, now: Instant) -> u64 {
        let elapsed = now.as_nanos().saturating_sub(self.origin.now.as_nanos()) / 1_000_000;
        self.origin.unix_ms.saturating_add(elapsed)
    }

    /// When the calendar says `unix_ms`; the clock's origin for what was before it.
    pub(crate) fn at(&self, unix_ms: u64) -> Instant {
        let since = Duration::from_millis(unix_ms.saturating_sub(self.origin.unix_ms));
        self.origin.now.after(since)
    }

    /// The tick that `now` is in.
    pub(crate) fn tick(&self, now: Instant) -> Tick {
        let elapsed = now.as_nanos().saturating_sub(self.origin.now.as_nanos());
        bounded(BIAS + (elapsed >> SHIFT))
    }

    /// The first tick that begins at `at` or later.
    pub(crate) fn due(&self, at: Instant) -> Tick {
        let elapsed = at.as_nanos().saturating_sub(self.origin.now.as_nanos());
        bounded(BIAS + elapsed.div_ceil(1 << SHIFT))
    }

    /// When a tick begins; the clock's origin for those before it.
    pub(crate) fn instant(&self, tick: Tick) -> Instant {
        let since = u64::from(tick).saturating_sub(BIAS) << SHIFT;
        self.origin.now.after(Duration::from_nanos(since))
    }

    /// When a tick begins, in milliseconds since 1970.
    pub(crate) fn tick_unix_ms(&self, tick: Tick) -> u64 {
        let millis = |ticks: u64| (ticks << SHIFT) / 1_000_000;
        let tick = u64::from(tick);
        let later = self.origin.unix_ms.saturating_add(millis(tick.saturating_sub(BIAS)));
        later.saturating_sub(millis(BIAS.saturating_sub(tick)))
    }

    /// The tick of a calendar time, rounded down.
    pub(crate) fn tick_of(&self, unix_ms: u64) -> Tick {
        let ticks = |ms: u64| ms.saturating_mul(1_000_000) >> SHIFT;
        let after = ticks(unix_ms.saturating_sub(self.origin.unix_ms));
        let before = self.origin.unix_ms.saturating_sub(unix_ms).saturating_mul(1_000_000);
        bounded((BIAS + after).saturating_sub(before.div_ceil(1 << SHIFT)))
    }
}

/// Held one below [`NEVER`], so that what is due at the end of time is due.
fn bounded(tick: u64) -> Tick {
    u32::try_from(tick).unwrap_or(NEVER).min(NEVER - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> Clock {
        Clock::new(Origin { now: Instant::from_nanos(77), unix_ms: 1_800_000_000_000 })
    }

    #[test]
    fn a_tick_begins_before_what_is_in_it_and_a_due_one_not_before_what_is_due() {
        for nanos in [77, 78, 1 << 24, (1 << 24) + 77, 1 << 40, 123_456_789_012_345] {
            let at = Instant::from_nanos(nanos);
            assert!(clock().instant(clock().tick(at)) <= at);
            assert!(clock().instant(clock().due(at)) >= at);
        }
    }

    #[test]
    fn ticks_reach_from_before_the_origin_to_the_end_of_time() {
        let ms = 1_800_000_000_000;
        assert_eq!(clock().tick_unix_ms(clock().tick_of(ms)), ms);
        let day_before = ms - 86_400_000;
        let found = clock().tick_unix_ms(clock().tick_of(day_before));
        assert!(found.abs_diff(day_before) <= 17, "{found}");
        assert_eq!(clock().tick_of(0), 0);
        assert_eq!(clock().tick(Instant::MAX), NEVER - 1);
        assert_eq!(clock().unix_ms(Instant::from_nanos(0)), ms, "a clock that steps back");
    }
}
