//! Notices of alerts, brought to people and programs.
//!
//! Whoever evaluates alerts calls [`Notifier::tell`]; until somebody does, nothing is told. What is to
//! be told, whom and when is decided by [`mainstay_monitor::notify`]. What is due is kept in the store
//! before it is sent and removed afterwards, so that a restart sends it once more with the same id, and
//! nothing of it is lost. Every receiver has its own queue, task, retries and breaker: one that is dead
//! holds up no other.

mod alertmanager;
mod command;
mod dispatch;
mod email;
mod letter;
mod outbox;
mod pagerduty;
mod receiver;
mod send;
mod slack;
mod spec;
mod text;
mod watchdog;
mod webhook;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use mainstay_monitor::alert::Severity;
pub use mainstay_monitor::notify::{Condition, DispatchConfig, Route, Standing, Status};
use mainstay_store::{Store, StoreError, Writer};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use letter::Letter;
pub(crate) use outbox::DeadLetter;
use outbox::Outbox;
pub(crate) use receiver::{Receiver, ReceiverView};
pub use spec::{EmailSpec, MailTls, ReceiverSpec, Way};
pub(crate) use spec::{GIVE_UP_AFTER, PAGERDUTY, TIMEOUT, usual_policy};
pub use watchdog::{Watchdog, WatchdogSpec};

use crate::config::Config;
use crate::session::unix_ms;

/// Alerts that may wait to be taken down, which takes moments.
const WAITING_MAX: usize = 100_000;

/// How long what is known may take to be kept at the end.
const KEPT_WITHIN: Duration = Duration::from_secs(3);

/// Tells receivers of alerts. Clones tell the same ones; once all are dropped and [`Notifier::stop`] was
/// called, nothing is told any more.
#[derive(Clone)]
pub struct Notifier {
    inner: Arc<Inner>,
}

/// What it is to do once it is begun.
struct Planned {
    receivers: Vec<ReceiverSpec>,
    config: DispatchConfig,
    watchdog: Option<WatchdogSpec>,
}

/// What the tasks share.
struct Inner {
    planned: Mutex<Option<Planned>>,
    watchdog: Mutex<Option<Watchdog>>,
    outbox: Outbox,
    waiting: Mutex<Waiting>,
    wake: Notify,
    receivers: Mutex<BTreeMap<String, Arc<Receiver>>>,
    counts: Mutex<Counts>,
    task: Mutex<Option<JoinHandle<()>>>,
    /// When alerts were last evaluated.
    evaluated: Mutex<Option<Instant>>,
}

/// What the dispatcher has not heard yet.
#[derive(Default)]
struct Waiting {
    alerts: BTreeMap<(u64, Condition), Standing>,
    settings: Option<(Vec<Route>, DispatchConfig)>,
    lost: u64,
    /// Whether to keep what is known, and end.
    stop: bool,
}

/// What is known of the dispatcher.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) alerts: usize,
    /// Alerts that were not taken because there were too many.
    pub(crate) lost: u64,
    /// Notices that could not be kept before they were sent.
    pub(crate) unkept: u64,
}

/// What came of a test.
#[derive(Clone, Debug)]
pub(crate) struct Tested {
    pub(crate) delivered: bool,
    pub(crate) detail: String,
    pub(crate) took: Duration,
}

impl Notifier {
    /// Begins to tell `receivers`, with what was left when the process last ended. To be called on a
    /// tokio runtime.
    #[must_use]
    pub fn start(
        receivers: &[ReceiverSpec],
        config: &DispatchConfig,
        store: Arc<dyn Store>,
        writer: Arc<Writer>,
    ) -> Self {
        let planned =
            Planned { receivers: receivers.to_vec(), config: config.clone(), watchdog: None };
        let notifier = Self::planned(planned, store, writer);
        notifier.begin();
        notifier
    }

    /// One that tells nobody until it is begun.
    pub(crate) fn new(config: &Config, store: Arc<dyn Store>, writer: Arc<Writer>) -> Self {
        let planned = Planned {
            receivers: config.receivers.clone(),
            config: config.notify.clone(),
            watchdog: config.watchdog.clone(),
        };
        Self::planned(planned, store, writer)
    }

    fn planned(planned: Planned, store: Arc<dyn Store>, writer: Arc<Writer>) -> Self {
        let inner = Inner {
            planned: Mutex::new(Some(planned)),
            watchdog: Mutex::default(),
            outbox: Outbox::new(store, writer),
            waiting: Mutex::default(),
            wake: Notify::new(),
            receivers: Mutex::default(),
            counts: Mutex::default(),
            task: Mutex::default(),
            evaluated: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Takes down how an alert stands, and returns at once. To be called whenever that changes; after a
    /// restart for everything that still fires, too: what was told is not told again.
    pub fn tell(&self, standing: Standing) {
        {
            let mut waiting = self.inner.waiting();
            let key = (standing.id, standing.status.condition());
            if waiting.alerts.len() >= WAITING_MAX && !waiting.alerts.contains_key(&key) {
                waiting.lost += 1;
                return;
            }
            waiting.alerts.insert(key, standing);
        }
        self.inner.wake.notify_one();
    }

    /// Alerts have been evaluated: to be called after each evaluation, whatever came of it. While it is,
    /// the watchdog gives signs of life.
    pub fn evaluated(&self) {
        *self.inner.evaluated.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// When that was last called.
    #[must_use]
    pub fn last_evaluated(&self) -> Option<Instant> {
        *self.inner.evaluated.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts other receivers and settings in force. A receiver that has not changed goes on; what waits
    /// for one that has is told as it is now.
    pub fn apply(&self, receivers: &[ReceiverSpec], config: &DispatchConfig) {
        self.inner.configure(receivers, config);
        self.inner.wake.notify_one();
    }

    /// Begins to tell. Does nothing the second time.
    pub(crate) fn begin(&self) {
        let planned = self.inner.planned.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Planned { receivers, config, watchdog }) = planned else { return };
        let routes = self.inner.configure(&receivers, &config);
        let task = tokio::spawn(dispatch::run(self.inner.clone(), routes, config));
        *self.inner.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        self.watched_by(watchdog.as_ref());
    }

    /// Gives signs of life to that one, in place of the one before.
    pub(crate) fn watched_by(&self, spec: Option<&WatchdogSpec>) {
        let mut held = self.inner.watchdog.lock().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref().map(Watchdog::spec) == spec {
            return;
        }
        let inner = Arc::downgrade(&self.inner);
        let evaluated = move || {
            let inner = inner.upgrade()?;
            let evaluated = inner.evaluated.lock().unwrap_or_else(PoisonError::into_inner);
            *evaluated
        };
        *held = spec.map(|spec| Watchdog::start(spec, evaluated));
    }

    /// Stops telling. What is on its way is told after the next start.
    pub async fn stop(&self) {
        self.watched_by(None);
        let task = self.inner.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut task) = task {
            self.inner.waiting().stop = true;
            self.inner.wake.notify_one();
            if tokio::time::timeout(KEPT_WITHIN, &mut task).await.is_err() {
                task.abort();
            }
        }
        let receivers: Vec<_> = self.inner.receivers().values().cloned().collect();
        for receiver in receivers {
            receiver.stop().await;
        }
    }

    pub(crate) fn receivers(&self) -> Vec<Arc<Receiver>> {
        self.inner.receivers().values().cloned().collect()
    }

    pub(crate) fn receiver(&self, name: &str) -> Option<Arc<Receiver>> {
        self.inner.receivers().get(name).cloned()
    }

    pub(crate) fn counts(&self) -> Counts {
        *self.inner.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells a receiver once that this is a test.
    pub(crate) async fn test(&self, receiver: &Receiver) -> Tested {
        let began = Instant::now();
        let letter = Letter::test(&receiver.spec.name, unix_ms());
        let told = receiver.once(&letter).await;
        let took = began.elapsed();
        match told {
            Ok(()) => Tested { delivered: true, detail: "it was taken".into(), took },
            Err(error) => Tested { delivered: false, detail: error.detail, took },
        }
    }

    /// What could not be told, the oldest first: of one receiver, or of all.
    pub(crate) async fn dead(&self, of: Option<String>) -> Result<Vec<DeadLetter>, StoreError> {
        let names: Vec<String> = match of {
            Some(name) => vec![name],
            None => self.inner.receivers().keys().cloned().collect(),
        };
        self.inner.outbox.dead(names).await
    }

    /// Tells again what could not be told; whether there was such a thing.
    pub(crate) async fn retry(&self, id: &str) -> Result<Option<DeadLetter>, StoreError> {
        let Some(dead) = self.find(id).await? else { return Ok(None) };
        let Some(receiver) = self.receiver(&dead.receiver) else { return Ok(None) };
        self.inner.outbox.revive(&dead).await?;
        receiver.buried_less();
        receiver.push(dead.letter.clone());
        Ok(Some(dead))
    }

    /// Forgets what could not be told; whether there was such a thing.
    pub(crate) async fn forget(&self, id: &str) -> Result<Option<DeadLetter>, StoreError> {
        let Some(dead) = self.find(id).await? else { return Ok(None) };
        self.inner.outbox.forget(&dead).await?;
        if let Some(receiver) = self.receiver(&dead.receiver) {
            receiver.buried_less();
        }
        Ok(Some(dead))
    }

    async fn find(&self, id: &str) -> Result<Option<DeadLetter>, StoreError> {
        Ok(self.dead(None).await?.into_iter().find(|dead| dead.letter.id == id))
    }
}

impl Inner {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn receivers(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Receiver>>> {
        self.receivers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the receivers be those; answers their routes.
    fn configure(&self, specs: &[ReceiverSpec], config: &DispatchConfig) -> Vec<Route> {
        let mut held = self.receivers();
        let mut before = std::mem::take(&mut *held);
        for spec in specs {
            let receiver = match before.remove(&spec.name) {
                Some(receiver) if receiver.spec == *spec => receiver,
                other => {
                    let left = other.map(|old| old.retire()).unwrap_or_default();
                    Receiver::start(spec, self.outbox.clone(), left)
                }
            };
            held.insert(spec.name.clone(), receiver);
        }
        for (name, receiver) in before {
            receiver.retire();
            let outbox = self.outbox.clone();
            tokio::spawn(async move {
                if let Err(error) = outbox.leave(&name).await {
                    tracing::warn!(receiver = name, %error, "what was to be told it is still kept");
                }
            });
        }
        let routes: Vec<Route> = specs.iter().map(|spec| spec.route.clone()).collect();
        self.waiting().settings = Some((routes.clone(), config.clone()));
        routes
    }
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifier").finish_non_exhaustive()
    }
}
