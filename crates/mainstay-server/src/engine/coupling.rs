//! A link and the gate that guards it tell each other what they learn.
//!
//! What comes of dials and health checks is told to the gate's breaker, as a call's outcome would be;
//! what the breaker decides, or is made to do by hand, holds the link back or lets it go. Dials are
//! told as they end; of health checks links only count how many ended how, which is looked at every
//! second.

use std::sync::Arc;
use std::time::Duration;

use mainstay::clock;
use mainstay::core::config::LONGEST;
use mainstay::core::policy::breaker::State;
use mainstay::core::policy::outcome::Outcome;
use mainstay::event::{BreakerEvent, BreakerWhat, Kind};
use mainstay::gate::Gate;
use mainstay::link::{Link, LinkEvent, What};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::MissedTickBehavior;

use super::{Engine, Held, LastError};

/// How often health checks are looked at.
const TICK: Duration = Duration::from_secs(1);
/// How many of them are told at once.
const CHECKS_MAX: u64 = 16;

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
        What::Connected => Some(Outcome::Success),
        What::Error { outcome, .. } => Some(outcome),
        What::StateChanged { .. }
        | What::Reconnected { .. }
        | What::Stable
        | What::Disconnected
        | What::Reconnecting { .. }
        | What::ReconnectAttempt { .. }
        | What::Suspect
        | What::Restored
        | What::Unhealthy { .. }
        | What::AttemptsExhausted { .. }
        | What::Suspended { .. }
        | What::BreakerOpened { .. }
        | What::BreakerHalfOpen
        | What::BreakerClosed
        | What::Woke
        | What::Migrated
        | What::MigrationFailed { .. } => None,
    }
}

/// A gate that lets nothing through learns nothing either: its own time decides then.
fn record(gate: &Gate, outcome: Outcome) {
    if let Ok(permit) = gate.admit() {
        permit.record(outcome);
    }
}

/// Tells the links what their gates' breakers do, and the breakers how health checks end, for ever.
pub(super) async fn run(engine: &Arc<Engine>) {
    let mut events = engine.events().subscribe();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            _ = ticks.tick() => {
                engine.links().iter().for_each(|(link, held)| tell_checks(link, held));
                continue;
            }
        };
        match event {
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

/// Tells the gate how the health checks since the last look ended.
fn tell_checks(link: &Link, held: &Held) {
    let stats = link.stats();
    let (good, bad) = held.new_checks(stats.successful_health_checks, stats.failed_health_checks);
    let Some(gate) = held.gate() else { return };
    (0..bad.min(CHECKS_MAX)).for_each(|_| record(&gate, Outcome::TRANSIENT));
    (0..good.min(CHECKS_MAX)).for_each(|_| record(&gate, Outcome::Success));
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
    if let Some((link, _)) = engine.link(gate.name()) {
        follow(&link, Some(gate));
    }
}

/// Puts a link where the breaker of its gate stands, or lets it go when it has none.
pub(super) fn follow(link: &Link, gate: Option<&Gate>) {
    let Some(gate) = gate else { return link.breaker_closed() };
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
