//! Says what happens: on standard error in words, or among the messages as JSON.

use mainstay::event::Event;
use mainstay::link::{LinkEvent, What};
use serde_json::{Value, json};

use super::printer::{Printer, now_ms};
use crate::cmd::words::{short, words};
use crate::out::{self, Tone};

pub(super) struct Say {
    json: bool,
    connected: bool,
    /// Whether it is the first connection.
    first: bool,
    /// Why the last attempt failed.
    why: String,
}

impl Say {
    pub(super) const fn new(json: bool) -> Self {
        Self { json, connected: false, first: true, why: String::new() }
    }

    pub(super) fn event(&mut self, event: &Event, link: &LinkEvent, printer: &Printer) {
        if self.json {
            return printer.line(serde_json::to_value(event).unwrap_or(Value::Null));
        }
        if let Some((tone, text)) = self.told(link) {
            out::note(tone, &text);
        }
    }

    /// What is told of an event, if others do not say it already.
    fn told(&mut self, event: &LinkEvent) -> Option<(Tone, String)> {
        let why = event.error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
        match &event.what {
            What::Connected => {
                self.connected = true;
                // Later ones are told as reconnected.
                let first = std::mem::replace(&mut self.first, false);
                first.then(|| (Tone::Good, format!("connected to {}", event.target)))
            }
            What::Error { terminal: false, .. } if !self.connected => {
                self.why = why;
                None
            }
            What::Error { terminal: false, .. } | What::Unhealthy { .. } => {
                self.connected = false;
                Some((Tone::Poor, format!("lost{why}")))
            }
            What::Reconnecting { attempt, delay, .. } => {
                let (wait, why) = (short(*delay), std::mem::take(&mut self.why));
                Some((Tone::Poor, format!("reconnecting in {wait} (attempt {attempt}){why}")))
            }
            What::ReconnectAttempt { .. } => None,
            What::Disconnected => Some((Tone::Poor, "closed".into())),
            What::Error { terminal: true, .. } | What::AttemptsExhausted { .. } => {
                Some((Tone::Bad, words(&event.what)? + &why))
            }
            What::Reconnected { .. } | What::Restored => Some((Tone::Good, words(&event.what)?)),
            What::StateChanged { .. }
            | What::Stable
            | What::Suspect
            | What::Suspended { .. }
            | What::BreakerOpened { .. }
            | What::BreakerHalfOpen
            | What::BreakerClosed
            | What::Woke
            | What::Migrated
            | What::MigrationFailed { .. } => Some((Tone::Poor, words(&event.what)? + &why)),
        }
    }

    pub(super) fn queued(&self, waiting: u64, printer: &Printer) {
        if self.json {
            printer.line(json!({ "event": "ws.queued", "at_ms": now_ms(), "waiting": waiting }));
        } else if waiting <= 10 || waiting.is_multiple_of(100) {
            out::note(Tone::Poor, &format!("queued, {waiting} waiting"));
        }
    }

    pub(super) fn full(&self, waiting: u64, printer: &Printer) {
        if self.json {
            printer.line(json!({ "event": "ws.full", "at_ms": now_ms(), "waiting": waiting }));
        } else {
            let text =
                format!("queue full, {waiting} waiting: input is read again once there is room");
            out::note(Tone::Poor, &text);
        }
    }

    /// Something that went wrong, whose message is no secret.
    pub(super) fn refused(&self, why: &str, printer: &Printer) {
        if self.json {
            printer.line(json!({ "event": "ws.refused", "at_ms": now_ms(), "error": why }));
        } else {
            out::note(Tone::Bad, why);
        }
    }

    pub(super) fn unknown(&self, count: u64, printer: &Printer) {
        if self.json {
            printer.line(json!({ "event": "ws.unknown", "at_ms": now_ms(), "messages": count }));
        } else {
            let text = format!(
                "{count} of the messages {} on the way when the connection broke: the peer may not \
                 have {}",
                if count == 1 { "was" } else { "were" },
                if count == 1 { "it" } else { "them" },
            );
            out::note(Tone::Bad, &text);
        }
    }
}
