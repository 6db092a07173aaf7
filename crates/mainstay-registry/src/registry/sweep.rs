use std::sync::atomic::Ordering;
use std::time::Duration;

use mainstay_core::time::Instant;

use super::{Registry, SHARDS, held};
use crate::shard::{Swept, Verdict};
use crate::{Alarm, Effect};

/// How often a registry is swept at least: so that a sweep that comes late is noticed.
const EVERY: Duration = Duration::from_secs(1);

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Sessions whose deadline came.
    pub due: u32,
    /// Sessions that were asked.
    pub pings: u32,
    /// Sessions that were suspected.
    pub suspected: u32,
    /// Sessions that were given up for now, because they were silent.
    pub silent: u32,
    /// Sessions that are over, because their grace was.
    pub expired: u32,
    /// Sessions that are over, because their attempts were used up.
    pub failed: u32,
    /// Records of sessions that were over for long enough.
    pub removed: u32,
    /// By how much this sweep was late, when that means that we slept.
    pub late: Option<Duration>,
    /// Whether nobody is given up, because many fell silent at once or we slept.
    pub held: bool,
}

impl Registry {
    /// Does what is due: asks, suspects, gives up, ends and removes. Call it at
    /// [`next_due`](Self::next_due). `bits` are fresh random bits.
    pub fn sweep(&self, now: Instant, bits: u64) -> SweepReport {
        let verdict = self.verdict(now);
        let mut all = Swept::default();
        for number in 0..SHARDS {
            let swept = self.with(number, |shard| shard.sweep(now, bits, &verdict));
            all.add(&swept);
        }
        let alarms = self.judge(now, &all, verdict.late);
        if !alarms.is_empty() {
            self.with(0, |shard| shard.alarm(alarms));
        }
        SweepReport {
            due: all.due,
            pings: all.pings,
            suspected: all.suspected,
            silent: all.silent,
            expired: all.expired,
            failed: all.failed,
            removed: all.removed,
            late: verdict.late,
            held: now < verdict.held_until,
        }
    }

    /// When to sweep next: when something is due, and a second after the last sweep at the latest.
    #[must_use]
    pub fn next_due(&self) -> Instant {
        let swept_at = held(&self.guards).swept_at;
        let latest = swept_at.map_or_else(Instant::default, |at| at.after(EVERY));
        let due = self.shards.iter().filter_map(|shard| held(shard).next_due());
        due.fold(latest, Instant::min)
    }

    fn verdict(&self, now: Instant) -> Verdict {
        let mut guards = held(&self.guards);
        let late = guards.pause.swept(now, EVERY);
        guards.swept_at = Some(now);
        let [excellent, others] = guards.rates;
        Verdict {
            pause: guards.pause,
            held_until: guards.held_until(),
            late,
            stress: self.stress.load(Ordering::Relaxed),
            stretch: self.rules.heartbeat.stretch(excellent, others),
        }
    }

    /// What the sweep of all shards says about ourselves.
    fn judge(&self, now: Instant, all: &Swept, late: Option<Duration>) -> Vec<Effect> {
        let mut guards = held(&self.guards);
        guards.rates = all.rates;
        let begins = guards.mass.suspected(now, all.suspected, all.connected);
        let (suspected, connected) = (all.suspected, all.connected);
        let mass = begins.then_some(Alarm::MassSuspicion { suspected, connected });
        let pause = late.map(|late| Alarm::OwnPause { late });
        [pause, mass].into_iter().flatten().map(Effect::Alarm).collect()
    }
}

impl Swept {
    fn add(&mut self, other: &Self) {
        self.due += other.due;
        self.pings += other.pings;
        self.suspected += other.suspected;
        self.silent += other.silent;
        self.expired += other.expired;
        self.failed += other.failed;
        self.removed += other.removed;
        self.connected += other.connected;
        self.rates[0] += other.rates[0];
        self.rates[1] += other.rates[1];
    }
}
