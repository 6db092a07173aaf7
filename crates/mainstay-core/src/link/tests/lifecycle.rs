use super::*;

#[test]
fn it_starts_disconnected_and_waits_for_nothing() {
    let rig = Rig::plain();
    rig.is(StateName::Disconnected);
    assert_eq!(rig.link.deadline(), None);
}

#[test]
fn connecting_tells_the_change_before_the_connection() {
    let mut rig = Rig::plain();
    let step = rig.give(Input::Connect);
    let deadline = rig.now.after(Duration::from_secs(10));
    assert_eq!(step.action, Action::Dial { generation: Generation::new(1), deadline });
    assert_eq!(told(&rig.dialled(Outcome::Success)), ["link.state.changed", "link.connected"]);
    assert_eq!(rig.give(Input::Connect), Step::default());
}

#[test]
fn a_first_connect_that_fails_reconnects_and_is_not_failed() {
    let mut rig = Rig::plain();
    let _ = rig.give(Input::Connect);
    let step = rig.dialled(Outcome::TRANSIENT);
    assert_eq!(told(&step), ["link.error", "link.state.changed", "link.reconnecting"]);
    let terminal = step.events().any(|e| matches!(e, Event::Error { terminal: true, .. }));
    assert!(!terminal);
    rig.is(StateName::Reconnecting);
}

#[test]
fn chittyid_waits_1_2_4_8_16_32_60_60_seconds_for_ever() {
    let mut rig = Rig::new(&LinkConfig::chittyid_reconnect()).connected();
    rig.bits = 0;
    let mut step = rig.lost(Outcome::TRANSIENT);
    let mut waits = Vec::new();
    for _ in 0..8 {
        waits.push(delay(&step).as_secs());
        let (reason, fired) = rig.next();
        assert_eq!(reason, DeadlineReason::Redial);
        assert_eq!(told(&fired), ["link.reconnect.attempt"]);
        step = rig.dialled(Outcome::TRANSIENT);
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    rig.is(StateName::Reconnecting);
}

#[test]
fn a_redial_is_announced_when_it_is_planned_and_again_when_it_begins() {
    let mut rig = Rig::plain().connected();
    let step = rig.lost(Outcome::TRANSIENT);
    let next_at = rig.now.after(Duration::from_secs(1));
    let wanted = Event::Reconnecting { attempt: 1, delay: Duration::from_secs(1), next_at };
    assert!(step.events().any(|event| event == wanted));
    assert_eq!(rig.link.view().next_at, Some(next_at));
    let (_, fired) = rig.next();
    assert!(fired.events().any(|event| event == Event::ReconnectAttempt { attempt: 1 }));
}

#[test]
fn attempts_are_limited_and_the_first_connect_is_not_counted() {
    let mut config = LinkConfig::chittyid_reconnect();
    config.reconnect.attempts = Some(3);
    let mut rig = Rig::new(&config);
    let _ = rig.give(Input::Connect);
    let mut dials = 1;
    let mut step = rig.dialled(Outcome::TRANSIENT);
    while rig.name() != StateName::Failed {
        let _ = rig.next();
        dials += 1;
        step = rig.dialled(Outcome::TRANSIENT);
    }
    assert_eq!(dials, 4);
    assert!(step.events().any(|event| event == Event::AttemptsExhausted { attempts: 3 }));
    assert_eq!(rig.link.view().failed, Some(FailReason::AttemptsExhausted));
    let _ = rig.give(Input::Connect);
    rig.is(StateName::Connecting);
    assert_eq!(rig.link.stats(rig.now).reconnect_attempts, 0);
}

#[test]
fn a_permanent_refusal_fails_at_once() {
    for outcome in [Outcome::Permanent, Outcome::Refused] {
        let mut rig = Rig::plain();
        let _ = rig.give(Input::Connect);
        let _ = rig.dialled(outcome);
        let reason = FailReason::RefusedPermanently;
        assert_eq!(rig.link.state(), State::Failed { reason });
    }
}

#[test]
fn r24_attempts_start_again_only_after_the_connection_held() {
    let mut rig = Rig::plain().connected();
    for _ in 0..4 {
        let _ = rig.lost(Outcome::TRANSIENT);
        let _ = rig.until(DeadlineReason::Redial);
        let _ = rig.dialled(Outcome::Success);
    }
    let step = rig.lost(Outcome::TRANSIENT);
    assert_eq!(delay(&step), Duration::from_secs(16));
    let _ = rig.until(DeadlineReason::Redial);
    let _ = rig.dialled(Outcome::Success);
    assert_eq!(told(&rig.until(DeadlineReason::Stable)), ["link.stable"]);
    assert_eq!(delay(&rig.lost(Outcome::TRANSIENT)), Duration::from_secs(1));
}

#[test]
fn a_peers_wish_widens_the_wait_up_to_its_cap() {
    for (hint, seconds) in [(0, 1), (7, 7), (60, 60), (3_600, 60)] {
        let mut rig = Rig::plain().connected();
        let hint = Some(Duration::from_secs(hint));
        let step = rig.lost(Outcome::Throttled { hint });
        // Others were told the same: the rest is drawn, a quarter more at the most.
        let wanted = Duration::from_secs(seconds);
        assert!((wanted..=wanted * 5 / 4).contains(&delay(&step)), "{:?}", delay(&step));
    }
}

#[test]
fn a_dial_in_flight_cannot_bring_a_disconnected_link_back() {
    let mut rig = Rig::plain();
    let _ = rig.give(Input::Connect);
    let step = rig.give(Input::Disconnect);
    assert_eq!(step.action, Action::Abandon);
    assert_eq!(rig.dialled(Outcome::Success), Step::default());
    rig.is(StateName::Disconnected);
}

#[test]
fn disconnecting_closes_in_good_order_and_is_told_once() {
    let mut rig = Rig::plain().connected();
    let step = rig.give(Input::Disconnect);
    let generation = rig.link.generation();
    assert!(matches!(step.action, Action::Close { .. }));
    rig.is(StateName::Closing);
    let step = rig.give(Input::CloseFinished { generation });
    assert_eq!(told(&step), ["link.state.changed", "link.disconnected"]);
    assert_eq!(rig.give(Input::Disconnect), Step::default());
}

#[test]
fn a_close_that_hangs_is_cut_off() {
    let mut rig = Rig::plain().connected();
    let _ = rig.give(Input::Disconnect);
    let (reason, step) = rig.next();
    assert_eq!((reason, step.action), (DeadlineReason::CloseTimeout, Action::Abandon));
    rig.is(StateName::Disconnected);
}

#[test]
fn a_dial_that_hangs_counts_as_failed() {
    let mut rig = Rig::plain();
    let _ = rig.give(Input::Connect);
    let (reason, step) = rig.next();
    assert_eq!((reason, step.action), (DeadlineReason::DialTimeout, Action::Abandon));
    rig.is(StateName::Reconnecting);
    assert_eq!(rig.link.stats(rig.now).total_failures, 1);
}

#[test]
fn a_peer_that_ends_in_good_order_is_not_redialled() {
    let mut rig = Rig::plain().connected();
    assert!(told(&rig.lost(Outcome::Success)).contains(&"link.disconnected"));
    rig.is(StateName::Disconnected);
}

#[test]
fn a_long_outage_is_told_and_dialled_on_at_the_longest_wait() {
    let mut rig = Rig::plain().connected();
    let mut step = rig.lost(Outcome::TRANSIENT);
    let begun = rig.now;
    while rig.name() != StateName::Suspended {
        step = match rig.next() {
            (DeadlineReason::Redial, _) => rig.dialled(Outcome::TRANSIENT),
            (_, step) => step,
        };
    }
    assert_eq!(rig.now.since(begun), Duration::from_secs(120));
    let reason = SuspendReason::LongOutage;
    let suspended = |e| matches!(e, Event::Suspended { reason: r, .. } if r == reason);
    assert!(step.events().any(suspended));
    for bits in [0, MAX] {
        rig.bits = bits;
        let _ = rig.until(DeadlineReason::Redial);
        let step = rig.dialled(Outcome::TRANSIENT);
        assert_eq!(delay(&step).as_secs(), if bits == 0 { 60 } else { 30 });
        assert_eq!(rig.link.view().suspended, Some(reason));
    }
    let _ = rig.until(DeadlineReason::Redial);
    let step = rig.dialled(Outcome::Success);
    assert!(told(&step).contains(&"link.reconnected"));
}

#[test]
fn the_clock_of_an_outage_starts_again_with_each_connection_that_holds() {
    for (held_ms, state) in [(5_000, StateName::Suspended), (11_000, StateName::Reconnecting)] {
        let mut rig = Rig::plain().connected();
        let _ = rig.lost(Outcome::TRANSIENT);
        rig.pass(119_000);
        let _ = rig.dialled(Outcome::Success);
        let _ = rig.give(Input::Timer);
        let _ = rig.dialled(Outcome::Success);
        rig.is(StateName::Connected);
        rig.pass(held_ms);
        let _ = rig.give(Input::Timer);
        let _ = rig.lost(Outcome::TRANSIENT);
        rig.is(state);
    }
}

#[test]
fn a_peer_that_takes_connections_and_drops_them_is_a_long_outage_in_the_end() {
    let mut rig = Rig::plain().connected();
    for _ in 0..200 {
        let _ = rig.lost(Outcome::TRANSIENT);
        if rig.link.view().suspended == Some(SuspendReason::LongOutage) {
            return;
        }
        let _ = rig.until(DeadlineReason::Redial);
        let _ = rig.dialled(Outcome::Success);
        rig.pass(1_000);
    }
    panic!("it flaps for ever");
}

#[test]
fn streamotter_pauses_after_three_failures_and_a_trial_decides() {
    let mut rig = Rig::new(&LinkConfig::streamotter()).connected();
    let _ = rig.lost(Outcome::TRANSIENT);
    let mut step = Step::default();
    for _ in 0..3 {
        let _ = rig.until(DeadlineReason::Redial);
        step = rig.dialled(Outcome::TRANSIENT);
    }
    assert!(told(&step).contains(&"link.breaker.opened"));
    let (until, _) = rig.link.deadline().unwrap();
    assert_eq!(until.since(rig.now), Duration::from_secs(30));
    let (reason, step) = rig.next();
    assert_eq!(reason, DeadlineReason::BreakerTrial);
    assert!(told(&step).contains(&"link.breaker.closed"), "the seed calls the trial that");
    let step = rig.dialled(Outcome::TRANSIENT);
    assert!(told(&step).contains(&"link.breaker.opened"));
    assert_eq!(rig.link.stats(rig.now).reconnect_attempts, 4);
    let _ = rig.next();
    let step = rig.dialled(Outcome::Success);
    assert!(!told(&step).contains(&"link.breaker.closed"), "once is enough");
}

#[test]
fn the_end_of_a_cooldown_may_be_called_closed() {
    let mut config = LinkConfig::streamotter();
    config.reconnect.circuit =
        Some(CircuitConfig { threshold: 1, closed_after_cooldown: true, ..Default::default() });
    let mut rig = Rig::new(&config);
    let _ = rig.give(Input::Connect);
    let _ = rig.dialled(Outcome::TRANSIENT);
    let (_, step) = rig.next();
    assert!(told(&step).contains(&"link.breaker.closed"));
    assert!(!told(&rig.dialled(Outcome::Success)).contains(&"link.breaker.closed"));
}

#[test]
fn a_breaker_of_others_suspends_without_using_up_attempts() {
    let mut config = LinkConfig::default();
    config.reconnect.attempts = Some(1);
    let mut rig = Rig::new(&config).connected();
    let _ = rig.lost(Outcome::TRANSIENT);
    for _ in 0..5 {
        let _ = rig.next();
        let retry_after = Some(Duration::from_secs(20));
        let step = rig.dialled(Outcome::Rejected { retry_after });
        assert!(told(&step).contains(&"link.suspended"));
        assert_eq!(rig.link.view().suspended, Some(SuspendReason::BreakerOpen));
    }
    assert_eq!(rig.link.stats(rig.now).reconnect_attempts, 0);
    assert_eq!(rig.link.stats(rig.now).total_failures, 0);
    let step = rig.give(Input::BreakerClosed);
    let wanted = ["link.breaker.closed", "link.state.changed", "link.reconnecting"];
    assert_eq!(told(&step), wanted);
}

#[test]
fn a_link_whose_breaker_is_open_waits_with_its_first_connect() {
    let mut rig = Rig::plain();
    let until = Instant::from_millis(30_000);
    assert_eq!(told(&rig.give(Input::BreakerOpened { until })), ["link.breaker.opened"]);
    let step = rig.give(Input::Connect);
    assert_eq!(step.action, Action::Nothing);
    let reason = SuspendReason::BreakerOpen;
    assert_eq!(rig.link.state(), State::Suspended { reason, redial: Redial::At(until) });
}

#[test]
fn pausing_is_silent_until_it_is_resumed() {
    let mut rig = Rig::plain().connected();
    let step = rig.give(Input::Pause);
    assert!(matches!(step.action, Action::Close { .. }));
    assert_eq!(rig.link.deadline(), None);
    assert_eq!(rig.give(Input::Pause), Step::default());
    let step = rig.give(Input::Resume);
    assert!(matches!(step.action, Action::Dial { .. }));
    rig.is(StateName::Connecting);
}

#[test]
fn without_reconnection_a_loss_ends_disconnected() {
    let mut config = LinkConfig::default();
    config.reconnect.enabled = false;
    let mut rig = Rig::new(&config).connected();
    let step = rig.lost(Outcome::TRANSIENT);
    assert!(step.events().any(|e| matches!(e, Event::Error { terminal: true, .. })));
    rig.is(StateName::Disconnected);
}

#[test]
fn disabling_reconnection_cancels_the_wait() {
    let mut rig = Rig::plain().connected();
    let _ = rig.lost(Outcome::TRANSIENT);
    let step = rig.give(Input::DisableReconnection);
    assert_eq!(told(&step), ["link.state.changed", "link.disconnected"]);
    assert_eq!(rig.link.deadline(), None);
    let _ = rig.give(Input::EnableReconnection);
    rig.is(StateName::Disconnected);
}

#[test]
fn a_wait_is_cut_short_by_connect_and_by_a_check() {
    for input in [Input::Connect, Input::CheckNow] {
        let mut rig = Rig::plain().connected();
        let _ = rig.lost(Outcome::TRANSIENT);
        let step = rig.give(input);
        assert!(matches!(step.action, Action::Dial { .. }));
        assert_eq!(rig.give(input), Step::default());
    }
}

#[test]
fn reset_forgets_everything() {
    let mut rig = Rig::plain().connected();
    let _ = rig.until(DeadlineReason::Probe);
    let step = rig.give(Input::Reset);
    assert_eq!(step.action, Action::Abandon);
    assert_eq!(rig.link.stats(rig.now), super::super::LinkStats::default());
    rig.is(StateName::Disconnected);
}

#[test]
fn a_new_configuration_keeps_the_connection_and_the_statistics() {
    let mut rig = Rig::plain().connected();
    let mut config = LinkConfig::default();
    config.health.interval = Duration::from_secs(5);
    assert_eq!(rig.link.reconfigure(rig.now, &config).unwrap(), Step::default());
    rig.is(StateName::Connected);
    assert_eq!(rig.link.stats(rig.now).total_connections, 1);
    let (at, reason) = rig.link.deadline().unwrap();
    assert_eq!((at.since(rig.now).as_secs(), reason), (5, DeadlineReason::Probe));
    config.health.timeout = Duration::from_secs(6);
    assert_eq!(rig.link.reconfigure(rig.now, &config).unwrap_err().field, "health.timeout");
}

#[test]
fn uptime_counts_only_while_connected() {
    let mut rig = Rig::plain().connected();
    rig.pass(90_000);
    assert_eq!(rig.link.stats(rig.now).uptime, Duration::from_secs(90));
    let _ = rig.lost(Outcome::TRANSIENT);
    rig.pass(1_000);
    assert_eq!(rig.link.stats(rig.now).uptime, Duration::ZERO);
}

#[test]
fn b15_a_clock_that_leaps_back_does_not_make_a_link_wait_for_it() {
    let mut rig = Rig::plain();
    rig.now = Instant::from_millis(1_000_000_000_000);
    let _ = rig.give(Input::Connect);
    let _ = rig.dialled(Outcome::TRANSIENT);
    rig.now = Instant::from_millis(5_000);
    let _ = rig.give(Input::Timer);
    let (at, reason) = rig.link.deadline().unwrap();
    assert_eq!(reason, DeadlineReason::Redial);
    assert!(at.since(rig.now) <= Duration::from_secs(1), "{at:?}");
    let _ = rig.until(DeadlineReason::Redial);
    let _ = rig.dialled(Outcome::Success);
    rig.is(StateName::Connected);
}

proptest::proptest! {
    #[test]
    fn b15_whatever_the_clock_does_a_link_comes_back_within_its_longest_wait(
        script in proptest::collection::vec((0..6_u8, 0..200_000_u64, proptest::bool::weighted(0.1)), 1..80),
    ) {
        let mut rig = Rig::plain();
        for (kind, ms, back) in script {
            let leap = if back { Duration::from_millis(ms * 1_000) } else { Duration::ZERO };
            let nanos = rig.now.as_nanos().saturating_sub(crate::time::nanos(leap));
            rig.now = Instant::from_nanos(nanos);
            if !back {
                rig.pass(ms);
            }
            let generation = rig.link.generation();
            let outcome = if kind == 1 { Outcome::Success } else { Outcome::TRANSIENT };
            let _ = match kind {
                0 => rig.give(Input::Connect),
                1 | 2 => rig.give(Input::DialFinished { generation, outcome }),
                3 => rig.give(Input::Lost { generation, outcome }),
                _ => rig.give(Input::Timer),
            };
            // The longest wait is the cap of 60 s, or the 120 s after which an outage is long.
            if let Some((at, reason)) = rig.link.deadline() {
                let wait = at.since(rig.now);
                proptest::prop_assert!(wait <= Duration::from_secs(122), "{wait:?} for {reason:?}");
            }
        }
    }
}
