//! What an alert is after the process has ended and begun again.

use std::time::Duration;

use mainstay_core::time::Instant;
use mainstay_monitor::alert::{Alert, Effect, Input, Rule, RuleConfig, Silence, Snapshot, State};

use crate::alerts::{acknowledge, at, config, reach, rule, value};

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

/// Stored as text at `second` and read again on a clock that begins at zero.
fn again(alert: &Alert, rule: &Rule, second: u64, outage: Duration) -> Alert {
    let text = serde_json::to_string(&alert.snapshot(at(second))).unwrap();
    let snapshot: Snapshot = serde_json::from_str(&text).unwrap();
    assert_eq!(snapshot, alert.snapshot(at(second)), "{text}");
    Alert::restore(Instant::default(), rule, &snapshot, outage)
}

/// Half an hour to fire and to resolve.
fn slow() -> Rule {
    Rule::new(&RuleConfig { hold_for: minutes(30), keep_firing_for: minutes(30), ..config() })
        .unwrap()
}

/// Which minute after the restart it takes to say something, when it sees `seen` each minute.
fn first(alert: &mut Alert, rule: &Rule, seen: f64) -> Option<(u64, Effect)> {
    (0..100).find_map(|minute| {
        let told = alert.handle(at(minute * 60), rule, value(seen));
        told.into_iter().next().map(|effect| (minute, effect))
    })
}

#[test]
fn what_fires_goes_on_firing_and_is_not_told_again() {
    for outage in [Duration::ZERO, minutes(60), minutes(61), minutes(100_000)] {
        let mut alert = again(&reach(State::Firing), &rule(), 100, outage);
        assert_eq!(alert.handle(at(0), &rule(), value(11.0)), []);
        assert_eq!((alert.state(), alert.incident()), (State::Firing, 1));
        let lasted = Duration::from_secs(40) + outage;
        assert_eq!(alert.firing_for(at(0)), Some(lasted));
        let (_, effect) = first(&mut alert, &rule(), 0.0).expect("it resolves");
        let minute = Duration::from_secs(60);
        let expected = Effect::Resolved {
            incident: 1,
            severity: alert.severity().unwrap(),
            lasted: lasted + minute,
        };
        assert_eq!(effect, expected);
    }
}

#[test]
fn what_was_pending_continues_after_a_short_outage_with_ten_minutes_left_at_least() {
    // Waited before, outage, minutes until it fires.
    let table = [(0, 10, 30), (5, 60, 25), (20, 1, 10), (29, 60, 10), (29, 61, 30), (5, 61, 30)];
    for (waited, outage, left) in table {
        let mut alert = Alert::new();
        drop(alert.handle(at(0), &slow(), value(11.0)));
        let mut alert = again(&alert, &slow(), waited * 60, minutes(outage));
        let pending = if outage > 60 { State::Inactive } else { State::Pending };
        assert_eq!(alert.state(), pending, "an outage of {outage} min");
        let fired = first(&mut alert, &slow(), 11.0);
        assert_eq!(fired.map(|(minute, _)| minute), Some(left), "{waited} min, {outage} min");
    }
}

#[test]
fn a_wait_shorter_than_the_grace_begins_anew() {
    let mut alert = again(&reach(State::Pending), &rule(), 149, minutes(1));
    assert_eq!(first(&mut alert, &rule(), 11.0).map(|(minute, _)| minute), Some(1));
}

#[test]
fn what_was_kept_is_kept_for_the_rest_or_all_of_its_time() {
    for (waited, outage, left) in [(5, 60, 25), (25, 60, 10), (25, 61, 30)] {
        let mut alert = Alert::new();
        for (minute, seen) in [(0, 11.0), (30, 11.0), (40, 0.0)] {
            drop(alert.handle(at(minute * 60), &slow(), value(seen)));
        }
        assert_eq!(alert.state(), State::Keep);
        let mut alert = again(&alert, &slow(), (40 + waited) * 60, minutes(outage));
        assert_eq!(first(&mut alert, &slow(), 0.0).map(|(minute, _)| minute), Some(left));
    }
}

#[test]
fn what_is_resolved_is_forgotten_in_its_time_and_numbers_go_on() {
    let mut alert = again(&reach(State::Resolved), &rule(), 130, minutes(14));
    drop(alert.handle(at(59), &rule(), value(0.0)));
    assert_eq!(alert.state(), State::Resolved);
    drop(alert.handle(at(60), &rule(), value(0.0)));
    assert_eq!(alert.state(), State::Inactive);
    drop(alert.handle(at(100), &rule(), value(11.0)));
    let told = alert.handle(at(160), &rule(), value(11.0));
    assert!(matches!(told.as_slice(), [Effect::Fired { incident: 2, .. }]), "{told:?}");
}

#[test]
fn flags_go_on_and_their_time_runs_through_the_outage() {
    let mut alert = reach(State::Firing);
    drop(alert.handle(at(100), &rule(), acknowledge(1, Some(at(700)))));
    drop(alert.handle(at(100), &rule(), Input::Silence(Silence::Until(at(400)))));
    let restored = again(&alert, &rule(), 100, minutes(4));
    assert_eq!(restored.silence(), Some(Silence::Until(at(60))));
    assert_eq!(restored.acknowledgement().and_then(|by| by.until), Some(at(360)));
    let mut restored = again(&alert, &rule(), 100, minutes(600));
    assert_eq!(restored.handle(at(0), &rule(), value(11.0)).len(), 2, "both have expired");
    for silence in [Silence::UntilLifted, Silence::UntilResolved] {
        drop(alert.handle(at(100), &rule(), Input::Silence(silence)));
        assert_eq!(again(&alert, &rule(), 100, minutes(600)).silence(), Some(silence));
    }
}

#[test]
fn flapping_is_forgotten_after_a_long_outage_and_its_end_is_told() {
    let mut alert = Alert::new();
    for second in 0..20 {
        let seen = if second % 2 == 0 { 11.0 } else { 0.0 };
        drop(alert.handle(at(second), &rule(), value(seen)));
    }
    assert!(alert.is_flapping());
    let mut soon = again(&alert, &rule(), 20, minutes(60));
    assert_eq!(soon.handle(at(0), &rule(), value(0.0)), []);
    let mut late = again(&alert, &rule(), 20, minutes(61));
    assert_eq!(late.handle(at(0), &rule(), value(0.0)), [Effect::FlappingEnded]);
}

#[test]
fn an_alert_of_a_ladder_that_has_changed_finds_its_place() {
    let low = RuleConfig { high: None, critical: None, low: config().high, ..config() };
    let low = Rule::new(&low).unwrap();
    let mut alert = again(&reach(State::Firing), &low, 100, minutes(1));
    let told = alert.handle(at(0), &low, value(11.0));
    assert!(matches!(told.as_slice(), [Effect::SeverityChanged { .. }]), "{told:?}");
}
