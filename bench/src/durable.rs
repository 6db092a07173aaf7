//! Registrations that are stored before they are answered, and what a restart takes.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant as Wall};

use mainstay_core::bits::bits;
use mainstay_core::time::Instant;
use mainstay_registry::{Effect, Key, Origin, Registry, RegistryConfig, SHARDS};
use mainstay_store::{Change, RedbStore, Store, StoreConfig, Writer};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{MissedTickBehavior, interval};

use crate::report::{Measured, Section, Target};
use crate::sessions::registration;
use crate::took::Took;

/// How long each row runs.
const ROW: Duration = Duration::from_secs(3);
const WALL: u64 = 1_800_000_000_000;
const MILLION: u64 = 1_000_000;
/// Rows that are written at once when a store is filled.
const FILL: u64 = 10_000;

pub fn sections() -> Vec<Section> {
    let registrations = "A session registered in the registry and stored in redb, row and event, with \
                         the commit synced before it is answered; so many at the same time, for 3 s, \
                         each following the one before. The last row is paced: one begins every \
                         200 µs. Beside it a plain file that is written and synced: what the disk \
                         allows.";
    let restart = "A store with a million sessions is opened after it was closed, and each is given to \
                   a new registry.";
    vec![
        Section::measured("durable registrations", registrations, register),
        Section::measured("restart with a million sessions", restart, restart_million),
    ]
}

fn registry(unix_ms: u64) -> Registry {
    let origin = Origin { now: Instant::from_nanos(0), unix_ms };
    let config = RegistryConfig { sessions_max: 4_000_000, ..RegistryConfig::default() };
    Registry::new(&config, origin).expect("the config is sound")
}

fn now(start: Wall) -> Instant {
    Instant::from_nanos(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX))
}

/// What is to be stored of what just happened.
fn changes(registry: &Registry, shard: usize) -> Vec<Change> {
    let mut effects = Vec::new();
    registry.drain(shard, &mut effects);
    let mut changes = Vec::new();
    for effect in effects {
        if let Effect::Store { record, event, .. } = effect {
            changes.extend(record.map(Change::PutSession));
            changes.extend(event.map(Change::append_event));
        }
    }
    changes
}

fn admit(registry: &Registry, now: Instant, nr: u64) -> (Key, Vec<Change>) {
    let wide = u128::from(bits(1, nr, 0)) << 64 | u128::from(bits(1, nr, 1));
    let key = registry.register(now, wide, registration(nr)).expect("there is room").key;
    (key, changes(registry, key.session().shard()))
}

/// A server's way to a registration, without its sockets.
struct Bench {
    registry: Registry,
    writer: Writer,
    start: Wall,
    next: std::cell::Cell<u64>,
    took: std::cell::RefCell<Vec<Duration>>,
    _folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = StoreConfig::default();
        let store: Arc<dyn Store> =
            Arc::new(RedbStore::open(folder.path(), &config).expect("a new store"));
        Self {
            registry: registry(WALL),
            writer: Writer::start(store, &config).expect("a thread"),
            start: Wall::now(),
            next: std::cell::Cell::new(0),
            took: std::cell::RefCell::default(),
            _folder: folder,
        }
    }

    async fn one(&self) {
        let begun = Wall::now();
        let nr = self.next.replace(self.next.get() + 1);
        let (key, rows) = admit(&self.registry, now(self.start), nr);
        self.writer.submit(rows).await.expect("there is room").await.expect("it is stored");
        assert!(self.registry.committed(now(self.start), key));
        // Nobody waits for what else follows of it.
        drop(changes(&self.registry, key.session().shard()));
        self.took.borrow_mut().push(begun.elapsed());
    }

    async fn follow(&self, end: Wall) {
        while Wall::now() < end {
            self.one().await;
        }
    }

    /// How long each took.
    fn took(&self) -> Took {
        Took::new(self.took.take(), self.start.elapsed())
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn register() -> Measured {
    let mut text = String::from("| work | a second | p50 ms | p99 ms |\n|---|---|---|---|\n");
    text += &synced().0;
    let mut fastest = 0.0_f64;
    for concurrent in [1, 16, 256, 1_024] {
        let bench = Bench::new();
        let end = Wall::now() + ROW;
        runtime().block_on(async {
            futures_util::future::join_all((0..concurrent).map(|_| bench.follow(end))).await;
        });
        let took = bench.took();
        text += &took.line(&format!("mainstay, {concurrent} at a time"));
        if concurrent >= 256 {
            fastest = fastest.max(took.a_second());
        }
    }
    let bench = std::rc::Rc::new(Bench::new());
    tokio::task::LocalSet::new().block_on(&runtime(), paced(bench.clone()));
    let took = bench.took();
    text += &took.line("mainstay, one every 200 µs");
    let (per_sec, slow) = (took.a_second(), took.at(990));
    let targets: Vec<Target> = vec![
        (format!("durable registrations ≥ 50 000 a second: {fastest:.0}"), fastest >= 50_000.0),
        (
            format!(
                "at {per_sec:.0} durable registrations a second, p99 < 5 ms: {:.2} ms",
                slow.as_secs_f64() * 1e3
            ),
            slow < Duration::from_millis(5),
        ),
    ];
    Measured { text, targets }
}

/// Registrations that do not wait for each other.
async fn paced(bench: std::rc::Rc<Bench>) {
    let mut ticks = interval(Duration::from_millis(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut all = Vec::new();
    for _ in 0..ROW.as_millis() {
        ticks.tick().await;
        for _ in 0..5 {
            let bench = bench.clone();
            all.push(tokio::task::spawn_local(async move { bench.one().await }));
        }
    }
    for one in all {
        one.await.expect("no registration panics");
    }
}

/// As many synced writes of a page as the disk allows, one after the other; the median.
pub fn synced() -> (String, Duration) {
    use std::io::Write as _;
    let mut file = tempfile::tempfile().expect("a file");
    let (start, mut took) = (Wall::now(), Vec::new());
    while start.elapsed() < ROW / 3 {
        let begun = Wall::now();
        file.write_all(&[0; 4096]).expect("there is room");
        file.sync_data().expect("it is synced");
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    let ms = |place: usize| took[place].as_secs_f64() * 1e3;
    let per_sec = took.len() as f64 / start.elapsed().as_secs_f64();
    let (half, most) = (ms(took.len() / 2), ms(took.len() * 99 / 100));
    let line = format!(
        "| a page written and synced, bound for one at a time | {per_sec:.0} | {half:.2} | {most:.2} |\n"
    );
    (line, took[took.len() / 2])
}

fn restart_million() -> Measured {
    let folder = tempfile::tempdir().expect("a folder");
    fill(folder.path());
    let mut text = String::from("| step | ms |\n|---|---|\n");
    let start = Wall::now();
    let store = RedbStore::open(folder.path(), &StoreConfig::default()).expect("it was closed");
    let opened = start.elapsed();
    let registry = registry(WALL + 60_000);
    registry
        .make_room(usize::try_from(store.stats().expect("it can be read").sessions).unwrap_or(0));
    let restored = store
        .sessions(&mut |record| assert!(registry.restore(Instant::from_nanos(1), record)))
        .expect("it can be read");
    let all = start.elapsed();
    assert_eq!((restored.sessions as u64, restored.damaged), (MILLION, 0));
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    for (step, time) in [("open", opened), ("read and restore", all - opened), ("together", all)] {
        let _infallible = writeln!(text, "| {step} | {:.0} |", ms(time));
    }
    let what = format!("restart with a million sessions < 3 s: {:.2} s", all.as_secs_f64());
    Measured { text, targets: vec![(what, all < Duration::from_secs(3))] }
}

/// A store with a million sessions, closed in good order.
fn fill(folder: &Path) {
    let store = RedbStore::open(folder, &StoreConfig::default()).expect("a new store");
    let (registry, mut batch) = (registry(WALL), Vec::new());
    for nr in 0..MILLION {
        let at = Instant::from_nanos(nr * 1_000);
        let (key, rows) = admit(&registry, at, nr);
        assert!(registry.committed(at, key));
        batch.extend(rows);
        if (nr + 1) % FILL == 0 {
            (0..SHARDS).for_each(|shard| drop(changes(&registry, shard)));
            store.commit(&batch).expect("it is stored");
            batch.clear();
        }
    }
}
