//! What people say about an alert.

use mainstay_monitor::alert::{
    Acknowledgement, Alert, Effect, Ended, Input, NOTE_MAX, Severity, Silence, State, WHO_MAX,
};

use crate::alerts::{acknowledge, at, reach, rule, value};

#[test]
fn silences_end_for_three_reasons_and_hide_no_effect() {
    let table = [
        (Silence::UntilLifted, vec![(140, Input::Lift)], Ended::Withdrawn),
        (Silence::Until(at(140)), vec![(139, value(11.0)), (140, value(11.0))], Ended::Expired),
        (Silence::UntilResolved, vec![(140, value(0.0)), (200, value(0.0))], Ended::Resolved),
    ];
    for (silence, inputs, why) in table {
        let mut alert = reach(State::Firing);
        let told = alert.handle(at(131), &rule(), Input::Silence(silence));
        assert_eq!((told, alert.silence()), (vec![Effect::Silenced(silence)], Some(silence)));
        let told: Vec<Effect> = inputs
            .into_iter()
            .flat_map(|(second, input)| alert.handle(at(second), &rule(), input))
            .collect();
        assert_eq!(told.last(), Some(&Effect::SilenceEnded(why)));
        assert_eq!(alert.silence(), None);
        let resolved = told.iter().any(|effect| matches!(effect, Effect::Resolved { .. }));
        assert_eq!(resolved, why == Ended::Resolved, "told even while silenced");
    }
}

#[test]
fn a_silence_of_what_does_not_fire_waits_for_it() {
    let mut alert = Alert::new();
    drop(alert.handle(at(0), &rule(), Input::Silence(Silence::UntilResolved)));
    drop(alert.handle(at(1), &rule(), value(11.0)));
    assert_eq!(alert.handle(at(61), &rule(), value(11.0)).len(), 1, "fires all the same");
    assert_eq!(alert.silence(), Some(Silence::UntilResolved));
}

#[test]
fn an_acknowledgement_outlasts_better_news_and_is_replaced_by_the_next() {
    let mut alert = reach(State::Firing);
    drop(alert.handle(at(60), &rule(), value(21.0)));
    drop(alert.handle(at(120), &rule(), value(21.0)));
    drop(alert.handle(at(121), &rule(), acknowledge(1, None)));
    let better =
        Effect::SeverityChanged { incident: 1, from: Severity::Critical, to: Severity::High };
    assert_eq!(alert.handle(at(122), &rule(), value(11.0)), [better]);
    drop(alert.handle(at(125), &rule(), value(0.0)));
    drop(alert.handle(at(130), &rule(), value(11.0)));
    assert_eq!((alert.state(), alert.acknowledgement().is_some()), (State::Firing, true));
    let by = Acknowledgement { who: "é".repeat(999), note: "n".repeat(9_999), until: None };
    drop(alert.handle(at(135), &rule(), Input::Acknowledge { incident: 1, by }));
    let by = alert.acknowledgement().expect("it was replaced");
    assert_eq!((by.who.chars().count(), by.note.len()), (WHO_MAX, NOTE_MAX));
    assert_eq!(
        alert.handle(at(136), &rule(), Input::Withdraw),
        [Effect::AcknowledgementEnded(Ended::Withdrawn)]
    );
    assert_eq!(alert.handle(at(137), &rule(), Input::Withdraw), []);
}
