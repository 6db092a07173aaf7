use std::time::Duration;

use mainstay_core::policy::backoff::Backoff;
use mainstay_core::policy::pressure::Pressure;
use mainstay_core::time::Instant;

use super::{Shard, number};
use crate::lifecycle::{Input, Turn, turn};
use crate::table::{ASKED, CHANGED, Phase, SUSPECTED};
use crate::{CloseReason, Effect, EventKind, Refusal, Reserved, SessionId};
use mainstay_core::session::status::{EndReason, LossReason};

/// The shortest time for which a place is reserved: a draw of nothing would be no chance.
const SHORTEST: Duration = Duration::from_millis(100);

/// How a session is expected back, window by window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expectation {
    pub(crate) backoff: Backoff,
    pub(crate) pressure: Pressure,
    pub(crate) max_attempts: u16,
    pub(crate) previous: Duration,
}

impl Shard {
    /// Reserves a place for a session that is expected back.
    pub(crate) fn expect_back(
        &mut self,
        now: Instant,
        bits: u64,
        session: SessionId,
        expectation: Expectation,
    ) -> Result<Reserved, Refusal> {
        let slot = self.find(session).ok_or(Refusal::Unknown)?;
        self.cold[slot].max_attempts = expectation.max_attempts;
        self.expect_slot(now, bits, slot, expectation)
    }

    /// A window is over and the session is not back: the next one, or none.
    pub(super) fn window_over(&mut self, now: Instant, bits: u64, slot: usize) {
        match self.expected.get(&number(slot)).copied() {
            Some(expectation) => {
                // It is over when this says so; then there is nothing to reserve.
                let _reserved = self.expect_slot(now, bits, slot, expectation);
            }
            None => self.suspend_slot(now, slot, LossReason::Lost, None),
        }
    }

    fn expect_slot(
        &mut self,
        now: Instant,
        bits: u64,
        slot: usize,
        expectation: Expectation,
    ) -> Result<Reserved, Refusal> {
        let left = self.cold[slot].attempts < expectation.max_attempts;
        let input = if left { Input::Expected } else { Input::Exhausted };
        match turn(self.cold[slot].phase, input) {
            Turn::Await => Ok(self.reserve(now, bits, slot, expectation)),
            Turn::Fail => {
                self.end_slot(now, slot, EndReason::Exhausted);
                Err(Refusal::Gone(EndReason::Exhausted))
            }
            Turn::Stay
            | Turn::Open
            | Turn::Vanish
            | Turn::Doom
            | Turn::Return
            | Turn::TakeOver
            | Turn::Suspend
            | Turn::Prolong
            | Turn::Expire
            | Turn::End
            | Turn::Forget => Err(self.cold[slot].ended.map_or(Refusal::Unknown, Refusal::Gone)),
        }
    }

    fn reserve(
        &mut self,
        now: Instant,
        bits: u64,
        slot: usize,
        mut expectation: Expectation,
    ) -> Reserved {
        self.close(slot, CloseReason::Reconnect);
        let wall = self.clock.unix_ms(now);
        self.change(slot, |hot, _, cold| {
            hot.clear(SUSPECTED | ASKED);
            hot.set(CHANGED);
            if cold.phase == Phase::Connected {
                cold.disconnections = cold.disconnections.saturating_add(1);
                cold.disconnected_at = wall;
                cold.loss = LossReason::Lost;
            }
            cold.attempts = cold.attempts.saturating_add(1);
            cold.phase = Phase::Reconnecting;
        });
        let attempt = u32::from(self.cold[slot].attempts);
        let Expectation { backoff, pressure, previous, .. } = expectation;
        let within = backoff.delay(attempt, previous, pressure, bits).max(SHORTEST);
        expectation.previous = within;
        self.expected.insert(number(slot), expectation);
        let until = self.clock.due(now.after(within));
        self.cold[slot].until = until;
        self.arm(slot, until);
        self.tell(now, slot, EventKind::Reconnecting { attempt, within });
        let session = self.cold[slot].id();
        self.effects.push(Effect::Reconnect { session, attempt, within });
        Reserved { attempt, within }
    }
}
