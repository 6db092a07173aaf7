//! What was acknowledged outlives `kill -9`, and nothing is kept by half.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdout, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainstay_store::{
    Area, Change, Durability, Packed, Position, RedbStore, Store, StoreConfig, Writer,
};

use crate::child;
use crate::sample::{DAY, checkpoint, event, name, record};

const ALERTS: Area = Area::new("alerts");
/// How often it is killed; `MAINSTAY_STORE_KILLS=100` for the long form.
const KILLS: u64 = 25;

#[test]
fn what_was_acknowledged_outlives_kill_nine() {
    let test = "killed::what_was_acknowledged_outlives_kill_nine";
    kill_again_and_again(test, &StoreConfig::default());
}

#[test]
fn what_the_operating_system_has_outlives_kill_nine() {
    let test = "killed::what_the_operating_system_has_outlives_kill_nine";
    let config = StoreConfig { durability: Durability::Os, ..StoreConfig::default() };
    kill_again_and_again(test, &config);
}

#[test]
fn a_first_start_that_is_killed_can_be_repeated() {
    if let Some(folder) = child::folder() {
        write_until_killed(&folder, &StoreConfig::default());
    }
    let test = "killed::a_first_start_that_is_killed_can_be_repeated";
    for nr in 0..15 {
        let folder = tempfile::tempdir().unwrap();
        let mut command = child::command(test, folder.path(), "");
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(nr * 1300));
        child.kill().unwrap();
        child.wait().unwrap();
        check(folder.path(), &BTreeSet::new(), true);
    }
}

fn kill_again_and_again(test: &str, config: &StoreConfig) {
    if let Some(folder) = child::folder() {
        write_until_killed(&folder, config);
    }
    let kills = std::env::var("MAINSTAY_STORE_KILLS").ok().and_then(|kills| kills.parse().ok());
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    let mut killed_at_work = 0;
    for nr in 0..kills.unwrap_or(KILLS) {
        let mut command = child::command(test, folder.path(), "");
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        // Some are killed while they open the file, most while they write.
        if !nr.is_multiple_of(5) {
            acknowledged.extend(first(&mut said));
            killed_at_work += 1;
        }
        std::thread::sleep(Duration::from_millis(nr * 7 % 41));
        child.kill().unwrap();
        acknowledged.extend(rest(&mut said));
        child.wait().unwrap();
        check(folder.path(), &acknowledged, nr % 5 == 4);
    }
    assert!(acknowledged.len() > killed_at_work, "it hardly wrote: {}", acknowledged.len());
}

/// Registers sessions from several threads and says which are acknowledged, for ever; while
/// checkpoints are taken and old history is dropped.
fn write_until_killed(folder: &Path, config: &StoreConfig) -> ! {
    let store: Arc<dyn Store> = Arc::new(RedbStore::open(folder, config).unwrap());
    let last = store.last_event_id().unwrap().map_or(0, |id| id.unix_ms.saturating_sub(DAY));
    let next = AtomicU64::new(last + 1);
    let writer = Writer::start(Arc::clone(&store), config).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let nr = next.fetch_add(1, Ordering::Relaxed);
                    writer.submit_blocking(registration(nr)).unwrap().wait().unwrap();
                    // One write for one line, not held back by the test's own output.
                    std::io::stdout().write_all(format!("ok {nr}\n").as_bytes()).unwrap();
                }
            });
        }
        loop {
            let beats = (0..2000).map(|nr| checkpoint(name(DAY + nr, nr), 9)).collect();
            let mut changes = vec![Change::Checkpoints(Packed::new(1, beats))];
            let old = |nr| Change::append_event(event(name(nr, nr), nr, 1));
            changes.extend((1..50).map(old));
            writer.submit_blocking(changes).unwrap().wait().unwrap();
            store.drop_events_before(DAY, 40).unwrap();
        }
    })
}

fn registration(nr: u64) -> Vec<Change> {
    let session = name(DAY + nr, nr);
    let mut changes = vec![
        Change::put_session(record(session)),
        Change::append_event(event(session, DAY + nr, 1)),
        Change::put_value(ALERTS, &nr.to_be_bytes(), b"x"),
    ];
    if nr.is_multiple_of(50) {
        // A value of many pages, so that commits differ in size.
        changes.push(Change::put_value(ALERTS, b"large", &vec![7; 300_000]));
    }
    changes
}

/// What is acknowledged first; all lines before it are the test's own.
fn first(said: &mut BufReader<ChildStdout>) -> Option<u64> {
    let mut line = String::new();
    loop {
        line.clear();
        assert_ne!(said.read_line(&mut line).unwrap(), 0, "it ended by itself");
        if let Some(nr) = acknowledged(&line) {
            return Some(nr);
        }
    }
}

fn rest(said: &mut BufReader<ChildStdout>) -> Vec<u64> {
    let mut found = Vec::new();
    let mut line = String::new();
    while said.read_line(&mut line).unwrap() > 0 {
        found.extend(acknowledged(&line));
        line.clear();
    }
    found
}

fn acknowledged(line: &str) -> Option<u64> {
    line.strip_suffix('\n')?.rsplit_once("ok ")?.1.parse().ok()
}

fn check(folder: &Path, acknowledged: &BTreeSet<u64>, verify: bool) {
    let store = RedbStore::open(folder, &StoreConfig::default()).unwrap();
    let mut sessions = BTreeSet::new();
    let restored = store.sessions(&mut |kept| {
        let nr = kept.registered_at - DAY;
        assert_eq!((kept.session, kept.generation), (name(DAY + nr, nr), 1));
        sessions.insert(nr);
    });
    assert_eq!(restored.unwrap().damaged, 0);
    let history = store.history(Position::default(), usize::MAX).unwrap();
    let by_time = store.events_between(0..u64::MAX, None, usize::MAX).unwrap();
    let count = store.stats().unwrap().events;
    assert_eq!((history.len(), by_time.len() as u64), (by_time.len(), count), "an index is torn");
    let times = by_time.iter().filter_map(|event| event.id.unix_ms.checked_sub(DAY));
    let events: BTreeSet<u64> = times.collect();
    for event in by_time.iter().rev().take(100) {
        let found = store.events_of(event.session, 0..u64::MAX, 0, 9).unwrap();
        assert_eq!(found, std::slice::from_ref(event));
    }
    let values = store.values(ALERTS, None, usize::MAX).unwrap();
    let values = values.iter().filter(|(key, _)| key.len() == 8).count();
    assert_eq!((&sessions, sessions.len()), (&events, values), "kept by half");
    let lost: Vec<_> = acknowledged.difference(&sessions).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    if verify {
        store.verify().unwrap();
    }
}
