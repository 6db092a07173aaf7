use super::{
    Epoch, Incoming, NeverSent, Outgoing, Position, Push, Received, Refusal, Resume, Seq, Stream,
    StreamConfig,
};
use crate::time::Instant;
use core::time::Duration;
use std::vec::Vec;

mod channel;

const fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

fn small() -> StreamConfig {
    StreamConfig {
        messages: 4,
        bytes: 10,
        ack_messages: 2,
        ack_bytes: 6,
        ..StreamConfig::default()
    }
}

/// An end that has sent `sent` messages of a byte, of which `acknowledged` were acknowledged.
fn sent(sent: u64, acknowledged: u64) -> Outgoing<u64> {
    let mut outgoing = Outgoing::new(&small()).unwrap();
    for number in 1..=sent {
        assert_eq!(outgoing.push(number, 1), Push::Held(Seq(number)));
        if number <= acknowledged {
            assert_eq!(outgoing.acknowledge(Seq(number)), Ok(1));
        }
    }
    outgoing
}

fn held(outgoing: &Outgoing<u64>) -> Vec<u64> {
    let held: Vec<(Seq, &u64)> = outgoing.unacknowledged().collect();
    assert!(held.iter().all(|(seq, message)| seq.0 == **message), "numbers belong to messages");
    assert!(held.iter().all(|(seq, message)| outgoing.message(*seq) == Some(*message)));
    held.into_iter().map(|(_, message)| *message).collect()
}

/// An end that was handed `received` messages, of which its application took `processed`.
fn received(received: u64, processed: u64) -> Incoming {
    let mut incoming = Incoming::new(&small()).unwrap();
    for seq in 1..=received {
        assert_eq!(incoming.received(at(0), Seq(seq)), Received::Deliver);
    }
    incoming.processed(at(0), Seq(processed), 0);
    incoming
}

#[test]
fn w28_a_full_window_gives_the_message_back_and_drops_none() {
    let mut outgoing = sent(4, 0);
    assert_eq!(outgoing.push(5, 1), Push::Full(5));
    assert_eq!(held(&outgoing), [1, 2, 3, 4]);
    assert_eq!(outgoing.acknowledge(Seq(2)), Ok(2));
    assert_eq!(outgoing.push(5, 7), Push::Held(Seq(5)));
    assert_eq!((outgoing.len(), outgoing.bytes()), (3, 9));
    assert_eq!(outgoing.push(6, 2), Push::Full(6), "bytes bound it as well");
    assert_eq!(outgoing.push(6, 1), Push::Held(Seq(6)));
    assert_eq!(outgoing.push(7, 11), Push::TooLarge(7));
}

#[test]
fn w28_an_ack_frees_what_it_covers_once() {
    let mut outgoing = sent(4, 1);
    for (seq, freed, left) in
        [(1, 0, &[2, 3, 4][..]), (3, 2, &[4]), (2, 0, &[4]), (0, 0, &[4]), (4, 1, &[])]
    {
        assert_eq!(outgoing.acknowledge(Seq(seq)), Ok(freed), "ack {seq}");
        assert_eq!(held(&outgoing), left, "ack {seq}");
    }
    assert_eq!((outgoing.bytes(), outgoing.last_sent()), (0, Seq(4)));
}

#[test]
fn w28_an_ack_of_what_was_never_sent_is_the_peers_fault_and_frees_nothing() {
    let mut outgoing = sent(3, 1);
    for seq in [4, u64::MAX] {
        let error = NeverSent { acknowledged: Seq(seq), sent: Seq(3) };
        assert_eq!(outgoing.acknowledge(Seq(seq)), Err(error));
    }
    assert_eq!(held(&outgoing), [2, 3]);
    let error = outgoing.acknowledge(Seq(9)).unwrap_err();
    let told = std::string::ToString::to_string(&error);
    assert_eq!(told, "the peer acknowledged message 9, the last one sent is 3");
}

#[test]
fn w31_a_gap_is_filled_completely_or_not_at_all() {
    let ahead = Resume::Restart(Refusal::Ahead);
    let behind = Resume::Restart(Refusal::Behind);
    let replay = |messages| Resume::Replay { messages };
    for (seq, answer, left) in [
        (0, behind, &[2, 3, 4][..]),
        (1, replay(3), &[2, 3, 4]),
        (3, replay(1), &[4]),
        (4, replay(0), &[]),
        (5, ahead, &[2, 3, 4]),
        (u64::MAX, ahead, &[2, 3, 4]),
    ] {
        let mut outgoing = sent(4, 1);
        assert_eq!(outgoing.resume(Seq(seq)), answer, "position {seq}");
        assert_eq!(held(&outgoing), left, "position {seq}");
    }
}

#[test]
fn w31_a_resume_works_when_nothing_was_ever_sent_and_twice_in_a_row() {
    let mut quiet = sent(0, 0);
    assert_eq!(quiet.resume(Seq(0)), Resume::Replay { messages: 0 });
    assert_eq!(quiet.resume(Seq(1)), Resume::Restart(Refusal::Ahead));
    let mut outgoing = sent(4, 0);
    for _ in 0..2 {
        assert_eq!(outgoing.resume(Seq(2)), Resume::Replay { messages: 2 });
        assert_eq!(held(&outgoing), [3, 4]);
    }
}

#[test]
fn w31_another_epoch_is_never_trusted_whatever_its_numbers_say() {
    let mut stream = Stream::<u64>::new(&small(), Epoch(7)).unwrap();
    assert_eq!(stream.push(1, 1), Push::Held(Seq(1)));
    for epoch in [6, 8] {
        for seq in [0, 1, 2] {
            let peer = Position { epoch: Epoch(epoch), seq: Seq(seq) };
            assert_eq!(stream.resume(peer), Resume::Restart(Refusal::OtherEpoch));
        }
    }
    let peer = Position { epoch: Epoch(7), seq: Seq(0) };
    assert_eq!(stream.resume(peer), Resume::Replay { messages: 1 });
}

#[test]
fn w31_a_reset_reports_what_is_unknown_and_both_halves_start_from_one() {
    let mut stream = Stream::<&str>::new(&small(), Epoch(1)).unwrap();
    for (message, seq) in [("a", 1), ("b", 2), ("c", 3)] {
        assert_eq!(stream.push(message, 3), Push::Held(Seq(seq)));
        assert_eq!(stream.received(at(0), Seq(seq)), Received::Deliver);
    }
    assert_eq!(stream.acknowledge(Seq(1)), Ok(1));
    stream.processed(at(0), stream.at(Seq(2)), 1);
    let before = stream.at(Seq(3));

    assert_eq!(stream.reset(Epoch(2)), [(Seq(2), "b"), (Seq(3), "c")]);
    assert_eq!((stream.position(), stream.deadline()), (stream.at(Seq(0)), None));
    assert_eq!(stream.reset(Epoch(2)), [], "nothing is reported twice");
    assert_eq!(stream.push("d", 10), Push::Held(Seq(1)), "all of the window is free");
    assert_eq!(stream.received(at(1), Seq(1)), Received::Deliver);
    stream.processed(at(1), before, 1);
    assert_eq!(stream.position().seq, Seq(0), "a message from before the reset is not one after");
    stream.processed(at(1), stream.at(Seq(1)), 1);
    assert_eq!(stream.position().seq, Seq(1));
}

#[test]
fn w28_only_the_next_message_is_delivered() {
    let gap = Received::Gap { expected: Seq(4) };
    for (seq, answer) in [
        (0, gap),
        (1, Received::Duplicate),
        (3, Received::Duplicate),
        (4, Received::Deliver),
        (5, gap),
        (u64::MAX, gap),
    ] {
        assert_eq!(received(3, 2).received(at(0), Seq(seq)), answer, "message {seq}");
    }
    let mut last = Incoming::after(&small(), Seq(u64::MAX)).unwrap();
    assert_eq!(last.received(at(0), Seq(u64::MAX)), Received::Duplicate);
}

#[test]
fn w28_an_ack_covers_what_was_processed_and_no_more() {
    let mut incoming = received(4, 0);
    assert_eq!((incoming.deadline(), incoming.flush_ack()), (None, None));
    incoming.processed(at(5), Seq(1), 1);
    assert_eq!(incoming.flush_ack(), Some(Seq(1)));
    assert_eq!(incoming.flush_ack(), None, "once");
    incoming.processed(at(5), Seq(9), 1);
    assert_eq!(incoming.flush_ack(), Some(Seq(4)), "what never arrived was not processed");
    incoming.processed(at(5), Seq(2), 1);
    assert_eq!(incoming.flush_ack(), None, "and it does not go back");
    assert_eq!((incoming.last_processed(), incoming.last_received()), (Seq(4), Seq(4)));
}

#[test]
fn an_ack_is_due_after_messages_bytes_or_time_whichever_is_first() {
    let mut incoming = received(4, 0);
    incoming.processed(at(10), Seq(1), 1);
    assert_eq!(incoming.deadline(), Some(at(1_010)));
    assert_eq!(incoming.take_ack(at(1_009)), None);
    assert_eq!(incoming.take_ack(at(1_010)), Some(Seq(1)), "time");
    incoming.processed(at(2_000), Seq(2), 1);
    incoming.processed(at(2_500), Seq(3), 1);
    assert_eq!(incoming.deadline(), Some(at(2_000)));
    assert_eq!(incoming.take_ack(at(0)), Some(Seq(3)), "messages, whatever the clock does");
    incoming.processed(at(3_000), Seq(4), 6);
    assert_eq!(incoming.take_ack(at(3_000)), Some(Seq(4)), "bytes");
    assert_eq!(incoming.deadline(), None);
    assert_eq!(incoming.received(at(4_000), Seq(5)), Received::Deliver);
    incoming.processed(at(4_000), Seq(5), 1);
    assert_eq!(incoming.deadline(), Some(at(5_000)), "bytes are counted anew after each ack");
}

#[test]
fn w31_a_duplicate_of_what_was_processed_is_acknowledged_again() {
    let mut incoming = received(3, 2);
    assert_eq!(incoming.flush_ack(), Some(Seq(2)));
    assert_eq!(incoming.received(at(7), Seq(3)), Received::Duplicate);
    assert_eq!(incoming.deadline(), None, "it is not processed yet");
    assert_eq!(incoming.received(at(7), Seq(1)), Received::Duplicate);
    assert_eq!(incoming.received(at(9), Seq(2)), Received::Duplicate);
    assert_eq!(incoming.deadline(), Some(at(1_007)));
    assert_eq!(incoming.take_ack(at(1_007)), Some(Seq(2)));
}

#[test]
fn w28_a_crash_between_the_socket_and_the_application_loses_nothing() {
    let mut peer = sent(4, 0);
    let crashed = received(4, 2);
    let again = Incoming::after(&small(), crashed.last_processed()).unwrap();
    assert_eq!(peer.resume(again.last_processed()), Resume::Replay { messages: 2 });
    let mut incoming = again;
    for seq in held(&peer) {
        assert_eq!(incoming.received(at(0), Seq(seq)), Received::Deliver, "{seq}");
    }
    assert_eq!(incoming.last_received(), Seq(4));
}

#[test]
fn a_senseless_configuration_names_the_field() {
    let good = StreamConfig::default();
    for (config, field) in [
        (StreamConfig { messages: 0, ..good }, "messages"),
        (StreamConfig { messages: (1 << 16) + 1, ..good }, "messages"),
        (StreamConfig { bytes: 0, ..good }, "bytes"),
        (StreamConfig { bytes: u32::MAX, ..good }, "bytes"),
        (StreamConfig { ack_messages: 0, ..good }, "ack_messages"),
        (StreamConfig { ack_messages: 257, ..good }, "ack_messages"),
        (StreamConfig { ack_bytes: 0, ..good }, "ack_bytes"),
        (StreamConfig { ack_bytes: 65_537, ..good }, "ack_bytes"),
        (StreamConfig { ack_after: Duration::MAX, ..good }, "ack_after"),
    ] {
        assert_eq!(Stream::<u8>::new(&config, Epoch(0)).unwrap_err().field, field);
        assert_eq!(Incoming::new(&config).unwrap_err().field, field);
    }
    let least = StreamConfig {
        messages: 1,
        bytes: 1,
        ack_messages: 1,
        ack_bytes: 1,
        ack_after: Duration::ZERO,
    };
    assert!(Stream::<u8>::new(&least, Epoch(0)).is_ok());
}

#[test]
fn an_empty_stream_is_small_and_an_emptied_one_gives_its_memory_back() {
    assert!(size_of::<Stream<Vec<u8>>>() <= 256, "{}", size_of::<Stream<Vec<u8>>>());
    let config = StreamConfig::default();
    let mut outgoing = Outgoing::new(&config).unwrap();
    assert_eq!(outgoing.places(), 0);
    for number in 0..256_u64 {
        assert_eq!(outgoing.push(number, 1), Push::Held(Seq(number + 1)));
    }
    assert!(outgoing.places() >= 256);
    assert_eq!(outgoing.acknowledge(Seq(256)), Ok(256));
    assert!(outgoing.places() <= 8, "{}", outgoing.places());
}
