//! What outlives the process.

use std::time::Duration;

use mainstay_core::time::Instant;
use serde::{Deserialize, Serialize};

use super::flags::{Acknowledgement, Silence};
use super::flapping::Flapping;
use super::machine::{Alert, Inner, Reached};
use super::rule::{Rule, Severity};
use super::span::{Age, Span};

/// An alert as it can be stored: with ages in place of points in time, whose clock ends with the
/// process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    incident: u64,
    state: Stored,
    #[serde(default)]
    acknowledgement: Option<StoredAcknowledgement>,
    #[serde(default)]
    silence: Option<StoredSilence>,
    flapping: Flapping,
    no_data: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Stored {
    Inactive,
    Pending { reached: [Option<Age>; 4] },
    Firing { severity: Severity, since: Age, reached: [Option<Age>; 4] },
    Keep { severity: Severity, since: Age, clear: Age },
    Resolved { severity: Severity, at: Age },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredAcknowledgement {
    who: String,
    note: String,
    left: Option<Age>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredSilence {
    Left(Age),
    UntilResolved,
    UntilLifted,
}

impl Snapshot {
    /// Whether there was nothing to judge by.
    #[must_use]
    pub const fn has_no_data(&self) -> bool {
        self.no_data
    }

    /// How bad it was, if it fired, and which incident that was.
    #[must_use]
    pub const fn firing(&self) -> Option<(Severity, u64)> {
        match self.state {
            Stored::Firing { severity, .. } | Stored::Keep { severity, .. } => {
                Some((severity, self.incident))
            }
            Stored::Inactive | Stored::Pending { .. } | Stored::Resolved { .. } => None,
        }
    }
}

impl Alert {
    /// What to store, with ages as of `now`.
    #[must_use]
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        let age = |span: Span| Age(span.elapsed(now));
        let ages = |reached: Reached| reached.map(|since| since.map(age));
        let state = match self.inner {
            Inner::Inactive => Stored::Inactive,
            Inner::Pending { reached } => Stored::Pending { reached: ages(reached) },
            Inner::Firing { severity, since, reached } => {
                Stored::Firing { severity, since: age(since), reached: ages(reached) }
            }
            Inner::Keep { severity, since, clear } => {
                Stored::Keep { severity, since: age(since), clear: age(clear) }
            }
            Inner::Resolved { severity, at } => Stored::Resolved { severity, at: age(at) },
        };
        let left = |until: Instant| Age(until.since(now));
        Snapshot {
            incident: self.incident,
            state,
            acknowledgement: self.acknowledgement.as_ref().map(|by| StoredAcknowledgement {
                who: by.who.clone(),
                note: by.note.clone(),
                left: by.until.map(left),
            }),
            silence: self.silence.map(|silence| match silence {
                Silence::Until(until) => StoredSilence::Left(left(until)),
                Silence::UntilResolved => StoredSilence::UntilResolved,
                Silence::UntilLifted => StoredSilence::UntilLifted,
            }),
            flapping: self.flapping,
            no_data: self.no_data,
        }
    }

    /// The alert of `snapshot`, taken `outage` ago. Tells nothing: what fires was told.
    ///
    /// Waits do not count the outage. They continue with at least [`RuleConfig::grace`] left (or all
    /// of it, when they are shorter); after an outage beyond [`RuleConfig::outage_max`] nothing is
    /// pending and what is kept is kept for all of its time.
    ///
    /// [`RuleConfig::grace`]: super::RuleConfig::grace
    /// [`RuleConfig::outage_max`]: super::RuleConfig::outage_max
    #[must_use]
    pub fn restore(now: Instant, rule: &Rule, snapshot: &Snapshot, outage: Duration) -> Self {
        let config = rule.config();
        let recent = outage <= config.outage_max;
        let waited = |age: Age, whole: Duration| {
            let most = whole.saturating_sub(config.grace);
            Span::lasted(now, if recent { age.0.min(most) } else { Duration::ZERO })
        };
        let through = |age: Age| Span::lasted(now, age.0.saturating_add(outage));
        let waits = |reached: [Option<Age>; 4]| {
            reached.map(|age| age.map(|age| waited(age, config.hold_for)))
        };
        let inner = match snapshot.state {
            Stored::Pending { reached } if recent => Inner::Pending { reached: waits(reached) },
            Stored::Inactive | Stored::Pending { .. } => Inner::Inactive,
            Stored::Firing { severity, since, reached } => {
                Inner::Firing { severity, since: through(since), reached: waits(reached) }
            }
            Stored::Keep { severity, since, clear } => {
                let clear = waited(clear, config.keep_firing_for);
                Inner::Keep { severity, since: through(since), clear }
            }
            Stored::Resolved { severity, at } => Inner::Resolved { severity, at: through(at) },
        };
        let until = |left: Age| now.after(left.0.saturating_sub(outage));
        Self {
            inner,
            incident: snapshot.incident,
            acknowledgement: snapshot.acknowledgement.as_ref().map(|by| Acknowledgement {
                who: by.who.clone(),
                note: by.note.clone(),
                until: by.left.map(until),
            }),
            silence: snapshot.silence.map(|silence| match silence {
                StoredSilence::Left(left) => Silence::Until(until(left)),
                StoredSilence::UntilResolved => Silence::UntilResolved,
                StoredSilence::UntilLifted => Silence::UntilLifted,
            }),
            flapping: if recent { snapshot.flapping } else { snapshot.flapping.forgotten() },
            missing: 0,
            no_data: snapshot.no_data,
        }
    }
}
