use super::*;
use crate::link::Wait;

const SECOND: Duration = Duration::from_secs(1);

impl Rig {
    fn ended(&mut self, outcome: Outcome, reaction: Reaction) -> Step {
        self.give(Input::Ended { generation: self.link.generation(), outcome, reaction })
    }

    fn heard(&mut self) -> Step {
        self.give(Input::Heard { generation: self.link.generation(), at: self.now })
    }

    fn reason(&self) -> Option<FailReason> {
        self.link.view().failed
    }
}

fn websocket() -> Rig {
    Rig::new(&LinkConfig::websocket()).connected()
}

#[test]
fn w38_credentials_are_asked_for_anew_once_and_refused_again_the_link_fails() {
    let mut rig = websocket();
    let step = rig.ended(Outcome::Refused, close_code(4401));
    rig.is(StateName::Reconnecting);
    assert!(told(&step).contains(&"link.reconnecting"));
    let _ = rig.until(DeadlineReason::Redial);
    let _ = rig.ended(Outcome::Refused, refused_upgrade(401, None));
    rig.is(StateName::Failed);
    assert_eq!(rig.reason(), Some(FailReason::CredentialsRefused));
}

#[test]
fn w38_a_stable_connection_earns_another_refresh() {
    let mut rig = websocket();
    for _ in 0..3 {
        let _ = rig.ended(Outcome::Refused, Reaction::Refresh);
        rig.is(StateName::Reconnecting);
        let _ = rig.until(DeadlineReason::Redial);
        let _ = rig.dialled(Outcome::Success);
        let _ = rig.until(DeadlineReason::Stable);
    }
    let _ = rig.ended(Outcome::Refused, Reaction::Refresh);
    let _ = rig.until(DeadlineReason::Redial);
    let _ = rig.dialled(Outcome::Success);
    let _ = rig.ended(Outcome::Refused, Reaction::Refresh);
    rig.is(StateName::Failed);
}

#[test]
fn w30_a_broken_protocol_is_tried_three_times_more() {
    let mut rig = websocket();
    for _ in 0..3 {
        let _ = rig.ended(Outcome::TRANSIENT, close_code(1002));
        let _ = rig.until(DeadlineReason::Redial);
        let _ = rig.dialled(Outcome::Success);
        rig.is(StateName::Connected);
    }
    let step = rig.ended(Outcome::TRANSIENT, close_code(1007));
    assert_eq!(rig.reason(), Some(FailReason::ProtocolBroken));
    assert!(told(&step).contains(&"link.error"));
}

#[test]
fn w14_a_goodbye_may_be_the_end() {
    let mut rig = websocket();
    let step = rig.ended(Outcome::TRANSIENT, Reaction::Stop);
    rig.is(StateName::Disconnected);
    assert_eq!(told(&step).last(), Some(&"link.disconnected"));
    assert_eq!(rig.link.deadline(), None);
}

#[test]
fn w14_an_ending_may_widen_the_wait_up_to_the_cap() {
    let waits = |reaction, bits| {
        let mut rig = websocket();
        rig.bits = bits;
        delay(&rig.ended(Outcome::TRANSIENT, reaction))
    };
    for bits in [0, 7 << 60, MAX] {
        let restart = waits(close_code(1012), bits);
        assert!((5 * SECOND..=30 * SECOND).contains(&restart), "{restart:?}");
        let hint = waits(refused_upgrade(503, Some(20 * SECOND)), bits);
        assert!((20 * SECOND..=25 * SECOND).contains(&hint), "{hint:?}");
        let huge = waits(Reaction::Redial { at_least: Wait::Hint(9_000 * SECOND) }, bits);
        assert!((60 * SECOND..=75 * SECOND).contains(&huge), "{huge:?}");
    }
    assert_eq!(waits(close_code(1013), MAX), 2 * SECOND);
}

#[test]
fn w23_a_ping_is_due_after_silence_not_after_a_time() {
    let mut rig = websocket();
    for _ in 0..10 {
        rig.pass(14_000);
        let _ = rig.heard();
        let (at, reason) = rig.link.deadline().unwrap();
        assert!(at > rig.now || reason == DeadlineReason::Stable);
    }
    let heard = rig.now;
    while rig.next().0 != DeadlineReason::Probe {}
    assert_eq!(rig.now.since(heard), 15 * SECOND);
    assert!(rig.link.is_probing());
}

#[test]
fn w23_a_peer_that_was_pinged_too_often_is_pinged_half_as_often() {
    let mut rig = websocket();
    for wanted in [30, 60, 120] {
        let _ = rig.ended(Outcome::TRANSIENT, Reaction::PingLess);
        let _ = rig.until(DeadlineReason::Redial);
        let _ = rig.dialled(Outcome::Success);
        let since = rig.now;
        while rig.next().0 != DeadlineReason::Probe {}
        assert_eq!(rig.now.since(since), wanted * SECOND);
    }
}

#[test]
fn w21_any_byte_answers_a_ping_and_is_no_round_trip() {
    let mut rig = websocket();
    while rig.next().0 != DeadlineReason::Probe {}
    rig.pass(4_000);
    let _ = rig.heard();
    assert!(!rig.link.is_probing());
    assert_eq!(rig.link.deadline().unwrap().1, DeadlineReason::Probe);
    let stats = rig.link.stats(rig.now);
    assert_eq!((stats.total_health_checks, stats.successful_health_checks), (1, 1));
    assert_eq!(stats.rtt.last(), None);
}

#[test]
fn w21_what_was_heard_before_the_ping_does_not_answer_it() {
    let mut rig = websocket();
    let before = rig.now;
    while rig.next().0 != DeadlineReason::Probe {}
    let generation = rig.link.generation();
    let _ = rig.give(Input::Heard { generation, at: before });
    assert!(rig.link.is_probing());
    let (reason, step) = rig.next();
    assert_eq!(reason, DeadlineReason::ProbeTimeout);
    assert!(told(&step).contains(&"link.unhealthy"));
    rig.is(StateName::Reconnecting);
}

#[test]
fn w24_a_machine_that_slept_asks_at_once_and_dials_at_once() {
    let mut rig = websocket();
    let step = rig.give(Input::Woke);
    assert!(matches!(step.action, Action::Probe { .. }));
    assert_eq!(told(&step), ["link.woke"]);
    let step = rig.give(Input::Woke);
    assert_eq!(step.action, Action::Nothing);
    let (reason, _) = rig.next();
    assert_eq!(reason, DeadlineReason::ProbeTimeout);
    rig.is(StateName::Reconnecting);
    let step = rig.give(Input::Woke);
    assert!(matches!(step.action, Action::Dial { .. }));
    let again = rig.give(Input::Woke);
    assert_eq!(again.action, Action::Nothing, "one dial, not two");
}

#[test]
fn w24_a_sleep_ends_neither_a_pause_nor_an_open_breaker() {
    for hold in [Input::Pause, Input::BreakerOpened { until: Instant::from_millis(90_000) }] {
        let mut rig = websocket();
        if hold != Input::Pause {
            let _ = rig.lost(Outcome::TRANSIENT);
        }
        let _ = rig.give(hold);
        rig.is(StateName::Suspended);
        assert_eq!(rig.give(Input::Woke).action, Action::Nothing);
    }
}

#[test]
fn w16_a_dial_that_waits_for_its_turn_has_its_whole_time_afterwards() {
    let mut rig = Rig::new(&LinkConfig::websocket());
    let _ = rig.give(Input::Connect);
    let generation = rig.link.generation();
    let until = rig.now.after(45 * SECOND);
    let _ = rig.give(Input::DialDelayed { generation, until });
    assert_eq!(rig.link.deadline(), Some((until.after(20 * SECOND), DeadlineReason::DialTimeout)));
    rig.pass(3_000);
    let _ = rig.give(Input::DialDelayed { generation, until: rig.now });
    let turn = rig.now.after(20 * SECOND);
    assert_eq!(rig.link.deadline(), Some((turn, DeadlineReason::DialTimeout)));
}

#[test]
fn w43_another_connection_takes_over_without_a_gap() {
    let mut rig = websocket();
    let _ = rig.until(DeadlineReason::Stable);
    let old = rig.link.generation();
    let step = rig.give(Input::Migrate);
    let Action::Migrate { generation, .. } = step.action else { panic!("a second dial") };
    assert_eq!(rig.give(Input::Migrate).action, Action::Nothing, "one at a time");
    rig.is(StateName::Connected);
    let step = rig.give(Input::Migrated { generation, outcome: Outcome::Success });
    assert_eq!(told(&step), ["link.migrated"]);
    assert_eq!(rig.link.generation(), generation);
    rig.is(StateName::Connected);
    let late = rig.give(Input::Lost { generation: old, outcome: Outcome::TRANSIENT });
    assert_eq!((late.action, told(&late).len()), (Action::Nothing, 0));
    assert_eq!(rig.link.stats(rig.now).total_connections, 2);
}

#[test]
fn w43_a_failed_migration_leaves_the_connection_alone() {
    let mut rig = websocket();
    let step = rig.give(Input::Migrate);
    let Action::Migrate { generation, .. } = step.action else { panic!("a second dial") };
    let step = rig.give(Input::Migrated { generation, outcome: Outcome::Refused });
    assert_eq!(told(&step), ["link.migration.failed"]);
    rig.is(StateName::Connected);
    let step = rig.give(Input::Migrate);
    let Action::Migrate { generation, .. } = step.action else { panic!("a second dial") };
    let _ = rig.give(Input::Pause);
    let late = rig.give(Input::Migrated { generation, outcome: Outcome::Success });
    assert_eq!((late.action, told(&late).len()), (Action::Nothing, 0));
    rig.is(StateName::Suspended);
}

#[test]
fn w43_a_connection_lost_during_a_migration_makes_it_the_redial() {
    let migrating = || {
        let mut rig = websocket();
        let step = rig.give(Input::Migrate);
        let Action::Migrate { generation, .. } = step.action else { panic!("a second dial") };
        (rig, generation)
    };
    let (mut rig, generation) = migrating();
    let step = rig.lost(Outcome::TRANSIENT);
    assert_eq!(step.action, Action::Nothing, "the dial that is under way goes on");
    rig.is(StateName::Reconnecting);
    let step = rig.give(Input::Migrated { generation, outcome: Outcome::Success });
    rig.is(StateName::Connected);
    assert!(told(&step).contains(&"link.reconnected"));
    assert_eq!(rig.link.generation(), generation);

    let (mut rig, generation) = migrating();
    let _ = rig.lost(Outcome::TRANSIENT);
    let step = rig.give(Input::Migrated { generation, outcome: Outcome::TRANSIENT });
    assert!(told(&step).contains(&"link.reconnecting"), "like every failed redial");

    let (mut rig, generation) = migrating();
    let step = rig.ended(Outcome::Permanent, Reaction::Fail);
    assert_eq!(step.action, Action::Abandon);
    rig.is(StateName::Failed);
    let late = rig.give(Input::Migrated { generation, outcome: Outcome::Success });
    assert_eq!(late.action, Action::Nothing);
    rig.is(StateName::Failed);

    let (mut rig, _) = migrating();
    let _ = rig.lost(Outcome::TRANSIENT);
    let (reason, step) = rig.next();
    assert_eq!((reason, step.action), (DeadlineReason::DialTimeout, Action::Abandon));
}
