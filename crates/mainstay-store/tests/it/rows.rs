//! Whatever can be kept comes back, and whatever stands on disk is refused or read.

use std::time::Duration;

use mainstay_core::session::quality::{Factor, Quality};
use mainstay_core::session::status::{EndReason, LossReason, Status};
use mainstay_registry::{Checkpoint, Event, EventId, EventKind, Record, SessionId};
use mainstay_store::row::beats::unpack;
use mainstay_store::row::{RowError, decode_event, decode_record, encode_event, encode_record};
use mainstay_store::{Change, EventKey, MemoryStore, Packed, Store};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::sample::{DAY, event, name, record};

const STATUSES: [Status; 5] = [
    Status::Connected,
    Status::Suspended,
    Status::Reconnecting,
    Status::Disconnected,
    Status::Failed,
];
const ENDS: [EndReason; 6] = [
    EndReason::Bye,
    EndReason::Expired,
    EndReason::Kicked,
    EndReason::Superseded,
    EndReason::Unauthorised,
    EndReason::Exhausted,
];
const LOSSES: [LossReason; 7] = [
    LossReason::Lost,
    LossReason::Silent,
    LossReason::Asked,
    LossReason::Operator,
    LossReason::SlowConsumer,
    LossReason::Misbehaved,
    LossReason::Restarted,
];
const GRADES: [Quality; 5] =
    [Quality::Unknown, Quality::Critical, Quality::Poor, Quality::Good, Quality::Excellent];
const FACTORS: [Factor; 6] =
    [Factor::None, Factor::Rtt, Factor::Jitter, Factor::Loss, Factor::Flapping, Factor::Silence];

fn text() -> impl Strategy<Value = Box<str>> {
    vec(any::<char>(), 0..40).prop_map(|text| text.into_iter().collect::<String>().into())
}

fn duration() -> impl Strategy<Value = Duration> {
    (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(s, ns)| Duration::new(s, ns))
}

fn records() -> impl Strategy<Value = Record> {
    let numbers = (any::<[u64; 5]>(), any::<[u32; 5]>(), any::<u8>(), any::<u128>());
    let texts = (option::of(text()), text(), text(), text(), text());
    let words = (select(&STATUSES[..]), option::of(select(&ENDS[..])), select(&GRADES[..]));
    let times = (option::of(any::<u64>()), option::of(any::<u64>()), duration(), duration());
    let measured = (
        option::of(duration()),
        option::of(duration()),
        option::of(duration()),
        select(&FACTORS[..]),
    );
    (numbers, texts, words, times, measured).prop_map(|(numbers, texts, words, times, measured)| {
        let (wide, narrow, beats, session) = numbers;
        Record {
            session: SessionId::from_bits(session),
            generation: wide[0],
            event_seq: wide[1],
            user: texts.0,
            organisation: texts.1,
            client_type: texts.2,
            client_version: texts.3,
            status: words.0,
            ended: words.1,
            registered_at: wide[2],
            connected_at: wide[3],
            last_heartbeat: wide[4],
            disconnected_at: times.0,
            reconnect_attempts: narrow[0],
            max_reconnect_attempts: narrow[1],
            total_disconnections: narrow[2],
            missed_heartbeats: narrow[3],
            quality: words.2,
            factor: measured.3,
            latency: measured.0,
            jitter: measured.1,
            latency_min: measured.2,
            losses: narrow[4],
            beats,
            heartbeat_interval: times.2,
            grace: times.3,
            expires_at: times.1,
            metadata: texts.4,
        }
    })
}

fn kinds() -> impl Strategy<Value = EventKind> {
    let grade = || select(&GRADES[..]);
    prop_oneof![
        Just(EventKind::Registered),
        select(&LOSSES[..]).prop_map(|reason| EventKind::Suspended { reason }),
        (any::<u32>(), duration())
            .prop_map(|(attempt, within)| EventKind::Reconnecting { attempt, within }),
        any::<bool>().prop_map(|replay| EventKind::Resumed { replay }),
        Just(EventKind::TakenOver),
        Just(EventKind::Suspected),
        Just(EventKind::Recovered),
        (grade(), grade(), select(&FACTORS[..]))
            .prop_map(|(from, to, factor)| EventKind::QualityChanged { from, to, factor }),
        Just(EventKind::MetadataChanged),
        select(&ENDS[..]).prop_map(|reason| EventKind::Gone { reason }),
    ]
}

fn events() -> impl Strategy<Value = Event> {
    (any::<[u64; 4]>(), any::<u128>(), option::of(text()), text(), kinds()).prop_map(
        |(numbers, session, user, organisation, kind)| Event {
            id: EventId { unix_ms: numbers[0], nr: numbers[1] },
            session: SessionId::from_bits(session),
            generation: numbers[2],
            seq: numbers[3],
            user,
            organisation,
            kind,
        },
    )
}

fn checkpoints() -> impl Strategy<Value = Checkpoint> {
    (any::<u128>(), any::<u64>(), any::<u32>(), select(&GRADES[..]), any::<u8>()).prop_map(
        |(session, last_heartbeat, latency_us, quality, missed)| Checkpoint {
            session: SessionId::from_bits(session),
            last_heartbeat,
            latency_us,
            quality,
            missed,
        },
    )
}

proptest! {
    #[test]
    fn a_session_comes_back_as_it_was(record in records()) {
        prop_assert_eq!(decode_record(record.session, &encode_record(&record)), Ok(record));
    }

    #[test]
    fn an_event_comes_back_as_it_was(event in events()) {
        prop_assert_eq!(decode_event(EventKey::of(&event), &encode_event(&event)), Ok(event));
    }

    #[test]
    fn checkpoints_come_back_as_they_were(all in vec(checkpoints(), 0..2000)) {
        let store = MemoryStore::new();
        store.commit(&[Change::Checkpoints(Packed::new(1, all.clone()))]).unwrap();
        let mut found = Vec::new();
        store.checkpoints(&mut |beat| found.push(beat)).unwrap();
        prop_assert_eq!(found.len(), all.len());
        let mut all = all;
        all.sort_by_key(|checkpoint| checkpoint.session);
        for (beat, was) in found.iter().zip(&all) {
            prop_assert!(beat.is_of(was.session));
            prop_assert_eq!(beat.last_heartbeat, was.last_heartbeat);
            prop_assert_eq!((beat.latency_us, beat.quality), (was.latency_us, was.quality));
            prop_assert_eq!(beat.missed, was.missed);
        }
    }

    #[test]
    fn whatever_stands_on_disk_is_read_or_refused(row in vec(any::<u8>(), 0..200), known: bool) {
        let mut row = row;
        if known && !row.is_empty() {
            row[0] = 1;
        }
        let session = SessionId::from_bits(7);
        if let Ok(record) = decode_record(session, &row) {
            prop_assert_eq!(decode_record(session, &encode_record(&record)), Ok(record));
        }
        let key = EventKey { id: EventId { unix_ms: 1, nr: 2 }, session };
        if let Ok(event) = decode_event(key, &row) {
            prop_assert_eq!(decode_event(key, &encode_event(&event)), Ok(event));
        }
        let mut beats = 0;
        let read = unpack(&row, &mut |_| beats += 1);
        prop_assert!(read.is_err() || beats <= row.len() / 11);
    }

    #[test]
    fn a_row_with_a_flipped_byte_is_read_or_refused(
        record in records(), at: proptest::sample::Index, flip in 1..=255_u8,
    ) {
        let mut row = encode_record(&record);
        let at = at.index(row.len());
        row[at] ^= flip;
        if let Ok(other) = decode_record(record.session, &row) {
            prop_assert_ne!(other, record);
        }
    }
}

#[test]
fn a_row_that_ends_too_early_is_refused() {
    let row = encode_record(&record(name(DAY, 1)));
    for end in 0..row.len() {
        assert_eq!(decode_record(name(DAY, 1), &row[..end]), Err(RowError::Short), "{end}");
    }
    let long = [&row[..], &[0]].concat();
    assert_eq!(decode_record(name(DAY, 1), &long), Err(RowError::Long));
    let other = [&[9], &row[1..]].concat();
    assert_eq!(decode_record(name(DAY, 1), &other), Err(RowError::Version(9)));
}

#[test]
fn a_checkpoint_costs_sixteen_bytes() {
    // A shard of a server with a million sessions in 64 shards, which came in twenty minutes.
    let beat = |nr: u64| {
        let at = DAY + nr * 77;
        let bits = u128::from(nr.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let session = SessionId::from_bits((u128::from(at) << 80) | (7 << 76) | bits);
        let last_heartbeat = DAY + 1_300_000 - nr * 31 % 25_000;
        let latency_us = u32::try_from(500 + nr * 97 % 300_000).unwrap();
        Checkpoint { session, last_heartbeat, latency_us, quality: Quality::Good, missed: 0 }
    };
    let count = 15_625;
    let packed = Packed::new(0, (0..count).map(beat).collect());
    assert!(packed.bytes() as u64 <= count * 16, "{} bytes", packed.bytes());
}

#[test]
fn rows_are_small() {
    let session = name(DAY, 1);
    assert!(encode_record(&record(session)).len() < 128);
    assert!(encode_event(&event(session, DAY, 1)).len() < 32);
}
