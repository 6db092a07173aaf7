use super::machine::Link;
use super::state::{FailReason, Generation, ReadyState, Redial, State, StateName, SuspendReason};
use crate::time::Instant;

/// A link at a glance, for watchers: small, and equal as long as nothing worth showing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LinkView {
    /// Its state.
    pub state: StateName,
    /// The same as a WebSocket would say it (seed 003).
    pub ready: ReadyState,
    /// Whether it is healthy: only a connected link is.
    pub healthy: bool,
    /// Whether the connection has held long enough to be trusted.
    pub stable: bool,
    /// Since when it is connected.
    pub since: Option<Instant>,
    /// Redials since it was last stable.
    pub attempt: u32,
    /// When it dials next, if it is waiting to.
    pub next_at: Option<Instant>,
    /// Why it is held back, if it is.
    pub suspended: Option<SuspendReason>,
    /// Why it has given up, if it has.
    pub failed: Option<FailReason>,
    /// The generation of the newest dial.
    pub generation: Generation,
}

impl Link {
    /// It at a glance.
    #[must_use]
    pub fn view(&self) -> LinkView {
        let name = self.state.name();
        let mut view = LinkView {
            state: name,
            ready: name.ready(),
            healthy: name.is_healthy(),
            stable: false,
            since: None,
            attempt: self.attempts,
            next_at: None,
            suspended: None,
            failed: None,
            generation: self.dial,
        };
        match self.state {
            State::Disconnected | State::Connecting { .. } | State::Closing { .. } => {}
            State::Connected { since, stable } => {
                (view.since, view.stable) = (Some(since), stable);
            }
            State::Reconnecting { redial } => view.next_at = planned(redial),
            State::Suspended { reason, redial } => {
                (view.suspended, view.next_at) = (Some(reason), planned(redial));
            }
            State::Failed { reason } => view.failed = Some(reason),
        }
        view
    }
}

fn planned(redial: Redial) -> Option<Instant> {
    match redial {
        Redial::At(at) => Some(at),
        Redial::Never | Redial::Dialling { .. } => None,
    }
}
