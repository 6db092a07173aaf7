//! What is told of a call: each attempt and wait on standard error while it runs, and a report.

use std::sync::Arc;
use std::time::Duration;

use mainstay::event::{BreakerWhat, Event, Kind, RetryWhat};
use mainstay::operations::{Operations, Record};
use serde_json::{Value, json};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::task::JoinHandle;

use crate::out;

/// How long the last lines may take.
const DRAIN: Duration = Duration::from_secs(1);

/// Writes each attempt and wait to standard error as it happens.
pub(super) struct Progress(Option<JoinHandle<()>>);

impl Progress {
    pub(super) fn start(operations: &Operations, attempts: u32, quiet: bool) -> Self {
        if quiet {
            return Self(None);
        }
        let events = operations.events().subscribe();
        Self(Some(tokio::spawn(follow(events, attempts))))
    }

    /// Waits until the end of the call was told.
    pub(super) async fn finish(self) {
        if let Some(task) = self.0 {
            drop(tokio::time::timeout(DRAIN, task).await);
        }
    }
}

async fn follow(mut events: Receiver<Arc<Event>>, attempts: u32) {
    loop {
        match events.recv().await {
            Ok(event) => {
                if let Some(line) = words(&event.kind, attempts) {
                    out::error(&line);
                }
                if is_end(&event.kind) {
                    return;
                }
            }
            Err(RecvError::Lagged(lost)) => out::error(&format!("{lost} events came too fast")),
            Err(RecvError::Closed) => return,
        }
    }
}

fn is_end(kind: &Kind) -> bool {
    let Kind::Retry(event) = kind else { return false };
    matches!(event.what, RetryWhat::Success | RetryWhat::Exhausted | RetryWhat::Cancelled)
}

fn words(kind: &Kind, attempts: u32) -> Option<String> {
    match kind {
        Kind::Retry(event) => {
            let number = event.attempt;
            Some(match event.what {
                RetryWhat::Attempt | RetryWhat::Exhausted => return None,
                RetryWhat::Success => format!("attempt {number} of {attempts}: ok"),
                RetryWhat::Failed => {
                    let error = event.error.as_deref().unwrap_or("failed");
                    format!("attempt {number} of {attempts}: {error}")
                }
                RetryWhat::Waiting => {
                    let wait = event.delay.unwrap_or_default();
                    format!("waiting {:.3} s", wait.as_secs_f64())
                }
                RetryWhat::Cancelled => "cancelled".into(),
            })
        }
        Kind::Breaker(event) if event.what == BreakerWhat::Opened => Some("breaker opened".into()),
        Kind::Breaker(_) | Kind::Link(_) | Kind::Health(_) | Kind::Answer(_) => None,
        // Events to come are told once they are known here.
        _ => None,
    }
}

/// What the last operation called `name` came to.
pub(super) fn record(operations: &Operations, name: &str) -> Option<Record> {
    operations.history(name).pop()
}

/// The report of a call: what was called, then what came of it.
pub(super) fn json(record: Option<&Record>, what: Value) -> Value {
    let mut report = what;
    let fields = record.map(|record| {
        json!({
            "verdict": record.verdict,
            "succeeded": record.succeeded,
            "attempts": record.attempts,
            "attempts_max": record.attempts_max,
            "took_ms": record.took_ms,
            "waited_ms": record.waited_ms,
            "failures": record.failures,
        })
    });
    if let (Some(report), Some(Value::Object(fields))) = (report.as_object_mut(), fields) {
        report.extend(fields);
    }
    report
}
