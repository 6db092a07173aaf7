//! Two ends over a connection that breaks at any point, against a model that keeps everything.

use super::{Epoch, Position, Push, Received, Resume, Seq, Stream, StreamConfig, at};
use proptest::prelude::{Just, Strategy, TestCaseError, any, prop_assert, prop_assert_eq};
use proptest::prelude::{prop_oneof, proptest};
use std::collections::VecDeque;
use std::vec::Vec;

/// What may happen. `bool` is the end it happens to.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The application sends a message of so many bytes.
    Send(bool, u32),
    /// So many frames reach an end.
    Arrive(bool, usize),
    /// The application takes so many messages that were delivered.
    Take(bool, usize),
    /// Time passes; acks that are due are sent.
    Pass(u64),
    /// The connection breaks and comes back.
    Reconnect,
    /// It breaks, and once more after only this end has heard of the resume.
    HalfReconnect(bool),
    /// This end forgets the stream.
    Forget(bool),
    /// This end starts anew and sends; the connection breaks before the other one hears of it.
    HalfRestart(bool),
}

#[derive(Clone, Copy, Debug)]
enum Frame {
    Message { seq: Seq, id: u64, bytes: u32 },
    Ack(Seq),
}

/// One end, its application, and what the model knows of it.
struct End {
    stream: Stream<(u64, u32)>,
    /// On the way to this end.
    wire: VecDeque<Frame>,
    /// Delivered, not yet taken by the application.
    queue: VecDeque<(Position, u64, u32)>,
    /// Ids sent in this epoch, in order.
    sent: Vec<u64>,
    /// Ids delivered in this epoch, in order.
    delivered: Vec<u64>,
    /// How many of them the application has taken.
    taken: usize,
    /// How many of those sent an ack or a position has covered.
    confirmed: usize,
}

struct World {
    config: StreamConfig,
    ends: [End; 2],
    now: u64,
    ids: u64,
    epoch: u64,
}

impl End {
    fn new(config: &StreamConfig, epoch: u64) -> Self {
        Self {
            stream: Stream::new(config, Epoch(epoch)).unwrap(),
            wire: VecDeque::new(),
            queue: VecDeque::new(),
            sent: Vec::new(),
            delivered: Vec::new(),
            taken: 0,
            confirmed: 0,
        }
    }

    fn start_anew(&mut self) {
        self.sent.clear();
        self.delivered.clear();
        (self.taken, self.confirmed) = (0, 0);
    }
}

impl World {
    fn new(config: StreamConfig) -> Self {
        let ends = [End::new(&config, 0), End::new(&config, 0)];
        Self { config, ends, now: 0, ids: 0, epoch: 0 }
    }

    fn happen(&mut self, event: Event) -> Result<(), TestCaseError> {
        match event {
            Event::Send(end, bytes) => self.send(usize::from(end), bytes),
            Event::Arrive(end, frames) => self.arrive(usize::from(end), frames),
            Event::Take(end, messages) => {
                self.take(usize::from(end), messages);
                Ok(())
            }
            Event::Pass(ms) => {
                self.pass(ms);
                Ok(())
            }
            Event::Reconnect => self.reconnect(),
            Event::HalfReconnect(end) => {
                self.half_reconnect(usize::from(end))?;
                self.reconnect()
            }
            Event::Forget(end) => self.forget(usize::from(end)),
            Event::HalfRestart(end) => self.half_restart(usize::from(end)),
        }
    }

    fn send(&mut self, end: usize, bytes: u32) -> Result<(), TestCaseError> {
        let id = self.ids;
        let [this, peer] = self.pair(end);
        let unconfirmed = this.sent.len() - this.confirmed;
        match this.stream.push((id, bytes), bytes) {
            Push::Held(seq) => {
                this.sent.push(id);
                prop_assert_eq!(seq, Seq(this.sent.len() as u64));
                peer.wire.push_back(Frame::Message { seq, id, bytes });
                self.ids += 1;
            }
            Push::Full(_) => prop_assert!(unconfirmed > 0, "an empty window has room"),
            Push::TooLarge(_) => prop_assert!(bytes > self.config.bytes),
        }
        let outgoing = self.ends[end].stream.outgoing();
        prop_assert!(outgoing.len() <= self.config.messages as usize, "messages are bounded");
        prop_assert!(outgoing.bytes() <= u64::from(self.config.bytes), "bytes are bounded");
        Ok(())
    }

    fn arrive(&mut self, end: usize, frames: usize) -> Result<(), TestCaseError> {
        let now = at(self.now);
        let [this, peer] = self.pair(end);
        for _ in 0..frames.min(this.wire.len()) {
            match this.wire.pop_front().unwrap() {
                Frame::Message { seq, id, bytes } => match this.stream.received(now, seq) {
                    Received::Deliver => {
                        this.delivered.push(id);
                        prop_assert!(peer.sent.starts_with(&this.delivered), "once, in order");
                        this.queue.push_back((this.stream.at(seq), id, bytes));
                    }
                    Received::Duplicate => prop_assert!(this.delivered.contains(&id)),
                    Received::Gap { expected } => {
                        prop_assert!(false, "{seq:?} arrived instead of {expected:?}");
                    }
                },
                Frame::Ack(seq) => {
                    let freed = this.stream.acknowledge(seq);
                    let Ok(freed) = freed else {
                        return Err(TestCaseError::fail(std::format!("{freed:?}")));
                    };
                    this.confirmed += freed;
                    prop_assert!(this.confirmed <= peer.taken, "acks cover what was taken");
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, end: usize, messages: usize) {
        let now = at(self.now);
        let this = &mut self.ends[end];
        for _ in 0..messages.min(this.queue.len()) {
            let (place, _, bytes) = this.queue.pop_front().unwrap();
            if place.epoch == this.stream.epoch() {
                this.taken += 1;
            }
            this.stream.processed(now, place, bytes);
        }
    }

    fn pass(&mut self, ms: u64) {
        self.now += ms;
        let now = at(self.now);
        for end in 0..2 {
            let [this, peer] = self.pair(end);
            if let Some(seq) = this.stream.take_ack(now) {
                peer.wire.push_back(Frame::Ack(seq));
            }
        }
    }

    /// The connection breaks; `end` hears the peer's position, the peer hears nothing.
    fn half_reconnect(&mut self, end: usize) -> Result<(), TestCaseError> {
        self.cut();
        let [this, peer] = self.pair(end);
        let before = this.stream.outgoing().last_acknowledged().0;
        if let Resume::Replay { messages } = this.stream.resume(peer.stream.position()) {
            prop_assert_eq!(messages, this.sent.len() - peer.taken, "the whole gap");
            this.confirmed +=
                usize::try_from(this.stream.outgoing().last_acknowledged().0 - before).unwrap();
            for (seq, (id, bytes)) in this.stream.unacknowledged() {
                peer.wire.push_back(Frame::Message { seq, id: *id, bytes: *bytes });
            }
        }
        Ok(())
    }

    fn reconnect(&mut self) -> Result<(), TestCaseError> {
        self.cut();
        let positions = [self.ends[1].stream.position(), self.ends[0].stream.position()];
        for (end, peer) in self.ends.iter_mut().zip(positions) {
            if let Resume::Restart(_) = end.stream.clone().resume(peer) {
                return self.restart();
            }
        }
        let mut replayed = [Vec::new(), Vec::new()];
        for (index, end) in self.ends.iter_mut().enumerate() {
            let before = end.stream.outgoing().last_acknowledged().0;
            let resumed = end.stream.resume(positions[index]);
            prop_assert!(matches!(resumed, Resume::Replay { .. }), "{:?}", resumed);
            let after = end.stream.outgoing().last_acknowledged().0;
            end.confirmed += usize::try_from(after - before).unwrap();
            let held = end.stream.unacknowledged();
            replayed[index].extend(held.map(|(seq, (id, bytes))| Frame::Message {
                seq,
                id: *id,
                bytes: *bytes,
            }));
        }
        let [first, second] = replayed;
        self.ends[1].wire.extend(first);
        self.ends[0].wire.extend(second);
        Ok(())
    }

    /// The resume is refused: all that was not acknowledged is reported, and nothing else.
    fn restart(&mut self) -> Result<(), TestCaseError> {
        self.epoch += 1;
        for end in &mut self.ends {
            let reported: Vec<u64> =
                end.stream.reset(Epoch(self.epoch)).into_iter().map(|(_, (id, _))| id).collect();
            prop_assert_eq!(&end.sent[end.confirmed..], reported.as_slice());
            end.start_anew();
        }
        Ok(())
    }

    fn half_restart(&mut self, end: usize) -> Result<(), TestCaseError> {
        self.epoch += 1;
        let alone = Epoch(self.epoch);
        let this = &mut self.ends[end];
        let reported = this.stream.reset(alone).len();
        prop_assert_eq!(reported, this.sent.len() - this.confirmed);
        this.start_anew();
        self.send(end, 1)?;
        self.reconnect()?;
        prop_assert!(self.ends.iter().all(|end| end.stream.epoch() > alone), "both start anew");
        Ok(())
    }

    fn forget(&mut self, end: usize) -> Result<(), TestCaseError> {
        self.epoch += 1;
        self.cut();
        self.ends[end] = End::new(&self.config, self.epoch);
        self.reconnect()?;
        prop_assert!(self.ends.iter().all(|end| end.stream.epoch() == Epoch(self.epoch)));
        Ok(())
    }

    /// Everything on its way is lost.
    fn cut(&mut self) {
        for end in &mut self.ends {
            end.wire.clear();
        }
    }

    /// Lets everything arrive and be taken; then nothing is left to be acknowledged.
    fn settle(&mut self) -> Result<(), TestCaseError> {
        for _ in 0..3 {
            for end in 0..2 {
                self.arrive(end, usize::MAX)?;
                self.take(end, usize::MAX);
            }
            self.pass(2_000);
        }
        for end in 0..2 {
            self.arrive(end, usize::MAX)?;
            let [this, peer] = self.pair(end);
            prop_assert_eq!(&this.sent, &peer.delivered, "each exactly once, in order");
            prop_assert!(this.stream.outgoing().is_empty(), "all is acknowledged");
            prop_assert_eq!(this.stream.outgoing().bytes(), 0);
            prop_assert_eq!(this.confirmed, this.sent.len());
        }
        Ok(())
    }

    /// The end with this index, and the other.
    fn pair(&mut self, end: usize) -> [&mut End; 2] {
        let [first, second] = &mut self.ends;
        if end == 0 { [first, second] } else { [second, first] }
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (any::<bool>(), 0..14_u32).prop_map(|(end, bytes)| Event::Send(end, bytes)),
        8 => (any::<bool>(), 1..6_usize).prop_map(|(end, frames)| Event::Arrive(end, frames)),
        6 => (any::<bool>(), 1..4_usize).prop_map(|(end, messages)| Event::Take(end, messages)),
        3 => (0..1_500_u64).prop_map(Event::Pass),
        2 => Just(Event::Reconnect),
        1 => any::<bool>().prop_map(Event::HalfReconnect),
        1 => any::<bool>().prop_map(Event::Forget),
        1 => any::<bool>().prop_map(Event::HalfRestart),
    ]
}

proptest! {
    #[test]
    fn w28_w31_no_loss_of_the_connection_loses_repeats_or_reorders_a_message(
        script in proptest::collection::vec(event(), 1..120),
        messages in 1..6_u32,
        ack_messages in 1..4_u32,
    ) {
        let ack_messages = ack_messages.min(messages);
        let config = StreamConfig { messages, bytes: 12, ack_messages, ack_bytes: 6, ..StreamConfig::default() };
        let mut world = World::new(config);
        for event in script {
            world.happen(event)?;
        }
        world.settle()?;
    }
}
