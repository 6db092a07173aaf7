//! What stands where the store should be, and what is said about it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use mainstay_store::redb::FILE;
use mainstay_store::{Area, Change, Position, RedbStore, Store, StoreConfig, StoreError};
use redb::{Database, ReadableTable, TableDefinition};

use crate::child;
use crate::sample::{DAY, event, name, record};

const SESSIONS: TableDefinition<'_, &[u8; 16], &[u8]> = TableDefinition::new("sessions");
const EVENTS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("events");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

fn open(folder: &Path) -> Result<RedbStore, StoreError> {
    RedbStore::open(folder, &StoreConfig::default())
}

/// The bytes of a store with some sessions.
fn filled(folder: &Path) -> Vec<u8> {
    let store = open(folder).unwrap();
    let sessions = (0..200).map(|nr| name(DAY + nr, nr));
    let batch: Vec<Change> = sessions
        .flat_map(|session| {
            let event = event(session, session.unix_ms(), 1);
            [Change::put_session(record(session)), Change::append_event(event)]
        })
        .collect();
    store.commit(&batch).unwrap();
    drop(store);
    fs::read(folder.join(FILE)).unwrap()
}

#[test]
fn what_was_kept_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let store = open(folder.path()).unwrap();
    assert_eq!(store.stats().unwrap().sessions, 200);
    assert_eq!(store.stats().unwrap().position.0, 200);
    store.verify().unwrap();
    assert_eq!(store.session(name(DAY, 0)).unwrap(), Some(record(name(DAY, 0))));
}

#[cfg(unix)]
#[test]
fn a_missing_folder_is_made_for_this_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("a/b");
    let store = open(&inner).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let modes = [mode(&inner), mode(store.path()), mode(&inner.join("mainstay.lock"))];
    assert_eq!(modes, [0o700, 0o600, 0o600]);
    assert!(!inner.join("mainstay.redb.new").exists());
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    // A file in the way, and, where there is one, a file system that takes no folders from anybody.
    for path in [folder.path().join("file"), folder.path().join("file/inner"), "/proc/data".into()]
    {
        let error = open(&path).unwrap_err();
        assert!(matches!(error, StoreError::Folder { .. }), "{error:?}");
        assert!(error.to_string().contains("may write"), "{error}");
        assert!(std::error::Error::source(&error).is_some());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_system_that_is_read_only_is_named() {
    // There, not even the superuser writes.
    let error = open(Path::new("/sys/kernel")).unwrap_err();
    assert!(matches!(error, StoreError::Folder { .. }), "{error:?}");
}

#[test]
fn a_second_process_is_refused() {
    if let Some(folder) = child::folder() {
        let error = open(&folder).unwrap_err();
        assert!(matches!(error, StoreError::InUse { .. }), "{error:?}");
        return fs::write(folder.join("was-refused"), "").unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let again = open(folder.path()).unwrap_err();
    assert!(matches!(again, StoreError::InUse { .. }), "in the same process, too: {again:?}");
    assert!(again.to_string().contains("another process"), "{again}");
    let test = "open::a_second_process_is_refused";
    let done = child::command(test, folder.path(), "").output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(folder.path().join("was-refused").exists());
    drop(store);
    open(folder.path()).unwrap();
}

#[test]
fn a_closed_store_is_free_also_while_processes_are_started() {
    let folder = tempfile::tempdir().unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                Command::new("true").status().unwrap();
            }
        });
        let opened: Vec<_> = (0..150).map(|_| open(folder.path()).map(drop)).collect();
        done.store(true, Ordering::Relaxed);
        for open in opened {
            open.unwrap();
        }
    });
}

#[test]
fn a_file_of_another_program_is_refused_and_not_touched() {
    let other = tempfile::tempdir().unwrap();
    let database = Database::create(other.path().join("other")).unwrap();
    drop(database);
    let database = fs::read(other.path().join("other")).unwrap();
    let files: [&[u8]; 5] = [b"x", b"redb", b"SQLite format 3\0", &[0; 100_000], &database];
    for bytes in files {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        fs::write(&file, bytes).unwrap();
        let error = open(folder.path()).unwrap_err();
        assert!(matches!(error, StoreError::Foreign { .. }), "{error:?}");
        assert!(error.to_string().contains("move it away to start anew"), "{error}");
        if bytes.len() < database.len() {
            assert_eq!(fs::read(&file).unwrap(), bytes);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(FILE)).unwrap();
    assert!(matches!(open(folder.path()).unwrap_err(), StoreError::Foreign { .. }));
}

#[test]
fn an_empty_file_and_a_beginning_that_was_killed_are_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(FILE), "").unwrap();
    fs::write(folder.path().join("mainstay.redb.new"), "half of some file").unwrap();
    let store = open(folder.path()).unwrap();
    store.commit(&[Change::put_value(Area::new("a"), b"k", b"v")]).unwrap();
}

#[test]
fn a_newer_format_asks_for_a_newer_version() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    for (format, found) in [(2, 2), (u64::MAX, u32::MAX)] {
        let database = Database::open(folder.path().join(FILE)).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction.open_table(META).unwrap().insert("format", format).unwrap();
        transaction.commit().unwrap();
        drop(database);
        let error = open(folder.path()).unwrap_err();
        assert!(matches!(error, StoreError::Newer { found: f, known: 1, .. } if f == found));
        assert!(error.to_string().contains("use a newer mainstay"), "{error}");
    }
}

#[test]
fn a_row_that_cannot_be_read_does_not_hide_the_others() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let database = Database::open(folder.path().join(FILE)).unwrap();
    let transaction = database.begin_write().unwrap();
    let key = name(DAY + 7, 7).to_bits().to_be_bytes();
    transaction.open_table(SESSIONS).unwrap().insert(&key, &[99_u8][..]).unwrap();
    let mut events = transaction.open_table(EVENTS).unwrap();
    let (key, position) = {
        let (key, row) = events.first().unwrap().unwrap();
        (*key.value(), row.value()[..8].to_vec())
    };
    events.insert(&key, &*[&position[..], &[99]].concat()).unwrap();
    drop(events);
    transaction.commit().unwrap();
    drop(database);

    let store = open(folder.path()).unwrap();
    let mut sessions = 0;
    let restored = store.sessions(&mut |_| sessions += 1).unwrap();
    assert_eq!((sessions, restored.sessions, restored.damaged), (199, 199, 1));
    let error = store.session(name(DAY + 7, 7)).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
    assert_eq!(store.history(Position::default(), 1).unwrap()[0].0, Position(2));
    assert_eq!(store.history(Position::default(), 999).unwrap().len(), 199);
    assert_eq!(store.events_between(0..u64::MAX, None, 999).unwrap().len(), 199);
    assert_eq!(store.events_of(name(DAY, 0), 0..u64::MAX, 0, 9).unwrap(), []);
    assert_eq!(store.drop_events_before(u64::MAX, 999).unwrap().events, 200);
    store.commit(&[Change::put_session(record(name(DAY + 7, 7)))]).unwrap();
    assert_eq!(store.sessions(&mut |_| {}).unwrap().damaged, 0);
}

#[test]
fn a_file_that_was_cut_off_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let whole = filled(folder.path());
    for length in [9, 64, 319, 320, 4096, whole.len() / 2, whole.len() - 4096, whole.len() - 1] {
        fs::write(folder.path().join(FILE), &whole[..length]).unwrap();
        let error = open(folder.path()).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{length}: {error:?}");
        assert!(error.to_string().contains("restore a copy"), "{error}");
    }
}

/// Opens a file with one byte changed, and reads all of it; answers whether anything was wrong.
fn is_noticed(folder: &Path, whole: &[u8], at: usize) -> bool {
    let mut bytes = whole.to_vec();
    bytes[at] ^= 0x5a;
    fs::write(folder.join(FILE), &bytes).unwrap();
    let store = match open(folder) {
        Ok(store) => store,
        Err(StoreError::Damaged { .. } | StoreError::Foreign { .. } | StoreError::Newer { .. }) => {
            return true;
        }
        Err(other) => panic!("byte {at}: {other:?}"),
    };
    let mut sessions = 0;
    let restored = store.sessions(&mut |_| sessions += 1);
    let events = store.events_between(0..u64::MAX, None, 1000);
    let committed = store.commit(&[Change::put_value(Area::new("a"), b"k", b"v")]);
    let verified = store.verify();
    let wrong = [restored.as_ref().err(), events.as_ref().err(), verified.as_ref().err()];
    for error in wrong.into_iter().chain([committed.as_ref().err()]).flatten() {
        assert!(matches!(error, StoreError::Damaged { .. }), "byte {at}: {error:?}");
    }
    if verified.is_ok() {
        assert_eq!((sessions, events.unwrap().len()), (200, 200), "byte {at}");
    }
    verified.is_err()
}

#[test]
fn a_changed_byte_of_the_header_is_noticed_or_does_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let whole = filled(folder.path());
    let noticed = (0..320).step_by(3).filter(|at| is_noticed(folder.path(), &whole, *at)).count();
    assert!(noticed > 10, "{noticed}");
}

#[test]
fn a_changed_byte_anywhere_is_noticed_or_does_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let whole = filled(folder.path());
    let used: Vec<usize> = (320..whole.len()).filter(|at| whole[*at] != 0).collect();
    let tried = 60;
    let step = used.len() / tried;
    let places = used.iter().step_by(step.max(1));
    let noticed = places.filter(|at| is_noticed(folder.path(), &whole, **at)).count();
    assert!(noticed > tried / 4, "{noticed}");
}

#[test]
fn a_changed_byte_of_a_row_is_noticed_by_verify() {
    let folder = tempfile::tempdir().unwrap();
    let whole = filled(folder.path());
    let user = b"u-81724";
    let rows = whole.windows(user.len()).enumerate().filter(|(_, bytes)| bytes == user);
    let rows: Vec<usize> = rows.map(|(at, _)| at).collect();
    assert!(rows.len() >= 400, "{}", rows.len());
    let noticed = rows.iter().step_by(25).filter(|at| is_noticed(folder.path(), &whole, **at));
    // Pages that are free by now may hold such rows, too.
    assert!(noticed.count() >= 8);
}
