//! Random scripts against the plain registry: records, counts, lists and events agree after every
//! step, whatever the columns, the lazy deadlines and the indexes do.

use std::collections::HashMap;
use std::time::Duration;

use mainstay_core::config::Ratio;
use mainstay_core::policy::backoff::{Backoff, BackoffConfig, Jitter, Strategy as Growth};
use mainstay_core::policy::pressure::Pressure;
use mainstay_core::session::status::{EndReason, LossReason, Status};
use mainstay_core::time::Instant;
use mainstay_registry::{
    Beats, Counts, Cursor, Effect, EventKind, Key, Origin, Query, RegistryConfig, SessionId,
};
use proptest::prelude::*;

use crate::plain::{MAX_ATTEMPTS, Plain, TICK, WINDOW, count};
use crate::world::{SECOND, WALL, World, kind};

#[derive(Clone, Copy, Debug)]
enum Step {
    Register { user: usize, beats: Beats, bits: u64 },
    Committed(usize),
    RolledBack(usize),
    Heard(usize),
    Answered { which: usize, rtt: u32 },
    Heartbeat { which: usize, rtt: Option<u32> },
    Lost(usize),
    Suspend { which: usize, operator: bool, seconds: u32 },
    End(usize),
    Expect(usize),
    Resume { which: usize, back: u64, bits: u64 },
    Pass { ticks: u64 },
    Sweep,
}

fn any_step() -> impl Strategy<Value = Step> {
    let which = 0..12_usize;
    let beats = prop_oneof![Just(Beats::Server), Just(Beats::Client)];
    let short = 1..4_000_u32;
    prop_oneof![
        2 => (0..3_usize, beats, any::<u64>())
            .prop_map(|(user, beats, bits)| Step::Register { user, beats, bits }),
        3 => which.clone().prop_map(Step::Committed),
        1 => which.clone().prop_map(Step::RolledBack),
        4 => which.clone().prop_map(Step::Heard),
        4 => (which.clone(), short.clone()).prop_map(|(which, rtt)| Step::Answered { which, rtt }),
        4 => (which.clone(), proptest::option::of(short))
            .prop_map(|(which, rtt)| Step::Heartbeat { which, rtt }),
        1 => which.clone().prop_map(Step::Lost),
        1 => (which.clone(), any::<bool>(), 1..400_u32)
            .prop_map(|(which, operator, seconds)| Step::Suspend { which, operator, seconds }),
        1 => which.clone().prop_map(Step::End),
        1 => which.clone().prop_map(Step::Expect),
        2 => (which, 0..3_u64, any::<u64>())
            .prop_map(|(which, back, bits)| Step::Resume { which, back, bits }),
        3 => (0..900_u64).prop_map(|ticks| Step::Pass { ticks }),
        6 => (1..500_u64).prop_map(|ticks| Step::Pass { ticks }),
        8 => Just(Step::Sweep),
    ]
}

/// Both, side by side.
struct Pair {
    world: World,
    plain: Plain,
    keys: Vec<Key>,
    told: HashMap<SessionId, Vec<EventKind>>,
    backoff: Backoff,
}

impl Pair {
    fn new() -> Self {
        let mut config = RegistryConfig::default();
        config.heartbeat.jitter = Ratio::ZERO;
        let origin = Origin { now: Instant::from_nanos(TICK * 100), unix_ms: WALL };
        let fixed = BackoffConfig {
            strategy: Growth::Fixed,
            base: WINDOW,
            cap: WINDOW,
            jitter: Jitter::None,
            ..BackoffConfig::default()
        };
        Self {
            world: World::at(&config, origin),
            plain: Plain::new(&config.quality, &config.heartbeat),
            keys: Vec::new(),
            told: HashMap::new(),
            backoff: Backoff::new(&fixed).unwrap(),
        }
    }

    fn key(&self, which: usize) -> Option<Key> {
        let count = self.keys.len();
        (count > 0).then(|| self.keys[which % count])
    }

    fn step(&mut self, step: Step) {
        let which = match step {
            Step::Register { user, beats, bits } => return self.register(user, beats, bits),
            Step::Pass { ticks } => {
                self.world.now = self.world.now.after(Duration::from_nanos(ticks * TICK));
                return;
            }
            Step::Sweep => {
                // What a sweep changes may be due at the next tick, not at the same one again.
                self.world.now = self.world.now.after(Duration::from_nanos(TICK));
                self.world.sweep();
                return self.plain.sweep(self.world.now);
            }
            Step::Committed(which)
            | Step::RolledBack(which)
            | Step::Heard(which)
            | Step::Answered { which, .. }
            | Step::Heartbeat { which, .. }
            | Step::Lost(which)
            | Step::Suspend { which, .. }
            | Step::End(which)
            | Step::Expect(which)
            | Step::Resume { which, .. } => which,
        };
        if let Some(key) = self.key(which) {
            self.on(step, key);
        }
    }

    fn register(&mut self, user: usize, beats: Beats, bits: u64) {
        let now = self.world.now;
        let user = [None, Some("ann"), Some("bob")][user];
        let low = self.world.bits();
        let registration = crate::world::registration(user, beats);
        let wide = u128::from(bits) << 64 | u128::from(low);
        let key = self.world.registry.register(now, wide, registration).unwrap().key;
        self.plain.register(now, bits, key.session(), beats);
        self.keys.push(key);
    }

    fn on(&mut self, step: Step, key: Key) {
        let (now, registry) = (self.world.now, &self.world.registry);
        let (id, generation) = (key.session(), key.generation());
        match step {
            Step::Committed(_) => {
                registry.committed(now, key);
                self.plain.committed(now, id);
            }
            Step::RolledBack(_) => {
                registry.rolled_back(key);
                self.plain.rolled_back(id);
            }
            Step::Heard(_) => {
                let ours = registry.heard(now, key);
                assert_eq!(ours, self.plain.heard(now, id, generation));
            }
            Step::Answered { rtt, .. } => {
                let ours = registry.answered(now, key, Duration::from_micros(rtt.into()));
                assert_eq!(ours, self.plain.answered(now, id, generation, rtt));
            }
            Step::Heartbeat { rtt, .. } => {
                let long = rtt.map(|rtt| Duration::from_micros(rtt.into()));
                let ours = registry.heartbeat(now, id, long).map(|beat| beat.quality);
                assert_eq!(ours, self.plain.heartbeat(now, id, rtt));
            }
            Step::Lost(_) => {
                registry.lost(now, key, LossReason::Lost);
                self.plain.lost(now, id, generation);
            }
            Step::Suspend { operator, seconds, .. } => {
                let reason = if operator { LossReason::Operator } else { LossReason::Asked };
                registry.suspend(now, id, reason, Some(SECOND * seconds));
                self.plain.suspend(now, id, reason, SECOND * seconds);
            }
            Step::End(_) => {
                registry.end(now, id, EndReason::Bye);
                self.plain.end(now, id, EndReason::Bye);
            }
            Step::Expect(_) => {
                let none = Pressure::NONE;
                let answer = registry.expect_back(now, 0, id, &self.backoff, none, MAX_ATTEMPTS);
                self.plain.expect(now, id);
                let status = self.plain.sessions.get(&id).and_then(|plain| plain.status);
                assert_eq!(answer.is_ok(), status == Some(Status::Reconnecting));
            }
            Step::Resume { back, bits, .. } => {
                let shown = generation.saturating_sub(back);
                let ours = registry.resume(now, bits, id, shown, true, Beats::Server);
                assert_eq!(ours.is_ok(), self.plain.resume(now, bits, id, shown));
                self.keys.extend(ours.ok().map(|admitted| admitted.key));
            }
            Step::Register { .. } | Step::Pass { .. } | Step::Sweep => {}
        }
    }

    fn compare(&mut self) {
        for effect in self.world.drain() {
            if let (Effect::Store { session, .. }, Some(kind)) = (&effect, kind(&effect)) {
                self.told.entry(*session).or_default().push(kind);
            }
        }
        let mut scan = Counts::default();
        for (id, plain) in &self.plain.sessions {
            assert_eq!(self.told.get(id), Some(&plain.events), "events of {id}");
            let record = self.world.registry.get(*id);
            assert_eq!(record.as_ref().map(|record| record.status), plain.status, "{id}");
            let Some(record) = record else { continue };
            assert_eq!(record.generation, plain.generation);
            assert_eq!(record.ended, plain.ended);
            assert_eq!(record.event_seq, plain.events.len() as u64);
            assert_eq!(record.reconnect_attempts, plain.attempts);
            assert_eq!(record.total_disconnections, plain.disconnections);
            assert_eq!(record.missed_heartbeats, plain.missed);
            assert_eq!(record.quality, plain.grade.quality());
            assert_eq!(record.latency, plain.rtt.map(|us| Duration::from_micros(us.into())));
            assert_eq!(self.world.rows[id].status, record.status, "the store knows it");
            assert_eq!(self.world.rows[id].event_seq, record.event_seq, "up to its last event");
            assert_eq!(self.world.rows[id].reconnect_attempts, record.reconnect_attempts);
            count(&mut scan, &record);
        }
        assert_eq!(self.world.registry.counts(), scan);
        let everyone = self.list(&Query::default());
        assert_eq!(everyone.len() as u64, scan.total());
        for user in ["ann", "bob"] {
            let query = Query { user: Some(user.into()), ..Query::default() };
            let fits = |id: &&SessionId| {
                let record = self.world.registry.get(**id).unwrap();
                record.user.as_deref() == Some(user)
            };
            assert_eq!(
                self.list(&query),
                everyone.iter().filter(fits).copied().collect::<Vec<_>>()
            );
        }
    }

    fn list(&self, query: &Query) -> Vec<SessionId> {
        let (mut all, mut cursor) = (Vec::new(), Some(Cursor::default()));
        while let Some(at) = cursor {
            let page = self.world.registry.find(query, at, 3);
            all.extend(page.records.iter().map(|record| record.session));
            cursor = page.next;
        }
        all
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn the_registry_does_what_a_map_of_plain_structs_does(
        steps in proptest::collection::vec(any_step(), 1..250),
    ) {
        let mut pair = Pair::new();
        for step in steps {
            pair.step(step);
            pair.compare();
        }
    }
}
