//! What an earlier version wrote is read for ever.
//!
//! `tests/golden/format-1.pages` is a file of format 1, as the pages of it that are not zero:
//! the file's length (8 bytes), then for each page its number (4), its length without the zeros at
//! its end (2), and its bytes. A new format gets a file of its own, and this one stays: run the
//! tests with `MAINSTAY_STORE_FIXTURE=1` once to write the file of a format that has none.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mainstay_core::session::quality::{Factor, Quality};
use mainstay_core::session::status::{EndReason, LossReason, Status};
use mainstay_registry::{Event, EventKind, Record};
use mainstay_store::redb::{FILE, FORMAT};
use mainstay_store::{Area, Change, Packed, Position, RedbStore, Restored, Store, StoreConfig};
use redb::{Database, Key, ReadableDatabase, ReadableTable, TableDefinition, Value};

use crate::sample::{DAY, checkpoint, event, name, record};

const PAGE: usize = 4096;
const KEYS: Area = Area::new("keys");

fn golden(format: u32) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    folder.join(format!("format-{format}.pages"))
}

fn unpack(format: u32, folder: &Path) {
    let packed = fs::read(golden(format)).unwrap();
    let (length, mut rest) = packed.split_first_chunk::<8>().unwrap();
    let mut bytes = vec![0; usize::try_from(u64::from_be_bytes(*length)).unwrap()];
    while let Some((nr, after)) = rest.split_first_chunk::<4>() {
        let (length, after) = after.split_first_chunk::<2>().unwrap();
        let start = usize::try_from(u32::from_be_bytes(*nr)).unwrap() * PAGE;
        let (page, after) = after.split_at(usize::from(u16::from_be_bytes(*length)));
        bytes[start..start + page.len()].copy_from_slice(page);
        rest = after;
    }
    fs::write(folder.join(FILE), bytes).unwrap();
}

fn pack(folder: &Path) -> Vec<u8> {
    let bytes = fs::read(folder.join(FILE)).unwrap();
    let mut packed = (bytes.len() as u64).to_be_bytes().to_vec();
    for (nr, page) in (0_u32..).zip(bytes.chunks(PAGE)) {
        let length = page.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        if length > 0 {
            packed.extend(nr.to_be_bytes());
            packed.extend(u16::try_from(length).unwrap().to_be_bytes());
            packed.extend(&page[..length]);
        }
    }
    packed
}

fn records() -> [Record; 3] {
    let full = Record {
        generation: 3,
        event_seq: 10,
        status: Status::Disconnected,
        ended: Some(EndReason::Kicked),
        disconnected_at: Some(DAY + 9000),
        reconnect_attempts: 2,
        total_disconnections: 300,
        missed_heartbeats: 4,
        quality: Quality::Poor,
        factor: Factor::Jitter,
        latency: Some(Duration::from_micros(12_345)),
        jitter: Some(Duration::from_nanos(1)),
        latency_min: Some(Duration::MAX),
        losses: 0xf0f0_0001,
        beats: 32,
        expires_at: Some(u64::MAX),
        metadata: "{\"ключ\":\"値\"}".into(),
        ..record(name(DAY, 2))
    };
    let bare = Record {
        user: None,
        organisation: "".into(),
        client_version: "".into(),
        metadata: "".into(),
        ..record(name(DAY + 1, 3))
    };
    [record(name(DAY, 1)), full, bare]
}

fn events() -> Vec<Event> {
    let kinds = [
        EventKind::Registered,
        EventKind::Suspended { reason: LossReason::Silent },
        EventKind::Reconnecting { attempt: 2, within: Duration::from_millis(1500) },
        EventKind::Resumed { replay: true },
        EventKind::TakenOver,
        EventKind::Suspected,
        EventKind::Recovered,
        EventKind::QualityChanged {
            from: Quality::Good,
            to: Quality::Critical,
            factor: Factor::Silence,
        },
        EventKind::MetadataChanged,
        EventKind::Gone { reason: EndReason::Kicked },
    ];
    let kinds = kinds.into_iter().zip(1..);
    kinds.map(|(kind, seq)| Event { kind, ..event(name(DAY, 2), DAY + seq, seq) }).collect()
}

fn fill(folder: &Path) {
    let store = RedbStore::open(folder, &StoreConfig::default()).unwrap();
    let mut batch: Vec<Change> = records().map(Change::put_session).into();
    batch.extend(events().into_iter().map(Change::append_event));
    batch.push(Change::put_value(KEYS, b"signing", b"not a secret"));
    batch.push(Change::claim(KEYS, b"ID-1", b""));
    batch.push(Change::Take { area: KEYS, key: b"ids"[..].into(), number: 1, limit: 9 });
    let beats = [1, 2].map(|nr| checkpoint(name(DAY, nr), 5000)).into();
    batch.push(Change::Checkpoints(Packed::new(7, beats)));
    store.commit(&batch).unwrap();
    let gone = event(name(DAY - 1, 9), DAY - 1, 1);
    store.commit(&[Change::append_event(gone)]).unwrap();
    store.drop_events_before(DAY, 9).unwrap();
}

type Rows = BTreeMap<(&'static str, Vec<u8>), Vec<u8>>;

/// All rows but for the time of their making, as bytes.
fn rows(folder: &Path) -> Rows {
    fn table<K: Key + 'static, V: Value + 'static>(
        database: &Database,
        name: &'static str,
        rows: &mut Rows,
    ) {
        let transaction = database.begin_read().unwrap();
        let table = transaction.open_table(TableDefinition::<K, V>::new(name)).unwrap();
        for entry in table.iter().unwrap() {
            let (key, value) = entry.unwrap();
            let (key, value) = (key.value(), value.value());
            let key = K::as_bytes(&key).as_ref().to_vec();
            rows.insert((name, key), V::as_bytes(&value).as_ref().to_vec());
        }
    }
    let database = Database::open(folder.join(FILE)).unwrap();
    let mut rows = BTreeMap::new();
    table::<&str, u64>(&database, "meta", &mut rows);
    table::<&[u8; 16], &[u8]>(&database, "sessions", &mut rows);
    table::<&[u8; 32], &[u8]>(&database, "events", &mut rows);
    table::<&[u8; 24], &[u8; 16]>(&database, "events_by_session", &mut rows);
    table::<&[u8; 8], &[u8; 32]>(&database, "events_by_position", &mut rows);
    table::<&[u8], &[u8]>(&database, "values", &mut rows);
    table::<&[u8], u64>(&database, "sequences", &mut rows);
    table::<&[u8; 4], &[u8]>(&database, "checkpoints", &mut rows);
    rows.remove(&("meta", b"created_unix_ms".to_vec())).unwrap();
    rows
}

#[test]
fn format_1_is_read() {
    let folder = tempfile::tempdir().unwrap();
    unpack(1, folder.path());
    let store = RedbStore::open(folder.path(), &StoreConfig::default()).unwrap();
    let mut found = Vec::new();
    let restored = store.sessions(&mut |record| found.push(record)).unwrap();
    assert_eq!(restored, Restored { sessions: 3, refreshed: 2, damaged: 0 });
    for (found, was) in found.iter().zip(records()) {
        assert_eq!(store.session(was.session).unwrap(), Some(was.clone()));
        assert_eq!(found.metadata, was.metadata);
    }
    assert_eq!(found[0].last_heartbeat, DAY + 5000);
    let positions = (1..).map(Position).zip(events()).collect::<Vec<_>>();
    assert_eq!(store.history(Position::default(), 99).unwrap(), positions);
    assert_eq!(store.events_of(name(DAY, 2), 0..u64::MAX, 0, 99).unwrap(), events());
    assert_eq!(store.stats().unwrap().position, Position(11));
    assert_eq!(store.value(KEYS, b"signing").unwrap().as_deref(), Some(&b"not a secret"[..]));
    assert_eq!(store.next_number(KEYS, b"ids").unwrap(), 2);
    store.verify().unwrap();
    store.commit(&[Change::put_session(record(name(DAY + 5, 5)))]).unwrap();
}

#[test]
fn this_version_writes_the_rows_of_its_format_as_the_first_one_did() {
    let (ours, first) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fill(ours.path());
    if std::env::var_os("MAINSTAY_STORE_FIXTURE").is_some() && !golden(FORMAT).exists() {
        fs::create_dir_all(golden(FORMAT).parent().unwrap()).unwrap();
        fs::write(golden(FORMAT), pack(ours.path())).unwrap();
    }
    unpack(FORMAT, first.path());
    assert_eq!(rows(ours.path()), rows(first.path()));
}
