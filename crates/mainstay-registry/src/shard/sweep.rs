use std::time::Duration;

use mainstay_core::bits::bits as draw;
use mainstay_core::detect::OwnPause;
use mainstay_core::session::heartbeat::{Beat as Outcome, Stretch};
use mainstay_core::session::status::{EndReason, LossReason};
use mainstay_core::time::Instant;

use super::Shard;
use crate::clock::{MOVE, NEVER, Tick, Way};
use crate::lifecycle::{Input, Turn, turn};
use crate::table::{ASKED, BEATS, Phase, SUSPECTED};
use crate::{CloseReason, Effect, EventKind};

/// What all shards are swept with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    /// What we slept ourselves.
    pub(crate) pause: OwnPause,
    /// Nobody is given up before.
    pub(crate) held_until: Instant,
    /// By how much every deadline moves, once.
    pub(crate) late: Option<Duration>,
    pub(crate) stress: u8,
    pub(crate) stretch: Stretch,
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Swept {
    pub(crate) due: u32,
    pub(crate) pings: u32,
    pub(crate) suspected: u32,
    pub(crate) silent: u32,
    pub(crate) expired: u32,
    pub(crate) failed: u32,
    pub(crate) removed: u32,
    pub(crate) connected: u32,
    /// Beats in 1000 s, of excellent sessions and of others.
    pub(crate) rates: [u64; 2],
}

impl Shard {
    pub(crate) fn sweep(&mut self, now: Instant, bits: u64, verdict: &Verdict) -> Swept {
        (self.stress, self.stretch) = (verdict.stress, verdict.stretch);
        if let Some(late) = verdict.late {
            self.shift(late);
        }
        if let Some(way) = self.clock.moves(now, self.first) {
            self.move_origin(way);
        }
        let mut swept = Swept::default();
        let tick = self.clock.tick(now);
        if self.next_due <= tick {
            for slot in 0..self.deadline.len() {
                if self.deadline[slot] <= tick {
                    swept.due += 1;
                    let stream = u64::from(self.number) << 32 | slot as u64;
                    self.due(now, draw(bits, stream, 0), slot, verdict, &mut swept);
                }
            }
            self.next_due = self.deadline.iter().copied().min().unwrap_or(NEVER);
        }
        swept.connected = u32::try_from(self.counts.connected).unwrap_or(u32::MAX);
        swept.rates = self.rates;
        swept
    }

    /// The deadline of a slot came: what is there to do, and when is the next one?
    fn due(&mut self, now: Instant, bits: u64, slot: usize, verdict: &Verdict, swept: &mut Swept) {
        let over = self.cold[slot].until <= self.clock.tick(now);
        match self.cold[slot].phase {
            Phase::Free | Phase::Registering => self.deadline[slot] = NEVER,
            Phase::Connected => self.connected_due(now, bits, slot, verdict, swept),
            Phase::Suspended if over => {
                if turn(Phase::Suspended, Input::TimeOver) == Turn::Expire {
                    self.end_slot(now, slot, EndReason::Expired);
                    swept.expired += 1;
                }
            }
            Phase::Reconnecting if over => {
                self.window_over(now, bits, slot);
                swept.failed += u32::from(self.cold[slot].phase == Phase::Failed);
            }
            Phase::Suspended | Phase::Reconnecting => self.deadline[slot] = self.cold[slot].until,
            Phase::Disconnected | Phase::Failed => {
                if let Some(at) = self.ended.iter().position(|other| *other as usize == slot) {
                    self.ended.remove(at);
                }
                self.forget(slot);
                swept.removed += 1;
            }
        }
    }

    fn connected_due(
        &mut self,
        now: Instant,
        bits: u64,
        slot: usize,
        verdict: &Verdict,
        swept: &mut Swept,
    ) {
        let (suspect_at, dead_at) = self.deadlines(slot, &verdict.pause);
        if now >= dead_at.max(verdict.held_until) {
            self.close(slot, CloseReason::Silent);
            self.suspend_slot(now, slot, LossReason::Silent, None);
            swept.silent += 1;
            return;
        }
        let silent = now >= suspect_at;
        let asks = self.warm[slot].asks <= self.clock.tick(now);
        let probes = if self.hot[slot].is(BEATS) {
            if asks && silent {
                self.outcome(now, slot, Outcome::Missed, None);
                self.warm[slot].asks = self.clock.due(now.after(self.told(slot)));
            }
            false
        } else if asks {
            self.ask(now, bits, slot);
            swept.pings += 1;
            false
        } else {
            silent
        };
        if silent && !self.hot[slot].is(SUSPECTED) {
            self.suspect(now, slot);
            swept.suspected += 1;
        }
        if probes {
            let key = self.key(slot);
            self.effects.push(Effect::Probe(key));
        }
        let stable = self.stable_at(slot);
        if stable.is_some_and(|at| at <= self.clock.unix_ms(now)) {
            self.change(slot, |_, _, cold| cold.attempts = 0);
            self.keep(slot);
        }
        self.arm_connected(now, slot, verdict);
    }

    /// When a silent session is suspected and when it is given up.
    pub(super) fn deadlines(&self, slot: usize, pause: &OwnPause) -> (Instant, Instant) {
        let (heard, [suspect, dead]) = (self.silent_since(slot, pause), self.patience(slot));
        (heard.after(suspect), heard.after(dead))
    }

    /// Since when a session is silent, as far as that is its own silence.
    pub(super) fn silent_since(&self, slot: usize, pause: &OwnPause) -> Instant {
        let seen = self.hot[slot].seen;
        let excused = pause.excused(self.clock.instant(seen));
        // The end of the tick it was heard in: nobody is given up too early.
        self.clock.instant(seen.saturating_add(1)).after(excused)
    }

    /// How long a session may be silent before it is suspected, and before it is given up.
    pub(super) fn patience(&self, slot: usize) -> [Duration; 2] {
        let (expected, detector) = (self.expected_within(slot), &self.rules.detector);
        let suspect = detector.suspect_after(expected, self.usual(slot), self.stress);
        [suspect, detector.dead_after(expected, self.stress)]
    }

    /// Asks a session whether it is there; what it did not answer before is a miss.
    fn ask(&mut self, now: Instant, bits: u64, slot: usize) {
        if self.hot[slot].is(ASKED) {
            self.outcome(now, slot, Outcome::Missed, None);
        }
        self.hot[slot].set(ASKED);
        let key = self.key(slot);
        self.effects.push(Effect::Ping(key));
        self.announce(now, slot);
        let wait = self.rules.heartbeat.jittered(self.told(slot), bits);
        self.warm[slot].asks = self.clock.due(now.after(wait));
    }

    fn suspect(&mut self, now: Instant, slot: usize) {
        self.hot[slot].set(SUSPECTED);
        let before = self.share(slot);
        let grade = self.warm[slot].grade;
        let suspected = grade.suspected();
        self.warm[slot].grade = suspected;
        let after = self.share(slot);
        self.tally_share(before, false);
        self.tally_share(after, true);
        let (from, to, factor) = (grade.quality(), suspected.quality(), suspected.factor());
        if from == to {
            self.tell(now, slot, EventKind::Suspected);
        } else {
            // One row for both: a whole fleet may be suspected at once.
            self.tell_first(now, slot, EventKind::Suspected);
            self.tell(now, slot, EventKind::QualityChanged { from, to, factor });
        }
    }

    /// When its attempts start again, in milliseconds since 1970; none when it made none.
    fn stable_at(&self, slot: usize) -> Option<u64> {
        let cold = &self.cold[slot];
        let reset = u64::try_from(self.rules.config.reset_after.as_millis()).unwrap_or(u64::MAX);
        (cold.attempts > 0).then(|| cold.connected_at.saturating_add(reset))
    }

    fn arm_connected(&mut self, now: Instant, slot: usize, verdict: &Verdict) {
        let (suspect_at, dead_at) = self.deadlines(slot, &verdict.pause);
        let dead = self.clock.due(dead_at.max(verdict.held_until));
        let mut next: Tick = dead;
        let suspected = self.hot[slot].is(SUSPECTED);
        let beats = self.hot[slot].is(BEATS);
        if !suspected {
            next = next.min(self.clock.due(suspect_at));
        } else if !beats {
            let probe_every = self.rules.detector.config().probe_every;
            next = next.min(self.clock.due(now.after(probe_every)));
        }
        // The miss of one that beats by itself counts when it is suspected, at the earliest.
        let asks = self.warm[slot].asks;
        next = next.min(if beats { asks.max(self.clock.due(suspect_at)) } else { asks });
        if let Some(at) = self.stable_at(slot) {
            next = next.min(self.clock.due(self.clock.at(at)));
        }
        // Never this very tick again: what is due now was done.
        let soonest = self.clock.tick(now).saturating_add(1).min(NEVER - 1);
        self.arm(slot, next.max(soonest));
    }

    /// Ticks would run out, or the driver's clock stepped back: all of them count from elsewhere.
    fn move_origin(&mut self, way: Way) {
        self.clock.shift(way);
        let moved = |tick: &mut Tick| match way {
            Way::Later => *tick = tick.saturating_sub(MOVE),
            Way::Sooner => *tick = tick.saturating_add(MOVE).min(NEVER - 1),
        };
        self.hot.iter_mut().for_each(|hot| moved(&mut hot.seen));
        self.warm.iter_mut().for_each(|warm| moved(&mut warm.asks));
        self.cold.iter_mut().for_each(|cold| moved(&mut cold.until));
        self.deadline.iter_mut().filter(|tick| **tick != NEVER).for_each(moved);
        self.next_due = self.deadline.iter().copied().min().unwrap_or(NEVER);
    }

    /// We slept: nobody could come back meanwhile, so all grace and all windows are longer by that.
    fn shift(&mut self, late: Duration) {
        let ticks = self.clock.due(self.clock.instant(0).after(late))
            - self.clock.due(self.clock.instant(0));
        for slot in 0..self.cold.len() {
            let cold = &mut self.cold[slot];
            match cold.phase {
                Phase::Suspended | Phase::Reconnecting => {
                    cold.until = cold.until.saturating_add(ticks).min(NEVER - 1);
                    self.deadline[slot] = cold.until;
                }
                Phase::Free
                | Phase::Registering
                | Phase::Connected
                | Phase::Disconnected
                | Phase::Failed => {}
            }
        }
    }
}
