//! What happened, as typed events on a bounded broadcast.
//!
//! Every event has a dotted name ([`Kind::name`]); names that the systems before Mainstay used are
//! kept as aliases ([`Kind::alias`]). A slow listener loses the oldest events and is told how many,
//! it never slows the sender down.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};
use tokio::sync::broadcast;

/// How many events a listener may lag behind before it loses the oldest.
pub const CAPACITY: usize = 1024;

/// One thing that happened, and when.
///
/// Serialises as one flat object: `event`, `at_ms`, then the fields of the kind.
#[derive(Clone, Debug)]
pub struct Event {
    /// Wall-clock time, for people.
    pub at: SystemTime,
    /// What happened.
    pub kind: Kind,
}

/// What happened.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Kind {
    /// Something about a retried operation.
    Retry(RetryEvent),
    /// Something about a circuit breaker.
    Breaker(BreakerEvent),
    /// Something about a link.
    Link(crate::link::LinkEvent),
    /// Something about alerts.
    Health(HealthEvent),
    /// A name is answered otherwise.
    Answer(AnswerEvent),
}

impl Kind {
    /// The dotted name, such as `retry.attempt`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Retry(event) => event.what.name(),
            Self::Breaker(event) => event.what.name(),
            Self::Link(event) => event.name(),
            Self::Health(event) => event.what.name(),
            Self::Answer(_) => "link.answer.changed",
        }
    }

    /// The name an earlier system used for it, such as `circuit-breaker.opened`.
    #[must_use]
    pub const fn alias(&self) -> Option<&'static str> {
        match self {
            Self::Retry(_) | Self::Health(_) | Self::Answer(_) => None,
            Self::Breaker(event) => event.what.alias(),
            Self::Link(event) => event.alias(),
        }
    }
}

/// A name that a link asks for has other records than before.
#[derive(Clone, Debug, Serialize)]
pub struct AnswerEvent {
    /// Name of the link.
    pub link: Arc<str>,
    /// The records it has now.
    pub records: Arc<[String]>,
}

/// Something about a retried operation.
#[derive(Clone, Debug, Serialize)]
pub struct RetryEvent {
    /// What happened.
    #[serde(skip)]
    pub what: RetryWhat,
    /// Name of the operation.
    pub operation: Arc<str>,
    /// Its number in this process.
    pub id: u64,
    /// The attempt it is about, from 1.
    pub attempt: u32,
    /// The wait before the next attempt, in milliseconds, when there is one.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "millis")]
    #[serde(rename = "delay_ms")]
    pub delay: Option<Duration>,
    /// The error, shortened, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Arc<str>>,
}

/// What happened to a retried operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RetryWhat {
    /// An attempt starts.
    Attempt,
    /// An attempt worked; the operation is done.
    Success,
    /// An attempt failed.
    Failed,
    /// The next attempt comes after the delay that it tells.
    Waiting,
    /// The operation failed, and no attempt follows.
    Exhausted,
    /// The operation was cancelled.
    Cancelled,
}

impl RetryWhat {
    /// The dotted name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Attempt => "retry.attempt",
            Self::Success => "retry.success",
            Self::Failed => "retry.failed",
            Self::Waiting => "retry.waiting",
            Self::Exhausted => "retry.exhausted",
            Self::Cancelled => "retry.cancelled",
        }
    }
}

/// Something about a circuit breaker.
#[derive(Clone, Debug, Serialize)]
pub struct BreakerEvent {
    /// What happened.
    #[serde(skip)]
    pub what: BreakerWhat,
    /// Name of the gate the breaker belongs to.
    pub gate: Arc<str>,
    /// How long the breaker stays open, in milliseconds, when it opened.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "millis")]
    #[serde(rename = "retry_after_ms")]
    pub retry_after: Option<Duration>,
    /// The breaker's generation, by which transitions are ordered.
    pub generation: u32,
}

/// What happened to a circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BreakerWhat {
    /// It opened: calls are rejected.
    Opened,
    /// It lets probes through.
    HalfOpen,
    /// It closed: calls are admitted.
    Closed,
    /// It was reset by hand.
    Reset,
}

impl BreakerWhat {
    /// The dotted name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opened => "breaker.opened",
            Self::HalfOpen => "breaker.half_open",
            Self::Closed => "breaker.closed",
            Self::Reset => "breaker.reset",
        }
    }

    /// The name in seed 004; it had none for half-open.
    #[must_use]
    pub const fn alias(self) -> Option<&'static str> {
        match self {
            Self::Opened => Some("circuit-breaker.opened"),
            Self::HalfOpen => None,
            Self::Closed => Some("circuit-breaker.closed"),
            Self::Reset => Some("circuit-breaker.reset"),
        }
    }
}

/// Something about alerts. The names are those of seed 004, which has no others.
#[derive(Clone, Debug, Serialize)]
pub struct HealthEvent {
    /// What happened.
    #[serde(skip)]
    pub what: HealthWhat,
    /// The alert's fingerprint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert: Option<Arc<str>>,
    /// The alert's rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Arc<str>>,
    /// How bad it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<mainstay_monitor::alert::Severity>,
    /// In words.
    pub summary: Arc<str>,
}

/// What happened to an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HealthWhat {
    /// It fires.
    AlertCreated,
    /// Somebody sees to it.
    AlertAcknowledged,
    /// It is over.
    AlertResolved,
    /// Its severity or one of its flags is another.
    AlertChanged,
    /// Everything was measured and judged once more.
    MetricsCollected,
}

impl HealthWhat {
    /// The dotted name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AlertCreated => "health.alert.created",
            Self::AlertAcknowledged => "health.alert.acknowledged",
            Self::AlertResolved => "health.alert.resolved",
            Self::AlertChanged => "health.alert.changed",
            Self::MetricsCollected => "health.metrics.collected",
        }
    }
}

/// Where events are sent and listened to. Clones share one channel.
#[derive(Clone, Debug)]
pub struct Events {
    sender: broadcast::Sender<Arc<Event>>,
    /// Whether anybody ever listened: until then sending takes no lock.
    listened: Arc<AtomicBool>,
}

impl Events {
    /// A channel that keeps [`CAPACITY`] events for its slowest listener.
    #[must_use]
    pub fn new() -> Self {
        Self { sender: broadcast::Sender::new(CAPACITY), listened: Arc::default() }
    }

    /// Listens from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Event>> {
        self.listened.store(true, Ordering::Release);
        self.sender.subscribe()
    }

    /// Sends `kind` to whoever listens; costs next to nothing when nobody does.
    pub fn send(&self, kind: impl FnOnce() -> Kind) {
        if self.listened.load(Ordering::Acquire) && self.sender.receiver_count() > 0 {
            let event = Event { at: SystemTime::now(), kind: kind() };
            // Nobody may be left to listen by now, which is fine.
            drop(self.sender.send(Arc::new(event)));
        }
    }
}

impl Default for Events {
    fn default() -> Self {
        Self::new()
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Flat<'a> {
            event: &'static str,
            at_ms: u64,
            #[serde(flatten)]
            kind: &'a Kind,
        }
        Flat { event: self.kind.name(), at_ms: unix_ms(self.at), kind: &self.kind }
            .serialize(serializer)
    }
}

fn unix_ms(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
fn millis<S: Serializer>(delay: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    delay.map(|delay| u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)).serialize(serializer)
}
