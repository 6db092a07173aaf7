//! Many at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use mainstay_core::bits::bits;
use mainstay_core::session::status::{EndReason, LossReason};
use mainstay_core::time::Instant;
use mainstay_registry::{Beats, Counts, Cursor, Key, Query};

use crate::world::World;

/// Beats, losses, resumes and ends at random, on keys that another thread works on too.
fn work(world: &World, clock: &AtomicU64, seed: u64, keys: &[Key]) -> u32 {
    let mut fits = 0;
    for step in 0..20_000 {
        let now = Instant::from_millis(clock.fetch_add(1, Ordering::Relaxed));
        let draw = bits(seed, 1, step);
        let key = keys[usize::try_from(draw % keys.len() as u64).unwrap()];
        let generation = world.registry.get(key.session()).map_or(0, |record| record.generation);
        let (registry, session) = (&world.registry, key.session());
        fits += u32::from(match draw >> 32 & 0xF {
            0 => registry.resume(now, draw, session, generation, true, Beats::Server).is_ok(),
            1 => registry.lost(now, key, LossReason::Lost),
            2 => registry.heartbeat(now, session, None).is_some(),
            3 if draw >> 40 & 0xFF == 0 => registry.end(now, session, EndReason::Bye),
            4 => registry.answered(now, key, Duration::from_micros(draw & 0xFFF)),
            _ => registry.heard(now, key),
        });
    }
    fits
}

#[test]
fn counts_stay_exact_while_threads_beat_and_resume_and_another_sweeps() {
    let mut world = World::new();
    let keys: Vec<Key> = (0..300).map(|_| world.connect(None, Beats::Server)).collect();
    let clock = AtomicU64::new(60_000);
    thread::scope(|scope| {
        for seed in 0..2 {
            let (world, clock, keys) = (&world, &clock, &keys);
            scope.spawn(move || assert!(work(world, clock, seed, keys) > 100));
        }
        for step in 0..200 {
            let now = Instant::from_millis(clock.fetch_add(1, Ordering::Relaxed));
            world.registry.sweep(now, step);
            let counts = world.registry.counts();
            assert!(counts.total() <= 300, "{counts:?}");
        }
    });
    let (mut scan, mut cursor) = (Counts::default(), Some(Cursor::default()));
    while let Some(at) = cursor {
        let page = world.registry.find(&Query::default(), at, 1_000);
        page.records.iter().for_each(|record| crate::plain::count(&mut scan, record));
        cursor = page.next;
    }
    assert_eq!(world.registry.counts(), scan);
    assert_eq!(scan.total(), 300);
    world.drain();
    let stored = world.rows.values().filter(|row| row.ended.is_none()).count();
    assert_eq!(stored as u64, scan.live(), "the store was told the same");
}

#[test]
fn of_two_connections_that_race_for_a_session_exactly_one_stays() {
    let mut world = World::new();
    let key = world.socket();
    let (session, registry) = (key.session(), &world.registry);
    for round in 1..500_u64 {
        let now = Instant::from_millis(60_000 + round);
        let shown = registry.get(session).unwrap().generation;
        let race = || registry.resume(now, round, session, shown, false, Beats::Server);
        let (first, second) = thread::scope(|scope| {
            let other = scope.spawn(race);
            (race(), other.join().unwrap())
        });
        let keys = [first.unwrap().key, second.expect("its rival was never heard").key];
        let heard = keys.iter().filter(|key| registry.heard(now, **key)).count();
        assert_eq!(heard, 1, "round {round}");
        let newest = keys.iter().map(Key::generation).max();
        assert_eq!(newest, Some(registry.get(session).unwrap().generation));
    }
    assert_eq!(registry.counts().connected, 1);
    world.drain();
}
