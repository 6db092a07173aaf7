use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mainstay::clock;
use mainstay::core::policy::backoff::{Backoff, BackoffConfig};
use mainstay::core::policy::pressure::Pressure;
use metrics::Counter;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use super::OtlpError;
use super::layer::{Recorder, is_ours};
use super::post::{Poster, Sent, dropped};
use super::queue::Queue;
use super::span::{self, Finished};
use crate::config::OtlpSpec;
use crate::metrics::recorder;

const SIGNAL: &str = "traces";
/// The longest a collector is left alone, whatever it asks.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// The export of spans, for as long as a program runs.
///
/// It exports the spans of Mainstay (requests, operations with their attempts, HTTP calls, dials and
/// probes), and none of others.
pub struct Traces {
    queue: Arc<Queue>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    lost: Counter,
}

impl Traces {
    /// Begins to export, in a task of its own; from now on this process begins traces, of which the
    /// share that `spec` says is sampled.
    ///
    /// # Errors
    ///
    /// [`OtlpError`], which says who must act.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start(spec: &OtlpSpec) -> Result<Self, OtlpError> {
        // First, so that what is counted from now on is on the page of metrics.
        let _recorder = recorder().map_err(OtlpError::Metrics)?;
        let poster = Poster::new(spec, SIGNAL)?;
        let pauses = BackoffConfig {
            base: Duration::from_secs(1),
            cap: PAUSE_MAX,
            ..BackoffConfig::default()
        };
        let pauses = Backoff::new(&pauses).map_err(OtlpError::Config)?;
        let full = dropped(SIGNAL, "queue_full");
        let queue = Arc::new(Queue::new(spec.queue_max, spec.batch_max, full));
        let (stop, stopping) = watch::channel(false);
        let export = Export { queue: queue.clone(), poster, pauses, spec: spec.clone(), stopping };
        mainstay::trace::sample_new(spec.sample);
        let lost = dropped(SIGNAL, "shutdown");
        Ok(Self { queue, stop, task: tokio::spawn(export.run()), lost })
    }

    /// What records spans, to be put into the program's subscriber.
    #[must_use]
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        Recorder { queue: self.queue.clone() }.with_filter(filter_fn(is_ours))
    }

    /// Exports what waits, for no longer than `within`; says how many spans are left, which are lost.
    pub async fn stop(self, within: Duration) -> usize {
        let Self { queue, stop, mut task, lost } = self;
        stop.send_replace(true);
        if timeout(within, &mut task).await.is_err() {
            task.abort();
        }
        let left = queue.left();
        if left > 0 {
            lost.increment(left as u64);
            tracing::warn!(spans = left, "spans are lost: the collector did not take them in time");
        }
        left
    }
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traces").finish_non_exhaustive()
    }
}

struct Export {
    queue: Arc<Queue>,
    poster: Poster,
    pauses: Backoff,
    spec: OtlpSpec,
    stopping: watch::Receiver<bool>,
}

impl Export {
    /// Exports until it is stopped, and then what is left, each batch once.
    async fn run(mut self) {
        loop {
            let is_over = tokio::select! {
                biased;
                () = stopped(&mut self.stopping) => true,
                () = self.queue.full() => false,
                () = sleep(self.spec.batch_within) => false,
            };
            loop {
                let spans = self.queue.take();
                if spans.is_empty() {
                    break;
                }
                if !self.export(&spans).await {
                    // The program ends: others will fare no better.
                    return;
                }
                self.queue.settled();
                if !is_over && self.queue.len() < self.spec.batch_max {
                    break;
                }
            }
            if is_over {
                return;
            }
        }
    }

    /// Sends a batch until it is taken or refused, however long that takes; spans that come meanwhile
    /// wait, as many as there is room for. Answers whether it was, before the program ended.
    async fn export(&mut self, spans: &[Finished]) -> bool {
        let body = span::request(&self.spec.service_name, spans);
        let (mut attempt, mut pause) = (0, Duration::ZERO);
        loop {
            let hint = match self.poster.send(&body, spans.len()).await {
                Sent::Done => return true,
                Sent::Later(hint) => hint.unwrap_or_default().min(PAUSE_MAX),
            };
            attempt += 1;
            pause = self.pauses.delay(attempt, pause, Pressure::default(), clock::draw());
            tokio::select! {
                biased;
                () = stopped(&mut self.stopping) => return false,
                () = sleep(pause.max(hint)) => {}
            }
        }
    }
}

/// Ends when it is to end, also when nobody is left to say so.
pub(super) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _gone = stopping.wait_for(|stopping| *stopping).await.is_err();
}
