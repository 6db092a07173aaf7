//! What the breaker looks like, in the seeds' words.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use mainstay::core::policy::breaker::{RejectionReason, State, Window};
use mainstay::core::policy::outcome::Sample;
use mainstay::event::{Event, Kind};
use mainstay::gate::Gate;
use serde::Serialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;

use crate::watch::unix_ms;

/// The breaker at one moment: `getCircuitBreakerStatus` of the seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CircuitBreakerStatus {
    /// `CLOSED`, `OPEN`, `HALF_OPEN`; or `FORCED_OPEN` or `DISABLED` by hand.
    pub state: &'static str,
    /// Calls in the window that failed; while it is not closed, as many as open it.
    pub failures: u32,
    /// When a call last failed, in milliseconds since 1970.
    pub last_failure: Option<u64>,
    /// When the state last changed, in milliseconds since 1970; at first, when the client was made.
    pub last_state_change: u64,
    /// How long it has been in this state, in milliseconds.
    pub uptime_ms: u64,
    /// Calls that have succeeded since it is half-open.
    pub half_open_successes: u32,
    /// After how long a call is let through, in milliseconds, while it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// Its configuration.
    pub config: CircuitBreakerNumbers,
}

/// The numbers of a breaker: durations in milliseconds, as in the seeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CircuitBreakerNumbers {
    /// Failed calls in the window that open it.
    pub failure_threshold: u32,
    /// How long it stays open.
    pub reset_timeout: u64,
    /// The window.
    pub monitor_window: u64,
    /// Calls that must succeed to close it.
    pub half_open_attempts: u32,
}

/// What the breaker itself does not keep.
#[derive(Debug)]
pub(crate) struct Notes {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    events: Receiver<Arc<Event>>,
    changed: SystemTime,
    failed: Option<SystemTime>,
    /// Successes of this generation, while it was half-open.
    good: (u32, u32),
}

impl Notes {
    pub(crate) fn new(gate: &Gate) -> Self {
        let inner = Inner {
            events: gate.events().subscribe(),
            changed: SystemTime::now(),
            failed: None,
            good: (0, 0),
        };
        Self { inner: Mutex::new(inner) }
    }

    /// A call has ended with this, and the gate knows.
    pub(crate) fn ended(&self, gate: &Gate, sample: Sample) {
        let mut inner = self.inner();
        inner.read();
        match sample {
            Sample::Failure | Sample::Throttled => inner.failed = Some(SystemTime::now()),
            Sample::Success => {
                let breaker = gate.view().breaker;
                let probing = breaker.filter(|breaker| breaker.state == State::HalfOpen);
                if let Some(breaker) = probing {
                    let (generation, good) = inner.good;
                    let so_far = if generation == breaker.generation { good } else { 0 };
                    inner.good = (breaker.generation, so_far + 1);
                }
            }
            Sample::Neutral => {}
        }
    }

    pub(crate) fn status(&self, gate: &Gate) -> CircuitBreakerStatus {
        let (view, config) = (gate.view(), gate.config());
        let mut inner = self.inner();
        inner.read();
        let rules = config.breaker.unwrap_or_default();
        let state = gate.state();
        let threshold = rules.failures_in_window;
        let breaker = view.breaker;
        let good = breaker.filter(|b| b.state == State::HalfOpen && b.generation == inner.good.0);
        CircuitBreakerStatus {
            state: state.as_str(),
            failures: match state {
                State::Closed | State::Disabled => breaker.map_or(0, |breaker| breaker.failed),
                State::Open | State::HalfOpen | State::ForcedOpen => threshold,
            },
            last_failure: inner.failed.map(unix_ms),
            last_state_change: unix_ms(inner.changed),
            uptime_ms: millis(inner.changed.elapsed().unwrap_or_default()),
            half_open_successes: good.map_or(0, |_| inner.good.1),
            retry_after_ms: view.retry_after_ms,
            config: CircuitBreakerNumbers {
                failure_threshold: threshold,
                reset_timeout: millis(rules.open.base),
                monitor_window: match rules.window {
                    Window::Time(window) => millis(window),
                    Window::Off | Window::Count(_) => 0,
                },
                half_open_attempts: rules.half_open.probes,
            },
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Reads what was told since.
    fn read(&mut self) {
        loop {
            match self.events.try_recv() {
                Ok(event) => {
                    if let Kind::Breaker(_) = event.kind {
                        self.changed = event.at;
                    }
                }
                Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }
}

/// The breaker's state when it rejects for that reason.
pub(crate) const fn word(reason: RejectionReason) -> &'static str {
    match reason {
        RejectionReason::Open => State::Open.as_str(),
        RejectionReason::ProbesBusy => State::HalfOpen.as_str(),
        RejectionReason::Ramping => State::Closed.as_str(),
        RejectionReason::ForcedOpen => State::ForcedOpen.as_str(),
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
