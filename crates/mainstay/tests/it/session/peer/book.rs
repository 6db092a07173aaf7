//! What the server knows, and what it answers.

use std::collections::{BTreeMap, VecDeque};

use mainstay::clock;
use mainstay::core::session::stream::{Epoch, Position, Push, Received, Resume, Seq, Stream};
use mainstay_wire::{Ack, Beats, Frame, Hello, Message as Wire, Raw, Schedule, Secret, Welcome};

use super::{Mood, Order, line};

#[derive(Debug)]
pub(super) struct Book {
    pub(super) mood: Mood,
    pub(super) sessions: BTreeMap<String, Session>,
    pub(super) made: u64,
    pub(super) hellos: Vec<Hello>,
    /// What was processed, over all sessions, in the order of processing.
    pub(super) processed: Vec<String>,
    pub(super) pongs: Vec<(u32, u64)>,
    pub(super) byes: Vec<u16>,
    /// To be said by all connections.
    pub(super) order: Option<Order>,
    pub(super) orders: u64,
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) generation: u64,
    pub(super) stream: Stream<String>,
    /// What the application has to say and the window has no room for.
    pub(super) waiting: VecDeque<Raw>,
    /// The next number for the connection in use.
    pub(super) cursor: u64,
}

impl Book {
    pub(super) fn new(mood: Mood) -> Self {
        Self {
            mood,
            sessions: BTreeMap::new(),
            made: 0,
            hellos: Vec::new(),
            processed: Vec::new(),
            pongs: Vec::new(),
            byes: Vec::new(),
            order: None,
            orders: 0,
        }
    }

    /// The answer to a `hello`: the session and its welcome, or a code.
    pub(super) fn welcome(&mut self, hello: Hello) -> Result<(String, Welcome), u16> {
        self.hellos.push(hello.clone());
        if let Some((code, times)) = &mut self.mood.turns_away
            && *times > 0
        {
            *times -= 1;
            return Err(*code);
        }
        let (id, resumed, replay) = match hello.resume.and_then(|resume| self.find(&resume)) {
            Some((id, position)) => {
                let replay = !self.mood.no_replay && self.resume(&id, position);
                (id, true, replay)
            }
            None => (self.make(), false, false),
        };
        let session = self.sessions.get_mut(&id).unwrap();
        if resumed && !replay {
            let epoch = Epoch(session.stream.epoch().0 + 1);
            drop(session.stream.reset(epoch));
        }
        session.generation += 1;
        session.cursor = session.stream.outgoing().last_acknowledged().0 + 1;
        let token = format!("{id}.{}.{}", session.stream.epoch().0, session.generation);
        let received = Seq(session.stream.position().seq.0 + self.mood.boasts);
        let welcome = Welcome {
            session: id.clone(),
            generation: session.generation,
            resumed,
            replay,
            token: Secret::new(token),
            grace_ms: 120_000,
            beats: Beats { interval_ms: 25_000, timeout_ms: 10_000 },
            received,
            time_ms: 0,
            limits: self.mood.limits,
            retry: Schedule { base_ms: 1, max_ms: 10, jitter_ms: 1 },
        };
        Ok((id, welcome))
    }

    /// The session that a token names, and the position it stands for.
    fn find(&self, resume: &mainstay_wire::Resume) -> Option<(String, Position)> {
        let mut parts = resume.token.expose().split('.');
        let id = parts.next()?.to_owned();
        let epoch = Epoch(parts.next()?.parse().ok()?);
        self.sessions.contains_key(&id).then_some((id, Position { epoch, seq: resume.received }))
    }

    fn resume(&mut self, id: &str, position: Position) -> bool {
        let session = self.sessions.get_mut(id).unwrap();
        matches!(session.stream.resume(position), Resume::Replay { .. })
    }

    fn make(&mut self) -> String {
        self.made += 1;
        let id = format!("s{}", self.made);
        let stream = Stream::new(&self.mood.stream, Epoch(self.made * 1_000)).unwrap();
        let waiting = (0..self.mood.says).map(|n| Raw::new(&n.to_string()).unwrap()).collect();
        let session = Session { generation: 0, stream, waiting, cursor: 1 };
        self.sessions.insert(id.clone(), session);
        id
    }

    /// What to write next; none when the connection has been overtaken.
    pub(super) fn next(&mut self, id: &str, generation: u64) -> Option<Vec<String>> {
        let session = self.sessions.get_mut(id)?;
        if session.generation != generation {
            return None;
        }
        session.fill();
        let mut out = Vec::new();
        while let Some(frame) = session.stream.outgoing().message(Seq(session.cursor)) {
            let left_out = matches!(&self.mood.leaves_out, Some((n, times))
                if *n == session.cursor && *times > 0);
            if let (true, Some((_, times))) = (left_out, &mut self.mood.leaves_out) {
                *times -= 1;
            } else {
                out.push(frame.clone());
            }
            session.cursor += 1;
        }
        if !self.mood.silent
            && let Some(seq) = session.stream.take_ack(clock::now())
        {
            out.push(line(&Frame::Ack(Ack { seq })));
        }
        Some(out)
    }

    /// A frame came; the code to close with, if it is to be closed.
    pub(super) fn came(&mut self, id: &str, generation: u64, frame: Frame) -> Result<(), u16> {
        let Some(session) = self.sessions.get_mut(id) else { return Err(4_106) };
        if session.generation != generation {
            return Err(4_203);
        }
        match frame {
            Frame::Message(Wire { seq: Some(seq), payload }) => {
                if let Some((text, code)) = self.mood.chokes_on
                    && payload.as_str().contains(text)
                {
                    return Err(code);
                }
                match session.stream.received(clock::now(), seq) {
                    Received::Deliver => {
                        self.processed.push(payload.as_str().to_owned());
                        let at = session.stream.at(seq);
                        session.stream.processed(clock::now(), at, 1);
                    }
                    Received::Duplicate => {}
                    Received::Gap { expected } => panic!("a gap: {seq:?}, expected {expected:?}"),
                }
            }
            Frame::Message(Wire { seq: None, payload }) => {
                self.processed.push(payload.as_str().to_owned());
            }
            Frame::Ack(Ack { seq }) => {
                session.stream.acknowledge(seq).unwrap();
            }
            Frame::Pong(pong) => self.pongs.push((pong.number, pong.sent_us)),
            Frame::Bye(bye) => self.byes.push(bye.code),
            Frame::Ping(_) => {}
            other @ (Frame::Hello(_)
            | Frame::Welcome(_)
            | Frame::Beat(_)
            | Frame::Describe(_)
            | Frame::Suspend(_)
            | Frame::Auth(_)
            | Frame::Fault(_)) => panic!("{other:?}"),
        }
        Ok(())
    }
}

impl Session {
    /// Moves what waits into the window, as far as there is room.
    fn fill(&mut self) {
        while let Some(payload) = self.waiting.pop_front() {
            let seq = Seq(self.stream.outgoing().last_sent().0 + 1);
            let frame = line(&Frame::Message(Wire { seq: Some(seq), payload: payload.clone() }));
            let bytes = u32::try_from(frame.len()).unwrap();
            if let Push::Full(_) | Push::TooLarge(_) = self.stream.push(frame, bytes) {
                self.waiting.push_front(payload);
                return;
            }
        }
    }
}
