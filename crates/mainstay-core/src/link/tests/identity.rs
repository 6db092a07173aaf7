//! Which connection an answer belongs to, and which changes of state there may be.

use super::*;
use crate::link::{LinkOverrides, ReconnectOverrides};

/// Everything that a connection, a dial or a probe may say of itself.
fn answers(generation: Generation, now: Instant) -> Vec<Input> {
    let mut answers = Vec::from([
        Input::CloseFinished { generation },
        Input::Heard { generation, at: now },
        Input::DialDelayed { generation, until: now.after(Duration::from_secs(9)) },
    ]);
    for outcome in [Outcome::Success, Outcome::TRANSIENT, Outcome::Permanent] {
        answers.extend([
            Input::DialFinished { generation, outcome },
            Input::ProbeFinished { generation, outcome, rtt: Duration::from_millis(3) },
            Input::Lost { generation, outcome },
            Input::Migrated { generation, outcome },
        ]);
        for code in [1000, 1002, 1008, 1012] {
            answers.push(Input::Ended { generation, outcome, reaction: close_code(code) });
        }
    }
    answers
}

#[test]
fn w17_nothing_that_an_earlier_connection_says_reaches_a_later_one() {
    for index in 0..every_state().len() {
        let mut rig = every_state().swap_remove(index);
        let current = rig.link.generation().number();
        let stale = [0, current.wrapping_sub(1), current.wrapping_add(1), u32::MAX];
        for generation in stale.map(Generation::new) {
            for answer in answers(generation, rig.now) {
                let before = rig.link.clone();
                assert_eq!(rig.give(answer), Step::default(), "{answer:?} in {}", rig.name());
                assert_eq!(rig.link.state(), before.state(), "{answer:?}");
                assert_eq!(rig.link.deadline(), before.deadline(), "{answer:?}");
                assert_eq!(rig.link.stats(rig.now), before.stats(rig.now), "{answer:?}");
                assert_eq!(rig.link.view(), before.view(), "{answer:?}");
            }
        }
    }
}

#[test]
fn w17_a_pong_of_the_last_connection_does_not_answer_for_this_one() {
    let mut rig = Rig::new(&LinkConfig::websocket()).connected();
    let Action::Probe { generation: old, .. } = rig.until(DeadlineReason::Probe).action else {
        panic!("a probe")
    };
    let _ = rig.lost(Outcome::TRANSIENT);
    let _ = rig.until(DeadlineReason::Redial);
    let _ = rig.dialled(Outcome::Success);
    let Action::Probe { .. } = rig.until(DeadlineReason::Probe).action else { panic!("a probe") };
    let (outcome, rtt) = (Outcome::Success, Duration::ZERO);
    assert_eq!(rig.give(Input::ProbeFinished { generation: old, outcome, rtt }), Step::default());
    assert!(rig.link.is_probing(), "it still waits for its own pong");
    let (reason, _) = rig.next();
    assert_eq!(reason, DeadlineReason::ProbeTimeout);
    rig.is(StateName::Reconnecting);
}

#[test]
fn w35_nothing_brings_a_link_back_that_the_user_closed() {
    for index in 0..every_state().len() {
        let mut rig = every_state().swap_remove(index);
        let _ = rig.give(Input::Disconnect);
        let generation = rig.link.generation();
        let _ = rig.give(Input::CloseFinished { generation });
        rig.is(StateName::Disconnected);
        let mut sources = answers(generation, rig.now);
        sources.extend([
            Input::Timer,
            Input::Woke,
            Input::Resume,
            Input::BreakerClosed,
            Input::EnableReconnection,
            Input::Migrate,
            Input::Disconnect,
            Input::Pause,
        ]);
        for source in sources {
            rig.pass(70_000);
            let step = rig.give(source);
            assert_eq!(step.action, Action::Nothing, "{source:?}");
            // What is told of a breaker is told of a breaker.
            let of_link = told(&step).into_iter().filter(|name| *name != "link.breaker.closed");
            assert_eq!(of_link.count(), 0, "{source:?}");
            rig.is(StateName::Disconnected);
            assert_eq!(rig.link.deadline(), None, "{source:?} started a timer");
        }
    }
}

proptest! {
    #[test]
    fn w40_every_history_keeps_to_the_legal_changes_and_tells_them_in_order(
        history in proptest::collection::vec(any_input(), 1..300),
        limit in proptest::option::of(0..4_u32),
        circuit: bool,
    ) {
        let mut config = LinkConfig::websocket();
        config.reconnect.attempts = limit;
        config.reconnect.circuit = circuit.then(CircuitConfig::default);
        let mut link = Link::new(&config).unwrap();
        let (mut now, mut probe) = (Instant::from_millis(1), Generation::default());
        let (mut state, mut dialled) = (StateName::Disconnected, Generation::default());
        let mut successor = Generation::default();
        for (pick, input) in history {
            now = match (input, link.deadline()) {
                (Input::Timer, Some((at, _))) => now.max(at),
                _ => now.after(Duration::from_millis(u64::from(pick % 4_000))),
            };
            let input = addressed(input, &link, probe, pick);
            let step = link.handle(now, input, crate::bits::bits(3, 5, u64::from(pick)));
            for event in step.events() {
                if let Event::StateChanged { from, to } = event {
                    prop_assert_eq!(from, state);
                    prop_assert!(may_lead(from, to), "{:?}: {} to {}", input, from, to);
                    state = to;
                }
                // What explains a change of state is told after it.
                let explains = [
                    ("link.connected", StateName::Connected),
                    ("link.disconnected", StateName::Disconnected),
                    ("link.reconnect.exhausted", StateName::Failed),
                    ("link.suspended", StateName::Suspended),
                ];
                for (_, wanted) in explains.iter().filter(|(name, _)| *name == event.name()) {
                    prop_assert_eq!(state, *wanted);
                }
                if event == Event::Connected {
                    let made = link.generation();
                    prop_assert!(made == dialled || made == successor, "it was asked for");
                }
            }
            // A watcher sees what was told last: a terminal state is never passed over.
            prop_assert_eq!(link.view().state, state);
            prop_assert_eq!(link.view().failed.is_some(), state == StateName::Failed);
            match step.action {
                Action::Dial { generation, .. } => {
                    prop_assert!(generation.number() > dialled.number(), "a dial has a new one");
                    dialled = generation;
                }
                Action::Probe { generation, .. } => probe = generation,
                Action::Migrate { generation, .. } => successor = generation,
                Action::Close { .. } | Action::Abandon | Action::Nothing => {}
            }
        }
    }
}

#[test]
fn w45_what_one_link_overrides_leaves_every_other_field_as_it_is_for_all() {
    let seconds = |n| Some(Duration::from_secs(n));
    let one = |change: fn(&mut LinkOverrides)| {
        let mut overrides = LinkOverrides::default();
        change(&mut overrides);
        overrides
    };
    // The example of seed 003 leaves out the breaker's fields: they must stay.
    let seed = one(|own| {
        own.reconnect.attempts = Some(Some(10));
        own.reconnect.base = Some(Duration::from_millis(500));
    });
    let common = LinkConfig::streamotter();
    let merged = common.merged(&seed);
    let mut wanted = common;
    wanted.reconnect.attempts = Some(10);
    wanted.reconnect.backoff.base = Duration::from_millis(500);
    assert_eq!(merged, wanted);
    assert!(merged.reconnect.circuit.is_some(), "the breaker is still there");
    // Another set of all changes what is not overridden, and nothing else.
    let mut reloaded = LinkConfig::websocket();
    reloaded.health.interval = Duration::from_secs(7);
    wanted = reloaded;
    wanted.reconnect.attempts = Some(10);
    wanted.reconnect.backoff.base = Duration::from_millis(500);
    assert_eq!(reloaded.merged(&seed), wanted);
    assert_eq!(common.merged(&LinkOverrides::default()), common);
    // A later override of some fields keeps the earlier ones of others.
    let later = ReconnectOverrides { cap: seconds(9), ..ReconnectOverrides::default() };
    let both = later.over(seed.reconnect);
    assert_eq!((both.attempts, both.cap), (Some(Some(10)), seconds(9)));
    let lifted = ReconnectOverrides { attempts: Some(None), ..both }.over(both);
    assert_eq!((lifted.attempts, lifted.cap), (Some(None), seconds(9)));
}

#[test]
fn w45_another_configuration_takes_effect_without_losing_the_connection_or_a_wait() {
    let mut rig = Rig::new(&LinkConfig::websocket()).connected();
    let _ = rig.lost(Outcome::TRANSIENT);
    let _ = rig.until(DeadlineReason::Redial);
    let _ = rig.dialled(Outcome::TRANSIENT);
    let planned = rig.link.deadline();
    let mut config = LinkConfig::websocket();
    config.reconnect.backoff.cap = Duration::from_secs(3);
    config.reconnect.attempts = Some(3);
    assert_eq!(rig.link.reconfigure(rig.now, &config).unwrap(), Step::default());
    assert_eq!(rig.link.deadline(), planned, "a wait that runs ends as planned");
    let _ = rig.until(DeadlineReason::Redial);
    assert_eq!(delay(&rig.dialled(Outcome::TRANSIENT)), Duration::from_secs(3), "the new cap");
    let _ = rig.until(DeadlineReason::Redial);
    let step = rig.dialled(Outcome::TRANSIENT);
    assert!(told(&step).contains(&"link.reconnect.exhausted"), "attempts so far are counted");
}
