use super::*;

const SECOND: Duration = Duration::from_secs(1);
const QUALITIES: [Quality; 5] =
    [Quality::Unknown, Quality::Critical, Quality::Poor, Quality::Good, Quality::Excellent];

fn heartbeat() -> Heartbeat {
    Heartbeat::new(&HeartbeatConfig::default()).unwrap()
}

#[test]
fn an_interval_grows_by_steps_to_the_target_of_its_grade() {
    let heartbeat = heartbeat();
    let table = [
        (Quality::Excellent, 25),
        (Quality::Good, 20),
        (Quality::Unknown, 20),
        (Quality::Poor, 10),
        (Quality::Critical, 5),
    ];
    for (quality, target) in table {
        let mut rhythm = Rhythm { interval: 500, good: 0 };
        for beat in 0..30 {
            let expected = (5 + beat / 3 * 5).min(target);
            assert_eq!(rhythm.interval(), SECOND * expected, "{quality:?} {beat}");
            rhythm = heartbeat.next(rhythm, Beat::Came, quality);
        }
    }
}

#[test]
fn a_miss_halves_the_interval_down_to_the_least() {
    let heartbeat = heartbeat();
    let mut rhythm = Rhythm { interval: 2_500, good: 2 };
    for expected in [12_500, 6_250, 5_000, 5_000] {
        rhythm = heartbeat.next(rhythm, Beat::Missed, Quality::Excellent);
        assert_eq!(rhythm.interval(), Duration::from_millis(expected));
        assert_eq!(rhythm.good, 0);
    }
}

#[test]
fn a_worse_grade_shortens_the_interval_at_once() {
    let heartbeat = heartbeat();
    let long = Rhythm { interval: 2_500, good: 0 };
    assert_eq!(heartbeat.next(long, Beat::Came, Quality::Critical).interval(), SECOND * 5);
}

#[test]
fn axon_beats_by_the_factors_of_seed_004() {
    let axon = Heartbeat::new(&HeartbeatConfig::axon()).unwrap();
    let table = [
        (Quality::Excellent, 45_000),
        (Quality::Good, 30_000),
        (Quality::Unknown, 30_000),
        (Quality::Poor, 22_500),
        (Quality::Critical, 15_000),
    ];
    for (quality, millis) in table {
        for beat in [Beat::Came, Beat::Missed] {
            let next = axon.next(axon.start(), beat, quality);
            assert_eq!(next.interval(), Duration::from_millis(millis), "{quality:?}");
        }
    }
}

#[test]
fn the_stress_of_the_server_wins_over_a_bad_grade_and_stays_below_proxies() {
    let heartbeat = heartbeat();
    let critical = Rhythm { interval: 500, good: 0 };
    for (stress, seconds) in [(0, 5), (1, 10), (3, 20), (7, 40), (200, 40)] {
        assert_eq!(heartbeat.effective(critical, Ratio::ONE, stress), SECOND * seconds);
    }
    let excellent = Rhythm { interval: 2_500, good: 0 };
    assert_eq!(heartbeat.effective(excellent, Ratio::ONE, 7), SECOND * 50);
    assert_eq!(heartbeat.effective(excellent, Ratio::percent(150), 0), SECOND * 75 / 2);
}

#[test]
fn the_first_beat_is_drawn_within_one_interval_and_others_within_a_tenth() {
    let heartbeat = heartbeat();
    assert_eq!(heartbeat.first(SECOND * 25, 0), Duration::ZERO);
    assert_eq!(heartbeat.first(SECOND * 25, u64::MAX), SECOND * 25);
    assert_eq!(heartbeat.jittered(SECOND * 20, 0), SECOND * 18);
    assert_eq!(heartbeat.jittered(SECOND * 20, u64::MAX), SECOND * 22);
}

#[test]
fn excellent_sessions_give_first_when_the_budget_is_short() {
    let heartbeat = heartbeat();
    assert_eq!(heartbeat.stretch(1_000_000, 1_000_000), Stretch::default());
    let some = heartbeat.stretch(2_000_000, 1_000_000);
    assert_eq!(some, Stretch { excellent: Ratio::percent(200), others: Ratio::ONE });
    let all = heartbeat.stretch(1_000_000, 4_000_000);
    assert_eq!(all.excellent, Ratio::percent(1_000));
    assert!(all.others > Ratio::percent(200) && all.others < Ratio::percent(220));
}

#[test]
fn b28_a_heartbeat_that_makes_no_sense_is_refused_by_field() {
    let ok = HeartbeatConfig::default();
    let table = [
        ("hard_max", HeartbeatConfig { hard_max: SECOND * 601, ..ok }),
        ("max", HeartbeatConfig { max: SECOND * 51, ..ok }),
        ("min", HeartbeatConfig { min: SECOND * 26, ..ok }),
        ("excellent", HeartbeatConfig { excellent: SECOND * 26, ..ok }),
        ("good", HeartbeatConfig { good: SECOND, ..ok }),
        ("poor", HeartbeatConfig { poor: SECOND, ..ok }),
        ("critical", HeartbeatConfig { critical: SECOND, ..ok }),
        ("step", HeartbeatConfig { step: Duration::ZERO, ..ok }),
        ("step_after", HeartbeatConfig { step_after: 0, ..ok }),
        ("jitter", HeartbeatConfig { jitter: Ratio::percent(51), ..ok }),
        ("budget", HeartbeatConfig { budget: 0, ..ok }),
    ];
    for (field, config) in table {
        assert_eq!(Heartbeat::new(&config).unwrap_err().field, field);
    }
}

proptest::proptest! {
    #[test]
    fn an_interval_stays_within_its_limits(
        beats in proptest::collection::vec((proptest::bool::ANY, 0..5_usize), 0..60),
        stress: u8, bits: u64, ppm in 0..40_000_000_u32,
    ) {
        let heartbeat = heartbeat();
        let mut rhythm = heartbeat.start();
        for (came, quality) in beats {
            let beat = if came { Beat::Came } else { Beat::Missed };
            rhythm = heartbeat.next(rhythm, beat, QUALITIES[quality]);
            proptest::prop_assert!(rhythm.interval() >= SECOND * 5);
            proptest::prop_assert!(rhythm.interval() <= heartbeat.target(QUALITIES[quality]));
        }
        let effective = heartbeat.effective(rhythm, Ratio::from_ppm(ppm), stress);
        proptest::prop_assert!(rhythm.interval() <= effective && effective <= SECOND * 50);
        let drawn = heartbeat.jittered(effective, bits);
        proptest::prop_assert!(effective * 9 / 10 <= drawn && drawn <= effective * 11 / 10);
    }

    #[test]
    fn stretched_sessions_keep_the_budget_or_the_hard_maximum(
        excellent in 0..20_000_000_u64, others in 0..20_000_000_u64,
    ) {
        let stretch = heartbeat().stretch(excellent, others);
        let left = |rate: u64, by: Ratio| rate * 1_000_000 / u64::from(by.ppm());
        let sum = left(excellent, stretch.excellent) + left(others, stretch.others);
        let most = Ratio::percent(1_000);
        proptest::prop_assert!(stretch.excellent >= stretch.others);
        proptest::prop_assert!(sum <= 2_000_001 || stretch.others == most);
    }
}
