//! Every state of an alert with every input, and what rules make of observations.

use std::time::Duration;

use mainstay_core::config::Ratio;
use mainstay_core::time::Instant;
use mainstay_monitor::alert::{
    Acknowledgement, Alert, Edge, Effect, Ended, Input, Observation, Rule, RuleConfig, Severity,
    Side, Silence, State,
};

pub(crate) const fn at(seconds: u64) -> Instant {
    Instant::from_millis(seconds * 1_000)
}

/// HIGH from 10 to 8, CRITICAL from 20 to 16; a minute to fire, a minute to resolve.
pub(crate) fn config() -> RuleConfig {
    RuleConfig {
        high: Some(Edge { enter: 10.0, exit: 8.0 }),
        critical: Some(Edge { enter: 20.0, exit: 16.0 }),
        hold_for: Duration::from_secs(60),
        keep_firing_for: Duration::from_secs(60),
        ..RuleConfig::default()
    }
}

pub(crate) fn rule() -> Rule {
    Rule::new(&config()).unwrap()
}

pub(crate) fn value(value: f64) -> Input {
    Input::Observed(Observation::Gauge(value))
}

pub(crate) fn missing() -> Input {
    Input::Observed(Observation::Nothing)
}

pub(crate) fn acknowledge(incident: u64, until: Option<Instant>) -> Input {
    let by = Acknowledgement { who: "ada".into(), note: "mine".into(), until };
    Input::Acknowledge { incident, by }
}

/// An alert in each state, as of second 130 at the latest.
pub(crate) fn reach(state: State) -> Alert {
    let mut alert = Alert::new();
    let steps: &[(u64, f64)] = match state {
        State::Inactive => &[],
        State::Pending => &[(90, 11.0)],
        State::Firing => &[(0, 11.0), (60, 11.0)],
        State::Keep => &[(0, 11.0), (60, 11.0), (90, 0.0)],
        State::Resolved => &[(0, 11.0), (60, 11.0), (70, 0.0), (130, 0.0)],
    };
    for (second, seen) in steps {
        drop(alert.handle(at(*second), &rule(), value(*seen)));
    }
    assert_eq!(alert.state(), state);
    alert
}

/// Effects by the letters of the table below.
fn letters(effects: &[Effect]) -> String {
    let letter = |effect: &Effect| match effect {
        Effect::Fired { severity, .. } => format!("F({severity:?})"),
        Effect::SeverityChanged { to, .. } => format!("S({to:?})"),
        Effect::Resolved { .. } => "R".into(),
        Effect::Acknowledged { .. } => "A".into(),
        Effect::AcknowledgementEnded(why) => format!("a({why:?})"),
        Effect::Silenced(_) => "Q".into(),
        Effect::SilenceEnded(why) => format!("q({why:?})"),
        Effect::FlappingBegan => "W".into(),
        Effect::FlappingEnded => "w".into(),
        Effect::NoDataBegan => "N".into(),
        Effect::NoDataEnded => "n".into(),
    };
    effects.iter().map(letter).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_state_takes_every_input() {
    use State::{Firing, Inactive, Keep, Pending, Resolved};
    let few = Input::Observed(Observation::Sampled { value: 99.0, samples: 49 });
    // Input, then for Inactive, Pending, Firing, Keep, Resolved: the next state and what is told.
    // Times: 20 s after, too soon for any wait, and 200 s after, late enough for all but Resolved.
    let same = [(Inactive, ""), (Pending, ""), (Firing, ""), (Keep, ""), (Resolved, "")];
    let pending = [(Pending, ""), (Pending, ""), (Firing, ""), (Firing, ""), (Pending, "")];
    let cleared = [(Inactive, ""), (Inactive, ""), (Keep, ""), (Keep, ""), (Resolved, "")];
    let quiet = [(Inactive, "Q"), (Pending, "Q"), (Firing, "Q"), (Keep, "Q"), (Resolved, "Q")];
    let mine = [(Inactive, ""), (Pending, ""), (Firing, "A"), (Keep, "A"), (Resolved, "")];
    let late = [(Pending, ""), (Firing, "F(High)"), (Firing, ""), (Firing, ""), (Pending, "")];
    let over = [(Inactive, ""), (Inactive, ""), (Keep, ""), (Resolved, "R"), (Resolved, "")];
    let nan = Input::Observed(Observation::Sampled { value: f64::NAN, samples: 99 });
    let table = [
        ("holds", 20, value(11.0), pending),
        ("holds worse", 20, value(21.0), pending),
        (
            "between the edges",
            20,
            value(9.0),
            [(Inactive, ""), (Pending, ""), (Firing, ""), (Keep, ""), (Resolved, "")],
        ),
        ("clear", 20, value(7.0), cleared),
        ("few samples", 20, few.clone(), same),
        ("missing", 20, missing(), same),
        ("no number", 20, nan, same),
        ("acknowledged", 20, acknowledge(1, None), mine),
        ("acknowledged, another", 20, acknowledge(7, None), same),
        ("withdrawn", 20, Input::Withdraw, same),
        ("silenced", 20, Input::Silence(Silence::UntilLifted), quiet),
        ("lifted", 20, Input::Lift, same),
        ("holds, later", 200, value(11.0), late),
        ("clear, later", 200, value(7.0), over),
        ("few samples, later", 200, few, same),
        ("missing, later", 200, missing(), same),
    ];
    for (name, seconds, input, expected) in table {
        for (from, (to, told)) in
            [Inactive, Pending, Firing, Keep, Resolved].into_iter().zip(expected)
        {
            let mut alert = reach(from);
            let effects = alert.handle(at(100 + seconds), &rule(), input.clone());
            // 130 is when the resolved one was resolved.
            assert_eq!((alert.state(), &*letters(&effects)), (to, told), "{from:?}: {name}");
        }
    }
}

#[test]
fn without_data_the_last_state_is_kept_twice_and_then_the_absence_is_told() {
    let table = [
        (State::Inactive, State::Inactive),
        (State::Pending, State::Inactive),
        (State::Firing, State::Firing),
        (State::Keep, State::Keep),
        (State::Resolved, State::Resolved),
    ];
    for (from, to) in table {
        let mut alert = reach(from);
        for second in [131, 132] {
            assert_eq!(alert.handle(at(second), &rule(), missing()), []);
            assert_eq!((alert.state(), alert.has_no_data()), (from, false));
        }
        assert_eq!(alert.handle(at(133), &rule(), missing()), [Effect::NoDataBegan]);
        assert_eq!((alert.state(), alert.has_no_data()), (to, true));
        assert_eq!(alert.handle(at(134), &rule(), missing()), [], "told once");
        let few = Input::Observed(Observation::Share { part: 1, whole: 1 });
        assert_eq!(alert.handle(at(135), &rule(), few), [Effect::NoDataEnded]);
        assert_eq!((alert.state(), alert.has_no_data()), (to, false));
    }
}

#[test]
fn severity_rises_when_it_has_held_and_falls_at_once() {
    // Severities change often here; that they flap is another test's business.
    let calm = RuleConfig { flapping_start: Ratio::ONE, ..config() };
    let rule = Rule::new(&calm).unwrap();
    let mut alert = reach(State::Firing);
    let steps = [
        (100, 21.0, ""),
        (130, 17.0, ""), // between CRITICAL's edges: it holds
        (159, 17.0, ""),
        (160, 17.0, "S(Critical)"),
        (170, 15.0, "S(High)"),
        (180, 21.0, ""),
        (190, 15.0, ""), // it has not held
        (200, 21.0, ""),
        (259, 21.0, ""),
        (260, 30.0, "S(Critical)"),
        (270, 0.0, ""),
        (280, 11.0, "S(High)"), // back from KEEP, less bad
        (290, 0.0, ""),
        (349, 0.0, ""),
        (350, 0.0, "R"),
    ];
    for (second, seen, told) in steps {
        let effects = alert.handle(at(second), &rule, value(seen));
        assert_eq!(letters(&effects), told, "second {second}");
    }
    assert_eq!(alert.severity(), Some(Severity::High));
    assert_eq!(alert.state(), State::Resolved);
    drop(alert.handle(at(350 + 900), &rule, value(0.0)));
    assert_eq!((alert.state(), alert.severity()), (State::Inactive, None));
}

#[test]
fn an_incident_is_numbered_and_says_how_long_it_was() {
    let mut alert = reach(State::Keep);
    assert_eq!(alert.firing_for(at(100)), Some(Duration::from_secs(40)));
    let resolved =
        Effect::Resolved { incident: 1, severity: Severity::High, lasted: Duration::from_secs(90) };
    assert_eq!(alert.handle(at(150), &rule(), value(0.0)), [resolved]);
    assert_eq!(alert.firing_for(at(150)), None);
    drop(alert.handle(at(160), &rule(), value(25.0)));
    let fired = Effect::Fired { incident: 2, severity: Severity::Critical };
    assert_eq!(alert.handle(at(220), &rule(), value(25.0)), [fired]);
    assert_eq!(alert.incident(), 2);
}

#[test]
fn without_waits_it_fires_and_resolves_at_once() {
    let now = RuleConfig { hold_for: Duration::ZERO, keep_firing_for: Duration::ZERO, ..config() };
    let rule = Rule::new(&now).unwrap();
    let mut alert = Alert::new();
    assert_eq!(letters(&alert.handle(at(1), &rule, value(25.0))), "F(Critical)");
    assert_eq!(letters(&alert.handle(at(1), &rule, value(0.0))), "R");
    assert_eq!(letters(&alert.handle(at(1), &rule, value(11.0))), "F(High)");
    assert_eq!(letters(&alert.handle(at(1), &rule, value(21.0))), "S(Critical)");
}

#[test]
fn a_share_must_be_proven_to_raise_and_seen_to_clear() {
    let share = |part, whole| Input::Observed(Observation::Share { part, whole });
    let failing = Rule::new(&RuleConfig {
        high: Some(Edge { enter: 0.05, exit: 0.03 }),
        hold_for: Duration::ZERO,
        keep_firing_for: Duration::ZERO,
        ..RuleConfig::default()
    });
    let failing = failing.unwrap();
    let mut alert = Alert::new();
    assert_eq!(letters(&alert.handle(at(0), &failing, share(1, 2))), "", "one of two");
    assert_eq!(letters(&alert.handle(at(1), &failing, share(5, 60))), "", "8 %, at least 3.6 %");
    assert_eq!(letters(&alert.handle(at(2), &failing, share(9, 60))), "F(High)");
    assert_eq!(letters(&alert.handle(at(3), &failing, share(0, 49))), "", "few clear nothing");
    assert_eq!(letters(&alert.handle(at(4), &failing, share(3, 60))), "", "5 % is not behind 3 %");
    assert_eq!(letters(&alert.handle(at(5), &failing, share(1, 50))), "R", "fifty are enough");

    let quality = RuleConfig {
        side: Side::Below,
        medium: Some(Edge { enter: 0.90, exit: 0.93 }),
        high: Some(Edge { enter: 0.75, exit: 0.80 }),
        hold_for: Duration::ZERO,
        keep_firing_for: Duration::ZERO,
        ..RuleConfig::default()
    };
    let quality = Rule::new(&quality).unwrap();
    let mut alert = Alert::new();
    assert_eq!(letters(&alert.handle(at(0), &quality, share(50, 60))), "", "at most 90.7 %");
    assert_eq!(letters(&alert.handle(at(1), &quality, share(300, 400))), "F(Medium)");
    assert_eq!(letters(&alert.handle(at(2), &quality, share(100, 400))), "S(High)");
    assert_eq!(
        letters(&alert.handle(at(3), &quality, share(300, 400))),
        "",
        "75 % is not above 80"
    );
    assert_eq!(letters(&alert.handle(at(4), &quality, share(360, 400))), "S(Medium)");
    assert_eq!(letters(&alert.handle(at(5), &quality, share(390, 400))), "R");
}

#[test]
fn a_clock_that_leapt_ahead_and_came_back_wedges_nothing() {
    let far = at(1_000_000_000);
    let mut alert = Alert::new();
    drop(alert.handle(far, &rule(), value(11.0)));
    drop(alert.handle(at(10), &rule(), value(11.0)));
    assert_eq!(letters(&alert.handle(at(70), &rule(), value(11.0))), "F(High)");
    drop(alert.handle(far, &rule(), value(0.0)));
    drop(alert.handle(at(80), &rule(), value(0.0)));
    assert_eq!(letters(&alert.handle(at(140), &rule(), value(0.0))), "R");
    drop(alert.handle(Instant::MAX, &rule(), value(0.0)));
    assert_eq!(alert.state(), State::Inactive);

    let mut alert = reach(State::Keep);
    drop(alert.handle(far, &rule(), value(0.0)));
    drop(alert.handle(at(100), &rule(), value(0.0)));
    assert_eq!(alert.state(), State::Resolved);
    drop(alert.handle(at(1_000), &rule(), value(0.0)));
    assert_eq!(alert.state(), State::Inactive, "known for a quarter of an hour, not for years");
}

#[test]
fn flapping_is_told_once_and_stops_no_evaluation() {
    let rule = Rule::new(&RuleConfig {
        hold_for: Duration::ZERO,
        keep_firing_for: Duration::ZERO,
        ..config()
    });
    let rule = rule.unwrap();
    let mut alert = Alert::new();
    let mut told = Vec::new();
    for second in 0..60 {
        let seen = if second < 30 && second % 2 == 0 { 11.0 } else { 0.0 };
        told.extend(alert.handle(at(second), &rule, value(seen)));
        assert!(!(8..=30).contains(&second) || alert.is_flapping(), "second {second}");
    }
    let count = |wanted: &str| letters(&told).split(' ').filter(|one| *one == wanted).count();
    assert_eq!((count("F(High)"), count("R")), (15, 15));
    assert_eq!((count("W"), count("w")), (1, 1));
    assert!(!alert.is_flapping());
}

#[test]
fn acknowledgements_end_for_four_reasons() {
    let table = [
        (vec![(100, Input::Withdraw)], Ended::Withdrawn),
        (vec![(119, value(11.0)), (120, value(11.0))], Ended::Expired),
        (vec![(61, value(21.0)), (119, value(21.0)), (121, value(21.0))], Ended::Expired),
        (vec![(40, value(21.0)), (100, value(21.0))], Ended::SeverityRose),
        (vec![(30, value(0.0)), (95, value(0.0))], Ended::Resolved),
    ];
    for (inputs, why) in table {
        let mut alert = reach(State::Firing);
        drop(alert.handle(at(61), &rule(), acknowledge(1, Some(at(120)))));
        assert_eq!(alert.acknowledgement().map(|by| &*by.who), Some("ada"));
        let told: Vec<Effect> = inputs
            .into_iter()
            .flat_map(|(second, input)| alert.handle(at(second), &rule(), input))
            .filter(|effect| matches!(effect, Effect::AcknowledgementEnded(_)))
            .collect();
        assert_eq!(told, [Effect::AcknowledgementEnded(why)]);
        assert_eq!(alert.acknowledgement(), None);
    }
}
