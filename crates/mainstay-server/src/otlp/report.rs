use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval_at, timeout};

use super::points::{self, Times};
use super::post::{Poster, Sent};
use super::span::nanos;
use super::traces::stopped;
use super::{OtlpError, OtlpSpec};
use crate::metrics;
use crate::state::Shared;

/// The export of metrics, ready to begin.
#[derive(Debug)]
pub(crate) struct Report {
    poster: Poster,
    interval: Duration,
    /// How long the last export may take.
    timeout: Duration,
    service_name: String,
    /// Since when sums count.
    start: u64,
}

impl Report {
    /// Of a configuration that wants one.
    pub(crate) fn of(spec: Option<&OtlpSpec>) -> Result<Option<Self>, OtlpError> {
        let wanted = spec.filter(|spec| spec.metrics);
        let report = |spec: &OtlpSpec| {
            Ok(Self {
                poster: Poster::new(spec, "metrics")?,
                interval: spec.interval,
                timeout: spec.timeout,
                service_name: spec.service_name.clone(),
                start: nanos(SystemTime::now()),
            })
        };
        wanted.map(report).transpose()
    }

    /// What does not go out now is in what goes out the next time, but for what gauges said.
    async fn once(&self, shared: &Shared) -> Sent {
        let families = metrics::gather(shared);
        let times = Times { start: self.start, now: nanos(SystemTime::now()) };
        let (body, count) = points::request(&self.service_name, &families, times);
        self.poster.send(&body, count).await
    }

    async fn run(&self, shared: &Shared, mut stopping: watch::Receiver<bool>) {
        let first = tokio::time::Instant::now() + self.interval;
        let mut ticks = interval_at(first, self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stopping) => return,
                _ = ticks.tick() => {}
            }
            let _again: Sent = self.once(shared).await;
        }
    }
}

/// The export of metrics while a server runs.
#[derive(Debug)]
pub(crate) struct Reporting {
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

impl Reporting {
    pub(crate) fn start(shared: &Arc<Shared>) -> Self {
        let (stop, stopping) = watch::channel(false);
        let task = shared.report.is_some().then(|| {
            let shared = shared.clone();
            tokio::spawn(async move {
                if let Some(report) = &shared.report {
                    report.run(&shared, stopping).await;
                }
            })
        });
        Self { stop, task }
    }

    /// Exports a last time, for no longer than `within`.
    pub(crate) async fn stop(self, shared: &Shared, within: Duration) {
        let Self { stop, task } = self;
        let (Some(mut task), Some(report)) = (task, &shared.report) else { return };
        stop.send_replace(true);
        let last = async {
            // One export at a time: what a slow collector still reads is older.
            let _ended = (&mut task).await.is_err();
            report.once(shared).await
        };
        let last = timeout(within.min(report.timeout), last).await;
        task.abort();
        if last != Ok(Sent::Done) {
            tracing::warn!("the last metrics are lost: the collector did not take them in time");
        }
    }
}
