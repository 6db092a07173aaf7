use core::time::Duration;

use super::{Detector, later};
use crate::config::Ratio;
use crate::time::{Instant, nanos};

const PARTS: usize = 5;

/// Holds convictions when many peers fall silent together: then the trouble is most likely ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MassSuspicion {
    least: u32,
    share: Ratio,
    part: u64,
    slack: Duration,
    /// New suspects in the latest parts of the window, newest first.
    counts: [u32; PARTS],
    /// Which part is the newest.
    newest: u64,
    held_until: Instant,
}

impl MassSuspicion {
    /// Nobody is suspected yet.
    #[must_use]
    pub fn new(detector: &Detector) -> Self {
        let config = detector.config();
        Self {
            least: config.mass,
            share: config.mass_share,
            part: nanos(config.mass_within) / PARTS as u64,
            slack: config.slack,
            counts: [0; PARTS],
            newest: 0,
            held_until: Instant::default(),
        }
    }

    /// So many more peers of `live` ones are suspected. Answers `true` when convictions are held
    /// from now on, once each time it begins: raise one alarm.
    pub fn suspected(&mut self, now: Instant, suspects: u32, live: u32) -> bool {
        self.forget(now);
        // A clock that stepped back must not hold convictions until it has caught up.
        self.held_until = self.held_until.min(now.after(self.slack));
        self.counts[0] = self.counts[0].saturating_add(suspects);
        let recent = self.counts.iter().fold(0, |sum: u32, part| sum.saturating_add(*part));
        let limit = u64::from(self.least).max(self.share.times(u64::from(live)));
        if suspects == 0 || u64::from(recent) <= limit {
            return false;
        }
        let begins = !self.holds(now);
        self.held_until = later(self.held_until, now.after(self.slack));
        begins
    }

    /// Whether convictions are held.
    #[must_use]
    pub fn holds(&self, now: Instant) -> bool {
        now < self.held_until
    }

    /// Until when convictions are held; in the past when they are not.
    #[must_use]
    pub const fn held_until(&self) -> Instant {
        self.held_until
    }

    fn forget(&mut self, now: Instant) {
        let part = now.as_nanos() / self.part;
        if part < self.newest {
            self.newest = part;
        }
        let past = usize::try_from(part.saturating_sub(self.newest)).unwrap_or(PARTS).min(PARTS);
        self.counts.rotate_right(past % PARTS);
        for stale in self.counts.iter_mut().take(past) {
            *stale = 0;
        }
        self.newest = part;
    }
}
