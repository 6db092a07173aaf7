use mainstay_registry::Event;
use mainstay_store::{Change, EventKey, Position, Store, StoreConfig, retain};

use crate::sample::{DAY, event, name};

const DAY_MS: u64 = 86_400_000;

fn keep(store: &dyn Store, events: &[Event]) {
    let batch: Vec<Change> = events.iter().cloned().map(Change::append_event).collect();
    store.commit(&batch).unwrap();
}

fn seqs(events: &[Event]) -> Vec<u64> {
    events.iter().map(|event| event.seq).collect()
}

pub(super) fn history_of_a_session_comes_in_pages(store: &dyn Store) {
    let (ours, other) = (name(DAY, 1), name(DAY, 2));
    let events: Vec<Event> = (1..=10).map(|seq| event(ours, DAY + seq * 10, seq)).collect();
    keep(store, &events);
    keep(store, &[event(other, DAY + 15, 1)]);
    let all = 0..u64::MAX;
    assert_eq!(store.events_of(ours, all.clone(), 0, 99).unwrap(), events);
    assert_eq!(seqs(&store.events_of(ours, all.clone(), 0, 4).unwrap()), [1, 2, 3, 4]);
    assert_eq!(seqs(&store.events_of(ours, all.clone(), 8, 4).unwrap()), [9, 10]);
    assert_eq!(store.events_of(ours, all.clone(), u64::MAX, 4).unwrap(), []);
    assert_eq!(store.events_of(ours, all, 0, 0).unwrap(), []);
    let times = DAY + 30..DAY + 60;
    assert_eq!(seqs(&store.events_of(ours, times.clone(), 0, 99).unwrap()), [3, 4, 5]);
    assert_eq!(seqs(&store.events_of(ours, times, 3, 1).unwrap()), [4]);
    assert_eq!(store.events_of(name(DAY, 3), 0..u64::MAX, 0, 9).unwrap(), []);
}

pub(super) fn history_between_two_times_comes_in_pages(store: &dyn Store) {
    // Two sessions in the same milliseconds.
    let of = |nr, seq| event(name(DAY, nr), DAY + seq, seq);
    let events: Vec<Event> = (1..=5).flat_map(|seq| [of(1, seq), of(2, seq)]).collect();
    keep(store, &events);
    let mut pages = Vec::new();
    let mut after = None;
    loop {
        let page = store.events_between(DAY + 2..DAY + 5, after, 4).unwrap();
        let Some(last) = page.last() else { break };
        after = Some(EventKey::of(last));
        pages.extend(page);
    }
    assert_eq!(pages, events[2..8]);
    let before = Some(EventKey::of(&events[0]));
    assert_eq!(store.events_between(DAY + 2..DAY + 3, before, 9).unwrap(), events[2..4]);
    assert_eq!(store.events_between(DAY + 5..DAY + 5, None, 9).unwrap(), []);
    assert_eq!(store.events_between(0..u64::MAX, None, 0).unwrap(), []);
}

pub(super) fn events_with_an_earlier_time_are_found_and_not_lost(store: &dyn Store) {
    let session = name(DAY, 1);
    let times = [DAY + 5000, DAY + 100, DAY + 6000, 3, DAY + 200];
    let events: Vec<Event> =
        times.iter().zip(1..).map(|(time, seq)| event(session, *time, seq)).collect();
    let mut after = Position::default();
    let mut seen = Vec::new();
    for event in &events {
        keep(store, std::slice::from_ref(event));
        let new = store.history(after, 9).unwrap();
        after = new.last().map_or(after, |(position, _)| *position);
        seen.extend(new.into_iter().map(|(_, event)| event.seq));
    }
    assert_eq!(seen, [1, 2, 3, 4, 5], "each as it was kept, and once");
    assert_eq!(seqs(&store.events_of(session, 0..u64::MAX, 0, 9).unwrap()), [1, 2, 3, 4, 5]);
    let by_time = store.events_between(0..u64::MAX, None, 9).unwrap();
    assert_eq!(seqs(&by_time), [4, 2, 5, 1, 3]);
    assert_eq!(seqs(&store.events_between(DAY..DAY + 300, None, 9).unwrap()), [2, 5]);
    assert_eq!(store.last_event_id().unwrap().unwrap().unix_ms, DAY + 6000);
    assert_eq!(store.stats().unwrap().oldest_event, Some(3));
}

pub(super) fn history_is_dropped_oldest_first_in_steps(store: &dyn Store) {
    let session = name(DAY, 1);
    let events: Vec<Event> = (1..=10).map(|seq| event(session, DAY + seq, seq)).collect();
    keep(store, &events);
    let dropped = store.drop_events_before(DAY + 6, 3).unwrap();
    assert_eq!((dropped.events, dropped.more), (3, true));
    let left = store.events_between(0..u64::MAX, None, 99).unwrap();
    assert_eq!(left, events[3..]);
    let dropped = store.drop_events_before(DAY + 6, 3).unwrap();
    assert_eq!((dropped.events, dropped.more), (2, false));
    let dropped = store.drop_events_before(DAY + 6, 3).unwrap();
    assert_eq!((dropped.events, dropped.more), (0, false));
    assert_eq!(store.events_of(session, 0..u64::MAX, 0, 99).unwrap(), events[5..]);
    let history = store.history(Position::default(), 99).unwrap();
    assert_eq!(history.first(), Some(&(Position(6), events[5].clone())));
    assert_eq!(history.len(), 5);
    store.drop_events_before(u64::MAX, 99).unwrap();
    let stats = store.stats().unwrap();
    assert_eq!((stats.events, stats.history_bytes, stats.oldest_event), (0, 0, None));
}

pub(super) fn whole_days_are_dropped_by_age(store: &dyn Store) {
    let session = name(DAY, 1);
    let times = [DAY - 1, DAY, DAY + DAY_MS - 1, DAY + DAY_MS];
    let events: Vec<Event> =
        times.iter().zip(1..).map(|(time, seq)| event(session, *time, seq)).collect();
    keep(store, &events);
    let config = StoreConfig { drop_events: 1, ..StoreConfig::default() };
    let run = |now| {
        let mut steps = 0;
        while retain(store, &config, now).unwrap().more {
            steps += 1;
            assert!(steps < 9, "it does not end");
        }
        seqs(&store.events_between(0..u64::MAX, None, 9).unwrap())
    };
    // Thirty days after some time of the day: the day itself stays.
    assert_eq!(run(DAY + DAY_MS / 2 + 30 * DAY_MS), [2, 3, 4]);
    assert_eq!(run(DAY + DAY_MS - 1 + 30 * DAY_MS), [2, 3, 4]);
    assert_eq!(run(DAY + DAY_MS + 30 * DAY_MS), [4]);
    assert_eq!(run(0), [4], "a clock that is wrong by far drops nothing");
}

pub(super) fn the_oldest_are_dropped_by_size(store: &dyn Store) {
    let config = StoreConfig { history_bytes: 1 << 20, ..StoreConfig::default() };
    let session = name(DAY, 1);
    let events: Vec<Event> = (1..=12_000).map(|seq| event(session, DAY + seq, seq)).collect();
    keep(store, &events);
    assert!(store.stats().unwrap().history_bytes > config.history_bytes);
    let mut steps = 0;
    while retain(store, &config, DAY).unwrap().more {
        steps += 1;
        assert!(steps < 20, "it does not end");
    }
    let stats = store.stats().unwrap();
    assert!(stats.history_bytes <= config.history_bytes);
    assert!(stats.history_bytes > config.history_bytes * 3 / 4, "no more than it must");
    let last = store.events_of(session, 0..u64::MAX, 11_999, 9).unwrap();
    assert_eq!(seqs(&last), [12_000], "the newest stay");
}

pub(super) fn positions_are_never_given_again(store: &dyn Store) {
    keep(store, &[event(name(DAY, 1), DAY, 1), event(name(DAY, 2), DAY, 1)]);
    store.drop_events_before(u64::MAX, 9).unwrap();
    keep(store, &[event(name(DAY, 3), DAY, 1)]);
    let history = store.history(Position(2), 9).unwrap();
    assert_eq!(history, [(Position(3), event(name(DAY, 3), DAY, 1))]);
    assert_eq!(store.stats().unwrap().position, Position(3));
}
