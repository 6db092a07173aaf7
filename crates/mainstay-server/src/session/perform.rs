//! What the registry asks for, done.

use mainstay::core::session::status::EndReason;
use mainstay_registry::{Alarm, CloseReason, Effect};
use mainstay_wire::{Beats, CloseCode};

use super::greet::millis;
use super::hub::Hub;
use super::journal::Rest;

impl Hub {
    /// Does what is left to do once everything is taken down.
    pub(super) fn perform(&self, rest: Rest) {
        for effect in rest.effects {
            match effect {
                // The journal has taken these.
                Effect::Store { .. } => {}
                Effect::Ping(key) | Effect::Probe(key) => {
                    if let Some(peer) = self.peers.get(key.session()) {
                        peer.ask(key.generation());
                    }
                }
                Effect::Announce { key, interval, timeout, quality } => {
                    if let Some(peer) = self.peers.get(key.session()) {
                        let (interval_ms, timeout_ms) = (millis(interval), millis(timeout));
                        let beats = Beats { interval_ms, timeout_ms };
                        peer.announce(key.generation(), beats, quality);
                    }
                }
                Effect::Close { key, reason } => self.close_one(key, reason),
                Effect::Reconnect { session, attempt, within } => {
                    self.handler().reconnect(session, attempt, within);
                }
                Effect::Alarm(alarm) => alarmed(alarm),
            }
        }
        for session in rest.gone {
            drop(self.peers.remove(session));
        }
    }

    fn close_one(&self, key: mainstay_registry::Key, reason: CloseReason) {
        let code = match reason {
            CloseReason::Superseded => CloseCode::SUPERSEDED,
            CloseReason::Silent => CloseCode::NO_PONG,
            CloseReason::Suspended => CloseCode::SUSPENDED,
            CloseReason::Reconnect => CloseCode::REBALANCE,
            CloseReason::Ended(reason) => end_code(reason),
        };
        let Some(peer) = self.peers.get(key.session()) else { return };
        peer.dismiss_from(key.generation(), self.bye(code));
    }
}

/// What a client is told whose session is over.
pub(super) const fn end_code(reason: EndReason) -> CloseCode {
    match reason {
        EndReason::Kicked => CloseCode::BANNED,
        EndReason::Superseded => CloseCode::SUPERSEDED,
        EndReason::Unauthorised => CloseCode::UNAUTHORISED,
        EndReason::Bye | EndReason::Expired | EndReason::Exhausted => CloseCode::RESUME_IMPOSSIBLE,
    }
}

fn alarmed(alarm: Alarm) {
    match alarm {
        Alarm::MassSuspicion { suspected, connected } => {
            tracing::warn!(suspected, connected, "many sessions fell silent at once: is it us?");
        }
        Alarm::OwnPause { late } => {
            tracing::warn!(late_ms = millis(late), "this process slept; nobody is given up for it");
        }
    }
}
