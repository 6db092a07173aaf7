use core::time::Duration;

use super::{Detector, later};
use crate::time::{Instant, nanos};

/// Notices that this process slept, and excuses its peers for that time.
///
/// A laptop that wakes, a virtual machine that was moved, a runtime that hung: what peers sent in the
/// meantime was not read, so their silence proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnPause {
    allowed: u64,
    slack: Duration,
    /// When the next sweep was to be at the latest; none before the first.
    planned: Option<Instant>,
    lenient_until: Instant,
    /// The pauses, newest first: when it ended, and how long it was. The last one stands for all
    /// before it, too.
    latest: [(Instant, u64); 4],
}

impl OwnPause {
    /// Nothing noticed yet.
    #[must_use]
    pub fn new(detector: &Detector) -> Self {
        Self {
            allowed: nanos(detector.config.pause),
            slack: detector.config.slack,
            planned: None,
            lenient_until: Instant::default(),
            latest: [(Instant::default(), 0); 4],
        }
    }

    /// A sweep begins, and the next one is planned `next_in` from now. Answers by how much this one
    /// is late, when that is too much: move every deadline by it.
    pub fn swept(&mut self, now: Instant, next_in: Duration) -> Option<Duration> {
        let planned = self.planned.replace(now.after(next_in));
        // A clock that stepped back must not hold convictions until it has caught up.
        self.lenient_until = self.lenient_until.min(now.after(self.slack));
        for (end, _) in &mut self.latest {
            *end = now.min(*end);
        }
        let late = nanos(now.since(planned?));
        if late <= self.allowed {
            return None;
        }
        let [first, second, third, oldest] = self.latest;
        // The two oldest become one: what was excused once stays excused.
        let merged = (third.0, third.1.saturating_add(oldest.1));
        self.latest = [(now, late), first, second, merged];
        self.lenient_until = later(self.lenient_until, now.after(self.slack));
        Some(Duration::from_nanos(late))
    }

    /// Whether nobody may be given up yet, because we slept a moment ago.
    #[must_use]
    pub fn lenient(&self, now: Instant) -> bool {
        now < self.lenient_until
    }

    /// Until when nobody may be given up; in the past when we did not sleep.
    #[must_use]
    pub const fn lenient_until(&self) -> Instant {
        self.lenient_until
    }

    /// How much of the silence since `heard` is ours.
    #[must_use]
    pub fn excused(&self, heard: Instant) -> Duration {
        let ours = self.latest.iter().filter(|(end, _)| *end > heard);
        // A peer heard in the middle of what we take for a pause is excused for the rest of it only.
        let each = ours.map(|(end, late)| (*late).min(nanos(end.since(heard))));
        Duration::from_nanos(each.fold(0, u64::saturating_add))
    }
}
