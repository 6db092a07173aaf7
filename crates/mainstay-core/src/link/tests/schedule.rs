//! When a link dials: how often, how spread out, how many times.

use super::*;
use crate::bits::bits;
use std::collections::BTreeSet;

const SECOND: Duration = Duration::from_secs(1);

/// What a server does that takes every connection and drops it, or does not even take it.
#[derive(Clone, Copy, Debug)]
enum Drop {
    Lost,
    Code(u16),
    Status(u16),
    Handshake,
}

const DROPS: [Drop; 8] = [
    Drop::Lost,
    Drop::Code(1000),
    Drop::Code(1001),
    Drop::Code(1006),
    Drop::Code(1011),
    Drop::Code(4000),
    Drop::Status(503),
    Drop::Handshake,
];

impl Rig {
    /// The dial that is under way goes as `drop` says.
    fn dropped(&mut self, drop: Drop) -> Step {
        let generation = self.link.generation();
        let outcome = Outcome::TRANSIENT;
        match drop {
            Drop::Lost => {
                let _ = self.dialled(Outcome::Success);
                self.lost(outcome)
            }
            Drop::Code(code) => {
                let _ = self.dialled(Outcome::Success);
                self.give(Input::Ended { generation, outcome, reaction: close_code(code) })
            }
            Drop::Status(status) => {
                let reaction = refused_upgrade(status, None);
                self.give(Input::Ended { generation, outcome, reaction })
            }
            Drop::Handshake => self.dialled(outcome),
        }
    }

    /// Draws like a driver: every input has bits of its own.
    fn drawn(&mut self, seed: u64, counter: &mut u64) {
        *counter += 1;
        self.bits = bits(seed, 1, *counter);
    }
}

/// Dials that a link makes within `limit` of its first.
fn dials_within(limit: Duration, drop: Drop, seed: u64) -> u32 {
    let mut rig = Rig::new(&LinkConfig::websocket());
    let (begun, mut counter, mut dials) = (rig.now, 0, 1);
    let _ = rig.give(Input::Connect);
    loop {
        rig.drawn(seed, &mut counter);
        let _ = rig.dropped(drop);
        loop {
            let (at, _) = rig.link.deadline().expect("it goes on");
            if at.since(begun) > limit {
                return dials;
            }
            rig.drawn(seed, &mut counter);
            if matches!(rig.next().1.action, Action::Dial { .. }) {
                break;
            }
        }
        dials += 1;
    }
}

#[test]
fn w01_a_server_that_drops_every_connection_is_dialled_at_most_12_times_in_20_seconds() {
    for drop in DROPS {
        for seed in 0..2_000 {
            let dials = dials_within(20 * SECOND, drop, seed);
            assert!((2..=12).contains(&dials), "{dials} dials: {drop:?}, seed {seed}");
        }
    }
}

#[test]
fn w02_only_a_connection_that_held_starts_the_attempts_again() {
    // Held for so long before it was lost, and the wait that follows with the longest draws.
    let held = [(0, 4), (9_999, 4), (10_000, 1), (60_000, 1)];
    for (held_ms, wait) in held {
        let mut rig = Rig::new(&LinkConfig::websocket());
        let _ = rig.give(Input::Connect);
        for _ in 0..2 {
            let _ = rig.dialled(Outcome::TRANSIENT);
            let _ = rig.until(DeadlineReason::Redial);
        }
        let _ = rig.dialled(Outcome::Success);
        rig.pass(held_ms);
        let _ = rig.give(Input::Timer);
        assert_eq!(delay(&rig.lost(Outcome::TRANSIENT)), wait * SECOND, "after {held_ms} ms");
    }
}

#[test]
fn w02_an_upgrade_whose_handshake_fails_is_no_connection() {
    let mut rig = Rig::new(&LinkConfig::websocket());
    let _ = rig.give(Input::Connect);
    let waits: Vec<_> = (0..5)
        .map(|_| {
            // The upgrade took its time; the dial is over only when the application is ready.
            rig.pass(11_000);
            let step = rig.dialled(Outcome::TRANSIENT);
            let _ = rig.until(DeadlineReason::Redial);
            delay(&step).as_secs()
        })
        .collect();
    assert_eq!(waits, [1, 2, 4, 8, 16]);
}

#[test]
fn w03_a_connection_that_held_starts_the_attempts_again_every_time() {
    let mut rig = Rig::new(&LinkConfig::websocket()).connected();
    for _ in 0..3 {
        for wanted in [1, 2, 4, 8] {
            let step = if wanted == 1 {
                rig.lost(Outcome::TRANSIENT)
            } else {
                rig.dialled(Outcome::TRANSIENT)
            };
            assert_eq!(delay(&step).as_secs(), wanted);
            let _ = rig.until(DeadlineReason::Redial);
        }
        let _ = rig.dialled(Outcome::Success);
        let step = rig.until(DeadlineReason::Stable);
        assert_eq!(told(&step), ["link.stable"]);
        assert_eq!(rig.link.stats(rig.now).reconnect_attempts, 0);
    }
}

#[test]
fn w04_attempts_do_not_decay_before_the_connection_held() {
    let mut rig = Rig::new(&LinkConfig::websocket()).connected();
    let mut before = Duration::ZERO;
    // A connection of 9 s between losses earns nothing, whatever it adds up to.
    for _ in 0..5 {
        let wait = delay(&rig.lost(Outcome::TRANSIENT));
        assert!(wait >= before * 2 || wait == 60 * SECOND, "{wait:?} after {before:?}");
        before = wait;
        let _ = rig.until(DeadlineReason::Redial);
        let _ = rig.dialled(Outcome::Success);
        rig.pass(9_000);
        let _ = rig.give(Input::Timer);
    }
}

/// The waits of 1 000 clients that are all at attempt `attempt`, in milliseconds.
fn waits_of_a_thousand(attempt: u32) -> Vec<u64> {
    let wait = |client| {
        let mut rig = Rig::new(&LinkConfig::websocket()).connected();
        let mut counter = 0;
        let draw = |counter: &mut u64| {
            *counter += 1;
            bits(7, client, *counter)
        };
        rig.bits = draw(&mut counter);
        let mut step = rig.lost(Outcome::TRANSIENT);
        for _ in 1..attempt {
            let _ = rig.until(DeadlineReason::Redial);
            rig.bits = draw(&mut counter);
            step = rig.dialled(Outcome::TRANSIENT);
        }
        u64::try_from(delay(&step).as_millis()).unwrap()
    };
    (0..1_000).map(wait).collect()
}

/// The largest share of `waits`, in thousandths, that falls into one of a hundred slices of `range`.
fn fullest(waits: &[u64], range_ms: u64) -> usize {
    let mut slices = [0; 100];
    for wait in waits {
        let slice = usize::try_from(wait * 100 / range_ms).unwrap();
        slices[slice.min(99)] += 1;
    }
    slices.into_iter().max().unwrap()
}

#[test]
fn w05_a_thousand_clients_at_the_cap_do_not_come_together() {
    // The tenth attempt is far beyond the cap, and within the two minutes of an outage for many.
    let waits = waits_of_a_thousand(10);
    assert!(waits.iter().all(|wait| *wait <= 60_000), "the cap holds for every draw");
    assert!(fullest(&waits, 60_000) <= 30, "{} in one slice", fullest(&waits, 60_000));
    let at_cap = waits.iter().filter(|wait| **wait > 59_400).count();
    assert!(at_cap <= 30, "{at_cap} are clamped to the cap");
}

#[test]
fn w06_every_attempt_of_every_client_is_drawn_anew() {
    let attempts: Vec<Vec<u64>> = (1..=6).map(waits_of_a_thousand).collect();
    for waits in &attempts[2..] {
        let different: BTreeSet<_> = waits.iter().collect();
        assert!(different.len() > 700, "{} different waits", different.len());
    }
    // Who drew short once does not draw short again: no two attempts go together.
    let half = |waits: &[u64], client: usize, cap: u64| waits[client] < cap / 2;
    let both = (0..1_000)
        .filter(|client| half(&attempts[2], *client, 4_000) && half(&attempts[3], *client, 8_000));
    let both = both.count();
    assert!((180..=320).contains(&both), "{both} of 1000 drew short twice");
}

#[test]
fn w07_the_first_redial_after_a_mass_drop_is_spread_over_a_second() {
    let waits = waits_of_a_thousand(1);
    assert!(waits.iter().all(|wait| *wait <= 1_000));
    assert!(fullest(&waits, 1_000) <= 30, "{} in one slice", fullest(&waits, 1_000));
    let at_once = waits.iter().filter(|wait| **wait == 0).count();
    assert!(at_once <= 5, "{at_once} come at once");
}

#[test]
fn w08_a_millionth_attempt_waits_for_the_cap() {
    let mut config = LinkConfig::websocket();
    config.reconnect.backoff.factor = crate::config::Ratio::percent(1_000);
    config.suspend_after = crate::config::LONGEST;
    let mut rig = Rig::new(&config).connected();
    let _ = rig.lost(Outcome::TRANSIENT);
    rig.link.attempts = 1_000_000;
    for drawn in [0, 1, MAX / 2, MAX] {
        let _ = rig.until(DeadlineReason::Redial);
        rig.bits = drawn;
        let wait = delay(&rig.dialled(Outcome::TRANSIENT));
        assert_eq!(wait, Duration::from_nanos(crate::bits::uniform(drawn, 60_000_000_000)));
    }
    rig.link.attempts = u32::MAX;
    let _ = rig.until(DeadlineReason::Redial);
    rig.bits = MAX;
    assert_eq!(delay(&rig.dialled(Outcome::TRANSIENT)), 60 * SECOND);
    assert_eq!(rig.link.view().attempt, u32::MAX);
}

#[test]
fn w09_all_that_can_go_wrong_at_one_instant_is_one_redial() {
    let inputs = |rig: &Rig, probe| {
        let generation = rig.link.generation();
        let outcome = Outcome::TRANSIENT;
        [
            Input::Lost { generation, outcome },
            Input::Ended { generation, outcome, reaction: close_code(1006) },
            Input::ProbeFinished { generation: probe, outcome, rtt: Duration::ZERO },
            Input::Timer,
            Input::Traffic { outcome, took: Duration::ZERO },
        ]
    };
    // Every one of them first, and all the others after it.
    for first in 0..5 {
        let mut rig = Rig::new(&LinkConfig::websocket()).connected();
        let Action::Probe { generation: probe, deadline } = rig.until(DeadlineReason::Probe).action
        else {
            panic!("a probe")
        };
        rig.now = deadline;
        let mut inputs = inputs(&rig, probe);
        inputs.rotate_left(first);
        let mut redials = 0;
        for input in inputs.into_iter().chain(inputs) {
            let step = rig.give(input);
            redials += told(&step).iter().filter(|name| **name == "link.reconnecting").count();
            assert!(!matches!(step.action, Action::Dial { .. }), "{input:?} dials at once");
        }
        assert_eq!(redials, 1, "{:?} first", inputs[0]);
        let (_, step) = rig.next();
        assert!(matches!(step.action, Action::Dial { .. }));
        let (_, reason) = rig.link.deadline().unwrap();
        assert_eq!(reason, DeadlineReason::DialTimeout, "no second timer");
    }
}

#[test]
fn w10_all_that_may_wake_a_link_at_one_instant_is_one_dial() {
    let wakes = [
        Input::Connect,
        Input::CheckNow,
        Input::Woke,
        Input::Timer,
        Input::BreakerClosed,
        Input::Resume,
        Input::EnableReconnection,
    ];
    for first in 0..wakes.len() {
        let mut rig = Rig::new(&LinkConfig::websocket()).connected();
        for _ in 0..3 {
            let _ = rig.lost(Outcome::TRANSIENT);
            let _ = rig.until(DeadlineReason::Redial);
            let _ = rig.dialled(Outcome::Success);
        }
        let _ = rig.lost(Outcome::TRANSIENT);
        let (at, _) = rig.link.deadline().unwrap();
        rig.now = at;
        let mut wakes = wakes;
        wakes.rotate_left(first);
        let steps: Vec<_> = wakes.into_iter().chain(wakes).map(|wake| rig.give(wake)).collect();
        let dials = steps.iter().filter(|step| matches!(step.action, Action::Dial { .. }));
        assert_eq!(dials.count(), 1, "{:?} first", wakes[0]);
        // The kick is an attempt like any other: it has not started them again.
        assert_eq!(rig.link.stats(rig.now).reconnect_attempts, 4, "{:?} first", wakes[0]);
        assert_eq!(delay(&rig.dialled(Outcome::TRANSIENT)), 16 * SECOND);
    }
}

#[test]
fn w10_a_breaker_that_lets_through_and_a_kick_are_one_dial() {
    let mut rig = Rig::new(&LinkConfig::websocket()).connected();
    let _ = rig.lost(Outcome::TRANSIENT);
    let until = rig.now.after(30 * SECOND);
    let _ = rig.give(Input::BreakerOpened { until });
    for wake in [Input::Connect, Input::CheckNow, Input::Woke, Input::Resume] {
        assert!(!matches!(rig.give(wake).action, Action::Dial { .. }), "{wake:?} goes round it");
    }
    rig.now = until;
    let inputs = [Input::Timer, Input::Connect, Input::Woke, Input::CheckNow, Input::Timer];
    let dials = inputs.into_iter().map(|input| rig.give(input));
    let dials = dials.filter(|step| matches!(step.action, Action::Dial { .. })).count();
    assert_eq!(dials, 1);
}

#[test]
fn w13_the_allowed_attempts_are_made_exactly_and_their_end_is_told_once() {
    for limit in [0, 1, 5, 100] {
        let mut config = LinkConfig::websocket();
        config.reconnect.attempts = Some(limit);
        config.suspend_after = crate::config::LONGEST;
        let mut rig = Rig::new(&config);
        // Twice: a manual restart works, and counts from the start.
        for _ in 0..2 {
            let step = rig.give(Input::Connect);
            assert!(matches!(step.action, Action::Dial { .. }));
            let (mut dials, mut told_last) = (1, Vec::new());
            loop {
                let step = rig.dialled(Outcome::TRANSIENT);
                told_last.extend(told(&step));
                if rig.name() == StateName::Failed {
                    break;
                }
                let _ = rig.until(DeadlineReason::Redial);
                dials += 1;
            }
            assert_eq!(dials, limit + 1);
            let ends = told_last.iter().filter(|name| **name == "link.reconnect.exhausted");
            assert_eq!(ends.count(), 1);
            assert_eq!(rig.link.view().failed, Some(FailReason::AttemptsExhausted));
            assert_eq!(rig.link.deadline(), None, "it waits for nothing");
            for input in [Input::Timer, Input::Woke, Input::BreakerClosed, Input::Resume] {
                let step = rig.give(input);
                assert_eq!((step.action, told(&step).len()), (Action::Nothing, 0), "{input:?}");
            }
        }
        let _ = rig.give(Input::Connect);
        let _ = rig.dialled(Outcome::Success);
        rig.is(StateName::Connected);
    }
}

#[test]
fn w22_a_peer_that_answers_its_pings_is_never_given_up() {
    let mut rig = Rig::new(&LinkConfig::websocket()).connected();
    let (begun, mut pings) = (rig.now, 0);
    while rig.now.since(begun) < Duration::from_secs(24 * 3600) {
        let (_, step) = rig.next();
        let Action::Probe { generation, deadline } = step.action else { continue };
        pings += 1;
        // A slow peer: its answer comes at the last moment.
        rig.now = Instant::from_nanos(deadline.as_nanos() - 1);
        let outcome = Outcome::Success;
        let rtt = Duration::from_millis(4_999);
        let _ = rig.give(Input::ProbeFinished { generation, outcome, rtt });
        rig.is(StateName::Connected);
    }
    assert!((4_300..=4_321).contains(&pings), "one about every 20 s: {pings}");
    assert_eq!(rig.link.stats(rig.now).total_connections, 1);
}

/// What a link under the limit and breaker of seed 003 tells until it gives up: five redials, a
/// breaker of three failures that stays open for 30 s.
fn story(config: &LinkConfig) -> Vec<&'static str> {
    let mut rig = Rig::new(config).connected();
    rig.bits = MAX / 2;
    let mut story = Vec::new();
    let mut step = rig.lost(Outcome::TRANSIENT);
    loop {
        story.extend(told(&step));
        if rig.name() == StateName::Failed {
            break;
        }
        let begun = rig.now;
        let (reason, fired) = rig.next();
        story.extend(told(&fired));
        if reason == DeadlineReason::BreakerTrial {
            assert_eq!(rig.now.since(begun), 30 * SECOND);
        }
        step = rig.dialled(Outcome::TRANSIENT);
    }
    assert_eq!(rig.link.stats(rig.now).reconnect_attempts, 5);
    let dull = ["link.state.changed", "link.error", "link.suspended"];
    story.retain(|name| !dull.contains(name));
    story
}

#[test]
fn w44_attempts_and_a_breaker_together_end_in_one_documented_sequence() {
    let mut config = LinkConfig::streamotter();
    for (closed_after_cooldown, trial) in
        [(true, "link.breaker.closed"), (false, "link.breaker.half_open")]
    {
        config.reconnect.circuit =
            Some(CircuitConfig { closed_after_cooldown, ..CircuitConfig::default() });
        let (plan, dial, open) =
            ("link.reconnecting", "link.reconnect.attempt", "link.breaker.opened");
        let wanted = [
            [plan, dial],
            [plan, dial],
            // The third failure opens it: nothing is planned, the cooldown is the wait.
            [plan, dial],
            // Each trial is an attempt, and its failure opens it again.
            [open, trial],
            [dial, open],
            [trial, dial],
            // The fifth attempt was the last.
            [open, "link.reconnect.exhausted"],
        ];
        assert_eq!(story(&config), wanted.concat());
    }
}
