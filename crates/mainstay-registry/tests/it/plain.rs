//! A registry as one would write it without a thought for speed: a map of plain structs, and every
//! sweep asks every session everything.

use std::collections::HashMap;
use std::time::Duration;

use mainstay_core::detect::{Detector, DetectorConfig, MassSuspicion, OwnPause};
use mainstay_core::session::heartbeat::{Beat, Heartbeat, HeartbeatConfig, Rhythm};
use mainstay_core::session::quality::{Grade, Grader, Quality, QualityConfig, Reconnects, Sample};
use mainstay_core::session::status::{EndReason, LossReason, Status};
use mainstay_core::time::Instant;
use mainstay_registry::{Beats, Counts, EventKind, Record, SessionId};

use crate::world::SECOND;

pub(crate) const TICK: u64 = 1 << 24;
pub(crate) const MAX_ATTEMPTS: u16 = 3;
pub(crate) const WINDOW: Duration = Duration::from_secs(7);

pub(crate) struct Plain {
    pub(crate) sessions: HashMap<SessionId, Session>,
    grader: Grader,
    pub(crate) heartbeat: Heartbeat,
    detector: Detector,
    pause: OwnPause,
    mass: MassSuspicion,
}

#[derive(Clone)]
pub(crate) struct Session {
    /// None until the store has it.
    pub(crate) status: Option<Status>,
    doomed: Option<EndReason>,
    pub(crate) ended: Option<EndReason>,
    pub(crate) generation: u64,
    pub(crate) events: Vec<EventKind>,
    pub(crate) beats: Beats,
    unheard: u64,
    pub(crate) heard: bool,
    seen: Instant,
    connected_at: Instant,
    pub(crate) attempts: u32,
    pub(crate) disconnections: u32,
    pub(crate) missed: u32,
    suspected: bool,
    asked: bool,
    asks: Instant,
    told: Duration,
    rhythm: Rhythm,
    pub(crate) grade: Grade,
    losses: u32,
    count: u8,
    pub(crate) rtt: Option<u32>,
    jitter: u32,
    min: u32,
    variation: u32,
    last: Option<u32>,
    reconnects: Reconnects,
    loss: LossReason,
    /// In ticks.
    until: u64,
    window: bool,
    forget_at: Instant,
}

const fn ticks(at: Instant) -> u64 {
    at.as_nanos().div_ceil(TICK)
}

impl Plain {
    pub(crate) fn new(quality: &QualityConfig, heartbeat: &HeartbeatConfig) -> Self {
        let detector = Detector::new(&DetectorConfig::default()).unwrap();
        Self {
            sessions: HashMap::new(),
            grader: Grader::new(quality).unwrap(),
            heartbeat: Heartbeat::new(heartbeat).unwrap(),
            detector,
            pause: OwnPause::new(&detector),
            mass: MassSuspicion::new(&detector),
        }
    }

    pub(crate) fn register(&mut self, now: Instant, bits: u64, id: SessionId, beats: Beats) {
        let rhythm = self.heartbeat.start();
        let mut session = Session {
            status: None,
            doomed: None,
            ended: None,
            generation: 1,
            events: vec![EventKind::Registered],
            beats,
            unheard: 0,
            heard: false,
            seen: now,
            connected_at: now,
            attempts: 0,
            disconnections: 0,
            missed: 0,
            suspected: false,
            asked: false,
            asks: now,
            told: rhythm.interval(),
            rhythm,
            grade: Grade::default(),
            losses: 0,
            count: 0,
            rtt: None,
            jitter: 0,
            min: 0,
            variation: 0,
            last: None,
            reconnects: Reconnects::default(),
            loss: LossReason::Lost,
            until: 0,
            window: false,
            forget_at: Instant::MAX,
        };
        self.plan(now, bits, &mut session);
        self.sessions.insert(id, session);
    }

    fn plan(&self, now: Instant, bits: u64, session: &mut Session) {
        let wait = match session.beats {
            Beats::Server => self.heartbeat.first(session.told, bits),
            Beats::Client => self.detector.suspect_after(session.told, None, 0),
        };
        session.asks = now.after(wait);
    }

    /// Runs `change` on the session when it is there.
    fn on<T>(&mut self, id: SessionId, change: impl FnOnce(&Self, &mut Session) -> T) -> Option<T> {
        let mut session = self.sessions.get(&id)?.clone();
        let answer = change(self, &mut session);
        self.sessions.insert(id, session);
        Some(answer)
    }

    pub(crate) fn committed(&mut self, now: Instant, id: SessionId) {
        self.on(id, |_, s| {
            if s.status.is_none() {
                (s.status, s.seen) = (Some(Status::Connected), now);
                if let Some(reason) = s.doomed {
                    s.end(now, reason);
                }
            }
        });
    }

    pub(crate) fn rolled_back(&mut self, id: SessionId) {
        if self.sessions.get(&id).is_some_and(|s| s.status.is_none()) {
            self.sessions.remove(&id);
        }
    }

    pub(crate) fn resume(&mut self, now: Instant, bits: u64, id: SessionId, shown: u64) -> bool {
        self.on(id, |plain, s| {
            let takeover = s.status == Some(Status::Connected);
            let lost = !s.heard && s.generation.saturating_sub(shown) <= s.unheard;
            let fits = shown >= s.generation || lost;
            if s.status.is_none() || s.ended.is_some() || !fits {
                return false;
            }
            s.disconnections += u32::from(takeover);
            s.generation = s.generation.max(shown) + 1;
            s.unheard = (s.generation - shown).min(255);
            plain.connect(now, bits, s, Beats::Server);
            let resumed = EventKind::Resumed { replay: true };
            s.events.push(if takeover { EventKind::TakenOver } else { resumed });
            true
        })
        .unwrap_or(false)
    }

    fn connect(&self, now: Instant, bits: u64, s: &mut Session, beats: Beats) {
        (s.beats, s.status, s.seen, s.connected_at) = (beats, Some(Status::Connected), now, now);
        (s.missed, s.suspected, s.asked, s.heard, s.last) = (0, false, false, false, None);
        s.window = false;
        s.reconnects.record(now);
        s.told = s.rhythm.interval();
        self.plan(now, bits, s);
    }

    pub(crate) fn heard(&mut self, now: Instant, id: SessionId, generation: u64) -> bool {
        self.on(id, |_, s| s.generation == generation && s.hear(now)).unwrap_or(false)
    }

    pub(crate) fn answered(
        &mut self,
        now: Instant,
        id: SessionId,
        generation: u64,
        rtt: u32,
    ) -> bool {
        self.on(id, |plain, s| {
            if s.generation != generation || !s.hear(now) {
                return false;
            }
            s.asked = false;
            plain.outcome(now, s, Beat::Came, Some(rtt));
            s.announce(now);
            true
        })
        .unwrap_or(false)
    }

    pub(crate) fn heartbeat(
        &mut self,
        now: Instant,
        id: SessionId,
        rtt: Option<u32>,
    ) -> Option<Quality> {
        self.on(id, |plain, s| {
            if s.status? != Status::Connected {
                let comes = s.ended.is_none() && s.beats == Beats::Client;
                if !comes || s.loss == LossReason::Operator {
                    return None;
                }
                plain.connect(now, 0, s, Beats::Client);
                s.events.push(EventKind::Resumed { replay: false });
            }
            s.hear(now);
            s.asked = false;
            plain.outcome(now, s, Beat::Came, rtt);
            if s.beats == Beats::Client {
                s.told = s.rhythm.interval();
                s.asks = now.after(plain.detector.suspect_after(s.told, s.usual(), 0));
            } else {
                s.announce(now);
            }
            Some(s.grade.quality())
        })
        .flatten()
    }

    fn outcome(&self, now: Instant, s: &mut Session, beat: Beat, rtt: Option<u32>) {
        let missed = beat == Beat::Missed;
        s.missed += u32::from(missed);
        s.losses = s.losses << 1 | u32::from(missed);
        s.count = (s.count + 1).min(32);
        if let Some(rtt) = rtt {
            s.measure(rtt);
        }
        let sample = Sample {
            rtt_us: s.rtt,
            jitter_us: s.jitter,
            min_us: s.min,
            losses: s.losses,
            beats: s.count,
            missed: u8::try_from(s.missed).unwrap(),
            reconnects: s.reconnects.count(now),
        };
        let from = s.grade.quality();
        s.grade = s.grade.update(&self.grader, &sample);
        s.rhythm = self.heartbeat.next(s.rhythm, beat, s.grade.quality());
        s.graded(from);
    }

    pub(crate) fn lost(&mut self, now: Instant, id: SessionId, generation: u64) {
        self.on(id, |_, s| {
            if s.generation == generation && s.status == Some(Status::Connected) {
                s.suspend(now, LossReason::Lost, SECOND * 120);
            }
        });
    }

    pub(crate) fn suspend(
        &mut self,
        now: Instant,
        id: SessionId,
        reason: LossReason,
        time: Duration,
    ) {
        self.on(id, |_, s| match s.status {
            Some(Status::Suspended) => {
                (s.loss, s.until) = (reason, ticks(now.after(time)));
            }
            Some(Status::Connected | Status::Reconnecting) => s.suspend(now, reason, time),
            None | Some(Status::Disconnected | Status::Failed) => {}
        });
    }

    pub(crate) fn end(&mut self, now: Instant, id: SessionId, reason: EndReason) {
        self.on(id, |_, s| match (s.status, s.ended) {
            (None, _) => s.doomed = s.doomed.or(Some(reason)),
            (Some(_), None) => s.end(now, reason),
            (Some(_), Some(_)) => {}
        });
    }

    pub(crate) fn expect(&mut self, now: Instant, id: SessionId) {
        self.on(id, |_, s| {
            if s.status.is_some() && s.ended.is_none() {
                s.expect(now);
            }
        });
    }

    pub(crate) fn sweep(&mut self, now: Instant) {
        let late = self.pause.swept(now, SECOND);
        let held = self.pause.lenient_until().max(self.mass.held_until());
        let mut suspects = 0;
        let ids: Vec<SessionId> = self.sessions.keys().copied().collect();
        for id in ids {
            suspects += self.on(id, |plain, s| plain.sweep_one(now, s, held, late)).unwrap_or(0);
        }
        self.sessions.retain(|_, s| s.ended.is_none() || now < s.forget_at);
        let connected = |s: &&Session| s.status == Some(Status::Connected);
        let live = self.sessions.values().filter(connected).count();
        self.mass.suspected(now, suspects, u32::try_from(live).unwrap());
    }

    fn sweep_one(
        &self,
        now: Instant,
        s: &mut Session,
        held: Instant,
        late: Option<Duration>,
    ) -> u32 {
        let waits = matches!(s.status, Some(Status::Suspended | Status::Reconnecting));
        if let (Some(late), true) = (late, waits) {
            s.until += ticks(Instant::default().after(late));
        }
        let over = s.until <= now.as_nanos() / TICK;
        match s.status {
            None | Some(Status::Disconnected | Status::Failed) => 0,
            Some(Status::Suspended) => {
                if over {
                    s.end(now, EndReason::Expired);
                }
                0
            }
            Some(Status::Reconnecting) => {
                if over {
                    s.expect(now);
                }
                0
            }
            Some(Status::Connected) => self.sweep_connected(now, s, held),
        }
    }

    fn sweep_connected(&self, now: Instant, s: &mut Session, held: Instant) -> u32 {
        let heard = Instant::from_nanos(s.seen.as_nanos() + TICK).after(self.pause.excused(s.seen));
        if now >= heard.after(self.detector.dead_after(s.told, 0)).max(held) {
            s.suspend(now, LossReason::Silent, SECOND * 120);
            return 0;
        }
        let silent = now >= heard.after(self.detector.suspect_after(s.told, s.usual(), 0));
        if s.asks <= now && s.beats == Beats::Server {
            if s.asked {
                self.outcome(now, s, Beat::Missed, None);
            }
            s.asked = true;
            s.told = s.rhythm.interval();
            s.asks = now.after(s.told);
        } else if s.asks <= now && silent {
            self.outcome(now, s, Beat::Missed, None);
            s.asks = now.after(s.told);
        }
        let suspect = silent && !s.suspected;
        if suspect {
            s.suspected = true;
            s.events.push(EventKind::Suspected);
            let from = s.grade.quality();
            s.grade = s.grade.suspected();
            s.graded(from);
        }
        if s.attempts > 0 && now >= s.connected_at.after(SECOND * 300) {
            s.attempts = 0;
        }
        u32::from(suspect)
    }
}

impl Session {
    fn hear(&mut self, now: Instant) -> bool {
        if self.status != Some(Status::Connected) {
            return false;
        }
        (self.seen, self.heard, self.missed) = (now, true, 0);
        if std::mem::take(&mut self.suspected) {
            self.events.push(EventKind::Recovered);
        }
        true
    }

    fn announce(&mut self, now: Instant) {
        if self.beats == Beats::Server && self.told != self.rhythm.interval() {
            self.told = self.rhythm.interval();
            self.asks = self.asks.min(now.after(self.told));
        }
    }

    fn measure(&mut self, rtt: u32) {
        let blend = |old: u32, new: u32, shift: u32| (old - (old >> shift) + (new >> shift)).max(1);
        if let Some(last) = self.last.replace(rtt) {
            self.jitter = blend(self.jitter, rtt.abs_diff(last), 3);
        }
        match self.rtt {
            None => (self.min, self.variation, self.rtt) = (rtt, (rtt / 2).max(1), Some(rtt)),
            Some(old) => {
                self.min = self.min.min(rtt);
                self.variation = blend(self.variation, rtt.abs_diff(old), 2);
                self.rtt = Some(blend(old, rtt, 3));
            }
        }
    }

    fn usual(&self) -> Option<(Duration, Duration)> {
        let us = |us: u32| Duration::from_micros(u64::from(us));
        self.rtt.map(|rtt| (us(rtt), us(self.variation)))
    }

    fn graded(&mut self, from: Quality) {
        let (to, factor) = (self.grade.quality(), self.grade.factor());
        if from != to {
            self.events.push(EventKind::QualityChanged { from, to, factor });
        }
    }

    fn suspend(&mut self, now: Instant, reason: LossReason, time: Duration) {
        self.disconnections += u32::from(self.status == Some(Status::Connected));
        (self.status, self.loss) = (Some(Status::Suspended), reason);
        (self.suspected, self.asked, self.window) = (false, false, false);
        self.until = ticks(now.after(time));
        self.events.push(EventKind::Suspended { reason });
    }

    fn end(&mut self, now: Instant, reason: EndReason) {
        self.disconnections += u32::from(self.status == Some(Status::Connected));
        let failed = reason == EndReason::Exhausted;
        self.status = Some(if failed { Status::Failed } else { Status::Disconnected });
        (self.ended, self.suspected, self.window) = (Some(reason), false, false);
        self.forget_at = now.after(SECOND * 3_600);
        self.events.push(EventKind::Gone { reason });
    }

    fn expect(&mut self, now: Instant) {
        if self.attempts >= u32::from(MAX_ATTEMPTS) {
            return self.end(now, EndReason::Exhausted);
        }
        if self.status == Some(Status::Connected) {
            self.disconnections += 1;
            self.loss = LossReason::Lost;
        }
        self.attempts += 1;
        (self.suspected, self.asked, self.window) = (false, false, true);
        self.status = Some(Status::Reconnecting);
        self.until = ticks(now.after(WINDOW));
        self.events.push(EventKind::Reconnecting { attempt: self.attempts, within: WINDOW });
    }
}

/// Adds a session to counts, one by one.
pub(crate) fn count(counts: &mut Counts, record: &Record) {
    let live = record.ended.is_none();
    let field = match record.status {
        Status::Connected => &mut counts.connected,
        Status::Suspended => &mut counts.suspended,
        Status::Reconnecting => &mut counts.reconnecting,
        Status::Disconnected => &mut counts.disconnected,
        Status::Failed => &mut counts.failed,
    };
    *field += 1;
    if live {
        counts.reconnect_attempts += u64::from(record.reconnect_attempts);
        counts.with_attempts += u64::from(record.reconnect_attempts > 0);
    }
    if record.status == Status::Connected {
        counts.by_quality[record.quality as usize] += 1;
        if let Some(latency) = record.latency {
            counts.measured += 1;
            counts.latency_us += u64::try_from(latency.as_micros()).unwrap();
        }
    }
}
