//! Whatever is done to them, the store in a file and the store in memory answer the same.

use mainstay_core::session::quality::Quality;
use mainstay_registry::{Checkpoint, Event, EventKind, Record, SessionId};
use mainstay_store::{
    Area, Change, Durability, EventKey, MemoryStore, Packed, Position, RedbStore, Stats, Store,
    StoreConfig,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::sample::{DAY, event, name, record};

const AREAS: [Area; 2] = [Area::new("a"), Area::new("aa")];

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<Vec<Change>>),
    Drop { before: u64, limit: usize },
    Reopen,
}

/// One of few sessions, so that changes meet.
fn sessions() -> impl Strategy<Value = SessionId> {
    (0..4_u64, 0..2_u64).prop_map(|(ms, nr)| name(DAY + ms, nr))
}

fn keys() -> impl Strategy<Value = (Area, Box<[u8]>)> {
    (0..2_usize, vec(0..3_u8, 0..3)).prop_map(|(area, key)| (AREAS[area], key.into()))
}

fn happenings() -> impl Strategy<Value = Event> {
    let kind = prop_oneof![Just(EventKind::Registered), Just(EventKind::TakenOver)];
    (sessions(), 0..8_u64, 1..5_u64, 0..2_u64, kind).prop_map(|(session, ms, seq, nr, kind)| {
        let mut event = event(session, DAY + ms, seq);
        (event.id.nr, event.kind) = (nr, kind);
        event
    })
}

fn checkpoints() -> impl Strategy<Value = Checkpoint> {
    (sessions(), 0..9_u64).prop_map(|(session, ms)| Checkpoint {
        session,
        last_heartbeat: DAY + ms,
        latency_us: 7,
        quality: Quality::Good,
        missed: 0,
    })
}

fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        (sessions(), any::<u64>())
            .prop_map(|(name, generation)| Record { generation, ..record(name) })
            .prop_map(Change::put_session),
        sessions().prop_map(Change::RemoveSession),
        happenings().prop_map(Change::append_event),
        (0..3_u16, vec(checkpoints(), 0..4))
            .prop_map(|(shard, beats)| Change::Checkpoints(Packed::new(shard, beats))),
        (keys(), any::<[u8; 2]>()).prop_map(|((area, key), bytes)| Change::PutValue {
            area,
            key,
            bytes: bytes.into(),
        }),
        keys().prop_map(|(area, key)| Change::RemoveValue { area, key }),
        (keys(), any::<[u8; 2]>()).prop_map(|((area, key), bytes)| Change::Claim {
            area,
            key,
            bytes: bytes.into(),
        }),
        (keys(), 1..4_u64, 1..4_u64).prop_map(|((area, key), number, limit)| Change::Take {
            area,
            key,
            number,
            limit
        }),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => vec(vec(changes(), 0..6), 0..4).prop_map(Step::Commit),
        1 => (0..9_u64, 0..5_usize)
            .prop_map(|(ms, limit)| Step::Drop { before: DAY + ms, limit }),
        1 => Just(Step::Reopen),
    ]
}

/// All that can be asked.
fn answers(store: &dyn Store) -> impl PartialEq + std::fmt::Debug + use<> {
    let mut records = Vec::new();
    let restored = store.sessions(&mut |record| records.push(record)).unwrap();
    let all = 0..u64::MAX;
    let of = |ms, nr| {
        let session = name(DAY + ms, nr);
        let part = store.events_of(session, DAY + 2..DAY + 6, 1, 2).unwrap();
        (
            store.session(session).unwrap(),
            store.events_of(session, all.clone(), 0, 99).unwrap(),
            part,
        )
    };
    let each: Vec<_> = (0..4).flat_map(|ms| [of(ms, 0), of(ms, 1)]).collect();
    let by_time = store.events_between(all, None, 99).unwrap();
    let after = by_time.get(1).map(EventKey::of);
    let part = store.events_between(DAY + 1..DAY + 7, after, 3).unwrap();
    let history = store.history(Position::default(), 99).unwrap();
    let late = store.history(Position(5), 2).unwrap();
    let values = AREAS.map(|area| {
        let next = [&[][..], &[1], &[2, 2]].map(|key| store.next_number(area, key).unwrap());
        let part = store.values(area, Some(&[0, 1]), 2).unwrap();
        (store.values(area, None, 99).unwrap(), part, next)
    });
    let stats = Stats { bytes: 0, ..store.stats().unwrap() };
    let last = store.last_event_id().unwrap();
    ((records, restored, each), (by_time, part, history, late), (values, stats, last))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn both_stores_answer_the_same(steps in vec(steps(), 1..16)) {
        let config = StoreConfig { durability: Durability::Os, ..StoreConfig::default() };
        let folder = tempfile::tempdir().unwrap();
        let (memory, mut file) =
            (MemoryStore::new(), RedbStore::open(folder.path(), &config).unwrap());
        for step in steps {
            match step {
                Step::Commit(groups) => {
                    let groups: Vec<&[Change]> = groups.iter().map(|group| &**group).collect();
                    let verdicts = |store: &dyn Store| {
                        let verdicts = store.commit_groups(&groups).unwrap();
                        verdicts.iter().map(|kept| format!("{kept:?}")).collect::<Vec<_>>()
                    };
                    prop_assert_eq!(verdicts(&memory), verdicts(&file));
                }
                Step::Drop { before, limit } => prop_assert_eq!(
                    memory.drop_events_before(before, limit).unwrap(),
                    file.drop_events_before(before, limit).unwrap()
                ),
                Step::Reopen => {
                    drop(file);
                    file = RedbStore::open(folder.path(), &config).unwrap();
                }
            }
            prop_assert_eq!(answers(&memory), answers(&file));
        }
        file.verify().unwrap();
    }
}
