use std::fmt;
use std::time::Duration;

use mainstay_core::time::Instant;

use super::entry::{Happening, Silenced};
use super::{Active, Engine, SLO_RULE};
use crate::alert::{Acknowledgement, Effect, Input, Silence, WHO_MAX};

/// What somebody does about an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// They see to it.
    Acknowledge {
        /// Who.
        who: String,
        /// What they say.
        note: String,
        /// For how long; none: until it is over.
        within: Option<Duration>,
    },
    /// They do not after all.
    Withdraw,
    /// Nobody is to be notified.
    Silence {
        /// Who.
        who: String,
        /// Why.
        reason: String,
        /// For how long; none: until it is resolved.
        within: Option<Duration>,
    },
    /// They are again.
    Lift,
}

/// Why nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActError {
    /// There is no such alert.
    Unknown,
    /// It does not fire: there is nothing to acknowledge.
    NotFiring,
}

impl fmt::Display for ActError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "there is no alert with this id",
            Self::NotFiring => "the alert does not fire: there is nothing to acknowledge",
        })
    }
}

impl std::error::Error for ActError {}

impl Engine {
    /// Does what somebody asks for, and answers what is to be told.
    ///
    /// # Errors
    ///
    /// [`ActError`]; nothing is changed then.
    pub fn act(
        &mut self,
        now: Instant,
        unix_ms: u64,
        id: u64,
        act: Act,
    ) -> Result<Vec<Happening>, ActError> {
        let entry = self.entries.get_mut(&id).ok_or(ActError::Unknown)?;
        let active = active(&self.rules, &self.burning, &entry.rule).ok_or(ActError::Unknown)?;
        let mut silenced = None;
        let input = match act {
            Act::Acknowledge { who, note, within } => {
                if !entry.is_firing() {
                    return Err(ActError::NotFiring);
                }
                let until = within.map(|within| now.after(within));
                let by = Acknowledgement { who, note, until };
                Input::Acknowledge { incident: entry.alert.incident(), by }
            }
            Act::Withdraw => Input::Withdraw,
            Act::Silence { who, reason, within } => {
                let until_ms = within.map(|within| {
                    unix_ms.saturating_add(u64::try_from(within.as_millis()).unwrap_or(u64::MAX))
                });
                let who: String = who.chars().take(WHO_MAX).collect();
                let reason = reason.chars().take(crate::alert::NOTE_MAX).collect();
                silenced = Some(Silenced { who, reason, at_ms: unix_ms, until_ms });
                Input::Silence(
                    within
                        .map_or(Silence::UntilResolved, |within| Silence::Until(now.after(within))),
                )
            }
            Act::Lift => Input::Lift,
        };
        let effects = entry.alert.handle(now, &active.rule, input);
        let mut told = Vec::new();
        for effect in &effects {
            // One that ran out a moment ago ends first, with what was said of it.
            if matches!(effect, Effect::Silenced(_)) {
                entry.silenced = silenced.take();
            }
            told.push(entry.happened(id, unix_ms, effect));
        }
        self.mark();
        Ok(told)
    }
}

/// The rule of that name.
pub(super) fn active<'a>(
    rules: &'a [Active],
    burning: &'a Active,
    name: &str,
) -> Option<&'a Active> {
    if name == SLO_RULE {
        return Some(burning);
    }
    rules.iter().find(|active| &*active.id == name)
}
