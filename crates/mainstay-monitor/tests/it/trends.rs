//! What a trend says of series whose answer is known.

use std::time::Duration;

use mainstay_monitor::trend::{AGREE, Change, Class, MINUTES, MINUTES_MIN, Minute, Signal, Trend};
use proptest::prelude::*;

fn latency(millis: u64) -> Minute {
    Minute::Latency { value: Duration::from_millis(millis), samples: 5 }
}

/// A trend after these minutes, and the changes it told.
fn after(signal: Signal, minutes: impl IntoIterator<Item = Minute>) -> (Trend, Vec<Change>) {
    let mut trend = Trend::new(signal);
    let changes = minutes.into_iter().filter_map(|minute| trend.minute(minute)).collect();
    (trend, changes)
}

fn errors(failed: u32, calls: u32) -> Minute {
    Minute::Errors { failed, calls }
}

#[test]
fn each_signal_has_its_words_for_up_and_down() {
    let table = [
        (Signal::Latency, ["UNKNOWN", "STABLE", "DEGRADING", "IMPROVING"]),
        (Signal::Connections, ["UNKNOWN", "STABLE", "GROWING", "DECLINING"]),
        (Signal::Errors, ["UNKNOWN", "STABLE", "WORSENING", "IMPROVING"]),
    ];
    let classes = [Class::Unknown, Class::Stable, Class::Rising, Class::Falling];
    for (signal, names) in table {
        assert_eq!(classes.map(|class| class.name(signal)), names);
    }
}

#[test]
fn nothing_is_known_before_fifteen_minutes_with_five_samples() {
    let few = (0..40).map(|at| Minute::Latency { value: Duration::from_millis(at), samples: 4 });
    assert_eq!(after(Signal::Latency, few).0.class(), Class::Unknown);
    let until = MINUTES_MIN + usize::from(AGREE) - 1;
    let (trend, _) = after(Signal::Latency, (0..until - 1).map(|_| latency(100)));
    assert_eq!(trend.class(), Class::Unknown, "two evaluations are not three");
    let (trend, changes) = after(Signal::Latency, (0..until).map(|_| latency(100)));
    assert_eq!(trend.class(), Class::Stable);
    assert_eq!(changes, [Change { from: Class::Unknown, to: Class::Stable }]);
}

#[test]
fn a_trend_without_data_is_forgotten() {
    let (mut trend, _) = after(Signal::Latency, (0..40).map(|at| latency(100 + 5 * at)));
    assert_eq!(trend.class(), Class::Rising);
    for _ in 0..MINUTES {
        let _ = trend.minute(Minute::Nothing);
    }
    assert_eq!((trend.class(), trend.minutes_to(10.0)), (Class::Unknown, None));
    assert_eq!(after(Signal::Errors, (0..40).map(|_| latency(9))).0.class(), Class::Unknown);
}

#[test]
fn known_series_are_called_what_they_are() {
    type Case = (&'static str, Signal, fn(u32) -> Minute, Class);
    let table: [Case; 15] = [
        ("flat", Signal::Latency, |_| latency(100), Class::Stable),
        ("ramp", Signal::Latency, |at| latency(100 + u64::from(at) * 2), Class::Rising),
        ("ramp down", Signal::Latency, |at| latency(200 - u64::from(at) * 2), Class::Falling),
        ("ramp of no matter", Signal::Latency, |at| latency(1000 + u64::from(at)), Class::Stable),
        ("step", Signal::Latency, |at| latency(if at < 30 { 100 } else { 130 }), Class::Rising),
        ("gaps", Signal::Latency, |at| gap(at, latency(100 + u64::from(at) * 3)), Class::Rising),
        (
            "spikes",
            Signal::Latency,
            |at| latency(if at % 7 == 0 { 900 } else { 100 }),
            Class::Stable,
        ),
        ("growing", Signal::Connections, |at| Minute::Connections(at), Class::Rising),
        ("declining", Signal::Connections, |at| Minute::Connections(90 - at), Class::Falling),
        ("by four", Signal::Connections, |at| Minute::Connections(at / 9), Class::Stable),
        ("by 3 %", Signal::Connections, |at| Minute::Connections(1000 + at), Class::Stable),
        ("worsening", Signal::Errors, |at| errors(at, 1000), Class::Rising),
        ("improving", Signal::Errors, |at| errors(40 - at, 1000), Class::Falling),
        ("ebb with two errors", Signal::Errors, ebb, Class::Stable),
        ("ebb without errors", Signal::Errors, |at| errors(0, 4000 - 99 * at), Class::Stable),
    ];
    for (name, signal, minute, expected) in table {
        assert_eq!(after(signal, (0..40).map(minute)).0.class(), expected, "{name}");
    }
}

/// Traffic that ebbs away, with one failure in each half of the last 30 minutes.
fn ebb(at: u32) -> Minute {
    errors(u32::from(at == 15 || at == 27), 40_000 - 990 * at)
}

fn gap(at: u32, minute: Minute) -> Minute {
    if at.is_multiple_of(3) { Minute::Nothing } else { minute }
}

#[test]
fn a_prediction_is_made_only_while_things_get_worse() {
    let grown = |at: u32| Duration::from_secs_f64(0.100 * 1.02_f64.powi(at.cast_signed()));
    let worse = (0..40).map(|at| Minute::Latency { value: grown(at), samples: 9 });
    let (trend, _) = after(Signal::Latency, worse);
    let threshold = grown(49).as_secs_f64();
    let minutes = trend.minutes_to(threshold).expect("ten minutes ahead");
    assert!((minutes - 10.0).abs() < 0.01, "{minutes}");
    for unseen in [grown(39).as_secs_f64() * 0.99, grown(71).as_secs_f64(), 0.0, -1.0, f64::NAN] {
        assert_eq!(trend.minutes_to(unseen), None, "behind, beyond the window, or no threshold");
    }
    let (better, _) = after(Signal::Latency, (0..40).map(|at| latency(200 - at * 2)));
    assert_eq!(better.minutes_to(0.01), None);
    let (more, _) = after(Signal::Connections, (0..40).map(Minute::Connections));
    assert_eq!((more.class(), more.minutes_to(50.0)), (Class::Rising, None));
    let (errors, _) = after(Signal::Errors, (0..40).map(|at| errors(20 + at, 1_000)));
    assert!(errors.minutes_to(0.07).is_some());
    assert_eq!((errors.minutes_to(1.0), errors.minutes_to(2.0)), (None, None));
}

fn any_minute() -> impl Strategy<Value = Minute> {
    prop_oneof![
        Just(Minute::Nothing),
        (any::<u64>(), 0_u32..9)
            .prop_map(|(n, samples)| Minute::Latency { value: Duration::from_nanos(n), samples }),
        any::<u32>().prop_map(Minute::Connections),
        (any::<u32>(), any::<u32>()).prop_map(|(failed, calls)| Minute::Errors { failed, calls }),
    ]
}

proptest! {
    #[test]
    fn a_class_never_changes_but_after_three_that_agree(
        signal in prop::sample::select(vec![Signal::Latency, Signal::Connections, Signal::Errors]),
        minutes in prop::collection::vec(any_minute(), 0..120),
    ) {
        let mut trend = Trend::new(signal);
        let (mut class, mut last) = (Class::Unknown, None);
        for (at, minute) in minutes.into_iter().enumerate() {
            if let Some(change) = trend.minute(minute) {
                prop_assert!(change.from == class && change.to == trend.class());
                prop_assert!(change.from != change.to);
                let apart = last.map_or(at + 1, |last| at - last);
                prop_assert!(apart >= usize::from(AGREE));
                (class, last) = (change.to, Some(at));
            }
            prop_assert_eq!(class, trend.class());
            if let Some(minutes) = trend.minutes_to(0.5) {
                prop_assert!(minutes > 0.0 && minutes <= MINUTES as f64);
            }
        }
    }

    #[test]
    fn what_rises_falls_when_turned_over(values in prop::collection::vec(1_u32..1_000, 30)) {
        let class = |values: Vec<u32>| {
            after(Signal::Connections, values.into_iter().map(Minute::Connections)).0.class()
        };
        let turned = values.iter().map(|value| 10_000 - value).collect();
        // A share of what it was: far from zero, a count of both must move by as much.
        let raised = values.iter().map(|value| 10_000 + value).collect();
        let mirrored = match class(raised) {
            Class::Rising => Class::Falling,
            Class::Falling => Class::Rising,
            Class::Stable => Class::Stable,
            Class::Unknown => Class::Unknown,
        };
        prop_assert_eq!(class(turned), mirrored);
    }
}
