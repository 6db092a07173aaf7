//! What a link does when its clock leaps back.
//!
//! Every time it keeps would lie in a far future: it would wait for hours for what was due in a
//! second. So all of them are moved back by the leap, and waits end when they would have ended.

use core::time::Duration;

use super::health::Probe;
use super::machine::Link;
use super::state::{Redial, State};
use crate::time::{Instant, nanos};

/// Readings of threads that meet here may differ by a little; that is no leap.
const SLACK: Duration = Duration::from_secs(1);

impl Link {
    /// Follows the clock; moves everything back with it when it has leapt.
    pub(super) fn follow(&mut self, now: Instant) {
        let back = self.latest.since(now);
        if back > SLACK {
            self.rewind(nanos(back));
            self.latest = now;
        } else {
            self.latest = self.latest.max(now);
        }
    }

    fn rewind(&mut self, by: u64) {
        let move_back = |at: &mut Instant| {
            *at = Instant::from_nanos(at.as_nanos().saturating_sub(by));
        };
        match &mut self.state {
            State::Connecting { until }
            | State::Closing { until }
            | State::Connected { since: until, .. }
            | State::Reconnecting { redial: Redial::At(until) | Redial::Dialling { until } }
            | State::Suspended { redial: Redial::At(until) | Redial::Dialling { until }, .. } => {
                move_back(until)
            }
            State::Disconnected
            | State::Reconnecting { redial: Redial::Never }
            | State::Suspended { redial: Redial::Never, .. }
            | State::Failed { .. } => {}
        }
        match &mut self.health.probe {
            Probe::Due(at) | Probe::Running { until: at, .. } => move_back(at),
            Probe::Idle => {}
        }
        let counters = &mut self.counters;
        let kept = [
            &mut self.failing_since,
            &mut self.breaker.until,
            &mut counters.last_check,
            &mut counters.last_connection,
        ];
        kept.into_iter().flatten().for_each(move_back);
    }
}
