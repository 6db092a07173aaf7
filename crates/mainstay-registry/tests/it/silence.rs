//! What is said of a silence is what comes of it.

use std::time::Duration;

use mainstay_core::session::status::{EndReason, LossReason, Status};
use mainstay_core::time::Instant;
use mainstay_registry::{Beats, Key, Silence};

use crate::world::{SECOND, WALL, World};

const RTT: Duration = Duration::from_millis(40);
/// As long as a tick of the registry, rounded up.
const TICK: Duration = Duration::from_millis(17);

/// When the calendar of the world says that.
fn at(unix_ms: u64) -> Instant {
    Instant::from_millis(50_000 + (unix_ms - WALL))
}

fn silence(world: &World, key: Key) -> Silence {
    world.registry.silence(world.now, key.session()).expect("it has a connection")
}

fn before(at: Instant, by: Duration) -> Instant {
    Instant::from_nanos(at.as_nanos() - u64::try_from(by.as_nanos()).unwrap())
}

/// One that beats by itself, five times.
fn beating(world: &mut World) -> Key {
    let key = world.connect(Some("ann"), Beats::Client);
    for _ in 0..5 {
        world.pass(SECOND * 10);
        world.registry.heartbeat(world.now, key.session(), Some(RTT)).unwrap();
    }
    key
}

/// Sweeps every second until then, and once at that moment.
fn pass_until(world: &mut World, until: Instant) -> (u32, u32) {
    let (mut suspected, mut silent) = (0, 0);
    while world.now < until {
        world.now = world.now.after(SECOND).min(until);
        let report = world.sweep();
        suspected += report.suspected;
        silent += report.silent;
    }
    (suspected, silent)
}

#[test]
fn a_session_is_suspected_and_given_up_when_it_was_said() {
    let mut world = World::new();
    let key = beating(&mut world);
    let said = silence(&world, key);
    assert!(!said.suspected && !said.held && said.asked_at.is_none());
    assert!(said.suspect_at < said.dead_at);
    let (suspect_at, dead_at) = (at(said.suspect_at), at(said.dead_at));

    assert_eq!(pass_until(&mut world, before(suspect_at, TICK)), (0, 0));
    let shortly = silence(&world, key);
    assert_eq!((shortly.suspect_at, shortly.dead_at), (said.suspect_at, said.dead_at));
    assert!(shortly.phi < shortly.phi_suspect && shortly.phi_suspect - shortly.phi < 0.01);
    assert_eq!(pass_until(&mut world, suspect_at.after(TICK)), (1, 0));
    let suspect = silence(&world, key);
    assert!(suspect.suspected && suspect.phi >= suspect.phi_suspect, "{suspect:?}");
    assert!(suspect.phi < suspect.phi_dead);

    assert_eq!(pass_until(&mut world, before(dead_at, TICK)), (0, 0));
    assert_eq!(pass_until(&mut world, dead_at.after(TICK)), (0, 1));
    assert_eq!(world.get(key.session()).status, Status::Suspended);
    assert_eq!(world.registry.silence(world.now, key.session()), None, "it has no connection");
    world.drain();
}

#[test]
fn who_is_heard_begins_anew_and_who_is_asked_is_asked_when_it_was_said() {
    let mut world = World::new();
    let key = world.socket();
    world.pass_answered(SECOND * 120, RTT);
    let first = silence(&world, key);
    let asked_at = at(first.asked_at.unwrap());
    world.now = before(asked_at, TICK);
    assert_eq!(world.sweep().pings, 0);
    world.now = asked_at.after(TICK);
    assert_eq!(world.sweep().pings, 1);
    let later = silence(&world, key);
    assert!(later.phi > first.phi && later.silent > first.silent);
    assert!(world.registry.answered(world.now, key, RTT));
    let anew = silence(&world, key);
    assert_eq!((anew.phi, anew.silent), (0.0, Duration::ZERO));
    assert!(anew.suspect_at > later.suspect_at && anew.dead_at > later.dead_at);
    world.drain();
}

#[test]
fn what_this_process_slept_is_nobodys_silence() {
    let mut world = World::new();
    let key = beating(&mut world);
    world.sweep();
    let said = silence(&world, key);
    world.now = world.now.after(SECOND * 600);
    let report = world.sweep();
    assert!(report.late.is_some() && report.held);
    let slept = silence(&world, key);
    assert!(slept.held && slept.silent < SECOND * 3, "{slept:?}");
    assert!(slept.phi < slept.phi_suspect);
    assert!(slept.dead_at >= said.dead_at + 590_000, "{slept:?}");
    world.drain();
}

#[test]
fn who_has_no_connection_is_not_silent() {
    let mut world = World::new();
    let waiting = world.waiting(None, Beats::Server).key;
    assert_eq!(world.registry.silence(world.now, waiting.session()), None, "it is not seen yet");
    let key = world.socket();
    assert!(world.registry.lost(world.now, key, LossReason::Lost));
    assert_eq!(world.registry.silence(world.now, key.session()), None);
    assert!(world.registry.end(world.now, key.session(), EndReason::Kicked));
    assert_eq!(world.registry.silence(world.now, key.session()), None);
    world.drain();
}
