use std::time::Duration;

use mainstay_core::session::quality::Quality;
use mainstay_registry::Record;
use mainstay_store::row::{KEY_MAX, ROW_MAX};
use mainstay_store::{Area, Change, Conflict, Packed, Position, Restored, Store, StoreError};

use super::refusal;
use crate::sample::{DAY, checkpoint, event, name, record};

const A: Area = Area::new("a");
const AB: Area = Area::new("ab");

fn take(number: u64, limit: u64) -> Change {
    Change::Take { area: A, key: b"n"[..].into(), number, limit }
}

fn records(store: &dyn Store) -> (Vec<Record>, Restored) {
    let mut found = Vec::new();
    let restored = store.sessions(&mut |record| found.push(record)).unwrap();
    (found, restored)
}

pub(super) fn a_batch_is_kept_whole(store: &dyn Store) {
    let session = name(DAY, 1);
    let batch = [
        Change::put_session(record(session)),
        Change::append_event(event(session, DAY, 1)),
        Change::put_value(A, b"k", b"v"),
    ];
    store.commit(&batch).unwrap();
    assert_eq!(store.session(session).unwrap(), Some(record(session)));
    assert_eq!(store.history(Position::default(), 9).unwrap()[0].1, event(session, DAY, 1));
    assert_eq!(store.value(A, b"k").unwrap().as_deref(), Some(&b"v"[..]));
    let stats = store.stats().unwrap();
    assert_eq!((stats.sessions, stats.events, stats.values), (1, 1, 1));
    assert_eq!(stats.oldest_event, Some(DAY));
    assert_eq!(store.last_event_id().unwrap(), Some(event(session, DAY, 1).id));
    store.commit(&[Change::RemoveSession(session)]).unwrap();
    assert_eq!(store.session(session).unwrap(), None);
    assert_eq!(store.events_of(session, 0..u64::MAX, 0, 9).unwrap().len(), 1, "history stays");
}

pub(super) fn a_refused_batch_leaves_no_trace_and_touches_no_other(store: &dyn Store) {
    store.commit(&[Change::claim(A, b"taken", b"first")]).unwrap();
    let session = name(DAY, 1);
    let before = [Change::put_value(A, b"before", b"1")];
    let refused = [
        Change::put_session(record(session)),
        Change::append_event(event(session, DAY, 1)),
        take(1, 9),
        Change::put_value(A, b"before", b"2"),
        Change::claim(A, b"taken", b"second"),
    ];
    let after = [Change::put_value(A, b"after", b"3"), take(1, 9)];
    let verdicts = store.commit_groups(&[&before, &refused, &after]).unwrap();
    let kept: Vec<bool> = verdicts.iter().map(Result::is_ok).collect();
    assert_eq!(kept, [true, false, true]);
    assert_eq!(store.session(session).unwrap(), None);
    assert_eq!(store.stats().unwrap().events, 0);
    assert_eq!(store.value(A, b"taken").unwrap().as_deref(), Some(&b"first"[..]));
    assert_eq!(store.value(A, b"before").unwrap().as_deref(), Some(&b"1"[..]));
    assert_eq!(store.value(A, b"after").unwrap().as_deref(), Some(&b"3"[..]));
    assert_eq!(store.next_number(A, b"n").unwrap(), 2);
}

pub(super) fn later_changes_of_a_batch_win(store: &dyn Store) {
    let session = name(DAY, 1);
    let later = Record { generation: 2, ..record(session) };
    let batch = [
        Change::put_session(record(session)),
        Change::RemoveSession(session),
        Change::put_session(later.clone()),
        Change::put_value(A, b"k", b"1"),
        Change::RemoveValue { area: A, key: b"k"[..].into() },
    ];
    store.commit(&batch).unwrap();
    assert_eq!(store.session(session).unwrap(), Some(later));
    assert_eq!(store.value(A, b"k").unwrap(), None);
    store.commit(&[]).unwrap();
    assert_eq!(store.commit_groups(&[]).unwrap().len(), 0);
}

pub(super) fn the_same_event_twice_is_one_event(store: &dyn Store) {
    let change = [Change::append_event(event(name(DAY, 1), DAY, 1))];
    store.commit(&change).unwrap();
    let once = store.stats().unwrap();
    store.commit(&change).unwrap();
    let twice = store.stats().unwrap();
    assert_eq!((once.events, once.history_bytes), (twice.events, twice.history_bytes));
    assert_eq!(once.position, twice.position);
}

pub(super) fn another_event_with_the_same_seq_takes_its_place(store: &dyn Store) {
    let session = name(DAY, 1);
    store.commit(&[Change::append_event(event(session, DAY, 1))]).unwrap();
    let other = event(session, DAY + 5, 1);
    store.commit(&[Change::append_event(other.clone())]).unwrap();
    let found = store.events_of(session, 0..u64::MAX, 0, 9).unwrap();
    assert_eq!(found, store.events_between(0..u64::MAX, None, 9).unwrap());
    assert_eq!(found.len(), 1);
    let history = store.history(Position::default(), 9).unwrap();
    assert_eq!(history, [(Position(2), other)]);
}

pub(super) fn sessions_come_in_the_order_of_their_names(store: &dyn Store) {
    let names = [name(DAY + 2, 0), name(DAY, 9), name(DAY + 1, 1), name(DAY, 2)];
    let batch = names.map(|name| Change::put_session(record(name)));
    store.commit(&batch).unwrap();
    let (found, restored) = records(store);
    let found: Vec<_> = found.iter().map(|record| record.session).collect();
    assert_eq!(found, [names[3], names[1], names[2], names[0]]);
    assert_eq!(restored, Restored { sessions: 4, refreshed: 0, damaged: 0 });
}

pub(super) fn a_key_is_claimed_once(store: &dyn Store) {
    let claimed = |error: &StoreError| matches!(error, StoreError::Conflict(Conflict::Claimed { key }) if **key == b"id"[..]);
    let twice = [Change::claim(A, b"id", b"1"), Change::claim(A, b"id", b"2")];
    assert!(claimed(&refusal(store.commit(&twice))));
    store.commit(&twice[..1]).unwrap();
    assert!(claimed(&refusal(store.commit(&twice[1..]))));
    assert_eq!(store.value(A, b"id").unwrap().as_deref(), Some(&b"1"[..]));
    store.commit(&[Change::RemoveValue { area: A, key: b"id"[..].into() }]).unwrap();
    store.commit(&twice[1..]).unwrap();
}

pub(super) fn a_number_is_taken_once(store: &dyn Store) {
    assert_eq!(store.next_number(A, b"n").unwrap(), 1);
    store.commit(&[take(1, 9), take(2, 9)]).unwrap();
    assert_eq!(store.next_number(A, b"n").unwrap(), 3);
    let again = refusal(store.commit(&[take(2, 9)]));
    let moved = Conflict::Moved { number: 2, next: 3 };
    assert!(matches!(&again, StoreError::Conflict(conflict) if *conflict == moved), "{again:?}");
    let gap = refusal(store.commit(&[take(4, 9)]));
    assert!(matches!(gap, StoreError::Conflict(Conflict::Moved { number: 4, next: 3 })));
}

pub(super) fn a_sequence_ends_at_its_limit(store: &dyn Store) {
    store.commit(&[take(1, 2), take(2, 2)]).unwrap();
    let error = refusal(store.commit(&[take(3, 2)]));
    assert!(matches!(error, StoreError::Conflict(Conflict::Exhausted { limit: 2 })));
    assert_eq!(store.next_number(A, b"n").unwrap(), 3);
    store.commit(&[take(3, 3)]).unwrap();
}

pub(super) fn a_number_and_a_name_are_used_up_together(store: &dyn Store) {
    store.commit(&[take(1, 9), Change::claim(A, b"ID-1", b"x")]).unwrap();
    refusal(store.commit(&[take(2, 9), Change::claim(A, b"ID-1", b"y")]));
    assert_eq!(store.next_number(A, b"n").unwrap(), 2);
    refusal(store.commit(&[take(1, 9), Change::claim(A, b"ID-2", b"y")]));
    assert_eq!(store.value(A, b"ID-2").unwrap(), None);
    store.commit(&[take(2, 9), Change::claim(A, b"ID-2", b"y")]).unwrap();
}

pub(super) fn areas_do_not_see_each_other(store: &dyn Store) {
    let keys: [&[u8]; 4] = [b"", b"a", b"b\0c", b"\xff\xff"];
    let batch: Vec<Change> = keys.iter().map(|key| Change::put_value(A, key, b"a")).collect();
    store.commit(&batch).unwrap();
    store.commit(&[Change::put_value(AB, b"a", b"ab")]).unwrap();
    let all = store.values(A, None, 9).unwrap();
    let all: Vec<&[u8]> = all.iter().map(|(key, _)| &key[..]).collect();
    assert_eq!(all, keys);
    let page = store.values(A, Some(b"a"), 1).unwrap();
    assert_eq!(page, [(b"b\0c".to_vec(), b"a".to_vec())]);
    assert_eq!(store.values(AB, None, 9).unwrap(), [(b"a".to_vec(), b"ab".to_vec())]);
    assert_eq!(store.values(A, Some(b"\xff\xff"), 9).unwrap(), []);
    assert_eq!(store.next_number(AB, b"n").unwrap(), 1);
}

pub(super) fn large_rows_are_kept_and_larger_ones_refused(store: &dyn Store) {
    let large = vec![7; ROW_MAX];
    let key = vec![b'k'; KEY_MAX];
    store.commit(&[Change::put_value(A, &key, &large)]).unwrap();
    assert_eq!(store.value(A, &key).unwrap(), Some(large.clone()));
    let larger = [
        Change::put_value(A, b"x", b"x"),
        Change::put_value(A, b"k", &[&large[..], b"x"].concat()),
    ];
    let error = refusal(store.commit(&larger));
    let max = ROW_MAX;
    assert!(
        matches!(error, StoreError::TooLarge { bytes, max: m, .. } if bytes == max + 1 && m == max)
    );
    assert_eq!(store.value(A, b"x").unwrap(), None);
    let long = refusal(store.commit(&[Change::put_value(A, &[&key[..], b"k"].concat(), b"x")]));
    assert!(matches!(long, StoreError::TooLarge { what: "a key", max: KEY_MAX, .. }));
    let session = Record { metadata: "x".repeat(ROW_MAX).into(), ..record(name(DAY, 1)) };
    assert!(matches!(
        refusal(store.commit(&[Change::put_session(session)])),
        StoreError::TooLarge { what: "a session", .. }
    ));
    let session = Record { metadata: "x".repeat(ROW_MAX / 2).into(), ..record(name(DAY, 1)) };
    store.commit(&[Change::put_session(session.clone())]).unwrap();
    assert_eq!(store.session(session.session).unwrap(), Some(session));
}

pub(super) fn checkpoints_refresh_sessions(store: &dyn Store) {
    let names: Vec<_> = (0..2500).map(|nr| name(DAY + nr / 3, nr * 7919)).collect();
    let batch: Vec<_> = names.iter().map(|name| Change::put_session(record(*name))).collect();
    store.commit(&batch).unwrap();
    let beats = names.iter().rev().map(|name| checkpoint(*name, 60_000)).collect();
    let packed = Packed::new(3, beats);
    assert!(packed.bytes() <= 16 * names.len(), "{} bytes", packed.bytes());
    store.commit(&[Change::Checkpoints(packed)]).unwrap();
    let (found, restored) = records(store);
    assert_eq!(restored, Restored { sessions: 2500, refreshed: 2500, damaged: 0 });
    for (found, name) in found.iter().zip(&names) {
        let refreshed = Record {
            last_heartbeat: name.unix_ms() + 60_000,
            latency: Some(Duration::from_micros(12_345)),
            quality: Quality::Good,
            missed_heartbeats: 1,
            ..record(*name)
        };
        assert_eq!(*found, refreshed);
    }
}

pub(super) fn an_old_checkpoint_changes_nothing(store: &dyn Store) {
    let session = name(DAY, 1);
    let row = Record { last_heartbeat: DAY + 10, ..record(session) };
    let stranger = checkpoint(name(DAY, 2), 99);
    let packed = Packed::new(0, vec![checkpoint(session, 10), stranger]);
    store.commit(&[Change::put_session(row.clone()), Change::Checkpoints(packed)]).unwrap();
    assert_eq!(records(store), (vec![row], Restored { sessions: 1, ..Restored::default() }));
}

pub(super) fn checkpoints_of_a_shard_take_the_place_of_its_former_ones(store: &dyn Store) {
    let many: Vec<_> = (0..3000).map(|nr| checkpoint(name(DAY, nr), 5)).collect();
    let other = Packed::new(2, many[..1].to_vec());
    store.commit(&[Change::Checkpoints(Packed::new(1, many)), Change::Checkpoints(other)]).unwrap();
    let few = vec![checkpoint(name(DAY, 7), 8)];
    store.commit(&[Change::Checkpoints(Packed::new(1, few))]).unwrap();
    let mut found = Vec::new();
    store.checkpoints(&mut |beat| found.push(beat)).unwrap();
    let of =
        |nr| found.iter().find(|beat| beat.is_of(name(DAY, nr))).map(|beat| beat.last_heartbeat);
    assert_eq!((found.len(), of(7), of(0)), (2, Some(DAY + 8), Some(DAY + 5)));
    let session = name(DAY, 7);
    let again = Packed::new(9, vec![checkpoint(session, 3)]);
    store.commit(&[Change::put_session(record(session)), Change::Checkpoints(again)]).unwrap();
    assert_eq!(records(store).0[0].last_heartbeat, DAY + 8, "the later of two shards");
    store.commit(&[Change::Checkpoints(Packed::new(9, Vec::new()))]).unwrap();
    store.commit(&[Change::Checkpoints(Packed::new(1, Vec::new()))]).unwrap();
    let mut left = 0;
    store.checkpoints(&mut |_| left += 1).unwrap();
    assert_eq!(left, 1);
}
