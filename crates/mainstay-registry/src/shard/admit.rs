use std::sync::atomic::Ordering;
use std::time::Duration;

use mainstay_core::session::status::LossReason;
use mainstay_core::time::Instant;

use super::{Shard, number};
use crate::clock::NEVER;
use crate::lifecycle::{Input, Turn, turn};
use crate::table::{ASKED, BEATS, CHANGED, Cold, HEARD, Hot, Phase, SUSPECTED, Warm};
use crate::{
    Admitted, Beats, CloseReason, Effect, EventKind, Interval, Key, Refusal, Registration,
    SessionId,
};

impl Shard {
    /// A new session, not to be seen until [`committed`](Self::committed).
    pub(crate) fn register(
        &mut self,
        now: Instant,
        bits: u128,
        registration: Registration,
    ) -> Result<Admitted, Refusal> {
        self.allowed(registration.user.as_deref())?;
        let slot = self.take_slot().ok_or(Refusal::Full)?;
        let wall = self.clock.unix_ms(now);
        let [low, high] = halves(bits);
        let id = SessionId::mint(wall, self.number, number(slot), low);
        let mut cold = Cold::free();
        cold.name(id);
        cold.metadata = Some(registration.metadata).filter(|text| !text.is_empty());
        cold.connected_at = wall;
        cold.user = registration.user.as_deref().map_or(0, |user| self.users.hold(user) + 1);
        cold.organisation = self.organisations.hold(&registration.organisation);
        cold.client_type = self.client_types.hold(&registration.client_type);
        cold.client_version = self.client_versions.hold(&registration.client_version);
        let grace = self.rules.config.grace.as_millis();
        cold.grace_ms = u32::try_from(grace).unwrap_or(u32::MAX);
        cold.max_attempts = self.rules.config.reconnect_attempts;
        cold.phase = Phase::Registering;
        self.index(slot, &cold);
        self.cold[slot] = cold;
        self.warm[slot] = Warm::new(self.rules.heartbeat.start());
        let flags = flag_of(registration.beats);
        let seen = self.clock.tick(now);
        self.hot[slot] = Hot { check: id.check(1), seen, flags, ..Hot::default() };
        let _ = self.retell(slot);
        self.plan(now, slot, high);
        self.deadline[slot] = NEVER;
        self.tell(now, slot, EventKind::Registered);
        Ok(self.admitted(slot, false))
    }

    /// The store has a session: it can be seen from now on, and its beats begin.
    pub(crate) fn committed(&mut self, now: Instant, key: Key) -> bool {
        let Some(slot) = self.slot_of(key) else { return false };
        if turn(self.cold[slot].phase, Input::Committed) != Turn::Open {
            return false;
        }
        self.hot[slot].seen = self.clock.tick(now);
        self.change(slot, |_, _, cold| cold.phase = Phase::Connected);
        self.arm(slot, self.clock.tick(now));
        if let Some(reason) = self.doomed.remove(&number(slot)) {
            self.end_slot(now, slot, reason);
        }
        true
    }

    /// The store could not take a session: nothing of it remains.
    pub(crate) fn rolled_back(&mut self, key: Key) -> bool {
        let Some(slot) = self.slot_of(key) else { return false };
        if turn(self.cold[slot].phase, Input::RolledBack) != Turn::Vanish {
            return false;
        }
        self.live.fetch_sub(1, Ordering::Relaxed);
        self.free_slot(slot);
        true
    }

    /// A new connection of a session that shows its generation.
    pub(crate) fn resume(
        &mut self,
        now: Instant,
        bits: u64,
        session: SessionId,
        shown: u64,
        replay: bool,
        beats: Beats,
    ) -> Result<Admitted, Refusal> {
        let slot = self.find(session).ok_or(Refusal::Unknown)?;
        let turn = turn(self.cold[slot].phase, Input::Resumed);
        let kind = match turn {
            Turn::Return => EventKind::Resumed { replay },
            Turn::TakeOver => EventKind::TakenOver,
            Turn::Stay
            | Turn::Open
            | Turn::Vanish
            | Turn::Doom
            | Turn::Suspend
            | Turn::Prolong
            | Turn::Await
            | Turn::Expire
            | Turn::End
            | Turn::Fail
            | Turn::Forget => {
                return Err(self.cold[slot].ended.map_or(Refusal::Unknown, Refusal::Gone));
            }
        };
        let hot = &self.hot[slot];
        let current = hot.generation();
        let shown = u32::try_from(shown).map_err(|_| Refusal::Stale)?;
        // Those since the last one that the client has shown count while the current one was never
        // heard: then their welcomes were lost.
        let lost = u32::from(self.cold[slot].unheard);
        let welcome_lost = !hot.is(HEARD) && current.saturating_sub(shown) <= lost;
        if shown < current && !welcome_lost {
            return Err(Refusal::Stale);
        }
        let next = current.max(shown).checked_add(1).ok_or(Refusal::Stale)?;
        // What was lost with a restart is of the connection before this one.
        self.tell_loss(now, slot);
        let takeover = turn == Turn::TakeOver;
        if takeover {
            self.close(slot, CloseReason::Superseded);
            self.cold[slot].disconnections = self.cold[slot].disconnections.saturating_add(1);
        }
        self.hot[slot].check = session.check(next);
        self.cold[slot].unheard = u8::try_from(next - shown).unwrap_or(u8::MAX);
        self.connect(now, slot, bits, beats);
        self.tell(now, slot, kind);
        Ok(self.admitted(slot, takeover))
    }

    /// The session in this slot has a connection from now on.
    pub(super) fn connect(&mut self, now: Instant, slot: usize, bits: u64, beats: Beats) {
        let (seen, wall) = (self.clock.tick(now), self.clock.unix_ms(now));
        self.expected.remove(&number(slot));
        self.change(slot, |hot, warm, cold| {
            hot.seen = seen;
            hot.missed = 0;
            hot.clear(SUSPECTED | ASKED | HEARD | BEATS);
            hot.set(CHANGED | flag_of(beats));
            warm.last = crate::packed::Packed::NONE;
            cold.connected_at = wall;
            cold.disconnected_at = 0;
            warm.reconnects.record(now);
            cold.phase = Phase::Connected;
        });
        let _ = self.retell(slot);
        self.plan(now, slot, bits);
        self.arm(slot, seen);
    }

    /// When a new connection is asked first: anywhere within one interval. One that beats by itself
    /// has its first whole interval.
    fn plan(&mut self, now: Instant, slot: usize, bits: u64) {
        let interval = self.told(slot);
        let wait = if self.hot[slot].is(BEATS) {
            self.rules.detector.suspect_after(self.expected_within(slot), None, self.stress)
        } else {
            self.rules.heartbeat.first(interval, bits)
        };
        self.warm[slot].asks = self.clock.due(now.after(wait));
    }

    /// Whether this user may have another session.
    fn allowed(&self, user: Option<&str>) -> Result<(), Refusal> {
        let Some(most) = self.rules.config.sessions_per_user_max else { return Ok(()) };
        let Some(number) = user.and_then(|user| self.users.number(user)) else { return Ok(()) };
        let slots = self.users.slots(number).iter();
        let live = slots.filter(|slot| self.cold[**slot as usize].ended.is_none()).count();
        if live < most as usize { Ok(()) } else { Err(Refusal::TooManyOfUser) }
    }

    pub(super) fn index(&mut self, slot: usize, cold: &Cold) {
        if cold.user > 0 {
            self.users.enter(cold.user - 1, number(slot));
        }
        self.organisations.enter(cold.organisation, number(slot));
    }

    fn admitted(&self, slot: usize, takeover: bool) -> Admitted {
        let grace = Duration::from_millis(u64::from(self.cold[slot].grace_ms));
        Admitted { key: self.key(slot), heartbeat: self.interval(slot), grace, takeover }
    }

    pub(super) fn interval(&self, slot: usize) -> Interval {
        let timeout = self.rules.detector.slack(self.stress);
        Interval { interval: self.told(slot), timeout }
    }

    /// Has the socket of this slot closed, when there is one.
    pub(super) fn close(&mut self, slot: usize, reason: CloseReason) {
        let hot = &self.hot[slot];
        if hot.is(crate::table::CONNECTED) && !hot.is(BEATS) {
            let key = self.key(slot);
            self.effects.push(Effect::Close { key, reason });
        }
    }

    /// Whether a beat of its own brings back a session that was lost like this.
    pub(super) const fn beats_back(loss: LossReason) -> bool {
        match loss {
            LossReason::Lost | LossReason::Silent | LossReason::Asked | LossReason::Restarted => {
                true
            }
            LossReason::Operator | LossReason::SlowConsumer | LossReason::Misbehaved => false,
        }
    }
}

const fn flag_of(beats: Beats) -> u8 {
    match beats {
        Beats::Server => 0,
        Beats::Client => BEATS,
    }
}

fn halves(bits: u128) -> [u64; 2] {
    let high = u64::try_from(bits >> 64).unwrap_or(0);
    [u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(0), high]
}
