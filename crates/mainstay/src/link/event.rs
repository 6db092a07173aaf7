use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mainstay_core::link::{Event as What, StateName, SuspendReason};
use serde::{Serialize, Serializer};

/// Something about a link.
///
/// Serialises flat: the link, its target and the fields of what happened, durations in `_ms`.
#[derive(Clone, Debug)]
pub struct LinkEvent {
    /// What happened.
    pub what: What,
    /// When, for people.
    pub at: SystemTime,
    /// Name of the link.
    pub link: Arc<str>,
    /// Where it leads (the `serviceUrl` of seed 000).
    pub target: Arc<str>,
    /// Number of the dial it is about.
    pub generation: u32,
    /// The error behind it, shortened, when there is one.
    pub error: Option<Arc<str>>,
    /// How long the wait is that it announces.
    pub(super) wait: Option<Duration>,
}

impl LinkEvent {
    /// The dotted name, such as `link.connected`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.what.name()
    }

    /// The name in seed 000 or 003, where it has one, such as `connected`.
    #[must_use]
    pub const fn alias(&self) -> Option<&'static str> {
        self.what.alias()
    }

    /// Whether `name` is its dotted name, its alias, or `*`.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        name == "*" || name == self.name() || Some(name) == self.alias()
    }
}

/// The events' dotted names with the seeds' names for them.
pub(super) const NAMES: [(&str, Option<&str>); 19] = [
    ("link.state.changed", Some("stateChange")),
    ("link.connected", Some("connected")),
    ("link.reconnected", Some("onReconnected")),
    ("link.stable", None),
    ("link.disconnected", Some("disconnected")),
    ("link.reconnecting", Some("reconnecting")),
    ("link.reconnect.attempt", None),
    ("link.suspect", None),
    ("link.restored", None),
    ("link.unhealthy", Some("unhealthy")),
    ("link.error", Some("error")),
    ("link.reconnect.exhausted", Some("maxReconnectAttemptsReached")),
    ("link.suspended", None),
    ("link.breaker.opened", Some("onCircuitBreakerOpen")),
    ("link.breaker.half_open", None),
    ("link.breaker.closed", Some("onCircuitBreakerClosed")),
    ("link.woke", None),
    ("link.migrated", None),
    ("link.migration.failed", None),
];

#[derive(Default, Serialize)]
struct Flat<'a> {
    link: &'a str,
    target: &'a str,
    generation: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<StateName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<StateName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failures: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_at_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<SuspendReason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    terminal: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

impl Serialize for LinkEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut flat = Flat {
            link: &self.link,
            target: &self.target,
            generation: self.generation,
            error: self.error.as_deref(),
            delay_ms: self.wait.map(millis),
            next_at_ms: self.wait.map(|wait| unix_ms(self.at + wait)),
            ..Flat::default()
        };
        match self.what {
            What::StateChanged { from, to } => {
                (flat.from, flat.to) = (Some(from), Some(to));
                flat.timestamp = Some(unix_ms(self.at));
            }
            What::Reconnected { attempts } | What::AttemptsExhausted { attempts } => {
                flat.attempts = Some(attempts);
            }
            What::Reconnecting { attempt, .. } | What::ReconnectAttempt { attempt } => {
                flat.attempt = Some(attempt);
            }
            What::Unhealthy { failures } => flat.failures = Some(failures),
            What::Error { terminal, .. } => flat.terminal = Some(terminal),
            What::Suspended { reason, .. } => flat.reason = Some(reason),
            What::Connected
            | What::Stable
            | What::Disconnected
            | What::Suspect
            | What::Restored
            | What::BreakerOpened { .. }
            | What::BreakerHalfOpen
            | What::BreakerClosed
            | What::Woke
            | What::Migrated
            | What::MigrationFailed { .. } => {}
        }
        flat.serialize(serializer)
    }
}

fn unix_ms(at: SystemTime) -> u64 {
    millis(at.duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
