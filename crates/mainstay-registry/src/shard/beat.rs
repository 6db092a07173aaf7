use std::time::Duration;

use mainstay_core::session::heartbeat::Beat as Outcome;
use mainstay_core::session::quality::Sample;
use mainstay_core::session::status::LossReason;
use mainstay_core::time::Instant;

use super::{Shard, number};
use crate::lifecycle::{Input, Turn, turn};
use crate::packed::Packed;
use crate::table::{ASKED, BEATS, CHANGED, CONNECTED, HEARD, SUSPECTED, WATCHED};
use crate::{Beat, Beats, Effect, EventKind, Key, Measured, SessionId};

impl Shard {
    /// A frame came on this connection. Touches one line of the table, unless it was missed.
    pub(crate) fn heard(&mut self, now: Instant, key: Key) -> bool {
        let Some(slot) = self.slot_of(key) else { return false };
        self.hear(now, slot)
    }

    /// The answer to a ping came.
    pub(crate) fn answered(&mut self, now: Instant, key: Key, rtt: Duration) -> bool {
        let Some(slot) = self.slot_of(key) else { return false };
        if !self.hear(now, slot) {
            return false;
        }
        self.hot[slot].clear(ASKED);
        self.outcome(now, slot, Outcome::Came, Some(rtt));
        self.announce(now, slot);
        true
    }

    /// A session beat by itself, or a gateway did for it.
    pub(crate) fn heartbeat(
        &mut self,
        now: Instant,
        session: SessionId,
        rtt: Option<Duration>,
    ) -> Option<Beat> {
        let slot = self.find(session)?;
        let missed = u32::from(self.hot[slot].missed);
        if !self.hot[slot].is(CONNECTED) {
            self.come_back(now, slot)?;
        }
        self.hear(now, slot);
        self.hot[slot].clear(ASKED);
        self.outcome(now, slot, Outcome::Came, rtt);
        if self.hot[slot].is(BEATS) {
            let sooner = self.retell(slot);
            let usual = self.usual(slot);
            let wait =
                self.rules.detector.suspect_after(self.expected_within(slot), usual, self.stress);
            let asks = self.clock.due(now.after(wait));
            self.warm[slot].asks = asks;
            if sooner {
                self.arm_sooner(slot, asks);
            }
        } else {
            self.announce(now, slot);
        }
        let told = self.interval(slot);
        let quality = self.warm[slot].grade.quality();
        Some(Beat { quality, interval: told.interval, timeout: told.timeout, missed })
    }

    fn hear(&mut self, now: Instant, slot: usize) -> bool {
        let seen = self.clock.tick(now);
        let hot = &mut self.hot[slot];
        if !hot.is(CONNECTED) {
            return false;
        }
        hot.seen = seen;
        hot.set(HEARD | CHANGED);
        hot.missed = 0;
        if hot.is(SUSPECTED) {
            hot.clear(SUSPECTED);
            self.tell(now, slot, EventKind::Recovered);
        }
        true
    }

    /// A session that beats by itself beat again after it was taken for lost.
    fn come_back(&mut self, now: Instant, slot: usize) -> Option<()> {
        let cold = &self.cold[slot];
        let returns = turn(cold.phase, Input::Beat) == Turn::Return;
        // Who asked whom before a restart is not known; whoever beats, beats by itself.
        let by_itself = self.hot[slot].is(BEATS) || cold.loss == LossReason::Restarted;
        if !returns || !by_itself || !Self::beats_back(cold.loss) {
            return None;
        }
        self.connect(now, slot, 0, Beats::Client);
        self.tell(now, slot, EventKind::Resumed { replay: false });
        Some(())
    }

    /// Moves what beats said since the last time into `sum`.
    pub(crate) fn take_measured(&mut self, sum: &mut Measured) {
        self.measured.move_to(sum);
    }

    /// A beat came or did not: what that says about the connection.
    pub(super) fn outcome(
        &mut self,
        now: Instant,
        slot: usize,
        outcome: Outcome,
        rtt: Option<Duration>,
    ) {
        let before = self.share(slot);
        let (hot, warm) = (&mut self.hot[slot], &mut self.warm[slot]);
        let missed = outcome == Outcome::Missed;
        if missed {
            hot.missed = hot.missed.saturating_add(1);
            self.measured.missed();
        } else {
            self.measured.came(rtt);
        }
        hot.losses = hot.losses << 1 | u32::from(missed);
        hot.set(CHANGED);
        warm.beats = (warm.beats + 1).min(32);
        if let Some(rtt) = rtt {
            measure(hot, warm, rtt);
        }
        let sample = Sample {
            rtt_us: hot.smoothed.us(),
            jitter_us: hot.jitter.us().unwrap_or(0),
            min_us: hot.min.us().unwrap_or(0),
            losses: hot.losses,
            beats: warm.beats,
            missed: hot.missed,
            reconnects: warm.reconnects.count(now),
        };
        let from = warm.grade.quality();
        warm.grade = warm.grade.update(&self.rules.grader, &sample);
        let (to, factor) = (warm.grade.quality(), warm.grade.factor());
        warm.rhythm = self.rules.heartbeat.next(warm.rhythm, outcome, to);
        let watched = hot.is(WATCHED);
        let after = self.share(slot);
        self.tally_share(before, false);
        self.tally_share(after, true);
        if watched {
            let us = rtt.map_or(0, |rtt| u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX));
            let wall = self.clock.unix_ms(now);
            if let Some(bars) = self.watched.get_mut(&number(slot)) {
                bars.record(wall, missed, us, to);
            }
        }
        if from != to {
            self.tell(now, slot, EventKind::QualityChanged { from, to, factor });
        }
    }

    /// Tells a connection its interval when that changed, and asks it sooner when it is shorter.
    pub(super) fn announce(&mut self, now: Instant, slot: usize) {
        if self.hot[slot].is(BEATS) || !self.retell(slot) {
            return;
        }
        let told = self.interval(slot);
        let asks = self.clock.due(now.after(told.interval));
        if asks < self.warm[slot].asks {
            self.warm[slot].asks = asks;
        }
        self.arm_sooner(slot, self.warm[slot].asks);
        let (key, quality) = (self.key(slot), self.warm[slot].grade.quality());
        let (interval, timeout) = (told.interval, told.timeout);
        self.effects.push(Effect::Announce { key, interval, timeout, quality });
    }

    fn arm_sooner(&mut self, slot: usize, tick: u32) {
        if tick < self.deadline[slot] {
            self.arm(slot, tick);
        }
    }

    /// How long after a beat the next one is expected at the latest: jitter is no delay.
    pub(super) fn expected_within(&self, slot: usize) -> Duration {
        self.rules.heartbeat.jittered(self.told(slot), u64::MAX)
    }

    /// The smoothed round trip and its variation.
    pub(super) fn usual(&self, slot: usize) -> Option<(Duration, Duration)> {
        let variation = self.warm[slot].variation.duration().unwrap_or_default();
        self.hot[slot].smoothed.duration().map(|smoothed| (smoothed, variation))
    }
}

/// Takes one round trip into account: RFC 6298 for what is usual, RFC 3550 for the jitter.
fn measure(hot: &mut crate::table::Hot, warm: &mut crate::table::Warm, rtt: Duration) {
    let sample = Packed::from_duration(rtt);
    let us = sample.us().unwrap_or(1);
    if let Some(last) = warm.last.us() {
        hot.jitter = hot.jitter.blended(us.abs_diff(last), 3);
    }
    warm.last = sample;
    match hot.smoothed.us() {
        None => (hot.smoothed, hot.min, warm.variation) = (sample, sample, Packed::from_us(us / 2)),
        Some(smoothed) => {
            warm.variation = warm.variation.blended(us.abs_diff(smoothed), 2);
            hot.smoothed = hot.smoothed.blended(us, 3);
            hot.min = hot.min.min(sample);
        }
    }
}
