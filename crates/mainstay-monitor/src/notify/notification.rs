//! What is to be told.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::standing::Standing;
use crate::alert::Severity;

/// Something that one receiver is to be told now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    /// Never given twice by one dispatcher, over restarts neither.
    pub number: u64,
    /// The number of the group's first notice to this receiver since nothing of it fired.
    pub thread: u64,
    /// Whom.
    pub receiver: Arc<str>,
    /// What the alerts have in common, such as `rule=HIGH_LATENCY`.
    pub group: Arc<str>,
    /// The alerts, what is new first, then the worst.
    pub alerts: Vec<Told>,
}

/// One alert of a notification.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// What is said of it.
    pub what: What,
    /// How it stands.
    pub standing: Standing,
    /// How long it has lasted, or had when it ended.
    #[serde(with = "mainstay_core::config::duration")]
    pub lasted: Duration,
}

/// What is said of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum What {
    /// It has begun.
    Fired,
    /// It has become worse.
    Rose {
        /// What was told before.
        from: Severity,
    },
    /// It has become milder.
    Fell {
        /// What was told before.
        from: Severity,
    },
    /// It comes and goes; nothing of that is told until it has settled.
    Flapping,
    /// It flapped, and goes on now.
    Settled,
    /// It is over.
    Resolved,
    /// It goes on and somebody has said not to be told of it.
    Muted,
    /// It goes on, and is told beside what is new, or again.
    Still,
}

impl Notification {
    /// Whether nothing in it is new.
    #[must_use]
    pub fn is_repeat(&self) -> bool {
        self.alerts.iter().all(|told| told.what == What::Still)
    }

    /// The worst of what goes on; none when all is over.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        let on = self.alerts.iter().filter(|told| told.what != What::Resolved);
        on.map(|told| told.standing.severity).max()
    }
}
