//! A link and the gate that guards it tell each other what they learn.
//!
//! What comes of dials and probes is told to the gate's breaker, as a call's outcome would be; what
//! the breaker decides, or is made to do by hand, holds the link back or lets it go.

use std::sync::Arc;

use mainstay::clock;
use mainstay::core::config::LONGEST;
use mainstay::core::policy::breaker::State;
use mainstay::core::policy::outcome::Outcome;
use mainstay::event::{BreakerEvent, BreakerWhat, Kind};
use mainstay::gate::Gate;
use mainstay::link::{Link, LinkEvent, What};
use tokio::sync::broadcast::error::RecvError;

use super::{Engine, Held, LastError};

/// Tells the gate, and whoever asks later, what comes of dials and probes.
pub(super) fn listen(link: &Link, held: &Held) {
    let held = held.clone();
    let added = link.on("*", move |event| {
        if let Some(error) = &event.error {
            held.failed(LastError { at: event.at, text: error.clone() });
        }
        if let (Some(outcome), Some(gate)) = (outcome(event), held.gate()) {
            record(&gate, outcome);
        }
    });
    if let Err(error) = added {
        tracing::error!(link = %link.name(), %error, "the link is not watched");
    }
}

/// What an event says about the peer's health, if it says anything.
const fn outcome(event: &LinkEvent) -> Option<Outcome> {
    match event.what {
        What::Connected | What::Restored => Some(Outcome::Success),
        What::Suspect => Some(Outcome::TRANSIENT),
        What::Error { outcome, .. } => Some(outcome),
        What::StateChanged { .. }
        | What::Reconnected { .. }
        | What::Stable
        | What::Disconnected
        | What::Reconnecting { .. }
        | What::ReconnectAttempt { .. }
        | What::Unhealthy { .. }
        | What::AttemptsExhausted { .. }
        | What::Suspended { .. }
        | What::BreakerOpened { .. }
        | What::BreakerHalfOpen
        | What::BreakerClosed => None,
    }
}

/// A gate that lets nothing through learns nothing either: its own time decides then.
fn record(gate: &Gate, outcome: Outcome) {
    if let Ok(permit) = gate.admit() {
        permit.record(outcome);
    }
}

/// Tells the links what their gates' breakers do, for ever.
pub(super) async fn run(engine: &Arc<Engine>) {
    let mut events = engine.events().subscribe();
    loop {
        match events.recv().await {
            Ok(event) => {
                if let Kind::Breaker(event) = &event.kind {
                    tell(engine, event);
                }
            }
            Err(RecvError::Lagged(lost)) => {
                tracing::warn!(lost, "events came too fast: looking at every gate");
                engine.gates().iter().for_each(|gate| catch_up(engine, gate));
            }
            Err(RecvError::Closed) => return,
        }
    }
}

fn tell(engine: &Engine, event: &BreakerEvent) {
    let Some((link, _)) = engine.link(&event.gate) else { return };
    match event.what {
        BreakerWhat::Opened => {
            link.breaker_opened(clock::now().after(event.retry_after.unwrap_or(LONGEST)));
        }
        // The dial that found it half open is under way.
        BreakerWhat::HalfOpen => {}
        BreakerWhat::Closed | BreakerWhat::Reset => link.breaker_closed(),
    }
}

/// Puts a link where its gate's breaker stands, whatever was missed.
fn catch_up(engine: &Engine, gate: &Gate) {
    let Some((link, _)) = engine.link(gate.name()) else { return };
    match gate.state() {
        State::Open => {
            let now = clock::now();
            link.breaker_opened(now.after(gate.probe_in(now).unwrap_or_default()));
        }
        State::ForcedOpen => link.breaker_opened(clock::now().after(LONGEST)),
        State::HalfOpen => {}
        State::Closed | State::Disabled => link.breaker_closed(),
    }
}
