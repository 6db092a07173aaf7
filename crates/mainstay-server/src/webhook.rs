//! Events of sessions, told to other servers: at least once, in order, signed.
//!
//! Whoever is told keeps the last `seq` of each session and drops what comes twice. A batch has the
//! same `webhook-id` however often it is sent.

mod batch;
mod deliver;
mod signature;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay_store::{Area, Position};
use tokio::task::JoinSet;

use crate::config::Secret;
use crate::session::{Hub, unix_ms};

pub(crate) use batch::NAMES as EVENT_NAMES;
pub(crate) use deliver::{dead_letters, tell_again};
pub use signature::{NotASecret, SigningSecret};

/// How far each webhook has got.
const CURSORS: Area = Area::new("webhooks");
/// What could not be told.
const DEAD: Area = Area::new("dead_letters");
/// Batches that could not be told and are kept, of each webhook; the oldest give way.
const DEAD_MAX: usize = 1000;

/// Whom to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSpec {
    /// What it is called.
    pub name: String,
    /// Where to.
    pub url: Secret,
    /// What it is signed with.
    pub secret: SigningSecret,
    /// Names of events, such as `session.gone`; none for all.
    pub events: Vec<String>,
    /// Events of one request, at most. Default 100.
    pub batch_max: usize,
    /// How long events are gathered. Default 1 s.
    pub batch_within: Duration,
    /// How long one batch is tried. Default 24 h.
    pub give_up_after: Duration,
}

/// A webhook at a glance.
#[derive(Clone, Debug, Default)]
pub(crate) struct WebhookView {
    pub(crate) position: Position,
    pub(crate) delivered: u64,
    pub(crate) failures: u64,
    pub(crate) dead: u64,
    pub(crate) last_error: Option<String>,
    pub(crate) last_delivered_at: Option<u64>,
}

/// A webhook with what has become of it.
#[derive(Debug)]
pub(crate) struct Hook {
    pub(crate) spec: WebhookSpec,
    view: Mutex<WebhookView>,
}

impl Hook {
    pub(crate) fn view(&self) -> WebhookView {
        self.held().clone()
    }

    fn held(&self) -> MutexGuard<'_, WebhookView> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn delivered(&self, position: Position, events: usize) {
        let mut view = self.held();
        view.position = position;
        view.delivered += events as u64;
        view.last_error = None;
        view.last_delivered_at = Some(unix_ms());
    }

    fn failed(&self, why: String) {
        let mut view = self.held();
        view.failures += 1;
        view.last_error = Some(why);
    }
}

/// The webhooks of a server. Dropped, they tell nothing more.
#[derive(Debug, Default)]
pub(crate) struct Webhooks {
    pub(crate) hooks: Vec<Arc<Hook>>,
    tasks: Mutex<JoinSet<()>>,
}

impl Webhooks {
    pub(crate) fn new(specs: &[WebhookSpec]) -> Self {
        let hook =
            |spec: &WebhookSpec| Arc::new(Hook { spec: spec.clone(), view: Mutex::default() });
        Self { hooks: specs.iter().map(hook).collect(), tasks: Mutex::default() }
    }

    /// Tells what has not been told yet, and what will happen.
    pub(crate) fn start(&self, hub: &Arc<Hub>) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        for hook in &self.hooks {
            tasks.spawn(deliver::run(hook.clone(), hub.clone()));
        }
    }

    /// Stops telling. What is on its way is told again after the next start.
    pub(crate) async fn stop(&self) {
        let mut tasks =
            std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.shutdown().await;
    }

    /// The one of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Hook>> {
        self.hooks.iter().find(|hook| hook.spec.name == name)
    }
}
