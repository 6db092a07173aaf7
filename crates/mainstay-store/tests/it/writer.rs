//! One thread commits what many callers submit.

use std::future::Future;
use std::ops::Range;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use mainstay_registry::{Event, EventId, Record, SessionId};
use mainstay_store::{
    Area, Beat, Change, Dropped, Durability, EventKey, KeyValue, MemoryStore, Position, Refused,
    Restored, Stats, Store, StoreConfig, StoreError, Writer,
};

use crate::sample::{DAY, event, name};

const AREA: Area = Area::new("area");

/// A store whose commits wait until they are let go, and fail when they are told to.
#[derive(Debug, Default)]
struct Held {
    inner: MemoryStore,
    gate: Mutex<Gate>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Gate {
    /// Commits that may go on; all, when there is none.
    leave: Option<usize>,
    /// Commits that came.
    arrived: usize,
    /// Groups of each commit.
    sizes: Vec<usize>,
    fail_next: bool,
}

impl Held {
    /// Holds commits from now on.
    fn hold(&self) {
        self.gate.lock().unwrap().leave = Some(0);
    }

    /// Lets the commit that waits go on, and holds the next one.
    fn let_one_go(&self) {
        self.gate.lock().unwrap().leave = Some(1);
        self.changed.notify_all();
    }

    fn let_go(&self) {
        self.gate.lock().unwrap().leave = None;
        self.changed.notify_all();
    }

    fn fail_next(&self) {
        self.gate.lock().unwrap().fail_next = true;
    }

    /// Waits until `count` commits came, in all.
    fn await_commits(&self, count: usize) {
        let gate = self.gate.lock().unwrap();
        drop(self.changed.wait_while(gate, |gate| gate.arrived < count).unwrap());
    }

    fn sizes(&self) -> Vec<usize> {
        self.gate.lock().unwrap().sizes.clone()
    }
}

impl Store for Held {
    fn commit_groups(
        &self,
        groups: &[&[Change]],
    ) -> Result<Vec<Result<(), StoreError>>, StoreError> {
        let mut gate = self.gate.lock().unwrap();
        gate.arrived += 1;
        gate.sizes.push(groups.len());
        self.changed.notify_all();
        let mut gate = self.changed.wait_while(gate, |gate| gate.leave == Some(0)).unwrap();
        gate.leave = gate.leave.map(|leave| leave - 1);
        if std::mem::take(&mut gate.fail_next) {
            let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
            return Err(StoreError::NoSpace { path: "disk".into(), source: Arc::new(source) });
        }
        self.inner.commit_groups(groups)
    }

    fn sessions(&self, each: &mut dyn FnMut(Record)) -> Result<Restored, StoreError> {
        self.inner.sessions(each)
    }

    fn session(&self, session: SessionId) -> Result<Option<Record>, StoreError> {
        self.inner.session(session)
    }

    fn events_of(
        &self,
        session: SessionId,
        times: Range<u64>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError> {
        self.inner.events_of(session, times, after, limit)
    }

    fn events_between(
        &self,
        times: Range<u64>,
        after: Option<EventKey>,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError> {
        self.inner.events_between(times, after, limit)
    }

    fn history(&self, after: Position, limit: usize) -> Result<Vec<(Position, Event)>, StoreError> {
        self.inner.history(after, limit)
    }

    fn last_event_id(&self) -> Result<Option<EventId>, StoreError> {
        self.inner.last_event_id()
    }

    fn value(&self, area: Area, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.value(area, key)
    }

    fn values(
        &self,
        area: Area,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<KeyValue>, StoreError> {
        self.inner.values(area, after, limit)
    }

    fn next_number(&self, area: Area, key: &[u8]) -> Result<u64, StoreError> {
        self.inner.next_number(area, key)
    }

    fn checkpoints(&self, each: &mut dyn FnMut(Beat)) -> Result<(), StoreError> {
        self.inner.checkpoints(each)
    }

    fn stats(&self) -> Result<Stats, StoreError> {
        self.inner.stats()
    }

    fn drop_events_before(&self, unix_ms: u64, events_max: usize) -> Result<Dropped, StoreError> {
        self.inner.drop_events_before(unix_ms, events_max)
    }
}

fn start(config: StoreConfig) -> (Arc<Held>, Writer) {
    let store = Arc::new(Held::default());
    let writer = Writer::start(Arc::clone(&store) as Arc<dyn Store>, &config).unwrap();
    (store, writer)
}

fn put(nr: u64) -> Vec<Change> {
    vec![Change::put_value(AREA, &nr.to_be_bytes(), b"x")]
}

fn happened(nr: u64) -> Vec<Change> {
    vec![Change::append_event(event(name(DAY + nr, nr), DAY + nr, 1))]
}

/// Wakes a thread that waits for a future.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        thread::park();
    }
}

#[test]
fn what_queues_during_a_commit_is_the_next_commit() {
    let (store, writer) = start(StoreConfig::default());
    store.hold();
    let first = writer.try_submit(put(0)).unwrap();
    store.await_commits(1);
    let others: Vec<_> = (1..=10).map(|nr| writer.try_submit(put(nr)).unwrap()).collect();
    assert_eq!(writer.stats().queued_changes, 10);
    store.let_go();
    first.wait().unwrap();
    for ticket in others {
        block_on(ticket).unwrap();
    }
    assert_eq!(store.sizes(), [1, 10]);
    assert_eq!((writer.stats().commits, writer.stats().changes), (2, 11));
    assert_eq!((writer.stats().queued_changes, writer.stats().queued_bytes), (0, 0));
}

#[test]
fn a_commit_has_no_more_changes_than_it_may() {
    let (store, writer) = start(StoreConfig { commit_changes: 3, ..StoreConfig::default() });
    store.hold();
    drop(writer.try_submit(put(0)).unwrap());
    store.await_commits(1);
    for nr in 1..=4 {
        drop(writer.try_submit(put(nr)).unwrap());
    }
    drop(writer.try_submit((5..20).flat_map(put).collect()).unwrap());
    drop(writer.try_submit(put(20)).unwrap());
    store.let_go();
    writer.flush().wait().unwrap();
    let sizes: Vec<usize> = store.sizes();
    assert_eq!(sizes[..4], [1, 3, 1, 1], "one that is too large comes alone");
    assert_eq!(store.values(AREA, None, 99).unwrap().len(), 21);
}

#[test]
fn the_order_of_submission_is_the_order_of_commit() {
    let (store, writer) = start(StoreConfig { commit_changes: 7, ..StoreConfig::default() });
    for nr in 0..500 {
        drop(writer.submit_blocking(happened(nr)).unwrap());
    }
    writer.flush().wait().unwrap();
    let history = store.history(Position::default(), 1000).unwrap();
    let times: Vec<u64> = history.iter().map(|(_, event)| event.id.unix_ms - DAY).collect();
    assert_eq!(times, (0..500).collect::<Vec<_>>());
}

#[test]
fn a_commit_that_fails_is_told_to_its_tickets_and_the_next_is_tried() {
    let (store, writer) = start(StoreConfig::default());
    store.hold();
    let before = writer.try_submit(put(0)).unwrap();
    store.await_commits(1);
    let failing: Vec<_> = (1..=3).map(|nr| writer.try_submit(put(nr)).unwrap()).collect();
    store.let_one_go();
    before.wait().unwrap_or_else(|error| panic!("it was before: {error}"));
    store.await_commits(2);
    store.fail_next();
    store.let_go();
    for ticket in failing {
        let error = ticket.wait().unwrap_err();
        assert!(matches!(error, StoreError::NoSpace { .. }), "{error:?}");
    }
    assert_eq!(writer.stats().failures, 1);
    assert!(matches!(writer.stats().failing, Some(StoreError::NoSpace { .. })));
    writer.submit_blocking(put(4)).unwrap().wait().unwrap();
    assert!(writer.stats().failing.is_none());
    let kept: Vec<_> = store.values(AREA, None, 9).unwrap();
    assert_eq!(kept.iter().map(|(key, _)| key[7]).collect::<Vec<_>>(), [0, 4]);
}

#[test]
fn a_refused_submission_does_not_touch_the_others_of_its_commit() {
    let (store, writer) = start(StoreConfig::default());
    store.hold();
    let first = writer.try_submit(vec![Change::claim(AREA, b"id", b"1")]).unwrap();
    store.await_commits(1);
    let before = writer.try_submit(put(1)).unwrap();
    let refused = writer.try_submit(vec![Change::claim(AREA, b"id", b"2")]).unwrap();
    let after = writer.try_submit(put(2)).unwrap();
    store.let_go();
    for ticket in [first, before, after] {
        ticket.wait().unwrap();
    }
    assert!(matches!(refused.wait().unwrap_err(), StoreError::Conflict(_)));
    assert_eq!(store.sizes(), [1, 3]);
    assert_eq!(writer.stats().failures, 0);
}

#[test]
fn a_full_queue_refuses_or_lets_wait_as_its_caller_likes() {
    let (store, writer) = start(StoreConfig { queue_changes: 2, ..StoreConfig::default() });
    store.hold();
    drop(writer.try_submit(put(0)).unwrap());
    store.await_commits(1);
    drop(writer.try_submit([put(1), put(2)].concat()).unwrap());
    let Err(Refused::Full(back)) = writer.try_submit(put(3)) else { panic!("it is full") };
    assert_eq!(back, put(3));
    thread::scope(|scope| {
        let blocked = scope.spawn(|| writer.submit_blocking(put(4)).unwrap().wait());
        let waiting = scope.spawn(|| block_on(async { writer.submit(put(5)).await?.await }));
        // A future that is dropped before there is room submits nothing.
        let mut dropped = pin!(writer.submit(put(6)));
        let mut context = Context::from_waker(Waker::noop());
        assert!(dropped.as_mut().poll(&mut context).is_pending());
        store.let_go();
        blocked.join().unwrap().unwrap();
        waiting.join().unwrap().unwrap();
    });
    writer.flush().wait().unwrap();
    let kept = store.values(AREA, None, 9).unwrap();
    assert_eq!(kept.iter().map(|(key, _)| key[7]).collect::<Vec<_>>(), [0, 1, 2, 4, 5]);
}

#[test]
fn a_queue_is_full_by_bytes_too_but_takes_one_that_is_larger_than_itself() {
    let (store, writer) = start(StoreConfig { queue_bytes: 1 << 20, ..StoreConfig::default() });
    let large = |nr: u8| vec![Change::put_value(AREA, &[nr], &vec![7; 700_000])];
    store.hold();
    drop(writer.try_submit(put(0)).unwrap());
    store.await_commits(1);
    drop(writer.try_submit([large(1), large(2)].concat()).unwrap());
    assert!(matches!(writer.try_submit(put(3)), Err(Refused::Full(_))));
    store.let_go();
    writer.submit_blocking(put(3)).unwrap().wait().unwrap();
    assert_eq!(store.stats().unwrap().values, 4);
}

#[test]
fn closing_commits_what_was_taken_and_takes_nothing_more() {
    let (store, writer) = start(StoreConfig::default());
    store.hold();
    let tickets: Vec<_> = (0..50).map(|nr| writer.try_submit(put(nr)).unwrap()).collect();
    let (dropped, kept): (Vec<_>, Vec<_>) =
        tickets.into_iter().enumerate().partition(|(nr, _)| nr % 2 == 0);
    drop(dropped);
    store.let_go();
    writer.close();
    assert_eq!(store.stats().unwrap().values, 50, "also those whose tickets were dropped");
    for (_, ticket) in kept {
        ticket.wait().unwrap();
    }
    assert!(matches!(writer.try_submit(put(0)), Err(Refused::Closed(_))));
    assert!(matches!(writer.submit_blocking(put(0)), Err(StoreError::Closed)));
    assert!(matches!(block_on(writer.submit(put(0))), Err(StoreError::Closed)));
    assert!(matches!(writer.flush().wait(), Err(StoreError::Closed)));
    writer.close();
}

#[test]
fn closing_ends_the_wait_for_room() {
    let (store, writer) = start(StoreConfig { queue_changes: 1, ..StoreConfig::default() });
    store.hold();
    drop(writer.try_submit(put(0)).unwrap());
    store.await_commits(1);
    drop(writer.try_submit(put(1)).unwrap());
    thread::scope(|scope| {
        let waiting = scope.spawn(|| block_on(async { writer.submit(put(2)).await?.await }));
        let closing = scope.spawn(|| writer.close());
        // Room and the end come together; whichever it sees, it does not wait for ever.
        store.let_go();
        let answer = waiting.join().unwrap();
        assert!(matches!(answer, Ok(()) | Err(StoreError::Closed)), "{answer:?}");
        closing.join().unwrap();
    });
    assert!(store.stats().unwrap().values >= 2);
}

#[test]
fn without_durability_whoever_submits_does_not_wait() {
    let config = StoreConfig { durability: Durability::None, ..StoreConfig::default() };
    let (store, writer) = start(config);
    store.hold();
    writer.try_submit(put(0)).unwrap().wait().unwrap();
    writer.try_submit(put(1)).unwrap().wait().unwrap();
    assert_eq!(store.stats().unwrap().values, 0);
    let flush = writer.flush();
    store.let_go();
    flush.wait().unwrap();
    assert_eq!(store.stats().unwrap().values, 2);
}

#[test]
fn history_is_dropped_between_commits_also_while_there_is_always_more() {
    let (store, writer) = start(StoreConfig { drop_events: 10, ..StoreConfig::default() });
    let old: Vec<Change> = (0..200).flat_map(happened).collect();
    writer.submit_blocking(old).unwrap().wait().unwrap();
    writer.retain(DAY + 40 * 86_400_000);
    let mut submitted = 0;
    while store.stats().unwrap().events > 0 {
        writer.submit_blocking(put(submitted)).unwrap().wait().unwrap();
        submitted += 1;
        assert!(submitted < 100_000, "nothing is dropped");
    }
    assert_eq!(store.stats().unwrap().values, submitted);
}

#[test]
fn many_threads_are_all_told_the_truth() {
    let (store, writer) = start(StoreConfig { queue_changes: 5, ..StoreConfig::default() });
    thread::scope(|scope| {
        for thread in 0..8 {
            let writer = &writer;
            scope.spawn(move || {
                for nr in 0..100 {
                    let nr = thread * 1000 + nr;
                    if nr % 2 == 0 {
                        block_on(async { writer.submit(put(nr)).await?.await }).unwrap();
                    } else {
                        writer.submit_blocking(put(nr)).unwrap().wait().unwrap();
                    }
                }
            });
        }
    });
    assert_eq!(store.stats().unwrap().values, 800);
    assert_eq!(writer.stats().changes, 800);
}
