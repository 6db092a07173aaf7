use std::sync::atomic::Ordering;
use std::time::Duration;

use mainstay_core::session::quality::Grade;
use mainstay_core::session::status::{LossReason, Status};
use mainstay_core::time::Instant;

use super::{Shard, number};
use crate::packed::Packed;
use crate::table::{Cold, DISPLACED, HEARD, Hot, Phase, Warm};
use crate::{EventId, EventKind, Record};

impl Shard {
    /// A session that was known before a restart: it has its full grace from now on.
    pub(crate) fn restore(&mut self, now: Instant, record: &Record) -> bool {
        self.not_before(record);
        let known = self.find(record.session).is_some();
        let over = match record.status {
            Status::Connected | Status::Suspended | Status::Reconnecting => record.ended.is_some(),
            Status::Disconnected | Status::Failed => true,
        };
        let Ok(generation) = u32::try_from(record.generation) else { return false };
        if known || over || !record.session.is_ours() {
            return false;
        }
        let Some((slot, displaced)) = self.slot_for(record.session.slot() as usize) else {
            return false;
        };
        let cold = self.cold_of(now, record);
        self.index(slot, &cold);
        let seen = self.clock.tick_of(record.last_heartbeat);
        let packed = |value: Option<Duration>| value.map_or(Packed::NONE, Packed::from_duration);
        let heard = if record.last_heartbeat > record.connected_at { HEARD } else { 0 };
        self.hot[slot] = Hot {
            check: record.session.check(generation),
            seen,
            losses: record.losses,
            smoothed: packed(record.latency),
            jitter: packed(record.jitter),
            min: packed(record.latency_min),
            missed: u8::try_from(record.missed_heartbeats).unwrap_or(u8::MAX),
            flags: heard | if displaced { DISPLACED } else { 0 },
        };
        let mut warm = Warm::new(self.rules.heartbeat.start());
        warm.beats = record.beats.min(32);
        warm.grade = Grade::restored(&self.rules.grader, record.quality, record.factor);
        self.warm[slot] = warm;
        self.cold[slot] = cold;
        if displaced {
            self.displaced.insert(record.session.to_bits(), number(slot));
        }
        let _ = self.retell(slot);
        self.live.fetch_add(1, Ordering::Relaxed);
        self.tally(slot, true);
        self.rest_until(now, slot, None);
        match record.status {
            // It is as its row says, but for its grace, which each restart gives anew.
            Status::Suspended => {}
            Status::Connected | Status::Reconnecting | Status::Disconnected | Status::Failed => {
                self.untold.insert(number(slot));
            }
        }
        true
    }

    /// Tells of up to `most` restored sessions that they lost their connection; answers how many are
    /// left.
    pub(crate) fn tell_restored(&mut self, now: Instant, most: usize) -> usize {
        for _ in 0..most {
            let Some(slot) = self.untold.pop_first() else { break };
            let reason = LossReason::Restarted;
            self.tell(now, slot as usize, EventKind::Suspended { reason });
        }
        self.untold.len()
    }

    /// A restored session's loss comes before whatever happens to it next.
    pub(super) fn tell_loss(&mut self, now: Instant, slot: usize) {
        if !self.untold.is_empty() && self.untold.remove(&number(slot)) {
            let reason = LossReason::Restarted;
            self.tell_first(now, slot, EventKind::Suspended { reason });
        }
    }

    fn cold_of(&mut self, now: Instant, record: &Record) -> Cold {
        let mut cold = Cold::free();
        let short = |value: u32| u16::try_from(value).unwrap_or(u16::MAX);
        cold.name(record.session);
        cold.metadata = Some(record.metadata.clone()).filter(|text| !text.is_empty());
        cold.connected_at = record.connected_at;
        cold.user = record.user.as_deref().map_or(0, |user| self.users.hold(user) + 1);
        cold.organisation = self.organisations.hold(&record.organisation);
        cold.client_type = self.client_types.hold(&record.client_type);
        cold.client_version = self.client_versions.hold(&record.client_version);
        cold.seq = u32::try_from(record.event_seq).unwrap_or(u32::MAX);
        cold.disconnections = record.total_disconnections;
        cold.grace_ms = u32::try_from(record.grace.as_millis()).unwrap_or(u32::MAX);
        cold.attempts = short(record.reconnect_attempts);
        cold.max_attempts = short(record.max_reconnect_attempts);
        cold.phase = Phase::Suspended;
        // Its last welcome may have been lost with the server.
        cold.unheard = 1;
        cold.loss = LossReason::Restarted;
        // The latest sign of a connection is when it was heard last: nobody saw the end of it.
        let lost_now = record.status == Status::Connected;
        cold.disconnections = cold.disconnections.saturating_add(u32::from(lost_now));
        let heard = record.last_heartbeat.max(record.connected_at).max(1);
        cold.disconnected_at = record.disconnected_at.unwrap_or(heard).min(self.clock.unix_ms(now));
        cold
    }

    /// The slot that a name tells, when it is free; otherwise any, and that it is another one.
    fn slot_for(&mut self, hint: usize) -> Option<(usize, bool)> {
        // A few names with high numbers must not make a table full of holes.
        if hint < self.hot.len() * 2 + 4_096 {
            while self.hot.len() <= hint {
                let slot = self.add_slot();
                if slot != hint {
                    self.free.push(number(slot));
                }
            }
            if self.cold[hint].phase == Phase::Free {
                return Some((hint, false));
            }
        }
        self.take_slot().map(|slot| (slot, slot != hint))
    }

    /// The history goes on after all that is known, even when the system's clock was set back.
    fn not_before(&mut self, record: &Record) {
        let lost = record.disconnected_at.unwrap_or(0);
        self.go_on_after(record.last_heartbeat.max(record.connected_at).max(lost));
    }

    /// The history goes on after this millisecond.
    pub(crate) fn go_on_after(&mut self, unix_ms: u64) {
        let next = unix_ms.saturating_add(1);
        if next > self.last_event.unix_ms {
            self.last_event = EventId { unix_ms: next, nr: u64::from(self.number) };
        }
    }
}
