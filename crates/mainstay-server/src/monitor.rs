//! Watches everything the server holds: collects, judges, keeps, tells.
//!
//! One task runs a cycle every ten seconds. A cycle asks the registry for sums (64 of them, however
//! many sessions there are), each link and gate for its counters, and the system for its pressure;
//! puts what it found into cells of the history; lets the board judge it; keeps what has changed.

mod connectivity;
mod gather;
mod history;
mod ledger;
mod maintenance;
mod objectives;
mod task;
mod telling;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay::clock;
use mainstay::core::config::ConfigError;
use mainstay::core::time::Instant;
use mainstay::monitor::engine::board::Board;
use mainstay::monitor::engine::engine::{Act, ActError, Happening, Standing};
use mainstay::monitor::engine::rules::RuleSet;
use mainstay::monitor::engine::summary::Summary;
use mainstay::monitor::{Collector, Sources};
use mainstay_store::{Store, StoreError, Writer};
use tokio::sync::watch;

use crate::session::unix_ms;

pub use connectivity::ConnectivitySpec;
pub(crate) use history::series;
pub(crate) use ledger::{AlertEvent, is_place, page};
pub(crate) use maintenance::WEEKDAYS;
pub use maintenance::{MaintenanceSpec, Recurring, Times};
pub(crate) use objectives::{Objective, Spent};
pub(crate) use task::{run, tell};

use connectivity::Connectivity;
use history::Histories;
use ledger::Ledger;
use telling::Telling;

/// What is watched, and how.
#[derive(Clone, Debug)]
pub struct MonitorSpec {
    /// How often. 1 s to 10 s. Default 10 s.
    pub interval: Duration,
    /// What is too much. Default the default rules.
    pub rules: RuleSet,
    /// Ids of rules that the file says something about.
    pub own: BTreeSet<String>,
    /// When what is worked on.
    pub maintenance: Vec<MaintenanceSpec>,
    /// Happenings of alerts that are kept; the oldest give way. Default 10 000.
    pub alert_events: usize,
    /// Whom to ask whether this machine is connected. Default nobody.
    pub connectivity: ConnectivitySpec,
}

impl Default for MonitorSpec {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(10),
            rules: RuleSet::usual(),
            own: BTreeSet::new(),
            maintenance: Vec::new(),
            alert_events: 10_000,
            connectivity: ConnectivitySpec::default(),
        }
    }
}

/// The monitor of a server.
pub(crate) struct Monitor {
    inner: Mutex<Inner>,
    store: Arc<dyn Store>,
    writer: Arc<Writer>,
    sources: Sources,
    connectivity: Connectivity,
    /// When alerts were last judged.
    evaluated: watch::Sender<Option<Instant>>,
}

struct Inner {
    spec: MonitorSpec,
    board: Board,
    collector: Collector,
    histories: Histories,
    ledger: Ledger,
    sessions: gather::Before,
    telling: Telling,
}

impl Monitor {
    /// A monitor that goes on where it was.
    pub(crate) fn open(
        spec: &MonitorSpec,
        store: Arc<dyn Store>,
        writer: Arc<Writer>,
    ) -> Result<Self, OpenError> {
        let mut board = Board::new(spec.rules.clone()).map_err(OpenError::Config)?;
        let ledger = Ledger::open(&*store, &mut board, spec.alert_events)?;
        let inner = Inner {
            spec: spec.clone(),
            board,
            collector: Collector::default(),
            histories: Histories::default(),
            ledger,
            sessions: gather::Before::default(),
            telling: Telling::default(),
        };
        Ok(Self {
            inner: Mutex::new(inner),
            store,
            writer,
            sources: Sources::default(),
            connectivity: Connectivity::default(),
            evaluated: watch::Sender::new(None),
        })
    }

    /// Whether this machine is cut off; none where nobody is asked.
    pub(crate) fn is_offline(&self) -> Option<bool> {
        self.connectivity.is_offline(&self.inner().spec.connectivity)
    }

    /// What others measure.
    pub(crate) const fn sources(&self) -> &Sources {
        &self.sources
    }

    /// When alerts were last judged; changes with each cycle.
    pub(crate) fn evaluated(&self) -> watch::Receiver<Option<Instant>> {
        self.evaluated.subscribe()
    }

    /// Goes on under another configuration.
    pub(crate) fn reload(&self, spec: &MonitorSpec) -> Result<(), ConfigError> {
        let mut inner = self.inner();
        inner.board.engine_mut().reload(spec.rules.clone())?;
        inner.spec = spec.clone();
        inner.ledger.keep(spec.alert_events);
        Ok(())
    }

    /// How often it looks.
    pub(crate) fn interval(&self) -> Duration {
        self.inner().spec.interval
    }

    /// Asks whether this machine is connected, where it is to be asked.
    pub(crate) async fn look_around(&self) {
        let spec = self.inner().spec.connectivity.clone();
        self.connectivity.look(&spec).await;
    }

    /// Everything at a glance.
    pub(crate) fn summary(&self) -> Summary {
        self.inner().board.summary(clock::now(), unix_ms())
    }

    /// Every alert there is something to say about, the worst first.
    pub(crate) fn standings(&self) -> Vec<Standing> {
        self.inner().board.engine().standings(clock::now(), unix_ms())
    }

    /// One of them.
    pub(crate) fn standing(&self, id: u64) -> Option<Standing> {
        self.inner().board.engine().standing(clock::now(), unix_ms(), id)
    }

    /// The rules that are evaluated, with whether the file says something about each.
    pub(crate) fn rules(&self) -> (RuleSet, BTreeSet<String>) {
        let inner = self.inner();
        (inner.spec.rules.clone(), inner.spec.own.clone())
    }

    /// Groups with a history.
    pub(crate) fn groups(&self) -> Vec<String> {
        self.inner().histories.groups()
    }

    /// Does what somebody asks for, and answers how the alert stands then, with what is to be told.
    pub(crate) fn act(&self, id: u64, act: Act) -> Result<(Standing, Vec<Happening>), ActError> {
        let (now, at) = (clock::now(), unix_ms());
        let mut inner = self.inner();
        let told = inner.board.engine_mut().act(now, at, id, act)?;
        let standing = inner.board.engine().standing(now, at, id).ok_or(ActError::Unknown)?;
        let Inner { board, ledger, .. } = &mut *inner;
        ledger.write(board, &told, &self.writer);
        Ok((standing, told))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why the monitor cannot begin.
#[derive(Debug)]
pub(crate) enum OpenError {
    Config(ConfigError),
    Store(StoreError),
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").finish_non_exhaustive()
    }
}
