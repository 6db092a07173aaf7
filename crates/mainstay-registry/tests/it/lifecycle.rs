//! The life of a session, story by story.

use std::time::Duration;

use mainstay_core::policy::backoff::{Backoff, BackoffConfig, Jitter, Strategy};
use mainstay_core::policy::pressure::Pressure;
use mainstay_core::session::quality::Quality;
use mainstay_core::session::status::{EndReason, LossReason, Status};
use mainstay_registry::{
    Beats, CloseReason, Cursor, Effect, EventKind, Query, Record, Refusal, RegistryConfig,
    SessionId,
};

use crate::world::{SECOND, WALL, World, registration};

fn closes(effects: &[Effect]) -> Vec<(u64, CloseReason)> {
    let close = |effect: &Effect| {
        if let Effect::Close { key, reason } = effect {
            Some((key.generation(), *reason))
        } else {
            None
        }
    };
    effects.iter().filter_map(close).collect()
}

fn fixed(seconds: u64) -> Backoff {
    let base = Duration::from_secs(seconds);
    let strategy = Strategy::Fixed;
    let config =
        BackoffConfig { strategy, base, jitter: Jitter::None, cap: base, ..Default::default() };
    Backoff::new(&config).unwrap()
}

#[test]
fn a_session_is_not_seen_before_the_store_has_it() {
    let mut world = World::new();
    let admitted = world.waiting(Some("ann"), Beats::Server);
    let session = admitted.key.session();
    assert_eq!(world.registry.get(session), None);
    assert_eq!(world.registry.counts().total(), 0);
    let page = world.registry.find(&Query::default(), Cursor::default(), 10);
    assert!(page.records.is_empty() && page.next.is_none());
    assert!(!world.registry.heard(world.now, admitted.key));
    assert_eq!(world.resume(session, 1), Err(Refusal::Unknown));
    assert!(world.registry.committed(world.now, admitted.key));
    assert!(!world.registry.committed(world.now, admitted.key), "once");
    assert_eq!(world.get(session).status, Status::Connected);
    assert_eq!(world.get(session).registered_at, WALL);
    assert_eq!(world.events(), [EventKind::Registered]);
    assert_eq!(world.rows[&session].status, Status::Connected, "stored as what it then is");
}

#[test]
fn a_session_that_the_store_did_not_take_leaves_no_trace() {
    let mut world = World::with(&RegistryConfig { sessions_max: 1, ..Default::default() });
    let key = world.waiting(None, Beats::Server).key;
    let wide = world.wide_bits();
    let full = world.registry.register(world.now, wide, registration(None, Beats::Server));
    assert_eq!(full, Err(Refusal::Full));
    assert!(world.registry.end(world.now, key.session(), EndReason::Bye));
    assert!(world.registry.rolled_back(key));
    assert!(!world.registry.rolled_back(key));
    assert!(!world.registry.committed(world.now, key));
    assert_eq!(world.events(), [EventKind::Registered], "that of the batch which failed");
    assert_eq!(world.registry.counts_by_name().0.len(), 0, "its names are gone too");
    let next = world.connect(None, Beats::Server);
    assert_ne!(next, key, "its slot is used again, by another name");
    assert!(!world.registry.heard(world.now, key));
}

#[test]
fn a_session_that_ends_while_the_store_takes_it_is_gone_right_after() {
    let mut world = World::new();
    let key = world.waiting(None, Beats::Server).key;
    assert!(world.registry.end(world.now, key.session(), EndReason::Kicked));
    assert!(world.registry.committed(world.now, key));
    let gone = EventKind::Gone { reason: EndReason::Kicked };
    assert_eq!(world.events(), [EventKind::Registered, gone]);
    assert_eq!(world.get(key.session()).status, Status::Disconnected);
}

#[test]
fn a_backend_is_told_exactly_once_that_a_client_is_gone() {
    let mut world = World::new();
    let key = world.socket();
    let session = key.session();
    assert!(world.registry.lost(world.now, key, LossReason::Lost));
    assert!(!world.registry.lost(world.now, key, LossReason::Lost));
    world.pass(SECOND * 119);
    assert_eq!(world.get(session).status, Status::Suspended, "its grace runs");
    assert_eq!(world.pass(SECOND * 2).expired, 1);
    for reason in [EndReason::Bye, EndReason::Kicked, EndReason::Exhausted] {
        assert!(!world.registry.end(world.now, session, reason));
    }
    let suspended = EventKind::Suspended { reason: LossReason::Lost };
    let gone = EventKind::Gone { reason: EndReason::Expired };
    assert_eq!(world.events(), [EventKind::Registered, suspended, gone]);
    assert_eq!(world.resume(session, 1), Err(Refusal::Gone(EndReason::Expired)), "and it is told");
    assert_eq!(world.pass(SECOND * 3_601).removed, 1);
    assert_eq!(world.events(), []);
    assert_eq!(world.resume(session, 1), Err(Refusal::Unknown));
    assert!(world.rows.is_empty());
}

#[test]
fn a_fast_client_comes_back_without_anything_in_between() {
    let mut world = World::new();
    let key = world.socket();
    assert!(world.registry.lost(world.now, key, LossReason::Lost));
    let next = world.resume(key.session(), 1).unwrap();
    assert_eq!(next.generation(), 2);
    let record = world.get(key.session());
    assert_eq!((record.status, record.total_disconnections), (Status::Connected, 1));
    assert_eq!((record.disconnected_at, record.expires_at), (None, None));
    assert_eq!(world.events()[2], EventKind::Resumed { replay: true });
}

#[test]
fn the_newer_connection_wins_and_the_older_one_changes_nothing_any_more() {
    let mut world = World::new();
    let old = world.socket();
    assert!(world.registry.heard(world.now, old));
    world.drain();
    let new = world.resume(old.session(), 1).unwrap();
    let effects = world.drain();
    assert_eq!(closes(&effects), [(1, CloseReason::Superseded)]);
    let before = world.get(old.session());
    assert!(!world.registry.heard(world.now, old));
    assert!(!world.registry.answered(world.now, old, SECOND));
    assert!(!world.registry.lost(world.now, old, LossReason::Lost), "a late end of the old one");
    assert_eq!(world.get(old.session()), before);
    assert!(world.registry.heard(world.now, new));
    assert_eq!(world.resume(old.session(), 1), Err(Refusal::Stale));
}

#[test]
fn a_client_whose_welcomes_were_lost_may_show_the_generation_it_was_told_last() {
    let mut world = World::new();
    let first = world.socket();
    assert!(world.registry.heard(world.now, first));
    let second = world.resume(first.session(), 1).unwrap();
    let third = world.resume(first.session(), 1).expect("nothing was heard on the second");
    assert_eq!(third.generation(), 3);
    let fourth = world.resume(first.session(), 1).expect("nor on the third");
    let fifth = world.resume(first.session(), 4).expect("it was told of the fourth");
    assert_eq!(world.resume(first.session(), 3), Err(Refusal::Stale), "so it knows of the third");
    assert!(world.registry.heard(world.now, fifth));
    for past in 1..5 {
        assert_eq!(world.resume(first.session(), past), Err(Refusal::Stale), "{past}");
    }
    for old in [second, third, fourth] {
        assert!(!world.registry.heard(world.now, old));
    }
    let last = world.resume(first.session(), 9).expect("a higher one wins");
    assert_eq!(last.generation(), 10);
}

#[test]
fn a_rest_is_as_long_as_was_asked_and_has_a_limit() {
    let mut world = World::new();
    let key = world.socket();
    let (now, session) = (world.now, key.session());
    let asked = Some(SECOND * 600);
    assert!(world.registry.suspend(now, session, LossReason::Asked, asked));
    assert_eq!(closes(&world.drain()), [(1, CloseReason::Suspended)]);
    assert!(world.get(session).expires_at.unwrap().abs_diff(WALL + 600_000) <= 17);
    assert!(world.registry.suspend(now, session, LossReason::Asked, Some(SECOND * 90_000)));
    assert!(world.get(session).expires_at.unwrap().abs_diff(WALL + 3_600_000) <= 17);
    world.pass(SECOND * 601);
    assert_eq!(world.get(session).status, Status::Suspended);
}

#[test]
fn a_session_is_expected_back_window_by_window_until_its_attempts_are_used_up() {
    let mut world = World::new();
    let key = world.socket();
    let session = key.session();
    let (backoff, none) = (fixed(10), Pressure::NONE);
    let reserved = world.registry.expect_back(world.now, 0, session, &backoff, none, 3).unwrap();
    assert_eq!((reserved.attempt, reserved.within), (1, SECOND * 10));
    assert_eq!(world.get(session).status, Status::Reconnecting);
    assert_eq!(world.get(session).max_reconnect_attempts, 3);
    world.pass(SECOND * 21);
    assert_eq!(world.get(session).reconnect_attempts, 3);
    assert_eq!(world.pass(SECOND * 12).failed, 1);
    let record = world.get(session);
    assert_eq!((record.status, record.ended), (Status::Failed, Some(EndReason::Exhausted)));
    let effects = world.drain();
    let dials = effects.iter().filter(|e| matches!(e, Effect::Reconnect { .. })).count();
    assert_eq!(dials, 3);
    let again = world.registry.expect_back(world.now, 0, session, &backoff, none, 9);
    assert_eq!(again, Err(Refusal::Gone(EndReason::Exhausted)));
}

#[test]
fn attempts_start_again_five_minutes_after_the_last_connect() {
    let mut world = World::new();
    let session = world.socket().session();
    let reserved = world.registry.expect_back(world.now, 0, session, &fixed(10), Pressure::NONE, 5);
    assert_eq!(reserved.unwrap().attempt, 1);
    world.pass(SECOND * 5);
    world.resume(session, 1).unwrap();
    world.pass_answered(SECOND * 299, SECOND / 50);
    assert_eq!(world.get(session).reconnect_attempts, 1);
    assert_eq!(world.registry.counts().with_attempts, 1);
    world.pass_answered(SECOND * 2, SECOND / 50);
    assert_eq!(world.get(session).reconnect_attempts, 0);
    assert_eq!(world.registry.counts().reconnect_attempts, 0);
    assert_eq!(world.rows[&session].reconnect_attempts, 0);
}

#[test]
fn a_user_has_as_many_sessions_as_one_may_have_and_ended_ones_do_not_count() {
    let config = RegistryConfig { sessions_per_user_max: Some(2), ..Default::default() };
    let mut world = World::with(&config);
    let first = world.socket();
    world.socket();
    let wide = world.wide_bits();
    let third = registration(Some("ann"), Beats::Server);
    let refused = world.registry.register(world.now, wide, third.clone());
    assert_eq!(refused, Err(Refusal::TooManyOfUser));
    assert!(world.registry.end(world.now, first.session(), EndReason::Bye));
    assert!(world.registry.register(world.now, wide, third).is_ok());
    let other = registration(Some("bob"), Beats::Server);
    assert!(world.registry.register(world.now, wide, other).is_ok());
}

#[test]
fn an_operator_ends_and_removes_and_metadata_changes_only_while_it_lives() {
    let mut world = World::new();
    let key = world.socket();
    let (now, session) = (world.now, key.session());
    assert!(world.registry.set_metadata(now, session, r#"{"a":1}"#.into()));
    assert_eq!(&*world.get(session).metadata, r#"{"a":1}"#);
    assert!(world.registry.end(now, session, EndReason::Kicked));
    let effects = world.drain();
    assert_eq!(closes(&effects), [(1, CloseReason::Ended(EndReason::Kicked))]);
    assert!(!world.registry.set_metadata(now, session, "{}".into()));
    assert!(world.registry.remove(now, session));
    assert!(!world.registry.remove(now, session));
    assert_eq!(world.registry.get(session), None);
    world.drain();
    let other = world.socket();
    assert!(world.registry.remove(world.now, other.session()), "ended, then removed");
    let gone = EventKind::Gone { reason: EndReason::Kicked };
    assert_eq!(world.events(), [EventKind::Registered, gone]);
    assert!(world.rows.is_empty());
}

#[test]
fn ended_sessions_give_way_when_there_are_too_many() {
    let mut world = World::with(&RegistryConfig { ended_max: 64, ..Default::default() });
    let keys: Vec<_> = (0..3).map(|_| world.socket()).collect();
    for key in &keys {
        assert!(world.registry.end(world.now, key.session(), EndReason::Bye));
    }
    assert_eq!(world.registry.counts().disconnected, 1, "one in each shard");
    assert_eq!(world.registry.get(keys[0].session()), None);
    assert!(world.registry.get(keys[2].session()).is_some());
    world.drain();
    assert_eq!(world.rows.len(), 1);
}

#[test]
fn names_of_other_makers_are_unknown() {
    let mut world = World::new();
    let key = world.socket();
    let bits = key.session().to_bits();
    for other in
        [0, 1, u128::MAX, bits ^ 1, bits ^ 1 << 33, bits ^ 1 << 57, bits ^ 1 << 62, bits ^ 1 << 127]
    {
        let other = SessionId::from_bits(other);
        assert_eq!(world.registry.get(other), None, "{other}");
        assert_eq!(world.registry.heartbeat(world.now, other, None), None);
        assert!(!world.registry.end(world.now, other, EndReason::Bye));
    }
    assert!(world.registry.get(key.session()).is_some());
}

#[test]
fn sessions_are_found_by_every_field_and_by_all_at_once() {
    let mut world = World::new();
    let mut all = Vec::new();
    for nr in 0..60 {
        let mut wanted = registration(Some(["ann", "bob"][nr % 2]), Beats::Server);
        wanted.organisation = ["acme", "globex", "initech"][nr % 3].into();
        wanted.client_type = ["WEB_APP", "MOBILE_APP"][nr / 30].into();
        let wide = world.wide_bits();
        let key = world.registry.register(world.now, wide, wanted).unwrap().key;
        assert!(world.registry.committed(world.now, key));
        if nr % 5 == 0 {
            assert!(world.registry.lost(world.now, key, LossReason::Lost));
        }
        all.push(world.get(key.session()));
    }
    let none = Query::default;
    type Fits = fn(&Record) -> bool;
    let table: [(Query, Fits); 8] = [
        (none(), |_| true),
        (Query { user: Some("bob".into()), ..none() }, |r| r.user.as_deref() == Some("bob")),
        (Query { organisation: Some("acme".into()), ..none() }, |r| &*r.organisation == "acme"),
        (Query { client_type: Some("WEB_APP".into()), ..none() }, |r| &*r.client_type == "WEB_APP"),
        (Query { status: Some(Status::Suspended), ..none() }, |r| r.status == Status::Suspended),
        (Query { quality: Some(Quality::Good), ..none() }, |_| false),
        (Query { user: Some("nobody".into()), ..none() }, |_| false),
        (
            Query {
                user: Some("ann".into()),
                organisation: Some("globex".into()),
                client_type: Some("MOBILE_APP".into()),
                status: Some(Status::Connected),
                quality: Some(Quality::Unknown),
                session: None,
            },
            |r| {
                r.user.as_deref() == Some("ann")
                    && (&*r.organisation, &*r.client_type) == ("globex", "MOBILE_APP")
                    && r.status == Status::Connected
            },
        ),
    ];
    for (query, fits) in table {
        let page = world.registry.find(&query, Cursor::default(), 1_000);
        assert_eq!(page.next, None);
        let mut found = page.records;
        let mut expected: Vec<_> = all.iter().filter(|r| fits(r)).cloned().collect();
        found.sort_by_key(|record| record.session);
        expected.sort_by_key(|record| record.session);
        assert_eq!(found, expected, "{query:?}");
    }
    let one = Query { session: Some(all[7].session), ..none() };
    assert_eq!(world.registry.find(&one, Cursor::default(), 10).records, [all[7].clone()]);
    let (organisations, types) = world.registry.counts_by_name();
    assert_eq!((organisations["acme"], types["MOBILE_APP"]), (20, 30));
}

#[test]
fn a_list_goes_on_where_it_stopped_whatever_comes_and_goes() {
    let mut world = World::new();
    let stay: Vec<_> = (0..40).map(|_| world.connect(None, Beats::Server).session()).collect();
    let mut go: Vec<_> = (0..40).map(|_| world.connect(None, Beats::Server).session()).collect();
    let (mut found, mut cursor) = (Vec::new(), Cursor::default());
    loop {
        let page = world.registry.find(&Query::default(), cursor, 7);
        assert!(page.records.len() <= 7);
        found.extend(page.records.iter().map(|record| record.session));
        let Some(next) = page.next else { break };
        cursor = next.to_string().parse().unwrap();
        if let Some(session) = go.pop() {
            assert!(world.registry.remove(world.now, session));
        }
        world.connect(None, Beats::Server);
    }
    for session in stay {
        assert_eq!(found.iter().filter(|other| **other == session).count(), 1);
    }
}
