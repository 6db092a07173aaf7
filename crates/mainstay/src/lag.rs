//! Measures how late the runtime's own timers fire, and tells the gates.
//!
//! A client that is overloaded itself makes its peers look slow. Its lag is one of the sources of the
//! pressure by which adaptive backoff waits longer
//! ([`mainstay_core::policy::pressure`]).

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::gate::Gates;

/// How often the lag is measured.
pub const PERIOD: Duration = Duration::from_millis(250);

/// A task that measures the lag until it is dropped.
#[derive(Debug)]
#[must_use = "dropping it ends the measuring"]
pub struct LagWatch {
    task: JoinHandle<()>,
}

impl LagWatch {
    /// Begins to measure, and tells every gate of `gates` that measures
    /// ([`GateConfig::measure`](mainstay_core::policy::gate::GateConfig::measure)).
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start(gates: Gates) -> Self {
        let task = tokio::spawn(async move {
            loop {
                let due = Instant::now() + PERIOD;
                tokio::time::sleep_until(due).await;
                // Timers are allowed to be a millisecond late by design.
                let late = due.elapsed().saturating_sub(Duration::from_millis(1));
                metrics::gauge!("mainstay_runtime_lag_seconds").set(late.as_secs_f64());
                for gate in gates.list() {
                    gate.report_lag(late);
                }
            }
        });
        Self { task }
    }
}

impl Drop for LagWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}
