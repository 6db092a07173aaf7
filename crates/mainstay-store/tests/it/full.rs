//! A file that cannot grow: the kernel's own limit to the size of files stands for a full disk.
#![cfg(target_os = "linux")]

use std::sync::Arc;

use mainstay_store::{Area, Change, RedbStore, Store, StoreConfig, StoreError, Writer};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::child;

const AREA: Area = Area::new("large");

#[test]
fn a_full_disk_fails_its_commit_and_the_next_one_is_tried_again() {
    if let Some(folder) = child::folder() {
        return fill(&folder);
    }
    let folder = tempfile::tempdir().unwrap();
    let test = "full::a_full_disk_fails_its_commit_and_the_next_one_is_tried_again";
    // Without the signal, a write past the limit is an error; the limit is 4 or 8 MiB.
    let limit = "trap '' XFSZ; ulimit -S -f 8192;";
    let done = child::command(test, folder.path(), limit).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    assert!(std::fs::metadata(folder.path().join("was-full")).is_ok(), "it was never full: {said}");
}

#[test]
fn a_store_that_has_no_room_to_begin_says_so() {
    if let Some(folder) = child::folder() {
        let error = RedbStore::open(&folder, &StoreConfig::default()).unwrap_err();
        assert!(matches!(error, StoreError::NoSpace { .. }), "{error:?}");
        assert!(error.to_string().contains("free some space"), "{error}");
        lift_the_limit();
        RedbStore::open(&folder, &StoreConfig::default()).unwrap();
        return std::fs::write(folder.join("was-full"), "").unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let test = "full::a_store_that_has_no_room_to_begin_says_so";
    let limit = "trap '' XFSZ; ulimit -S -f 16;";
    let done = child::command(test, folder.path(), limit).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(std::fs::metadata(folder.path().join("was-full")).is_ok());
}

fn fill(folder: &std::path::Path) {
    let store: Arc<dyn Store> = Arc::new(RedbStore::open(folder, &StoreConfig::default()).unwrap());
    let writer = Writer::start(Arc::clone(&store), &StoreConfig::default()).unwrap();
    let bytes = vec![7; 100_000];
    let put = |nr: usize| {
        let change = Change::put_value(AREA, &nr.to_be_bytes(), &bytes);
        writer.submit_blocking(vec![change]).unwrap().wait()
    };
    let full = (0..1000).find_map(|nr| put(nr).err().map(|error| (nr, error)));
    let (kept, error) = full.expect("a file cannot grow past the limit");
    assert!(matches!(error, StoreError::NoSpace { .. }), "{error:?}");
    assert!(kept > 0, "something fits");
    assert!(matches!(writer.stats().failing, Some(StoreError::NoSpace { .. })));
    // What is there can be read, and the disk stays full.
    assert_eq!(store.values(AREA, None, 1000).unwrap().len(), kept);
    assert!(matches!(put(kept).unwrap_err(), StoreError::NoSpace { .. }));
    lift_the_limit();
    put(kept).unwrap();
    assert!(writer.stats().failing.is_none());
    writer.close();
    drop((writer, store));
    let store = RedbStore::open(folder, &StoreConfig::default()).unwrap();
    assert_eq!(store.values(AREA, None, 1000).unwrap().len(), kept + 1);
    store.verify().unwrap();
    std::fs::write(folder.join("was-full"), "").unwrap();
}

fn lift_the_limit() {
    let maximum = getrlimit(Resource::Fsize).maximum;
    setrlimit(Resource::Fsize, Rlimit { current: maximum, maximum }).unwrap();
}
