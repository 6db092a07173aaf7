use std::sync::atomic::Ordering;

use mainstay_core::session::status::EndReason;
use mainstay_core::time::Instant;

use super::{Shard, number};
use crate::lifecycle::{Input, Turn, turn};
use crate::table::{ASKED, Phase, SUSPECTED, WATCHED};
use crate::{CloseReason, Effect, EventKind, SessionId};

impl Shard {
    /// The session is over.
    pub(crate) fn end(&mut self, now: Instant, session: SessionId, reason: EndReason) -> bool {
        let Some(slot) = self.find(session) else { return false };
        match turn(self.cold[slot].phase, Input::Ended) {
            Turn::End => {
                self.end_slot(now, slot, reason);
                true
            }
            Turn::Doom => {
                self.doomed.entry(number(slot)).or_insert(reason);
                true
            }
            Turn::Stay
            | Turn::Open
            | Turn::Vanish
            | Turn::Return
            | Turn::TakeOver
            | Turn::Suspend
            | Turn::Prolong
            | Turn::Await
            | Turn::Expire
            | Turn::Fail
            | Turn::Forget => false,
        }
    }

    /// Removes what is left of a session; one that is not over is ended first.
    pub(crate) fn remove(&mut self, now: Instant, session: SessionId) -> bool {
        let ended = self.end(now, session, EndReason::Kicked);
        let Some(slot) = self.find(session) else { return ended };
        let over = turn(self.cold[slot].phase, Input::TimeOver) == Turn::Forget;
        if over {
            self.ended.retain(|other| *other != number(slot));
            self.forget(slot);
        }
        ended || over
    }

    /// Ends a session that is to be seen and not over yet: the only place that says so.
    pub(super) fn end_slot(&mut self, now: Instant, slot: usize, reason: EndReason) {
        let phase = match reason {
            EndReason::Exhausted => Phase::Failed,
            EndReason::Bye
            | EndReason::Expired
            | EndReason::Kicked
            | EndReason::Superseded
            | EndReason::Unauthorised => Phase::Disconnected,
        };
        self.close(slot, CloseReason::Ended(reason));
        let wall = self.clock.unix_ms(now);
        self.change(slot, |hot, _, cold| {
            hot.clear(SUSPECTED | ASKED | WATCHED);
            if cold.phase == Phase::Connected {
                cold.disconnections = cold.disconnections.saturating_add(1);
            }
            if cold.disconnected_at == 0 {
                cold.disconnected_at = wall;
            }
            cold.phase = phase;
            cold.ended = Some(reason);
        });
        self.live.fetch_sub(1, Ordering::Relaxed);
        self.watched.remove(&number(slot));
        self.expected.remove(&number(slot));
        self.tell(now, slot, EventKind::Gone { reason });
        let until = self.clock.due(now.after(self.rules.config.keep_ended));
        self.arm(slot, until);
        self.ended.push_back(number(slot));
        while self.ended.len() > (self.rules.config.ended_max as usize).div_ceil(64) {
            if let Some(oldest) = self.ended.pop_front() {
                self.forget(oldest as usize);
            }
        }
    }

    /// Removes the record of a session that is over.
    pub(super) fn forget(&mut self, slot: usize) {
        let key = self.key(slot);
        self.effects.push(Effect::Store {
            session: key.session,
            generation: key.generation(),
            record: None,
            remove: true,
            event: None,
        });
        self.tally(slot, false);
        self.free_slot(slot);
    }

    /// Keeps what a session is now, without an event.
    pub(super) fn keep(&mut self, slot: usize) {
        let record = Box::new(self.record(slot));
        self.effects.push(Effect::Store {
            session: record.session,
            generation: record.generation,
            record: Some(record),
            remove: false,
            event: None,
        });
    }
}
