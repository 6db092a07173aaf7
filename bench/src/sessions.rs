//! A table of a million sessions beside the one that everybody writes: a concurrent map of structs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use mainstay_core::bits::bits;
use mainstay_core::session::status::{EndReason, LossReason};
use mainstay_core::time::Instant;
use mainstay_registry::{Beats, Key, Origin, Registration, Registry, RegistryConfig, SHARDS};

use crate::allocations::counted;
use crate::measure::Row;
use crate::report::{Content, Section};

pub const BEATS: &str = "sessions, a beat among a million at random";
pub const FRAME: &str = "mainstay, any frame";
pub const PEER: &str = "DashMap of structs, last seen and round trip";
pub const COLUMNS: &str = "mainstay, a session in all columns";

pub const MILLION: u64 = 1_000_000;
const FEW: u64 = 200_000;
const WALL: u64 = 1_800_000_000_000;

pub fn sections() -> Vec<Section> {
    let beats = "One thread, each time another session, in random order. A round trip of ours is \
                 averaged, graded and moves the interval; the map's is averaged.";
    let life =
        "Among as many sessions, with what there is to store for each step, made and dropped.";
    vec![
        Section::new(BEATS, beats, beat_rows),
        Section::new("sessions, steps of a life among a million", life, life_rows),
        Section {
            name: "memory of a session",
            note: "Of 200 000 sessions, each with a user of its own. The map has no index.",
            content: Content::Sizes(sizes()),
        },
    ]
}

/// What one writes first.
#[expect(dead_code, reason = "it is there to take its place")]
struct Struct {
    user: Option<Box<str>>,
    organisation: u32,
    client_type: u32,
    generation: u64,
    last_seen: u64,
    connected_at: u64,
    smoothed: u32,
    jitter: u32,
    losses: u32,
    missed: u8,
    status: u8,
    attempts: u16,
    metadata: Option<Box<str>>,
}

pub const fn at(n: u64) -> Instant {
    Instant::from_nanos(1_000_000_000 + n)
}

pub fn registration(nr: u64) -> Registration {
    Registration {
        user: Some(format!("user-{nr}").into()),
        organisation: "acme".into(),
        client_type: "WEB_APP".into(),
        client_version: "1.0".into(),
        metadata: "".into(),
        beats: Beats::Server,
    }
}

fn admit(registry: &Registry, nr: u64) -> Key {
    let wide = u128::from(bits(1, nr, 0)) << 64 | u128::from(bits(1, nr, 1));
    let key = registry.register(at(0), wide, registration(nr)).expect("there is room").key;
    assert!(registry.committed(at(0), key));
    key
}

/// A registry with so many sessions, and their keys in random order.
pub fn filled(count: u64) -> (Registry, Vec<Key>) {
    let origin = Origin { now: at(0), unix_ms: WALL };
    let config = RegistryConfig { sessions_max: 2_000_000, ..RegistryConfig::default() };
    let registry = Registry::new(&config, origin).expect("the config is sound");
    let mut keys = Vec::new();
    for nr in 0..count {
        keys.push(admit(&registry, nr));
        if nr % 1_024 == 0 {
            drain(&registry);
        }
    }
    drain(&registry);
    shuffle(&mut keys);
    (registry, keys)
}

fn map(count: u64) -> (DashMap<u128, Struct>, Vec<u128>) {
    let map = DashMap::new();
    let mut keys: Vec<u128> =
        (0..count).map(|nr| u128::from(bits(2, nr, 0)) << 64 | u128::from(nr)).collect();
    for (nr, key) in keys.iter().enumerate() {
        let user = Some(format!("user-{nr}").into());
        map.insert(
            *key,
            Struct {
                user,
                organisation: 1,
                client_type: 1,
                generation: 1,
                last_seen: 0,
                connected_at: 0,
                smoothed: 0,
                jitter: 0,
                losses: 0,
                missed: 0,
                status: 0,
                attempts: 0,
                metadata: None,
            },
        );
    }
    shuffle(&mut keys);
    (map, keys)
}

fn shuffle<T>(all: &mut [T]) {
    for last in (1..all.len()).rev() {
        let other = bits(3, last as u64, 0) % (last as u64 + 1);
        all.swap(last, usize::try_from(other).unwrap_or(0));
    }
}

fn drain(registry: &Registry) {
    let mut effects = Vec::new();
    (0..SHARDS).for_each(|shard| registry.drain(shard, &mut effects));
}

/// Where a round begins: each somewhere else, so that none finds the lines of the one before.
fn start() -> u64 {
    static ROUNDS: AtomicU64 = AtomicU64::new(0);
    ROUNDS.fetch_add(1, Ordering::Relaxed) * 77_777
}

pub fn of<T: Copy>(all: &[T], n: u64) -> T {
    all[usize::try_from(n % all.len() as u64).unwrap_or(0)]
}

fn beat_rows() -> Vec<Row> {
    let ours = Arc::new(filled(MILLION));
    let peer = Arc::new(map(MILLION));
    let (frame, batch, answer, by_id) =
        (Arc::clone(&ours), Arc::clone(&ours), Arc::clone(&ours), Arc::clone(&ours));
    vec![
        Row::new(PEER, move || {
            let (peer, start) = (Arc::clone(&peer), start());
            move |n| {
                let n = start + n;
                let (map, keys) = &*peer;
                if let Some(mut found) = map.get_mut(&of(keys, n)) {
                    found.last_seen = n;
                    found.smoothed = found.smoothed - found.smoothed / 8 + 5_000;
                    found.missed = 0;
                }
            }
        }),
        Row::new(FRAME, move || {
            let (frame, start) = (Arc::clone(&frame), start());
            move |n| {
                let n = start + n;
                let (registry, keys) = &*frame;
                assert!(registry.heard(at(n), of(keys, n)));
            }
        }),
        Row::new("mainstay, 256 frames that arrive together, sorted by shard", move || {
            let (batch, start) = (Arc::clone(&batch), start());
            let mut sorted = Vec::new();
            move |n| {
                let n = start + n;
                let (registry, keys) = &*batch;
                sorted.clear();
                sorted.extend((0..256).map(|more| of(keys, n * 256 + more)));
                sorted.sort_unstable_by_key(|key| key.session().to_bits() >> 56 & 0x3F);
                assert_eq!(registry.heard_many(at(n), &sorted), 0);
            }
        }),
        Row::new("mainstay, an answered ping", move || {
            let (answer, start) = (Arc::clone(&answer), start());
            move |n| {
                let n = start + n;
                let (registry, keys) = &*answer;
                if n % 4_096 == 0 {
                    drain(registry);
                }
                assert!(registry.answered(at(n), of(keys, n), Duration::from_millis(40)));
            }
        }),
        Row::new("mainstay, a heartbeat by name", move || {
            let (by_id, start) = (Arc::clone(&by_id), start());
            move |n| {
                let n = start + n;
                let (registry, keys) = &*by_id;
                if n % 4_096 == 0 {
                    drain(registry);
                }
                let rtt = Some(Duration::from_millis(40));
                assert!(registry.heartbeat(at(n), of(keys, n).session(), rtt).is_some());
            }
        }),
    ]
}

fn life_rows() -> Vec<Row> {
    let ours = Arc::new(filled(MILLION));
    let (life, back, sweep) = (Arc::clone(&ours), Arc::clone(&ours), ours);
    vec![
        Row::new("mainstay, register, commit and end", move || {
            let life = Arc::clone(&life);
            move |n| {
                let key = admit(&life.0, MILLION + n);
                assert!(life.0.end(at(n), key.session(), EndReason::Bye));
                life.0.drain(usize::try_from(n % 64).unwrap_or(0), &mut Vec::new());
            }
        }),
        Row::new("mainstay, lose and resume", move || {
            let (back, start) = (Arc::clone(&back), start());
            move |n| {
                let (registry, keys) = &*back;
                let n = start + n;
                let session = of(keys, n).session();
                let known = registry.get(session).map_or(0, |record| record.generation);
                registry.suspend(at(n), session, LossReason::Lost, None);
                let next = registry.resume(at(n), n, session, known, false, Beats::Server);
                assert!(next.is_ok());
                registry.drain(usize::try_from(n % 64).unwrap_or(0), &mut Vec::new());
            }
        }),
        Row::new("mainstay, a sweep of all, few of them due", move || {
            let sweep = Arc::clone(&sweep);
            let mut now = at(0);
            move |n| {
                now = now.after(Duration::from_millis(17));
                sweep.0.sweep(now, n);
                drain(&sweep.0);
            }
        }),
    ]
}

fn sizes() -> Vec<(String, u64)> {
    let (ours, taken) = counted(|| filled(FEW).0);
    let memory = ours.memory();
    let (peer, map_taken) = counted(|| map(FEW).0);
    drop(peer);
    vec![
        (COLUMNS.into(), memory.a_session as u64),
        ("mainstay, reserved in columns for each session".into(), memory.columns as u64 / FEW),
        ("mainstay, index and names without their texts".into(), memory.index as u64 / FEW),
        ("mainstay, all that is allocated for each session".into(), taken.bytes / FEW),
        ("DashMap of structs, all that is allocated for each".into(), map_taken.bytes / FEW),
    ]
}
