use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn detector() -> Detector {
    Detector::new(&DetectorConfig::default()).unwrap()
}

const fn at(seconds: u64) -> Instant {
    Instant::from_millis(seconds * 1_000)
}

#[test]
fn a_peer_is_suspected_after_what_is_usual_for_it_and_before_it_is_given_up() {
    let detector = detector();
    let ms = Duration::from_millis;
    let table = [
        (None, 0, 12),
        (Some((ms(40), ms(10))), 0, 12),
        (Some((ms(1_000), ms(500))), 0, 13),
        (Some((ms(9_000), ms(9_000))), 0, 30),
        (None, 1, 14),
        (None, 7, 26),
        (None, 255, 26),
    ];
    for (rtt, stress, seconds) in table {
        let found = detector.suspect_after(SECOND * 10, rtt, stress);
        assert_eq!(found, SECOND * seconds, "{rtt:?} {stress}");
        assert!(found <= detector.dead_after(SECOND * 10, stress));
    }
    assert_eq!(detector.dead_after(SECOND * 10, 0), SECOND * 30);
    assert_eq!(detector.dead_after(SECOND * 10, 2), SECOND * 70);
}

#[test]
fn a_sweep_in_time_excuses_nobody() {
    let mut pause = OwnPause::new(&detector());
    assert_eq!(pause.swept(at(100), SECOND), None, "the first one cannot be late");
    assert_eq!(pause.swept(at(101), SECOND), None);
    assert_eq!(pause.swept(at(107), SECOND), None, "five seconds late is still in time");
    assert!(!pause.lenient(at(107)));
    assert_eq!(pause.excused(at(90)), Duration::ZERO);
}

#[test]
fn a_sweep_that_is_late_excuses_everybody_for_as_long_and_for_one_window() {
    let mut pause = OwnPause::new(&detector());
    assert_eq!(pause.swept(at(100), SECOND), None);
    assert_eq!(pause.swept(at(161), SECOND), Some(SECOND * 60));
    assert!(pause.lenient(at(180)) && !pause.lenient(at(181)));
    assert_eq!(pause.excused(at(99)), SECOND * 60);
    assert_eq!(pause.excused(at(131)), SECOND * 30, "heard in the middle of it");
    assert_eq!(pause.excused(at(161)), Duration::ZERO);
    assert_eq!(pause.swept(at(190), SECOND), Some(SECOND * 28));
    assert_eq!(pause.excused(at(99)), SECOND * 88, "pauses add up");
}

#[test]
fn a_clock_that_steps_back_is_no_pause() {
    let mut pause = OwnPause::new(&detector());
    assert_eq!(pause.swept(at(100), SECOND), None);
    assert_eq!(pause.swept(at(10), SECOND), None);
    assert!(pause.swept(Instant::MAX, SECOND).is_some());
    assert!(pause.lenient(at(100)));
    assert_eq!(pause.swept(at(100), SECOND), None);
    assert!(pause.lenient(at(119)) && !pause.lenient(at(120)), "and it holds nobody for ever");
}

#[test]
fn many_suspects_at_once_hold_convictions_and_raise_one_alarm() {
    let mut mass = MassSuspicion::new(&detector());
    assert!(!mass.suspected(at(100), 10, 20), "ten are not more than ten");
    assert!(mass.suspected(at(101), 1, 20));
    assert!(mass.holds(at(102)) && mass.holds(at(120)));
    assert!(!mass.suspected(at(102), 5, 20), "one alarm");
    assert_eq!(mass.held_until(), at(122));
    assert!(!mass.holds(at(122)));
}

#[test]
fn suspects_that_come_one_by_one_are_convicted() {
    let mut mass = MassSuspicion::new(&detector());
    for second in 0..60 {
        assert!(!mass.suspected(at(second), 2, 20), "{second}");
    }
    assert!(!mass.holds(at(60)));
}

#[test]
fn a_large_fleet_allows_its_share() {
    let mut mass = MassSuspicion::new(&detector());
    assert!(!mass.suspected(at(10), 200, 1_000));
    assert!(mass.suspected(at(11), 1, 1_000));
}

#[test]
fn surprise_grows_with_silence() {
    assert!(phi(SECOND * 10, SECOND * 10) < phi(SECOND * 20, SECOND * 10));
    assert!(phi(SECOND, Duration::ZERO).is_finite());
}

#[test]
fn b28_a_detector_that_makes_no_sense_is_refused_by_field() {
    let ok = DetectorConfig::default();
    let table = [
        ("slack", DetectorConfig { slack: SECOND * 9, ..ok }),
        ("slack", DetectorConfig { slack: SECOND * 31, ..ok }),
        ("suspect_after", DetectorConfig { suspect_after: SECOND * 21, ..ok }),
        ("probe_every", DetectorConfig { probe_every: Duration::ZERO, ..ok }),
        ("pause", DetectorConfig { pause: Duration::ZERO, ..ok }),
        ("mass", DetectorConfig { mass: 0, ..ok }),
        ("mass_share", DetectorConfig { mass_share: Ratio::ZERO, ..ok }),
        ("mass_within", DetectorConfig { mass_within: SECOND * 61, ..ok }),
    ];
    for (field, config) in table {
        assert_eq!(Detector::new(&config).unwrap_err().field, field);
    }
}

proptest::proptest! {
    #[test]
    fn an_excuse_is_never_longer_than_the_silence(
        gaps in proptest::collection::vec(0..120_u64, 1..30), heard in 0..600_u64,
    ) {
        let mut pause = OwnPause::new(&detector());
        let mut now = 0;
        let mut model = std::vec::Vec::new();
        for gap in gaps {
            now += gap;
            let late = pause.swept(at(now), SECOND);
            if let Some(late) = late {
                model.push((now, late.as_secs()));
            }
        }
        model.reverse();
        let rest = model.split_off(model.len().min(3));
        if let Some((end, _)) = rest.first() {
            model.push((*end, rest.iter().map(|(_, late)| late).sum()));
        }
        let ours = model.iter().filter(|(end, _)| *end > heard);
        let expected: u64 = ours.map(|(end, late)| (*late).min(end - heard)).sum();
        proptest::prop_assert_eq!(pause.excused(at(heard)), SECOND * u32::try_from(expected).unwrap());
        proptest::prop_assert!(expected <= now.saturating_sub(heard));
    }

    #[test]
    fn convictions_are_held_exactly_while_too_many_are_suspected(
        steps in proptest::collection::vec((0..3_u64, 0..12_u32), 1..60),
    ) {
        let mut mass = MassSuspicion::new(&detector());
        let (mut now, mut seen, mut until) = (10, std::vec::Vec::new(), 0);
        for (gap, suspects) in steps {
            now += gap;
            seen.push((now, suspects));
            let recent: u32 = seen.iter().filter(|(t, _)| now - t < 5).map(|(_, n)| n).sum();
            let over = suspects > 0 && recent > 10;
            proptest::prop_assert_eq!(mass.suspected(at(now), suspects, 30), over && now >= until);
            if over {
                until = now + 20;
            }
            proptest::prop_assert_eq!(mass.holds(at(now)), now < until);
        }
    }
}
