use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Active, Labels};
use crate::alert::{Alert, Effect, Ended, Severity, State};

/// One alert with what the engine knows of it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) rule: Arc<str>,
    /// Of the thing, by which the alert has its name.
    pub(super) thing: Arc<Labels>,
    /// Of the thing, and of the rule.
    pub(super) labels: Arc<Labels>,
    /// The thing's name, where the signal is about one of many.
    pub(super) subject: Option<Arc<str>>,
    pub(super) alert: Alert,
    pub(super) value: Option<f64>,
    pub(super) threshold: Option<f64>,
    pub(super) unit: &'static str,
    pub(super) summary: Arc<str>,
    pub(super) runbook: Option<Arc<str>>,
    pub(super) notify: bool,
    /// When the incident, or the wait before it, began.
    pub(super) since_ms: Option<u64>,
    pub(super) resolved_ms: Option<u64>,
    pub(super) acknowledged_ms: Option<u64>,
    pub(super) silenced: Option<Silenced>,
    pub(super) inhibited_by: Option<u64>,
    pub(super) inhibits: u32,
    pub(super) maintenance: Option<Arc<str>>,
    /// Its rule is no longer there.
    pub(super) orphaned: bool,
    /// At which tick it was last judged.
    pub(super) seen: u64,
    /// Whether there is something to keep.
    pub(super) changed: bool,
}

/// Who silenced it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Silenced {
    pub(super) who: String,
    pub(super) reason: String,
    pub(super) at_ms: u64,
    pub(super) until_ms: Option<u64>,
}

impl Entry {
    pub(super) fn new(active: &Active, subject: Option<&str>, labels: &Labels) -> Self {
        let mut entry = Self {
            rule: active.id.clone(),
            thing: Arc::new(labels.clone()),
            labels: Arc::default(),
            subject: subject.map(Arc::from),
            alert: Alert::new(),
            value: None,
            threshold: None,
            unit: active.spec.signal.info().unit,
            summary: "".into(),
            runbook: None,
            notify: true,
            since_ms: None,
            resolved_ms: None,
            acknowledged_ms: None,
            silenced: None,
            inhibited_by: None,
            inhibits: 0,
            maintenance: None,
            orphaned: false,
            seen: 0,
            changed: false,
        };
        entry.follow(active);
        entry
    }

    /// Takes what its rule says beside its ladder.
    pub(super) fn follow(&mut self, active: &Active) {
        let mut labels = Labels::clone(&self.thing);
        labels.extend(active.spec.labels.clone());
        self.labels = Arc::new(labels);
        self.runbook = active.spec.runbook.as_deref().map(Arc::from);
        self.unit = active.spec.signal.info().unit;
        self.notify = active.spec.notify;
    }

    /// Whether it fires, or did a moment ago.
    pub(super) fn is_firing(&self) -> bool {
        matches!(self.alert.state(), State::Firing | State::Keep)
    }

    /// Whether there is anything to say about it.
    pub(super) fn is_shown(&self) -> bool {
        self.alert.state() != State::Inactive || self.alert.has_no_data()
    }

    /// Puts down when what happened, and answers how it is told.
    pub(super) fn happened(&mut self, id: u64, at_ms: u64, effect: &Effect) -> Happening {
        let mut told = Happening {
            id,
            at_ms,
            rule: self.rule.clone(),
            labels: self.labels.clone(),
            what: "",
            incident: self.alert.incident(),
            severity: self.alert.severity(),
            from: None,
            lasted: None,
            who: None,
            note: None,
            ended: None,
            value: self.value,
            summary: self.summary.clone(),
        };
        self.changed = true;
        let ended = |why: Ended| match why {
            Ended::Withdrawn => "withdrawn",
            Ended::Expired => "expired",
            Ended::SeverityRose => "severity_rose",
            Ended::Resolved => "resolved",
        };
        match effect {
            Effect::Fired { severity, .. } => {
                told.what = "fired";
                told.severity = Some(*severity);
                (self.since_ms, self.resolved_ms) = (Some(at_ms), None);
            }
            Effect::SeverityChanged { from, to, .. } => {
                told.what = "severity_changed";
                (told.from, told.severity) = (Some(*from), Some(*to));
            }
            Effect::Resolved { severity, lasted, .. } => {
                told.what = "resolved";
                (told.severity, told.lasted) = (Some(*severity), Some(*lasted));
                self.resolved_ms = Some(at_ms);
            }
            Effect::Acknowledged { by, .. } => {
                told.what = "acknowledged";
                (told.who, told.note) = (Some(by.who.clone()), Some(by.note.clone()));
                self.acknowledged_ms = Some(at_ms);
            }
            Effect::AcknowledgementEnded(why) => {
                told.what = "acknowledgement_ended";
                told.ended = Some(ended(*why));
                self.acknowledged_ms = None;
            }
            Effect::Silenced(_) => {
                told.what = "silenced";
                if let Some(by) = &self.silenced {
                    (told.who, told.note) = (Some(by.who.clone()), Some(by.reason.clone()));
                }
            }
            Effect::SilenceEnded(why) => {
                told.what = "silence_ended";
                told.ended = Some(ended(*why));
                self.silenced = None;
            }
            Effect::FlappingBegan => told.what = "flapping_began",
            Effect::FlappingEnded => told.what = "flapping_ended",
            Effect::NoDataBegan => told.what = "no_data_began",
            Effect::NoDataEnded => told.what = "no_data_ended",
        }
        told
    }
}

/// Something that happened to an alert, as it is told and kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Happening {
    /// Which alert.
    pub id: u64,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Of which rule.
    pub rule: Arc<str>,
    /// About what.
    pub labels: Arc<Labels>,
    /// `fired`, `severity_changed`, `resolved`, `acknowledged`, `acknowledgement_ended`, `silenced`,
    /// `silence_ended`, `flapping_began`, `flapping_ended`, `no_data_began`, `no_data_ended`.
    pub what: &'static str,
    /// Which incident.
    pub incident: u64,
    /// How bad it is then, or was.
    pub severity: Option<Severity>,
    /// What the severity was before.
    pub from: Option<Severity>,
    /// How long it fired.
    pub lasted: Option<Duration>,
    /// Who did it.
    pub who: Option<String>,
    /// What they say.
    pub note: Option<String>,
    /// Why a flag was taken down.
    pub ended: Option<&'static str>,
    /// What was measured.
    pub value: Option<f64>,
    /// In words.
    pub summary: Arc<str>,
}

/// The name of an alert: of its rule and what it is about. The same in every version.
#[must_use]
pub fn fingerprint(rule: &str, labels: &Labels) -> u64 {
    // FNV-1a of 64 bits, with an end after each text.
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    let mut add = |text: &str| {
        for byte in text.bytes().chain([0xFF]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
    };
    add(rule);
    for (name, value) in labels {
        add(name);
        add(value);
    }
    mainstay_core::bits::bits(hash, 0, 0)
}
