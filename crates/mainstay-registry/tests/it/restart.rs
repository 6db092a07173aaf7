//! What comes back from the store.

use mainstay_core::session::status::{EndReason, LossReason, Status};
use mainstay_core::time::Instant;
use mainstay_registry::{
    Beats, Effect, EventId, EventKind, Origin, Refusal, RegistryConfig, SHARDS,
};

use crate::world::{SECOND, WALL, World};

const LOST: EventKind = EventKind::Suspended { reason: LossReason::Restarted };

/// A server that starts again with the rows of the one before, its calendar set to `unix_ms`.
fn restarted(before: &mut World, unix_ms: u64) -> World {
    before.drain();
    let origin = Origin { now: Instant::from_millis(7), unix_ms };
    let mut world = World::at(&RegistryConfig::default(), origin);
    for row in before.rows.values() {
        let lives = row.ended.is_none();
        assert_eq!(world.registry.restore(world.now, row.clone()), lives);
        assert!(!world.registry.restore(world.now, row.clone()), "once");
    }
    world.rows = before.rows.clone();
    world
}

#[test]
fn sessions_survive_a_restart_with_their_full_grace() {
    let mut before = World::new();
    let key = before.socket();
    let over = before.socket();
    before.registry.end(before.now, over.session(), EndReason::Bye);
    let mut after = restarted(&mut before, WALL + 3_600_000);
    let record = after.get(key.session());
    assert_eq!((record.status, record.generation), (Status::Suspended, 1));
    assert!(record.expires_at.unwrap().abs_diff(WALL + 3_720_000) <= 17);
    assert_eq!(record.registered_at, WALL);
    assert_eq!((record.connected_at, record.last_heartbeat), (WALL, WALL));
    assert_eq!(after.events(), [], "a start waits for no rows");
    assert_eq!(after.registry.tell_restored(after.now, 64), 0);
    assert_eq!(after.events(), [LOST]);
    assert_eq!(after.registry.counts().live(), 1);
    let next = after.resume(key.session(), 1).unwrap();
    assert_eq!(next.generation(), 2);
    assert!(!after.registry.heard(after.now, key), "a key of the server before");
}

#[test]
fn users_do_not_stay_online_after_the_server_died() {
    let mut before = World::new();
    let key = before.socket();
    let mut after = restarted(&mut before, WALL + 10_000);
    after.pass(SECOND * 119);
    assert_eq!(after.get(key.session()).status, Status::Suspended);
    assert_eq!(after.pass(SECOND * 2).expired, 1);
    let gone = EventKind::Gone { reason: EndReason::Expired };
    assert_eq!(after.events().last(), Some(&gone));
    assert_eq!(after.resume(key.session(), 1), Err(Refusal::Gone(EndReason::Expired)));
}

#[test]
fn the_history_goes_on_when_the_calendar_was_set_back() {
    let mut before = World::new();
    let key = before.socket();
    before.pass(SECOND * 5);
    before.registry.lost(before.now, key, LossReason::Lost);
    before.drain();
    let last = before.rows[&key.session()].disconnected_at.unwrap();
    let mut after = restarted(&mut before, WALL - 86_400_000);
    after.resume(key.session(), 1).unwrap();
    let told = ids(&after.drain());
    assert!(!told.is_empty() && told.iter().all(|id| id.unix_ms > last), "{told:?} {last}");
}

#[test]
fn the_history_goes_on_after_the_last_event_of_the_store() {
    let mut before = World::new();
    let key = before.socket();
    before.drain();
    before.now = before.now.after(SECOND * 60);
    assert!(before.registry.set_metadata(before.now, key.session(), "{}".into()));
    let last = ids(&before.drain()).pop().unwrap();
    let origin = Origin { now: Instant::from_millis(7), unix_ms: WALL };
    let mut after = World::at(&RegistryConfig::default(), origin);
    after.registry.go_on_after(last);
    assert!(after.registry.restore(after.now, before.rows[&key.session()].clone()));
    after.registry.tell_restored(after.now, 64);
    let told = ids(&after.drain());
    assert!(told.len() == 1 && told[0] > last, "{told:?} {last:?}");
}

fn ids(effects: &[Effect]) -> Vec<EventId> {
    let id = |effect: &Effect| {
        if let Effect::Store { event: Some(event), .. } = effect { Some(event.id) } else { None }
    };
    effects.iter().filter_map(id).collect()
}

#[test]
fn what_happens_to_a_restored_session_comes_after_its_loss() {
    let mut before = World::new();
    let [back, kicked, changed, waits] = [(); 4].map(|()| before.socket().session());
    let mut after = restarted(&mut before, WALL + 10_000);
    let now = after.now;
    assert!(after.registry.end(now, kicked, EndReason::Kicked));
    assert!(after.registry.set_metadata(now, changed, "{}".into()));
    after.resume(back, 1).unwrap();
    assert_eq!(after.registry.tell_restored(now, SHARDS), 0, "one was left");
    assert_eq!(after.registry.tell_restored(now, SHARDS), 0);
    let effects = after.drain();
    let events = effects.iter().filter_map(|effect| {
        if let Effect::Store { event: Some(event), .. } = effect { Some(event) } else { None }
    });
    let mut of = std::collections::BTreeMap::<_, Vec<_>>::new();
    for event in events {
        if event.session == back {
            let generation = if event.kind == LOST { 1 } else { 2 };
            assert_eq!(event.generation, generation, "{:?} is of its own connection", event.kind);
        }
        of.entry(event.session).or_default().push((event.seq, event.kind));
    }
    assert_eq!(of[&back], [(2, LOST), (3, EventKind::Resumed { replay: true })]);
    assert_eq!(of[&kicked], [(2, LOST), (3, EventKind::Gone { reason: EndReason::Kicked })]);
    assert_eq!(of[&changed], [(2, LOST), (3, EventKind::MetadataChanged)]);
    assert_eq!(of[&waits], [(2, LOST)]);
}

#[test]
fn so_many_are_told_at_a_time_and_a_rest_stays() {
    let mut before = World::new();
    for nr in 0..1_000 {
        before.connect(Some(&format!("user-{nr}")), Beats::Server);
    }
    let mut after = restarted(&mut before, WALL + 10_000);
    let left = after.registry.tell_restored(after.now, SHARDS);
    let told = after.events().len();
    assert!((1..=SHARDS).contains(&told), "{told}");
    assert_eq!(left, 1_000 - told);
    assert_eq!(after.registry.tell_restored(after.now, 64_000), 0);
    assert_eq!(after.events().len(), left);
}

#[test]
fn a_place_that_is_taken_displaces_nobody() {
    let mut before = World::new();
    let old: Vec<_> = (0..30).map(|_| before.socket().session()).collect();
    before.drain();
    let origin = Origin { now: Instant::from_millis(7), unix_ms: WALL + 5_000 };
    let mut after = World::at(&RegistryConfig::default(), origin);
    let new: Vec<_> = (0..30).map(|_| after.socket().session()).collect();
    for session in &old {
        assert!(after.registry.restore(after.now, before.rows[session].clone()));
    }
    for session in old.iter().chain(&new) {
        assert_eq!(after.get(*session).session, *session);
    }
    assert_eq!(after.registry.counts().live(), 60);
    for session in &old {
        assert!(after.registry.remove(after.now, *session));
        assert_eq!(after.registry.get(*session), None);
    }
    let again: Vec<_> = (0..40).map(|_| after.socket().session()).collect();
    for session in again.iter().chain(&new) {
        assert_eq!(after.get(*session).status, Status::Connected);
    }
}

#[test]
fn a_client_that_beats_by_itself_goes_on_beating_after_a_restart() {
    let mut before = World::new();
    let session = before.connect(Some("gateway"), Beats::Client).session();
    let mut after = restarted(&mut before, WALL + 10_000);
    assert!(after.registry.heartbeat(after.now, session, None).is_some());
    assert_eq!(after.get(session).status, Status::Connected);
    assert_eq!(after.events()[1], EventKind::Resumed { replay: false });
}
