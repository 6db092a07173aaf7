use std::vec::Vec;

use super::*;
use crate::config::Ratio;
use crate::time::Instant;

fn ms(rtt: u32) -> Sample {
    Sample { rtt_us: Some(rtt * 1_000), min_us: rtt * 1_000, beats: 20, ..Sample::default() }
}

fn after(config: &QualityConfig, samples: &[Sample]) -> Vec<Grade> {
    let grader = Grader::new(config).unwrap();
    let mut grade = Grade::default();
    samples
        .iter()
        .map(|sample| {
            grade = grade.update(&grader, sample);
            grade
        })
        .collect()
}

fn last(config: &QualityConfig, samples: &[Sample]) -> Grade {
    *after(config, samples).last().unwrap()
}

#[test]
fn a_grade_is_unknown_until_three_beats() {
    let grades = after(&QualityConfig::default(), &[ms(50); 3]);
    let told: Vec<Quality> = grades.iter().map(|grade| grade.quality()).collect();
    assert_eq!(told, [Quality::Unknown, Quality::Unknown, Quality::Excellent]);
}

#[test]
fn steady_round_trips_meet_the_published_cuts() {
    let table = [
        (200, Quality::Excellent),
        (300, Quality::Excellent),
        (320, Quality::Good),
        (500, Quality::Good),
        (520, Quality::Poor),
        (800, Quality::Poor),
        (830, Quality::Critical),
    ];
    for (rtt, quality) in table {
        assert_eq!(last(&QualityConfig::default(), &[ms(rtt); 40]).quality(), quality, "{rtt}");
    }
}

#[test]
fn background_weighs_delay_less_and_a_satellite_only_what_exceeds_its_best() {
    let background = QualityConfig { profile: Profile::Background, ..QualityConfig::default() };
    assert_eq!(last(&background, &[ms(700); 9]).quality(), Quality::Excellent);
    let satellite = QualityConfig { profile: Profile::Satellite, ..QualityConfig::default() };
    assert_eq!(last(&satellite, &[ms(700); 9]).quality(), Quality::Excellent);
    let slower = Sample { min_us: 100_000, ..ms(700) };
    assert_eq!(last(&satellite, &[slower; 9]).quality(), Quality::Poor);
}

#[test]
fn two_misses_are_poor_at_best_and_three_are_critical() {
    let miss = |missed, losses| Sample { missed, losses, ..ms(50) };
    let mut samples = [ms(50); 10].to_vec();
    samples.extend([miss(1, 1), miss(2, 3), miss(3, 7)]);
    let grades = after(&QualityConfig::default(), &samples);
    let told: Vec<Quality> = grades[9..].iter().map(|grade| grade.quality()).collect();
    use Quality::{Critical, Excellent, Poor};
    assert_eq!(told, [Excellent, Excellent, Poor, Critical]);
    assert_eq!(grades[12].factor(), Factor::Silence);
}

#[test]
fn a_grade_falls_after_two_beats_and_rises_after_six_without_a_miss() {
    let config = QualityConfig { falling: Ratio::ONE, rising: Ratio::ONE, ..Default::default() };
    let mut samples = [ms(50); 3].to_vec();
    samples.extend([ms(450); 2]);
    let down = after(&config, &samples);
    assert_eq!(down[3].quality(), Quality::Excellent);
    assert_eq!(down[4].quality(), Quality::Good);
    samples.extend([ms(50); 5]);
    samples.push(Sample { missed: 1, ..ms(50) });
    samples.extend([ms(50); 6]);
    let up = after(&config, &samples);
    assert_eq!(up[15].quality(), Quality::Good, "the miss began the count anew");
    assert_eq!(up[16].quality(), Quality::Excellent);
}

#[test]
fn a_score_far_below_its_edge_falls_at_once() {
    let config = QualityConfig { falling: Ratio::ONE, ..QualityConfig::default() };
    let grades = after(&config, &[ms(50), ms(50), ms(50), ms(600)]);
    assert_eq!(grades[3].quality(), Quality::Poor);
}

#[test]
fn a_score_on_an_edge_does_not_flip() {
    let grades = after(&QualityConfig::default(), &[ms(305), ms(325)].repeat(100));
    let flips = grades[2..].windows(2).filter(|two| two[0].quality() != two[1].quality()).count();
    assert_eq!(flips, 0);
}

#[test]
fn what_weighs_most_is_named() {
    let jitter = Sample { jitter_us: 200_000, ..ms(100) };
    let loss = Sample { losses: 0b10100, ..ms(100) };
    let table = [
        (ms(60), Factor::None),
        (ms(400), Factor::Rtt),
        (jitter, Factor::Jitter),
        (loss, Factor::Loss),
        (Sample { reconnects: 3, ..ms(60) }, Factor::Flapping),
    ];
    for (sample, factor) in table {
        assert_eq!(last(&QualityConfig::default(), &[sample; 3]).factor(), factor, "{sample:?}");
    }
}

#[test]
fn axon_follows_the_cuts_of_seed_004() {
    let axon = QualityConfig::axon();
    let table = [
        (0, 500, Quality::Excellent),
        (0, 501, Quality::Good),
        (0, 1_000, Quality::Good),
        (0, 1_001, Quality::Poor),
        (0, 2_000, Quality::Poor),
        (0, 3_000, Quality::Poor),
        (0, 3_001, Quality::Critical),
        (1, 10, Quality::Good),
        (2, 10, Quality::Poor),
        (3, 10, Quality::Critical),
        (1, 2_000, Quality::Poor),
    ];
    for (missed, rtt, quality) in table {
        let sample = Sample { missed, ..ms(rtt) };
        assert_eq!(last(&axon, &[sample; 5]).quality(), quality, "{missed} {rtt}");
    }
}

#[test]
fn axon_degrades_at_once_and_upgrades_after_two_better_beats() {
    let samples = [ms(100), ms(2_000), ms(100), ms(2_000), ms(100), ms(100)];
    let grades = after(&QualityConfig::axon(), &samples);
    let told: Vec<Quality> = grades.iter().map(|grade| grade.quality()).collect();
    use Quality::{Excellent, Poor};
    assert_eq!(told, [Excellent, Poor, Poor, Poor, Poor, Excellent]);
}

#[test]
fn a_suspect_is_poor_at_best() {
    let excellent = last(&QualityConfig::default(), &[ms(10); 3]);
    assert_eq!(excellent.suspected().quality(), Quality::Poor);
    assert_eq!(excellent.suspected().factor(), Factor::Silence);
    assert_eq!(Grade::default().suspected(), Grade::default());
}

#[test]
fn a_restored_grade_stays_until_beats_speak_against_it() {
    let grader = Grader::new(&QualityConfig::default()).unwrap();
    let restored = Grade::restored(&grader, Quality::Good, Factor::Rtt);
    assert_eq!(restored.quality(), Quality::Good);
    assert_eq!(restored.update(&grader, &ms(400)).quality(), Quality::Good);
    let fresh = Grade::restored(&grader, Quality::Unknown, Factor::None);
    assert_eq!(fresh.update(&grader, &ms(10)).quality(), Quality::Unknown);
}

#[test]
fn reconnects_are_forgotten_after_ten_minutes() {
    let minute = |n: u64| Instant::from_millis(n * 60_000);
    let mut reconnects = Reconnects::default();
    reconnects.record(minute(20));
    reconnects.record(minute(23));
    assert_eq!(reconnects.count(minute(24)), 2);
    assert_eq!(reconnects.count(minute(29)), 2);
    assert_eq!(reconnects.count(minute(31)), 1);
    assert_eq!(reconnects.count(minute(33)), 0);
    assert_eq!(reconnects.count(minute(19)), 2, "a clock that steps back forgets nothing");
}

#[test]
fn b28_a_quality_that_makes_no_sense_is_refused_by_field() {
    let ok = QualityConfig::default();
    let table = [
        ("poor", QualityConfig { poor: 0, ..ok }),
        ("good", QualityConfig { good: 30, ..ok }),
        ("excellent", QualityConfig { excellent: 96, ..ok }),
        ("margin", QualityConfig { margin: 21, ..ok }),
        ("cliff", QualityConfig { cliff: 0, ..ok }),
        ("down_after", QualityConfig { down_after: 0, ..ok }),
        ("up_after", QualityConfig { up_after: 16, ..ok }),
        ("samples", QualityConfig { samples: 0, ..ok }),
        ("falling", QualityConfig { falling: Ratio::ZERO, ..ok }),
        ("rising", QualityConfig { rising: Ratio::percent(101), ..ok }),
    ];
    for (field, config) in table {
        assert_eq!(Grader::new(&config).unwrap_err().field, field);
    }
}

/// The documentation, word by word, over the whole history and in floating point.
fn naive(samples: &[Sample]) -> Vec<(Quality, f64)> {
    let bands = [(80.0, Quality::Excellent), (60.0, Quality::Good), (30.0, Quality::Poor)];
    let band = |score: f64| {
        bands.iter().find(|(edge, _)| score >= *edge).map_or(Quality::Critical, |(_, q)| *q)
    };
    let edge = |of: Quality| bands.iter().find(|(_, q)| *q == of).map_or(0.0, |(edge, _)| *edge);
    let (mut score, mut quality, mut below, mut above) = (0.0, Quality::Unknown, 0, 0);
    let mut told = Vec::new();
    for (nr, s) in samples.iter().enumerate() {
        let e = f64::from(s.rtt_us.unwrap_or(0)) / 1e3 + 2.0 * f64::from(s.jitter_us) / 1e3 + 10.0;
        let delay = if e < 160.0 { e / 40.0 } else { (e - 120.0) / 10.0 };
        let beats = u32::from(s.beats.clamp(1, 20));
        let lost = (0..beats).filter(|bit| s.losses >> bit & 1 == 1).count() as f64;
        let flaps = f64::from(s.reconnects.saturating_sub(1)) * 10.0;
        let raw = (100.0 - delay - 250.0 * lost / f64::from(beats) - flaps).clamp(0.0, 100.0);
        let share = if raw < score { 0.5 } else { 0.2 };
        score = if nr == 0 { raw } else { score + share * (raw - score) };
        if nr >= 2 {
            let lowest = edge(quality);
            let better = band(score - 5.0);
            below = if score < lowest - 5.0 { below + 1 } else { 0 };
            above = if better > quality && s.missed == 0 && below == 0 { above + 1 } else { 0 };
            let moved = if quality == Quality::Unknown || score < lowest - 20.0 || below >= 2 {
                Some(band(score))
            } else {
                (above >= 6).then_some(better)
            };
            let most = [Quality::Excellent, Quality::Excellent, Quality::Poor, Quality::Critical];
            let most = most[usize::from(s.missed.min(3))];
            let next = moved.unwrap_or(quality).min(most);
            if moved.is_some() || next != quality {
                (below, above) = (0, 0);
            }
            quality = next;
        }
        told.push((quality, score));
    }
    told
}

fn any_sample() -> impl proptest::strategy::Strategy<Value = Sample> {
    use proptest::prelude::*;
    (0..900_u32, 0..100_u32, any::<u32>(), any::<u32>(), 1..=32_u8, 0..=6_u8, 0..=3_u8).prop_map(
        |(rtt, jitter, losses, fewer, beats, missed, reconnects)| Sample {
            rtt_us: Some(rtt * 1_000),
            jitter_us: jitter * 1_000,
            min_us: 0,
            losses: losses & fewer & (losses >> 7),
            beats,
            missed: missed.saturating_sub(3),
            reconnects,
        },
    )
}

proptest::proptest! {
    #[test]
    fn the_grade_is_that_of_the_documentation(
        samples in proptest::collection::vec(any_sample(), 1..80),
    ) {
        let ours = after(&QualityConfig::default(), &samples);
        for (ours, (quality, score)) in ours.iter().zip(naive(&samples)) {
            let rounded = f64::from(ours.score()) - score;
            proptest::prop_assert!((-1.2..0.2).contains(&rounded), "{ours:?} {score}");
            // Within a rounding of an edge, either grade is right, and the histories part.
            let edges = [25.0, 35.0, 55.0, 65.0, 75.0, 85.0, 10.0, 40.0, 60.0, 30.0, 80.0];
            if edges.iter().any(|edge: &f64| (edge - score).abs() < 0.2) {
                break;
            }
            proptest::prop_assert_eq!(ours.quality(), quality);
        }
    }
}
