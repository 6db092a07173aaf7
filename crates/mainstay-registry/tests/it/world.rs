//! A registry, its clock and its history, checked at every step.

use std::collections::HashMap;
use std::time::Duration;

use mainstay_core::bits::bits;
use mainstay_core::time::Instant;
use mainstay_registry::{
    Admitted, Beats, Effect, Event, EventId, EventKind, Key, Origin, Record, Registration,
    Registry, RegistryConfig, SHARDS, SessionId, SweepReport,
};

pub(crate) const WALL: u64 = 1_800_000_000_000;
pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) struct World {
    pub(crate) registry: Registry,
    pub(crate) now: Instant,
    draws: u64,
    /// The last event of each session, and whether it is gone.
    heard: HashMap<SessionId, (u64, bool)>,
    last: [Option<EventId>; SHARDS],
    /// What a store would hold.
    pub(crate) rows: HashMap<SessionId, Record>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(&RegistryConfig::default())
    }

    pub(crate) fn with(config: &RegistryConfig) -> Self {
        let now = Instant::from_millis(50_000);
        Self::at(config, Origin { now, unix_ms: WALL })
    }

    pub(crate) fn at(config: &RegistryConfig, origin: Origin) -> Self {
        Self {
            registry: Registry::new(config, origin).unwrap(),
            now: origin.now,
            draws: 0,
            heard: HashMap::new(),
            last: [None; SHARDS],
            rows: HashMap::new(),
        }
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.draws += 1;
        bits(1, 2, self.draws)
    }

    pub(crate) fn wide_bits(&mut self) -> u128 {
        u128::from(self.bits()) << 64 | u128::from(self.bits())
    }

    pub(crate) fn waiting(&mut self, user: Option<&str>, beats: Beats) -> Admitted {
        let wide = self.wide_bits();
        self.registry.register(self.now, wide, registration(user, beats)).unwrap()
    }

    pub(crate) fn connect(&mut self, user: Option<&str>, beats: Beats) -> Key {
        let key = self.waiting(user, beats).key;
        assert!(self.registry.committed(self.now, key));
        key
    }

    pub(crate) fn socket(&mut self) -> Key {
        self.connect(Some("ann"), Beats::Server)
    }

    pub(crate) fn resume(&mut self, session: SessionId, shown: u64) -> Result<Key, Refusal> {
        let bits = self.bits();
        let admitted = self.registry.resume(self.now, bits, session, shown, true, Beats::Server)?;
        Ok(admitted.key)
    }

    pub(crate) fn get(&self, session: SessionId) -> Record {
        self.registry.get(session).expect("it is known")
    }

    pub(crate) fn sweep(&mut self) -> SweepReport {
        let bits = self.bits();
        self.registry.sweep(self.now, bits)
    }

    /// Lets time pass, swept every half a second as a driver does.
    pub(crate) fn pass(&mut self, time: Duration) -> SweepReport {
        let end = self.now.after(time);
        let mut sum = SweepReport::default();
        while self.now < end {
            self.now = self.now.after(SECOND / 2).min(end);
            let part = self.sweep();
            sum.silent += part.silent;
            sum.suspected += part.suspected;
            sum.expired += part.expired;
            sum.failed += part.failed;
            sum.removed += part.removed;
            sum.pings += part.pings;
            sum.held |= part.held;
            sum.late = sum.late.or(part.late);
        }
        sum
    }

    /// The same with an answer to every ping.
    pub(crate) fn pass_answered(&mut self, time: Duration, rtt: Duration) -> Vec<Effect> {
        let end = self.now.after(time);
        let mut all = Vec::new();
        while self.now < end {
            self.now = self.now.after(SECOND / 2);
            self.sweep();
            for effect in self.drain() {
                if let Effect::Ping(key) | Effect::Probe(key) = &effect {
                    self.registry.answered(self.now, *key, rtt);
                }
                all.push(effect);
            }
        }
        all
    }

    /// What there is to do; its events are checked: numbers without a gap, in order, gone once.
    pub(crate) fn drain(&mut self) -> Vec<Effect> {
        let mut all = Vec::new();
        for shard in 0..SHARDS {
            let mut effects = Vec::new();
            self.registry.drain(shard, &mut effects);
            for effect in &effects {
                if let Effect::Store { session, record, remove, event, .. } = effect {
                    if let Some(record) = record {
                        self.rows.insert(*session, (**record).clone());
                    }
                    if *remove {
                        self.rows.remove(session);
                    }
                    if let Some(event) = event {
                        self.check(shard, event);
                    }
                }
            }
            all.append(&mut effects);
        }
        all
    }

    fn check(&mut self, shard: usize, event: &Event) {
        assert!(self.last[shard] < Some(event.id), "the history goes on: {event:?}");
        self.last[shard] = Some(event.id);
        let (seq, gone) = self.heard.entry(event.session).or_insert((event.seq - 1, false));
        assert!(!*gone, "nothing follows the end: {event:?}");
        assert_eq!(event.seq, *seq + 1, "no gap: {event:?}");
        *seq = event.seq;
        *gone = matches!(event.kind, EventKind::Gone { .. });
    }

    /// The kinds of the events since the last time.
    pub(crate) fn events(&mut self) -> Vec<EventKind> {
        self.drain().iter().filter_map(kind).collect()
    }
}

pub(crate) use mainstay_registry::Refusal;

pub(crate) fn kind(effect: &Effect) -> Option<EventKind> {
    if let Effect::Store { event: Some(event), .. } = effect { Some(event.kind) } else { None }
}

pub(crate) fn registration(user: Option<&str>, beats: Beats) -> Registration {
    Registration {
        user: user.map(Into::into),
        organisation: "acme".into(),
        client_type: "WEB_APP".into(),
        client_version: "1.0".into(),
        metadata: "{}".into(),
        beats,
    }
}
