//! A sign of life to somebody outside, who notices when it does not come.

use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::send::post;
use crate::config::Secret;

/// To whom signs of life go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchdogSpec {
    /// Where to; whoever knows it can say that we live.
    pub url: Secret,
    /// How often. Default 1 min.
    pub interval: Duration,
}

/// Gives signs of life for as long as alerts are evaluated. Dropped, it gives no more.
#[derive(Debug)]
pub struct Watchdog {
    spec: WatchdogSpec,
    task: JoinHandle<()>,
}

impl Watchdog {
    /// Begins to give signs of life, each only when `evaluated` says that alerts were evaluated within
    /// the last two intervals: a process that lives and evaluates nothing is as good as dead.
    #[must_use]
    pub fn start(
        spec: &WatchdogSpec,
        evaluated: impl Fn() -> Option<Instant> + Send + Sync + 'static,
    ) -> Self {
        Self { spec: spec.clone(), task: tokio::spawn(run(spec.clone(), evaluated)) }
    }

    pub(super) const fn spec(&self) -> &WatchdogSpec {
        &self.spec
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(spec: WatchdogSpec, evaluated: impl Fn() -> Option<Instant>) {
    let Ok(http) = mainstay::http::builder().build() else {
        tracing::error!("no sign of life can be given");
        return;
    };
    let mut ticks = interval(spec.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        ticks.tick().await;
        let age = evaluated().map(|at| at.elapsed());
        if age.is_none_or(|age| age > spec.interval * 2) {
            if !failing {
                tracing::warn!("alerts are not evaluated: no sign of life is given");
            }
            failing = true;
            continue;
        }
        let within = spec.interval.min(Duration::from_secs(15));
        match post(http.get(spec.url.expose()), within).await {
            Ok(()) => failing = false,
            Err(error) => {
                if !failing {
                    tracing::warn!(%error, "a sign of life was not taken");
                }
                failing = true;
            }
        }
    }
}
