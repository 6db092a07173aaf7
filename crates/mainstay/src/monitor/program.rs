use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use mainstay_core::config::{ConfigError, duration_from};
use mainstay_monitor::board::{Board, CYCLE};
use mainstay_monitor::engine::{Act, ActError, Happening, Standing};
use mainstay_monitor::rules::RuleSet;
use mainstay_monitor::summary::Summary;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::collect::Collector;
use super::sources::Sources;
use super::system::{LagMeter, SystemReader};
use crate::clock;
use crate::gate::Gates;
use crate::link::LinkManager;
use crate::operations::Operations;

/// How many happenings a listener may lag behind before it loses the oldest.
const LAG: usize = 256;

/// What is watched. What is none is left out.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    /// Links.
    pub links: Option<Arc<LinkManager>>,
    /// Gates.
    pub gates: Option<Gates>,
    /// Operations.
    pub operations: Option<Operations>,
    /// Caches, and what else there is.
    pub others: Sources,
}

/// How it is watched.
#[derive(Clone, Debug, PartialEq)]
pub struct MonitorConfig {
    /// What is too much. Default [`RuleSet::usual`].
    pub rules: RuleSet,
    /// How often it looks. 1 s to 1 min. Default 10 s.
    pub every: Duration,
}

impl Default for MonitorConfig {
    fn default() -> Self {
        Self { rules: RuleSet::usual(), every: CYCLE }
    }
}

/// The monitor of a program. Clones share it; it ends with the last.
#[derive(Clone)]
pub struct Monitor {
    shared: Arc<Shared>,
    _task: Arc<Task>,
}

struct Shared {
    watched: Watched,
    inner: Mutex<Inner>,
    told: broadcast::Sender<Happening>,
    lag: LagMeter,
}

struct Inner {
    board: Board,
    collector: Collector,
    system: SystemReader,
}

/// Ends with the monitor.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Monitor {
    /// Begins to watch.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming rule and field.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start(watched: Watched, config: MonitorConfig) -> Result<Self, ConfigError> {
        duration_from("every", config.every, Duration::from_secs(1))?;
        if config.every > Duration::from_secs(60) {
            return Err(ConfigError::new("every", config.every, "1 s to 1 min"));
        }
        let board = Board::new(config.rules)?;
        // From now on operations are counted.
        if let Some(operations) = &watched.operations {
            drop(operations.take_totals());
        }
        let inner =
            Inner { board, collector: Collector::default(), system: SystemReader::default() };
        let shared = Arc::new(Shared {
            watched,
            inner: Mutex::new(inner),
            told: broadcast::Sender::new(LAG),
            lag: LagMeter::start(),
        });
        let weak = Arc::downgrade(&shared);
        let task = tokio::spawn(async move {
            let mut ticks = interval(config.every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let Some(shared) = weak.upgrade() else { return };
                shared.cycle();
            }
        });
        Ok(Self { shared, _task: Arc::new(Task(task)) })
    }

    /// Everything at a glance, as of the last look.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.shared.inner().board.summary(clock::now(), unix_ms())
    }

    /// Every alert there is something to say about, the worst first.
    #[must_use]
    pub fn alerts(&self) -> Vec<Standing> {
        self.shared.inner().board.engine().standings(clock::now(), unix_ms())
    }

    /// Somebody sees to an alert, until it is over.
    ///
    /// # Errors
    ///
    /// [`ActError`]: there is no such alert, or it does not fire.
    pub fn acknowledge(&self, id: u64, who: &str, note: &str) -> Result<(), ActError> {
        let (who, note) = (who.to_owned(), note.to_owned());
        self.act(id, Act::Acknowledge { who, note, within: None })
    }

    /// Does something about an alert.
    ///
    /// # Errors
    ///
    /// [`ActError`]; nothing is changed then.
    pub fn act(&self, id: u64, act: Act) -> Result<(), ActError> {
        let (now, at) = (clock::now(), unix_ms());
        let told = self.shared.inner().board.engine_mut().act(now, at, id, act)?;
        self.shared.tell(told);
        Ok(())
    }

    /// What happens to alerts from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Happening> {
        self.shared.told.subscribe()
    }

    /// Looks now, beside looking in turn.
    pub fn cycle(&self) {
        self.shared.cycle();
    }
}

impl Shared {
    fn cycle(&self) {
        let (now, at) = (clock::now(), unix_ms());
        let mut inner = self.inner();
        let Inner { board, collector, system } = &mut *inner;
        let mut found = collector.begin();
        let links = self.watched.links.as_deref().map(LinkManager::links).unwrap_or_default();
        for link in links {
            collector.link(now, link.name(), (&link.view(), &link.stats()), false, &mut found);
        }
        let gates = self.watched.gates.as_ref().map(Gates::list).unwrap_or_default();
        for gate in gates {
            collector.gate(now, &gate.view(), &mut found);
        }
        if let Some(operations) = &self.watched.operations {
            collector.operations(&operations.take_totals(), &mut found);
        }
        collector.sources(now, &self.watched.others, &mut found);
        collector.finish(&mut found);
        let links = &found.findings.links;
        #[expect(clippy::cast_precision_loss, reason = "there are not so many links")]
        let reconnecting = links.reconnecting as f64 / (links.total.max(1)) as f64;
        let (sample, rest) = system.read(self.lag.take(), reconnecting);
        (found.findings.sample, found.findings.system) = (sample, rest);
        let told = board.cycle(now, at, found.findings);
        drop(inner);
        self.tell(told);
    }

    fn tell(&self, told: Vec<Happening>) {
        for happening in told {
            tracing::info!(
                rule = &*happening.rule,
                labels = ?happening.labels,
                severity = ?happening.severity,
                "alert {}: {}", happening.what, happening.summary,
            );
            // Whether anybody listens makes no difference.
            let _listeners: Result<usize, _> = self.told.send(happening);
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").field("watched", &self.shared.watched).finish_non_exhaustive()
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
