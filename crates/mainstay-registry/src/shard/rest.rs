use std::time::Duration;

use mainstay_core::session::status::LossReason;
use mainstay_core::time::Instant;

use super::{Shard, number};
use crate::lifecycle::{Input, Turn, turn};
use crate::table::{ASKED, CHANGED, Phase, SUSPECTED};
use crate::{CloseReason, EventKind, Key, SessionId};

impl Shard {
    /// This connection ended; the session may come back.
    pub(crate) fn lost(&mut self, now: Instant, key: Key, reason: LossReason) -> bool {
        let Some(slot) = self.slot_of(key) else { return false };
        let fits = turn(self.cold[slot].phase, Input::Lost) == Turn::Suspend;
        if fits {
            self.suspend_slot(now, slot, reason, None);
        }
        fits
    }

    /// The session rests: without a connection, for as long as was asked or its grace is.
    pub(crate) fn suspend(
        &mut self,
        now: Instant,
        session: SessionId,
        reason: LossReason,
        how_long: Option<Duration>,
    ) -> bool {
        let Some(slot) = self.find(session) else { return false };
        let how_long = how_long.map(|wanted| wanted.min(self.rules.config.rest_max));
        match turn(self.cold[slot].phase, Input::Rested) {
            Turn::Suspend => {
                self.close(slot, CloseReason::Suspended);
                self.suspend_slot(now, slot, reason, how_long);
                true
            }
            Turn::Prolong => {
                self.rest_until(now, slot, how_long);
                self.cold[slot].loss = reason;
                self.keep(slot);
                true
            }
            Turn::Stay
            | Turn::Open
            | Turn::Vanish
            | Turn::Doom
            | Turn::Return
            | Turn::TakeOver
            | Turn::Await
            | Turn::Expire
            | Turn::End
            | Turn::Fail
            | Turn::Forget => false,
        }
    }

    /// Its grace begins.
    pub(super) fn suspend_slot(
        &mut self,
        now: Instant,
        slot: usize,
        reason: LossReason,
        how_long: Option<Duration>,
    ) {
        let wall = self.clock.unix_ms(now);
        self.expected.remove(&number(slot));
        self.change(slot, |hot, _, cold| {
            hot.clear(SUSPECTED | ASKED);
            hot.set(CHANGED);
            if cold.phase == Phase::Connected {
                cold.disconnections = cold.disconnections.saturating_add(1);
                cold.disconnected_at = wall;
            }
            cold.phase = Phase::Suspended;
            cold.loss = reason;
        });
        self.rest_until(now, slot, how_long);
        self.tell(now, slot, EventKind::Suspended { reason });
    }

    pub(super) fn rest_until(&mut self, now: Instant, slot: usize, how_long: Option<Duration>) {
        let grace = Duration::from_millis(u64::from(self.cold[slot].grace_ms));
        let until = self.clock.due(now.after(how_long.unwrap_or(grace)));
        self.cold[slot].until = until;
        self.arm(slot, until);
    }

    /// What a session says about itself from now on.
    pub(crate) fn set_metadata(
        &mut self,
        now: Instant,
        session: SessionId,
        metadata: Box<str>,
    ) -> bool {
        let Some(slot) = self.find(session) else { return false };
        match self.cold[slot].phase {
            Phase::Free | Phase::Registering | Phase::Disconnected | Phase::Failed => false,
            Phase::Connected | Phase::Suspended | Phase::Reconnecting => {
                self.cold[slot].metadata = Some(metadata).filter(|text| !text.is_empty());
                self.tell(now, slot, EventKind::MetadataChanged);
                true
            }
        }
    }
}
