//! Beats, silence, and our own trouble.

use std::time::Duration;

use mainstay_core::session::heartbeat::HeartbeatConfig;
use mainstay_core::session::quality::{Factor, Quality, QualityConfig};
use mainstay_core::session::status::{LossReason, Status};
use mainstay_registry::{Alarm, Beats, CloseReason, Effect, EventKind, RegistryConfig};

use crate::world::{SECOND, WALL, World, kind};

const RTT: Duration = Duration::from_millis(40);

#[test]
fn a_session_that_answers_is_graded_and_asked_less_often() {
    let mut world = World::new();
    let key = world.socket();
    let effects = world.pass_answered(SECOND * 300, RTT);
    let record = world.get(key.session());
    assert_eq!((record.quality, record.factor), (Quality::Excellent, Factor::None));
    assert_eq!(record.latency.unwrap().as_millis(), 40);
    assert_eq!(record.heartbeat_interval, SECOND * 25);
    assert_eq!((record.losses, record.missed_heartbeats), (0, 0));
    assert!(effects.iter().any(|effect| {
        matches!(effect, Effect::Announce { interval, .. } if *interval == SECOND * 25)
    }));
    let kinds: Vec<_> = effects.iter().filter_map(kind).collect();
    let changed = EventKind::QualityChanged {
        from: Quality::Unknown,
        to: Quality::Excellent,
        factor: Factor::None,
    };
    assert_eq!(kinds, [EventKind::Registered, changed]);
    assert_eq!(world.registry.counts().latency().unwrap().as_millis(), 40);
    assert_eq!(world.registry.counts().graded(Quality::Excellent), 1);
}

#[test]
fn a_silent_session_is_suspected_asked_again_and_suspended() {
    let mut world = World::new();
    let key = world.socket();
    world.pass_answered(SECOND * 120, RTT);
    assert_eq!(world.get(key.session()).quality, Quality::Excellent);
    world.pass(SECOND * 100);
    let record = world.get(key.session());
    assert_eq!(record.status, Status::Suspended);
    assert_eq!(record.total_disconnections, 1);
    let effects = world.drain();
    let kinds: Vec<_> = effects.iter().filter_map(kind).collect();
    assert!(kinds.contains(&EventKind::Suspected));
    assert_eq!(kinds.last(), Some(&EventKind::Suspended { reason: LossReason::Silent }));
    assert!(effects.contains(&Effect::Probe(key)));
    assert!(effects.contains(&Effect::Close { key, reason: CloseReason::Silent }));
    assert!(!world.registry.heard(world.now, key), "its socket is given up");
}

#[test]
fn a_suspect_that_is_heard_has_recovered() {
    let mut world = World::new();
    let key = world.socket();
    world.pass_answered(SECOND * 120, RTT);
    while world.pass(SECOND / 2).suspected == 0 {}
    assert_eq!(world.get(key.session()).quality, Quality::Poor);
    assert!(world.registry.heard(world.now, key));
    assert_eq!(world.get(key.session()).missed_heartbeats, 0);
    assert_eq!(world.events().last(), Some(&EventKind::Recovered));
}

#[test]
fn any_frame_keeps_a_session_alive() {
    let mut world = World::new();
    let key = world.socket();
    for _ in 0..60 {
        assert_eq!(world.pass(SECOND * 10).silent, 0);
        assert!(world.registry.heard(world.now, key));
    }
    assert_eq!(world.get(key.session()).status, Status::Connected);
}

#[test]
fn a_client_that_beats_by_itself_is_told_its_interval_and_comes_back_by_a_beat() {
    let mut world = World::new();
    let key = world.connect(None, Beats::Client);
    let session = key.session();
    let beat = world.registry.heartbeat(world.now, session, Some(RTT)).unwrap();
    assert_eq!((beat.quality, beat.interval), (Quality::Unknown, SECOND * 20));
    assert_eq!((beat.timeout, beat.missed), (SECOND * 20, 0));
    world.pass(SECOND * 60);
    assert_eq!(world.get(session).status, Status::Suspended);
    let effects = world.drain();
    let own = |e: &Effect| matches!(e, Effect::Ping(_) | Effect::Probe(_) | Effect::Close { .. });
    assert!(!effects.iter().any(own), "there is no socket");
    let back = world.registry.heartbeat(world.now, session, Some(RTT)).unwrap();
    assert!(back.missed >= 1);
    assert_eq!(world.get(session).status, Status::Connected);
    assert_eq!(world.events()[0], EventKind::Resumed { replay: false });
}

#[test]
fn a_beat_does_not_bring_back_what_an_operator_suspended() {
    let mut world = World::new();
    let session = world.connect(None, Beats::Client).session();
    assert!(world.registry.suspend(world.now, session, LossReason::Operator, None));
    assert_eq!(world.registry.heartbeat(world.now, session, None), None);
    assert_eq!(world.get(session).status, Status::Suspended);
}

#[test]
fn five_beats_of_two_seconds_are_poor_by_the_cuts_of_seed_004() {
    let config = RegistryConfig {
        quality: QualityConfig::axon(),
        heartbeat: HeartbeatConfig::axon(),
        ..RegistryConfig::default()
    };
    let mut world = World::with(&config);
    let session = world.connect(None, Beats::Client).session();
    let mut beat = None;
    for _ in 0..5 {
        world.pass(SECOND * 15);
        beat = world.registry.heartbeat(world.now, session, Some(SECOND * 2));
    }
    let beat = beat.unwrap();
    assert_eq!((beat.quality, beat.interval), (Quality::Poor, Duration::from_millis(22_500)));
}

#[test]
fn a_deadline_comes_sooner_when_an_interval_becomes_shorter() {
    let config = RegistryConfig {
        quality: QualityConfig::axon(),
        heartbeat: HeartbeatConfig::axon(),
        ..RegistryConfig::default()
    };
    let mut world = World::with(&config);
    let (client, server) = (world.connect(None, Beats::Client), world.socket());
    let both = |world: &World, rtt| {
        world.registry.heartbeat(world.now, client.session(), Some(rtt)).unwrap();
        assert!(world.registry.answered(world.now, server, rtt));
    };
    for _ in 0..6 {
        world.pass(SECOND * 10);
        both(&world, RTT);
    }
    world.pass(SECOND * 4);
    assert_eq!(world.get(client.session()).heartbeat_interval, SECOND * 45);
    world.drain();
    // Nothing is swept meanwhile, so what was armed is what was due for 45 s.
    (0..8).for_each(|_| both(&world, SECOND * 9));
    assert_eq!(world.get(client.session()).heartbeat_interval, SECOND * 15);
    assert_eq!(world.pass(SECOND * 16).pings, 1);
    assert_eq!(world.pass(SECOND * 21).silent, 2, "15 s and a tenth, and 20 s");
}

#[test]
fn beats_of_many_are_answered_in_order() {
    let mut world = World::new();
    let keys: Vec<_> = (0..50).map(|_| world.connect(None, Beats::Client)).collect();
    let mut beats: Vec<_> = keys.iter().map(|key| (key.session(), None)).collect();
    beats.insert(7, (mainstay_registry::SessionId::from_bits(7), None));
    let answers = world.registry.heartbeat_many(world.now, &beats);
    assert_eq!(answers.iter().position(Option::is_none), Some(7));
    assert_eq!(answers.iter().flatten().count(), 50);
    assert_eq!(world.registry.heard_many(world.now, &keys), 0);
    assert!(world.registry.lost(world.now, keys[3], LossReason::Lost));
    assert_eq!(world.registry.heard_many(world.now, &keys), 1);
}

#[test]
fn nobody_is_given_up_because_we_slept() {
    let mut world = World::new();
    let key = world.socket();
    let resting = world.socket();
    world.pass_answered(SECOND * 60, RTT);
    assert!(world.registry.lost(world.now, resting, LossReason::Lost));
    world.sweep();
    world.drain();
    world.now = world.now.after(SECOND * 1_000);
    let report = world.sweep();
    assert_eq!(report.late.unwrap().as_secs(), 999);
    assert_eq!((report.silent, report.expired), (0, 0));
    assert!(report.held);
    let effects = world.drain();
    let late = SECOND * 999;
    assert!(effects.contains(&Effect::Alarm(Alarm::OwnPause { late })));
    assert_eq!(
        world.get(resting.session()).status,
        Status::Suspended,
        "its grace is longer by that"
    );
    let kept = world.pass_answered(SECOND * 60, RTT);
    assert!(!kept.iter().any(|e| matches!(kind(e), Some(EventKind::Suspended { .. }))));
    assert_eq!(world.get(key.session()).status, Status::Connected);
    assert_eq!(world.pass(SECOND * 70).expired, 1, "and not endless");
}

#[test]
fn nobody_is_given_up_for_a_while_when_many_fall_silent_at_once() {
    let mut world = World::new();
    let keys: Vec<_> = (0..100).map(|_| world.connect(None, Beats::Server)).collect();
    world.pass_answered(SECOND * 100, RTT);
    let mut report = world.pass(SECOND);
    while !report.held {
        assert_eq!(report.silent, 0);
        report = world.pass(SECOND / 2);
    }
    let effects = world.drain();
    let alarms = effects.iter().filter(|e| matches!(e, Effect::Alarm(_))).count();
    assert_eq!(alarms, 1);
    assert!(keys.iter().all(|key| world.registry.heard(world.now, *key)), "it was our line");
    world.pass_answered(SECOND * 60, RTT);
    assert_eq!(world.registry.counts().connected, 100);
}

#[test]
fn the_stress_of_the_server_stretches_intervals() {
    let mut world = World::new();
    assert_eq!(world.registry.set_stress(8).unwrap_err().field, "stress");
    world.registry.set_stress(1).unwrap();
    let session = world.connect(None, Beats::Client).session();
    world.sweep();
    let beat = world.registry.heartbeat(world.now, session, None).unwrap();
    assert_eq!((beat.interval, beat.timeout), (SECOND * 40, SECOND * 40));
}

#[test]
fn minutes_are_kept_of_sessions_that_are_watched() {
    let mut world = World::new();
    let key = world.socket();
    assert_eq!(world.registry.bars(world.now, key.session()), None);
    assert!(world.registry.watch(key.session(), true));
    world.pass_answered(SECOND * 120, RTT);
    let bars = world.registry.bars(world.now, key.session()).unwrap();
    assert_eq!(bars.len(), 60);
    assert!(bars.iter().map(|bar| u32::from(bar.came)).sum::<u32>() >= 4);
    assert_eq!(bars[59].missed, 0);
    assert!(world.registry.watch(key.session(), false));
    assert_eq!(world.registry.bars(world.now, key.session()), None);
}

#[test]
fn a_checkpoint_tells_only_what_changed() {
    let mut world = World::new();
    let keys: Vec<_> = (0..20).map(|_| world.connect(None, Beats::Server)).collect();
    let changed = |world: &World| {
        let mut all = Vec::new();
        (0..64).for_each(|shard| world.registry.checkpoint(shard, &mut all));
        all
    };
    changed(&world);
    world.pass(SECOND);
    assert!(changed(&world).is_empty());
    assert!(world.registry.answered(world.now, keys[4], RTT));
    let told = changed(&world);
    assert_eq!(told.len(), 1);
    let record = world.get(keys[4].session());
    assert_eq!((told[0].session, told[0].latency_us), (keys[4].session(), 40_000));
    assert_eq!(told[0].last_heartbeat, record.last_heartbeat);
}

#[test]
fn a_server_that_runs_for_ten_years_goes_on_counting() {
    let mut world = World::new();
    let mut last = 0;
    for year in 0..10 {
        let key = world.socket();
        let record = world.get(key.session());
        let wall = WALL + year * 365 * 86_400_000;
        assert!(record.connected_at.abs_diff(wall) < 4_000_000, "{year}");
        assert!(record.last_heartbeat >= record.connected_at && record.connected_at > last);
        last = record.connected_at;
        world.pass_answered(SECOND * 120, RTT);
        assert_eq!(world.get(key.session()).quality, Quality::Excellent);
        world.pass(SECOND * 60);
        assert_eq!(world.get(key.session()).status, Status::Suspended);
        assert_eq!(world.pass(SECOND * 121).expired, 1);
        world.now = world.now.after(SECOND * 86_400 * 365 - SECOND * 301);
        // Two sweeps, since an origin moves by 208 days at most.
        world.sweep();
        world.pass(SECOND * 22);
    }
}

#[test]
fn clocks_that_jump_neither_panic_nor_wedge_anything() {
    let mut world = World::new();
    let key = world.socket();
    for millis in [u64::MAX / 1_000_000, 0, 50_000, 90_000_000_000, 1, u64::MAX] {
        world.now = mainstay_core::time::Instant::from_millis(millis);
        world.sweep();
        world.registry.heard(world.now, key);
        world.drain();
    }
    world.now = mainstay_core::time::Instant::from_millis(60_000);
    world.sweep();
    let next = world.socket();
    world.pass(SECOND * 100);
    assert_eq!(world.get(next.session()).status, Status::Suspended, "nobody is held for ever");
    world.pass(SECOND * 121);
    assert_eq!(world.get(next.session()).status, Status::Disconnected);
}
