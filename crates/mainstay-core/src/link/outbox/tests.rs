use super::{Outbox, OutboxConfig, Overflow, Put, Seq};
use crate::time::Instant;
use core::time::Duration;
use proptest::prelude::{Just, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};
use std::vec::Vec;

const fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

fn outbox(overflow: Overflow) -> Outbox<&'static str> {
    let config = OutboxConfig { messages: 2, bytes: 10, overflow, ..OutboxConfig::default() };
    Outbox::new(&config).unwrap()
}

/// Fills an outbox of two with `a` and `b`.
fn full(overflow: Overflow) -> Outbox<&'static str> {
    let mut outbox = outbox(overflow);
    for (message, key) in [("a", 1), ("b", 2)] {
        assert!(matches!(outbox.put(at(0), message, 3, Some(key)), Put::Taken { .. }));
    }
    outbox
}

fn drained(mut outbox: Outbox<&'static str>) -> Vec<&'static str> {
    core::iter::from_fn(|| outbox.take(at(0))).map(|(_, message)| message).collect()
}

#[test]
fn w26_each_policy_tells_the_sender_what_became_of_its_message() {
    assert_eq!(full(Overflow::Error).put(at(0), "c", 3, None), Put::Rejected("c"));
    assert_eq!(full(Overflow::Wait).put(at(0), "c", 3, None), Put::Wait("c"));
    assert_eq!(full(Overflow::DropNewest).put(at(0), "c", 3, None), Put::Dropped("c"));
    let taken = |gone| Put::Taken { seq: Seq(3), gone };
    let gone_a = Vec::from([(Seq(1), "a")]);
    assert_eq!(full(Overflow::DropOldest).put(at(0), "c", 3, None), taken(gone_a.clone()));
    assert_eq!(full(Overflow::LatestPerKey).put(at(0), "c", 3, Some(1)), taken(gone_a));
    assert_eq!(full(Overflow::LatestPerKey).put(at(0), "c", 3, Some(3)), Put::Rejected("c"));
}

#[test]
fn w26_bytes_bound_the_outbox_as_well_as_messages() {
    let mut outbox = outbox(Overflow::DropOldest);
    assert!(matches!(outbox.put(at(0), "small", 4, None), Put::Taken { .. }));
    assert_eq!(
        outbox.put(at(0), "too large for ever", 11, None),
        Put::Rejected("too large for ever")
    );
    let gone = Vec::from([(Seq(1), "small")]);
    assert_eq!(outbox.put(at(0), "large", 10, None), Put::Taken { seq: Seq(2), gone });
    assert_eq!((outbox.len(), outbox.bytes()), (1, 10));
}

#[test]
fn w26_a_message_is_worth_sending_for_its_age_only() {
    let mut outbox = full(Overflow::Error);
    assert_eq!(outbox.deadline(), Some(at(60_000)));
    assert_eq!(outbox.take(at(59_999)), Some((Seq(1), "a")));
    assert_eq!(outbox.take(at(60_000)), None);
    assert_eq!(outbox.bytes(), 0);
    let mut outbox = full(Overflow::Error);
    assert!(matches!(outbox.put(at(60_000), "c", 3, None), Put::Taken { seq: Seq(3), .. }));
}

#[test]
fn w27_order_is_kept_and_a_message_put_back_is_the_next_again() {
    let mut outbox = full(Overflow::Error);
    let (seq, message) = outbox.take(at(0)).unwrap();
    outbox.put_back(at(0), seq, message, 3);
    assert_eq!(drained(outbox), ["a", "b"]);
    let mut latest = full(Overflow::LatestPerKey);
    assert!(matches!(latest.put(at(0), "new a", 3, Some(1)), Put::Taken { .. }));
    assert_eq!(drained(latest), ["new a", "b"], "it keeps the place in line");
}

#[test]
fn an_outbox_of_nothing_rejects_everything() {
    let config = OutboxConfig { messages: 0, ..OutboxConfig::default() };
    assert_eq!(Outbox::new(&config).unwrap().put(at(0), "a", 1, None), Put::Rejected("a"));
    let config = OutboxConfig { messages: 1_000_001, ..config };
    assert_eq!(Outbox::<u8>::new(&config).unwrap_err().field, "messages");
}

fn overflow() -> impl Strategy<Value = Overflow> {
    prop_oneof![
        Just(Overflow::Error),
        Just(Overflow::Wait),
        Just(Overflow::DropOldest),
        Just(Overflow::DropNewest),
        Just(Overflow::LatestPerKey),
    ]
}

proptest! {
    #[test]
    fn w26_w27_no_script_breaks_the_bounds_loses_a_message_or_changes_the_order(
        overflow in overflow(),
        script in proptest::collection::vec((0..4_u8, 0..40_u32, 0..6_u64, 0..9_000_u64), 1..200),
    ) {
        let config = OutboxConfig { messages: 8, bytes: 100, age: Some(Duration::from_secs(20)), overflow };
        let mut outbox = Outbox::new(&config).unwrap();
        let (mut now, mut given, mut told) = (0, 0_u32, 0_u32);
        let mut last_sent = Seq(0);
        for (kind, bytes, key, ms) in script {
            now += ms;
            if kind == 0 {
                if let Some((seq, _)) = outbox.take(at(now)) {
                    if overflow != Overflow::LatestPerKey {
                        prop_assert!(seq > last_sent, "order");
                    }
                    last_sent = seq;
                    told += 1;
                }
                // `take` passes over what is too old: count it as told by looking at the rest.
                given = told + u32::try_from(outbox.len()).unwrap();
            } else {
                given += 1;
                match outbox.put(at(now), (), bytes, Some(key)) {
                    Put::Taken { gone, .. } => told += u32::try_from(gone.len()).unwrap(),
                    Put::Dropped(()) | Put::Rejected(()) | Put::Wait(()) => {
                        told += 1;
                        // Expired ones may have gone silently with a refusal; count again.
                        given = told + u32::try_from(outbox.len()).unwrap();
                    }
                }
            }
            prop_assert!(outbox.len() <= 8 && outbox.bytes() <= 100);
            prop_assert_eq!(given, told + u32::try_from(outbox.len()).unwrap());
        }
        let left = outbox.clear();
        prop_assert!(overflow == Overflow::LatestPerKey || left.is_sorted_by_key(|(seq, ())| *seq));
        prop_assert_eq!(outbox.bytes(), 0);
    }
}
