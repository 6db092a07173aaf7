use core::time::Duration;

use super::close::Reaction;
use super::state::{Generation, StateName, SuspendReason};
use crate::policy::outcome::Outcome;
use crate::time::Instant;

/// What can happen to a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Input {
    /// The user wants a connection. Cuts a wait short; starts a failed link anew.
    Connect,
    /// The user wants none any more.
    Disconnect,
    /// The user wants to know now whether the peer is well. A waiting link dials instead.
    CheckNow,
    /// The user wants silence for a while: the connection is closed and none is dialled.
    Pause,
    /// The pause is over.
    Resume,
    /// The user wants everything forgotten: connection, attempts, statistics.
    Reset,
    /// A dial ended.
    DialFinished {
        /// Which dial.
        generation: Generation,
        /// How.
        outcome: Outcome,
    },
    /// A probe ended.
    ProbeFinished {
        /// Which probe.
        generation: Generation,
        /// How; only a success is a good probe.
        outcome: Outcome,
        /// How long it took.
        rtt: Duration,
    },
    /// A graceful close ended.
    CloseFinished {
        /// The dial that made the connection.
        generation: Generation,
    },
    /// The connection broke. [`Outcome::Success`] says that the peer ended it in good order: then
    /// the link is disconnected instead of redialled.
    Lost {
        /// The dial that made the connection.
        generation: Generation,
        /// How.
        outcome: Outcome,
    },
    /// A dial failed, or the connection ended, and more is known about what to do than the outcome
    /// says: its close code, or the status that refused it.
    Ended {
        /// The dial, or the dial that made the connection.
        generation: Generation,
        /// How.
        outcome: Outcome,
        /// What to do about it.
        reaction: Reaction,
    },
    /// The peer was heard: any byte is life. Give it before [`Input::Timer`] and
    /// [`Input::ProbeFinished`], not at every byte.
    Heard {
        /// The dial that made the connection.
        generation: Generation,
        /// When, the last time.
        at: Instant,
    },
    /// The machine slept: its clock stood still while others' went on.
    Woke,
    /// A dial waits for its turn, until then at the latest: its time begins there.
    DialDelayed {
        /// Which dial.
        generation: Generation,
        /// Until when.
        until: Instant,
    },
    /// The user, or the peer, wants another connection while this one still serves.
    Migrate,
    /// The dial of that other connection ended.
    Migrated {
        /// Which.
        generation: Generation,
        /// How.
        outcome: Outcome,
    },
    /// A real call over the connection ended. One that began before the connection was made says
    /// nothing.
    Traffic {
        /// How.
        outcome: Outcome,
        /// How long it took.
        took: Duration,
    },
    /// The time of [`super::Link::deadline`] has come. Too early, it does nothing: a timer needs
    /// no generation.
    Timer,
    /// A breaker that guards the peer refuses dials until then.
    BreakerOpened {
        /// When it lets one through.
        until: Instant,
    },
    /// That breaker lets dials through again.
    BreakerClosed,
    /// From now on redial after a loss.
    EnableReconnection,
    /// From now on do not; a link that is waiting to redial is disconnected.
    DisableReconnection,
}

/// What a driver must do now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Action {
    /// Nothing.
    #[default]
    Nothing,
    /// Drop whatever is held or under way, then dial, and report
    /// [`Input::DialFinished`].
    Dial {
        /// To be reported with the outcome.
        generation: Generation,
        /// When to stop trying.
        deadline: Instant,
    },
    /// Ask the peer whether it is well, and report [`Input::ProbeFinished`].
    Probe {
        /// To be reported with the outcome.
        generation: Generation,
        /// When to stop waiting.
        deadline: Instant,
    },
    /// Dial a second connection beside the one that serves, and report [`Input::Migrated`]; if that
    /// was a success, the second one serves and the first is drained. If the first is lost meanwhile,
    /// this dial goes on as the redial, and is reported all the same.
    Migrate {
        /// To be reported with the outcome.
        generation: Generation,
        /// When to stop trying.
        deadline: Instant,
    },
    /// Close the connection in good order, and report [`Input::CloseFinished`].
    Close {
        /// To be reported.
        generation: Generation,
        /// When to drop it instead.
        deadline: Instant,
    },
    /// Drop whatever is held or under way, at once and without a report.
    Abandon,
}

/// What an application may want to know. Each tells one fact, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Event {
    /// The state has another name than before. Comes before the events that explain it.
    StateChanged {
        /// What it was.
        from: StateName,
        /// What it is.
        to: StateName,
    },
    /// A connection was made.
    Connected,
    /// It was made after redials.
    Reconnected {
        /// How many.
        attempts: u32,
    },
    /// It has held long enough to be trusted.
    Stable,
    /// The link is down and will stay so by itself.
    Disconnected,
    /// A redial is planned.
    Reconnecting {
        /// Which, from 1.
        attempt: u32,
        /// How long it waits, drawn and all.
        delay: Duration,
        /// Until when.
        next_at: Instant,
    },
    /// A planned redial begins.
    ReconnectAttempt {
        /// Which, from 1.
        attempt: u32,
    },
    /// The first failure of a healthy connection: the verdict is near.
    Suspect,
    /// The failures are forgiven.
    Restored,
    /// The peer is unhealthy: the connection is given up.
    Unhealthy {
        /// Failures that led to it.
        failures: u32,
    },
    /// A connect failed or a connection broke.
    Error {
        /// How.
        outcome: Outcome,
        /// Whether the link gives up because of it.
        terminal: bool,
    },
    /// The allowed redials are used up.
    AttemptsExhausted {
        /// How many there were.
        attempts: u32,
    },
    /// The link is held back.
    Suspended {
        /// Why.
        reason: SuspendReason,
        /// When it dials by itself, if it does.
        until: Option<Instant>,
    },
    /// The breaker refuses dials.
    BreakerOpened {
        /// Until when.
        until: Instant,
    },
    /// The breaker lets one dial through, to see.
    BreakerHalfOpen,
    /// The breaker lets dials through again.
    BreakerClosed,
    /// The machine woke from sleep: the connection is being asked, or dialled.
    Woke,
    /// Another connection has taken over from the one that served.
    Migrated,
    /// No other connection could be made; the one that served still does.
    MigrationFailed {
        /// How it failed.
        outcome: Outcome,
    },
}

impl Event {
    /// The dotted name, such as `link.connected`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::StateChanged { .. } => "link.state.changed",
            Self::Connected => "link.connected",
            Self::Reconnected { .. } => "link.reconnected",
            Self::Stable => "link.stable",
            Self::Disconnected => "link.disconnected",
            Self::Reconnecting { .. } => "link.reconnecting",
            Self::ReconnectAttempt { .. } => "link.reconnect.attempt",
            Self::Suspect => "link.suspect",
            Self::Restored => "link.restored",
            Self::Unhealthy { .. } => "link.unhealthy",
            Self::Error { .. } => "link.error",
            Self::AttemptsExhausted { .. } => "link.reconnect.exhausted",
            Self::Suspended { .. } => "link.suspended",
            Self::BreakerOpened { .. } => "link.breaker.opened",
            Self::BreakerHalfOpen => "link.breaker.half_open",
            Self::BreakerClosed => "link.breaker.closed",
            Self::Woke => "link.woke",
            Self::Migrated => "link.migrated",
            Self::MigrationFailed { .. } => "link.migration.failed",
        }
    }

    /// The name in seed 000 or 003, where it has one.
    #[must_use]
    pub const fn alias(&self) -> Option<&'static str> {
        match self {
            Self::StateChanged { .. } => Some("stateChange"),
            Self::Connected => Some("connected"),
            Self::Reconnected { .. } => Some("onReconnected"),
            Self::Disconnected => Some("disconnected"),
            Self::Reconnecting { .. } => Some("reconnecting"),
            Self::Unhealthy { .. } => Some("unhealthy"),
            Self::Error { .. } => Some("error"),
            Self::AttemptsExhausted { .. } => Some("maxReconnectAttemptsReached"),
            Self::BreakerOpened { .. } => Some("onCircuitBreakerOpen"),
            Self::BreakerClosed => Some("onCircuitBreakerClosed"),
            Self::Stable
            | Self::ReconnectAttempt { .. }
            | Self::Suspect
            | Self::Restored
            | Self::Suspended { .. }
            | Self::BreakerHalfOpen
            | Self::Woke
            | Self::Migrated
            | Self::MigrationFailed { .. } => None,
        }
    }
}

/// The most events one input can cause.
pub const EVENTS_MAX: usize = 6;

/// The answer to one input: one thing to do, and a few facts to tell.
#[must_use = "the action must be carried out"]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Step {
    /// What to do.
    pub action: Action,
    events: [Option<Event>; EVENTS_MAX],
}

impl Step {
    /// The facts, in order.
    pub fn events(&self) -> impl Iterator<Item = Event> + '_ {
        self.events.iter().flatten().copied()
    }

    pub(super) fn tell(&mut self, event: Event) {
        let free = self.events.iter_mut().find(|slot| slot.is_none());
        *free.expect("no input causes more than EVENTS_MAX events") = Some(event);
    }
}

/// What a link waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum DeadlineReason {
    /// A dial has taken too long.
    DialTimeout,
    /// A close has taken too long.
    CloseTimeout,
    /// A probe has taken too long.
    ProbeTimeout,
    /// The next redial is due.
    Redial,
    /// The breaker lets one dial through.
    BreakerTrial,
    /// The outage has lasted long.
    LongOutage,
    /// The connection has held long enough.
    Stable,
    /// The next probe is due.
    Probe,
}
