use super::*;

/// Takes the next probe and answers it.
fn probed(rig: &mut Rig, outcome: Outcome) -> Step {
    for _ in 0..5 {
        let (_, step) = rig.next();
        if let Action::Probe { generation, .. } = step.action {
            let rtt = Duration::from_millis(20);
            return rig.give(Input::ProbeFinished { generation, outcome, rtt });
        }
    }
    panic!("no probe is planned");
}

fn wait(rig: &Rig) -> Duration {
    rig.link.deadline().unwrap().0.since(rig.now)
}

#[test]
fn probes_come_every_interval_and_faster_at_the_edge() {
    let mut rig = Rig::plain().connected();
    let _ = probed(&mut rig, Outcome::Success);
    assert_eq!(wait(&rig), Duration::from_secs(30));
    assert_eq!(told(&probed(&mut rig, Outcome::TRANSIENT)), ["link.suspect"]);
    assert_eq!(wait(&rig), Duration::from_secs(1));
    assert_eq!(probed(&mut rig, Outcome::Success), Step::default());
    assert_eq!(wait(&rig), Duration::from_secs(1));
    assert_eq!(told(&probed(&mut rig, Outcome::Success)), ["link.restored"]);
    assert_eq!(wait(&rig), Duration::from_secs(30));
}

#[test]
fn three_failures_are_a_verdict() {
    let mut rig = Rig::plain().connected();
    let _ = probed(&mut rig, Outcome::TRANSIENT);
    let _ = probed(&mut rig, Outcome::TRANSIENT);
    let step = probed(&mut rig, Outcome::TRANSIENT);
    assert_eq!(told(&step), ["link.unhealthy", "link.state.changed", "link.reconnecting"]);
    assert_eq!(step.action, Action::Abandon);
}

#[test]
fn one_failure_is_a_verdict_with_the_seeds_numbers() {
    for config in [LinkConfig::chittyid_reconnect(), LinkConfig::streamotter()] {
        let mut rig = Rig::new(&config).connected();
        let step = probed(&mut rig, Outcome::TRANSIENT);
        assert!(step.events().any(|event| event == Event::Unhealthy { failures: 1 }));
        rig.is(StateName::Reconnecting);
    }
}

#[test]
fn real_calls_count_as_probes_do() {
    let mut rig = Rig::plain().connected();
    rig.pass(1_000);
    let took = Duration::from_millis(10);
    let call = |outcome| Input::Traffic { outcome, took };
    assert_eq!(told(&rig.give(call(Outcome::TRANSIENT))), ["link.suspect"]);
    assert_eq!(wait(&rig), Duration::from_secs(1));
    let _ = probed(&mut rig, Outcome::TRANSIENT);
    assert!(told(&rig.give(call(Outcome::Permanent))).contains(&"link.unhealthy"));
}

#[test]
fn calls_that_tell_nothing_of_the_peer_do_not_count() {
    let mut rig = Rig::plain().connected();
    for outcome in [Outcome::THROTTLED, Outcome::Abandoned, Outcome::Refused] {
        assert_eq!(rig.give(Input::Traffic { outcome, took: Duration::ZERO }), Step::default());
    }
}

#[test]
fn a_call_that_began_before_the_connection_says_nothing() {
    let mut rig = Rig::plain().connected();
    rig.pass(1_000);
    let took = Duration::from_millis(1_001);
    assert_eq!(rig.give(Input::Traffic { outcome: Outcome::TRANSIENT, took }), Step::default());
    assert_eq!(rig.link.stats(rig.now).calls.last(), None);
}

#[test]
fn probes_never_overlap() {
    let mut rig = Rig::plain().connected();
    assert!(matches!(rig.give(Input::CheckNow).action, Action::Probe { .. }));
    assert_eq!(rig.give(Input::CheckNow), Step::default());
    let (reason, step) = rig.next();
    assert_eq!((reason, step.action), (DeadlineReason::ProbeTimeout, Action::Nothing));
    assert!(told(&step).contains(&"link.suspect"));
}

#[test]
fn a_probe_that_timed_out_cannot_answer_later() {
    let mut rig = Rig::plain().connected();
    let Action::Probe { generation, .. } = rig.give(Input::CheckNow).action else { panic!() };
    let _ = rig.next();
    let rtt = Duration::from_secs(6);
    let late = Input::ProbeFinished { generation, outcome: Outcome::Success, rtt };
    assert_eq!(rig.give(late), Step::default());
    let stats = rig.link.stats(rig.now);
    assert_eq!((stats.total_health_checks, stats.failed_health_checks), (1, 1));
}

#[test]
fn a_disconnected_link_can_be_checked_and_stays_disconnected() {
    let mut rig = Rig::plain();
    let Action::Probe { generation, .. } = rig.give(Input::CheckNow).action else { panic!() };
    let rtt = Duration::from_millis(4);
    let _ = rig.give(Input::ProbeFinished { generation, outcome: Outcome::Success, rtt });
    rig.is(StateName::Disconnected);
    assert_eq!(rig.link.deadline(), None);
    assert_eq!(rig.link.stats(rig.now).last_health_check, Some(rig.now));
}

#[test]
fn without_probing_only_calls_and_losses_count() {
    let mut config = LinkConfig::default();
    config.health.enabled = false;
    let mut rig = Rig::new(&config).connected();
    let _ = rig.until(DeadlineReason::Stable);
    assert_eq!(rig.link.deadline(), None);
}

#[test]
fn the_rate_is_a_number_and_the_seeds_text() {
    let mut rig = Rig::plain().connected();
    assert_eq!(rig.link.stats(rig.now).success_text(), "0%");
    for n in 0..49 {
        let outcome = if n == 7 { Outcome::TRANSIENT } else { Outcome::Success };
        let _ = probed(&mut rig, outcome);
    }
    let stats = rig.link.stats(rig.now);
    assert_eq!(stats.success_text(), "97.96%");
    assert_eq!(stats.health_check_success_rate.ppm(), 979_591);
}

#[test]
fn round_trips_are_those_of_good_probes() {
    let mut rig = Rig::plain().connected();
    let _ = probed(&mut rig, Outcome::TRANSIENT);
    assert_eq!(rig.link.stats(rig.now).rtt.last(), None);
    let _ = probed(&mut rig, Outcome::Success);
    let rtt = rig.link.stats(rig.now).rtt;
    let wanted = Some(Duration::from_millis(20));
    assert_eq!((rtt.last(), rtt.smoothed(), rtt.min()), (wanted, wanted, wanted));
}
