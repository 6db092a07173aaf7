//! Two ends that speak frames, over a connection that is cut at every byte.

use mainstay_core::session::stream::{
    Epoch, Position, Push, Received, Resume, Seq, Stream, StreamConfig,
};
use mainstay_core::time::Instant;
use mainstay_wire::{Ack, Decoded, FRAME_MAX, Frame, Message, Raw, decode, encode};

const NOW: Instant = Instant::from_nanos(0);
const SENT: [&str; 4] = [r#"{"id":1}"#, "2", r#""three""#, "[4]"];

/// One end, and what its application has taken.
struct End {
    stream: Stream<Raw>,
    taken: Vec<String>,
}

impl End {
    fn new() -> Self {
        let config = StreamConfig { ack_messages: 1, ..StreamConfig::default() };
        Self { stream: Stream::new(&config, Epoch(1)).unwrap(), taken: Vec::new() }
    }

    /// Everything unacknowledged, as lines.
    fn lines(&self) -> String {
        let mut out = String::new();
        for (seq, payload) in self.stream.unacknowledged() {
            let message = Message { seq: Some(seq), payload: payload.clone() };
            encode(&Frame::Message(message), &mut out);
            out.push('\n');
        }
        out
    }

    /// Reads what arrived; the end of a line that was cut off is lost. Answers with its own lines.
    fn read(&mut self, arrived: &str) -> String {
        let mut answer = String::new();
        for line in arrived.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            match decode(line, FRAME_MAX) {
                Ok(Decoded::Known(Frame::Message(message))) => self.take(message),
                Ok(Decoded::Known(Frame::Ack(ack))) => {
                    self.stream.acknowledge(ack.seq).expect("it was sent");
                }
                other => panic!("{line} is {other:?}"),
            }
            if let Some(seq) = self.stream.take_ack(NOW) {
                encode(&Frame::Ack(Ack { seq }), &mut answer);
                answer.push('\n');
            }
        }
        answer
    }

    fn take(&mut self, Message { seq, payload }: Message) {
        let seq = seq.expect("it is tracked");
        match self.stream.received(NOW, seq) {
            Received::Deliver => {
                self.taken.push(payload.as_str().into());
                let at = self.stream.at(seq);
                self.stream.processed(NOW, at, 1);
            }
            Received::Duplicate => {}
            Received::Gap { expected } => panic!("{seq:?} came instead of {expected:?}"),
        }
    }
}

/// One connection, on which the messages are cut at `there` bytes and the acks at `back`.
fn connect(client: &mut End, server: &mut End, there: usize, back: usize) {
    let position = server.stream.position();
    assert_eq!(position.epoch, Epoch(1));
    let Resume::Replay { .. } = client.stream.resume(position) else {
        panic!("nothing was forgotten");
    };
    let lines = client.lines();
    let acks = server.read(&lines[..there.min(lines.len())]);
    client.read(&acks[..back.min(acks.len())]);
}

#[test]
fn w28_a_connection_cut_at_any_byte_delivers_each_message_once_and_in_order() {
    let whole = {
        let mut client = End::new();
        push_all(&mut client);
        client.lines().len()
    };
    for first in 0..=whole {
        for second in 0..=whole {
            let (mut client, mut server) = (End::new(), End::new());
            push_all(&mut client);
            connect(&mut client, &mut server, first, second);
            connect(&mut client, &mut server, second, first);
            connect(&mut client, &mut server, usize::MAX, usize::MAX);
            assert_eq!(server.taken, SENT, "cut at {first} and {second}");
            assert!(client.stream.outgoing().is_empty(), "cut at {first} and {second}");
        }
    }
}

#[test]
fn w29_what_was_on_its_way_when_a_resume_is_refused_is_unknown_and_never_sent_again() {
    let (mut client, mut server) = (End::new(), End::new());
    push_all(&mut client);
    // All of it arrives, and no ack comes back.
    connect(&mut client, &mut server, usize::MAX, 0);
    let other = Position { epoch: Epoch(2), seq: Seq(0) };
    assert!(matches!(client.stream.resume(other), Resume::Restart(_)));
    let unknown = client.stream.reset(Epoch(2));
    let unknown: Vec<&str> = unknown.iter().map(|(_, payload)| payload.as_str()).collect();
    assert_eq!(unknown, SENT);
    assert_eq!(client.lines(), "");
}

fn push_all(client: &mut End) {
    for text in SENT {
        let bytes = u32::try_from(text.len()).unwrap();
        let pushed = client.stream.push(Raw::new(text).unwrap(), bytes);
        assert!(matches!(pushed, Push::Held(_)), "{pushed:?}");
    }
}
