use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::rules::Signal;
use crate::series::Latencies;

/// Names with values, in their order.
pub type Labels = BTreeMap<String, String>;

/// What was measured of one thing since the last tick.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// What.
    pub signal: Signal,
    /// Of whom.
    pub labels: Arc<Labels>,
    /// How much.
    pub value: Value,
}

/// How much was measured.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Durations since the last tick.
    Latency {
        /// By size.
        latencies: Latencies,
        /// All together.
        sum: Duration,
    },
    /// Events since the last tick: those that count, and all.
    Share {
        /// Those that count.
        part: u64,
        /// All.
        whole: u64,
    },
    /// Things as they are now: those that count, and all.
    Standing {
        /// Those that count.
        part: u64,
        /// All.
        whole: u64,
    },
    /// A number as it is now.
    Gauge(f64),
    /// The thing is there, and nothing is known of it.
    Nothing,
}

impl Reading {
    /// A reading of a signal there is one of.
    #[must_use]
    pub fn new(signal: Signal, value: Value) -> Self {
        Self { signal, labels: Arc::default(), value }
    }

    /// A reading of the thing with this name, under the label of the signal.
    #[must_use]
    pub fn of(signal: Signal, name: &str, value: Value) -> Self {
        let label = signal.info().label.map(|label| (label.to_owned(), name.to_owned()));
        Self { signal, labels: Arc::new(label.into_iter().collect()), value }
    }
}
