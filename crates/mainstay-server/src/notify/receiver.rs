//! One receiver: its queue, its task, and what has become of what it was told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mainstay::clock;
use mainstay::core::policy::backoff::{Backoff, BackoffConfig};
use mainstay::core::policy::outcome::{Outcome, Retry as MayRetry};
use mainstay::core::policy::pressure::Pressure;
use mainstay::gate::{Gate, GateView};
use mainstay::retry::{CallError, Failure, Retry};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::letter::Letter;
use super::outbox::{Outbox, QUEUE_MAX};
use super::send::{Reason, SendError, Sender};
use super::spec::ReceiverSpec;
use crate::metrics::buckets::{Buckets, Spread};
use crate::session::unix_ms;

/// Somebody waits for what comes of a test, and a request is answered within 30 s.
const ONCE_WITHIN: Duration = Duration::from_secs(25);

/// One receiver.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) spec: ReceiverSpec,
    sender: Result<Sender, String>,
    retry: Option<Retry>,
    queue: Mutex<VecDeque<Letter>>,
    wake: Notify,
    view: Mutex<ReceiverView>,
    /// How long the notices that were sent took, from when they were due.
    took: Buckets,
    outbox: Outbox,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// What has become of what a receiver was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReceiverView {
    pub(crate) sent: u64,
    /// Attempts that failed, by what they failed of.
    pub(crate) failures: BTreeMap<Reason, u64>,
    /// Notices that were given up.
    pub(crate) given_up: u64,
    /// Of those, what is kept.
    pub(crate) dead: usize,
    pub(crate) last_sent: Option<u64>,
    pub(crate) last_error: Option<String>,
    pub(crate) queued: usize,
}

/// What came of one round of attempts.
struct Round {
    error: SendError,
    attempts: u32,
}

impl Receiver {
    /// Begins to tell it what is `left`, and what comes.
    pub(super) fn start(spec: &ReceiverSpec, outbox: Outbox, left: VecDeque<Letter>) -> Arc<Self> {
        let sender = Sender::new(spec);
        if let Err(why) = &sender {
            tracing::error!(receiver = spec.name, why, "nothing can be told");
        }
        let gate = Gate::new(&format!("receiver:{}", spec.name), &spec.policy.gate);
        let retry = gate.and_then(|gate| Retry::through(&spec.policy, gate)).ok();
        let receiver = Arc::new(Self {
            spec: spec.clone(),
            sender,
            retry,
            queue: Mutex::new(left),
            wake: Notify::new(),
            view: Mutex::default(),
            took: Buckets::default(),
            outbox,
            task: Mutex::default(),
        });
        let task = tokio::spawn(receiver.clone().run());
        *receiver.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        receiver
    }

    pub(crate) fn view(&self) -> ReceiverView {
        ReceiverView { queued: self.queue().len(), ..self.held().clone() }
    }

    /// How long its notices took.
    pub(crate) fn took(&self) -> Spread {
        self.took.spread()
    }

    /// Its breaker.
    pub(crate) fn gate(&self) -> Option<GateView> {
        self.retry.as_ref()?.gate().map(Gate::view)
    }

    /// It has that much that could not be told.
    pub(super) fn buried(&self, dead: usize) {
        self.held().dead = dead;
    }

    /// One less of it.
    pub(super) fn buried_less(&self) {
        let mut view = self.held();
        view.dead = view.dead.saturating_sub(1);
    }

    /// Something to tell.
    pub(super) fn push(&self, letter: Letter) {
        {
            let mut queue = self.queue();
            if queue.len() >= 2 * QUEUE_MAX {
                let (receiver, id) = (&self.spec.name, &letter.id);
                tracing::error!(receiver, id, "too much waits: this is told after a restart");
                return;
            }
            // It may be there already, left from before.
            if !queue.iter().any(|one| one.id == letter.id) {
                queue.push_back(letter);
            }
        }
        self.wake.notify_one();
    }

    /// Tells it once, whatever its breaker says.
    pub(super) async fn once(&self, letter: &Letter) -> Result<(), SendError> {
        let sender = self.sender.as_ref().map_err(SendError::mistake)?;
        match tokio::time::timeout(self.spec.timeout.min(ONCE_WITHIN), sender.send(letter)).await {
            Ok(told) => told,
            Err(_) => Err(slow()),
        }
    }

    /// Tells it nothing more; answers what is left.
    pub(super) fn retire(&self) -> VecDeque<Letter> {
        if let Some(task) = self.task.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
        std::mem::take(&mut *self.queue())
    }

    pub(super) async fn stop(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.abort();
            let _aborted: Result<(), tokio::task::JoinError> = task.await;
        }
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Letter>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self) -> MutexGuard<'_, ReceiverView> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(self: Arc<Self>) {
        loop {
            let next = self.queue().front().cloned();
            let Some(letter) = next else {
                self.wake.notified().await;
                continue;
            };
            self.deliver(&letter).await;
            self.queue().retain(|one| one.id != letter.id);
        }
    }

    /// Tells it, however long that takes, or keeps aside what it cannot be told.
    async fn deliver(&self, letter: &Letter) {
        let began = Instant::now();
        let backoff = between();
        let (mut round, mut attempts, mut before) = (0, 0, Duration::ZERO);
        let error = loop {
            let Round { error, attempts: made } = match self.round(letter).await {
                Ok(()) => return self.delivered(letter).await,
                Err(failed) => failed,
            };
            attempts += made;
            self.failed(&error);
            tracing::warn!(
                receiver = self.spec.name, id = letter.id, reason = error.reason.name(), %error,
                "a notice was not taken"
            );
            round += 1;
            let MayRetry::Later { hint } = error.outcome.retry() else { break error };
            let wait = backoff.delay(round, before, Pressure::default(), clock::draw());
            let wait = wait.max(hint.unwrap_or_default().min(self.spec.give_up_after));
            if began.elapsed() + wait > self.spec.give_up_after {
                break error;
            }
            before = wait;
            if self.wait(wait).await {
                let detail = format!("{error}; newer notices wait");
                break SendError { detail, ..error };
            }
        };
        self.bury(letter, &error, attempts).await;
    }

    /// Waits; whether too much has come meanwhile to go on with this one.
    async fn wait(&self, wait: Duration) -> bool {
        let full = async {
            while self.queue().len() <= QUEUE_MAX {
                self.wake.notified().await;
            }
        };
        tokio::select! {
            () = sleep(wait) => self.queue().len() > QUEUE_MAX,
            () = full => true,
        }
    }

    /// A few attempts, as the policy says.
    async fn round(&self, letter: &Letter) -> Result<(), Round> {
        let failed = |error| Round { error, attempts: 0 };
        let sender = match &self.sender {
            Ok(sender) => sender,
            Err(why) => return Err(failed(SendError::mistake(why.clone()))),
        };
        let Some(retry) = &self.retry else {
            return Err(failed(SendError::mistake("its policy makes no sense")));
        };
        let judge = |result: &Result<(), SendError>, _| match result {
            Ok(()) => Outcome::Success,
            Err(error) => error.outcome,
        };
        let retry = retry.clone().classify_with(judge);
        retry.call(|_| sender.send(letter)).await.map_err(|error| told_not(&error))
    }

    async fn delivered(&self, letter: &Letter) {
        {
            let mut view = self.held();
            view.sent += 1;
            view.last_error = None;
            let now = unix_ms();
            view.last_sent = Some(now);
            let took = Duration::from_millis(now.saturating_sub(letter.at_unix_ms));
            self.took.observe(took.as_secs_f64());
        }
        if let Err(error) = self.outbox.sent(letter).await {
            tracing::warn!(id = letter.id, %error, "a notice may be sent again after a restart");
        }
    }

    fn failed(&self, error: &SendError) {
        let mut view = self.held();
        *view.failures.entry(error.reason).or_default() += 1;
        view.last_error = Some(error.detail.clone());
    }

    async fn bury(&self, letter: &Letter, error: &SendError, attempts: u32) {
        let (receiver, id) = (&self.spec.name, &letter.id);
        tracing::error!(receiver, id, %error, "a notice is given up and kept aside");
        let buried = self.outbox.bury(letter, &error.detail, attempts).await;
        let mut view = self.held();
        view.given_up += 1;
        match buried {
            Ok(dead) => view.dead = dead,
            Err(error) => tracing::error!(receiver, id, %error, "and that could not be kept"),
        }
    }
}

/// Why a round brought nothing.
fn told_not(error: &CallError<SendError>) -> Round {
    let attempts = error.attempts();
    let error = match &error.last.failure {
        Failure::Error(error) => error.clone(),
        Failure::TimedOut => slow(),
        Failure::Rejected(_) => {
            let last = error.error().map(|error| format!(": {error}")).unwrap_or_default();
            let detail = format!("its breaker is open{last}");
            SendError::new(Reason::Rejected, Outcome::TRANSIENT, detail)
        }
        Failure::Unacceptable | Failure::Cancelled | _ => {
            error.error().cloned().unwrap_or_else(slow)
        }
    };
    Round { error, attempts }
}

fn slow() -> SendError {
    SendError::new(Reason::Timeout, Outcome::TRANSIENT, "it did not answer in time")
}

/// The waits between rounds.
fn between() -> Backoff {
    let config = BackoffConfig {
        base: Duration::from_secs(5),
        cap: Duration::from_secs(300),
        ..BackoffConfig::default()
    };
    Backoff::new(&config).expect("a configuration that makes sense")
}
