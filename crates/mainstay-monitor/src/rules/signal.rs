use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What can be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum Signal {
    /// Round trips of sessions.
    SessionLatency,
    /// Connections of sessions that broke, of all that began, came back or broke.
    SessionErrors,
    /// Heartbeats of sessions that were missed, of all that were due.
    SessionBeats,
    /// Sessions that are `EXCELLENT` or `GOOD`, of all that are graded.
    SessionQuality,
    /// Sessions that came back or tried to, a minute, of all that are not over.
    SessionReconnections,
    /// Sessions that needed attempts to come back, of all that are not over.
    SessionAttempts,
    /// Sessions with a connection.
    SessionsConnected,
    /// Health checks of a link that went well.
    LinkChecks,
    /// Round trips of a link.
    LinkLatency,
    /// How long a link has been trying to come back.
    LinkReconnecting,
    /// How long a link has been given up.
    LinkFailed,
    /// How long a link that others cannot do without has been down.
    LinkRequiredDown,
    /// How long the certificate of a link's peer is still valid.
    LinkCertificate,
    /// Calls through a gate that failed.
    GateErrors,
    /// How long a breaker has been open.
    GateOpen,
    /// Whether a breaker lets trials through.
    GateHalfOpen,
    /// Operations that failed for good.
    OperationErrors,
    /// How long operations took.
    OperationLatency,
    /// Lookups that a cache answered.
    CacheHits,
    /// How full a cache is.
    CacheFill,
    /// How many ids of a sequence are left.
    IdsLeft,
    /// How far this machine is overloaded.
    SystemOverload,
    /// Load by processors, memory and reconnections, as seed 004 sums it up.
    SystemLoad,
    /// How long a job has been late to report.
    PushLate,
    /// Whether this machine itself is cut off.
    SelfOffline,
    /// Whether so many sessions are late at once that the fault is ours or the network's.
    MassSuspicion,
}

/// Which kind of measurement a signal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Durations: a percentile over a window.
    Latency,
    /// Events of two kinds: the share of one of them over a window.
    Share,
    /// Things of two kinds: the share of one of them now.
    Standing,
    /// A number as it is now.
    Gauge,
}

/// What there is to say about a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// Its name in files.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// The unit of thresholds; `share` is 0 to 1.
    pub unit: &'static str,
    /// The label that tells the things apart it is about; none: there is one of it.
    pub label: Option<&'static str>,
    /// In words, as the beginning of a sentence.
    pub about: &'static str,
    /// Whether the share is that of what went well.
    pub good: bool,
}

use Kind::{Gauge, Latency, Share, Standing};

const fn info(
    name: &'static str,
    kind: Kind,
    unit: &'static str,
    label: Option<&'static str>,
    about: &'static str,
) -> Info {
    Info { name, kind, unit, label, about, good: false }
}

const fn good(info: Info) -> Info {
    Info { good: true, ..info }
}

/// What there is to say about each, in their order.
const TABLE: [Info; Signal::ALL.len()] = [
    info("sessions.latency", Latency, "ms", None, "round trips of sessions"),
    info("sessions.errors", Share, "share", None, "connections of sessions that broke"),
    info("sessions.missed", Share, "share", None, "missed heartbeats of sessions"),
    good(info("sessions.quality", Standing, "share", None, "sessions EXCELLENT or GOOD")),
    info("sessions.reconnections", Share, "share", None, "sessions that come back each minute"),
    info("sessions.attempts", Standing, "share", None, "sessions that needed attempts"),
    info("sessions.connected", Gauge, "sessions", None, "connected sessions"),
    good(info("link.checks", Share, "share", LINK, "health checks that went well")),
    info("link.latency", Latency, "ms", LINK, "round trips of the link"),
    info("link.reconnecting", Gauge, "s", LINK, "without a connection, trying"),
    info("link.failed", Gauge, "s", LINK, "given up"),
    info("link.required_down", Gauge, "s", LINK, "a required link is down"),
    info("link.certificate", Gauge, "d", LINK, "left of the certificate"),
    info("gate.errors", Share, "share", GATE, "calls that failed"),
    info("gate.open", Gauge, "s", GATE, "the breaker is open"),
    info("gate.half_open", Gauge, "", GATE, "the breaker lets trials through"),
    info("operations.errors", Share, "share", None, "operations that failed for good"),
    info("operations.latency", Latency, "ms", None, "time that operations take"),
    good(info("cache.hits", Share, "share", CACHE, "lookups that the cache answered")),
    info("cache.fill", Standing, "share", CACHE, "places of the cache that are taken"),
    info("ids.left", Gauge, "share", Some("sequence"), "ids of the sequence that are left"),
    info("system.overload", Gauge, "", None, "this machine is overloaded"),
    info("system.load", Gauge, "share", None, "load of this machine"),
    info("push.late", Gauge, "s", Some("push"), "a report is overdue"),
    info("self.offline", Gauge, "", None, "this machine is cut off"),
    info("sessions.mass_suspicion", Gauge, "", None, "too many sessions are late at once"),
];

const LINK: Option<&str> = Some("link");
const GATE: Option<&str> = Some("gate");
const CACHE: Option<&str> = Some("cache");

impl Signal {
    /// All of them.
    pub const ALL: [Self; 26] = [
        Self::SessionLatency,
        Self::SessionErrors,
        Self::SessionBeats,
        Self::SessionQuality,
        Self::SessionReconnections,
        Self::SessionAttempts,
        Self::SessionsConnected,
        Self::LinkChecks,
        Self::LinkLatency,
        Self::LinkReconnecting,
        Self::LinkFailed,
        Self::LinkRequiredDown,
        Self::LinkCertificate,
        Self::GateErrors,
        Self::GateOpen,
        Self::GateHalfOpen,
        Self::OperationErrors,
        Self::OperationLatency,
        Self::CacheHits,
        Self::CacheFill,
        Self::IdsLeft,
        Self::SystemOverload,
        Self::SystemLoad,
        Self::PushLate,
        Self::SelfOffline,
        Self::MassSuspicion,
    ];

    /// What there is to say about it.
    #[must_use]
    pub const fn info(self) -> Info {
        TABLE[self as usize]
    }
}

/// A name that is no signal's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownSignal(pub String);

impl fmt::Display for UnknownSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Signal::ALL.into_iter().map(|signal| signal.info().name).collect();
        write!(f, "`{}` is no signal; signals are {}", self.0, names.join(", "))
    }
}

impl std::error::Error for UnknownSignal {}

impl FromStr for Signal {
    type Err = UnknownSignal;

    fn from_str(text: &str) -> Result<Self, UnknownSignal> {
        let named = |signal: &Self| signal.info().name == text;
        Self::ALL.into_iter().find(named).ok_or_else(|| UnknownSignal(text.to_owned()))
    }
}

impl TryFrom<String> for Signal {
    type Error = UnknownSignal;

    fn try_from(text: String) -> Result<Self, UnknownSignal> {
        text.parse()
    }
}

impl From<Signal> for &'static str {
    fn from(signal: Signal) -> Self {
        signal.info().name
    }
}
