use super::{Backoff, BackoffConfig, Jitter, Strategy};
use crate::config::Ratio;
use crate::policy::pressure::Pressure;
use crate::time::nanos;
use core::time::Duration;
use proptest::prelude::{Just, prop_assert, prop_oneof, proptest};
use proptest::strategy::Strategy as _;
use std::vec::Vec;

const MAX: u64 = u64::MAX;

fn config(strategy: Strategy, jitter: Jitter) -> BackoffConfig {
    BackoffConfig {
        strategy,
        jitter,
        base: Duration::from_secs(1),
        cap: Duration::from_secs(60),
        ..BackoffConfig::default()
    }
}

#[track_caller]
fn check(config: &BackoffConfig, attempt: u32, lowest_ms: u64, highest_ms: u64) {
    let backoff = Backoff::new(config).unwrap();
    let delay = |bits| backoff.delay(attempt, Duration::ZERO, Pressure::NONE, bits);
    assert_eq!(delay(0), Duration::from_millis(lowest_ms));
    assert_eq!(delay(MAX), Duration::from_millis(highest_ms));
}

#[test]
fn r07_the_first_delay_is_the_base_and_each_doubles_to_the_cap() {
    let plain = config(Strategy::Exponential, Jitter::None);
    let expected = [1, 2, 4, 8, 16, 32, 60, 60];
    for (attempt, seconds) in (1..).zip(expected) {
        check(&plain, attempt, seconds * 1000, seconds * 1000);
    }
}

#[test]
fn r01_a_steep_ceiling_under_a_distant_cap_grows_all_the_way() {
    let year = Duration::from_secs(365 * 24 * 3600);
    for factor in [Ratio::percent(10_000), Ratio::percent(150), Ratio::from_ppm(1_000_001)] {
        let (base, cap) = (Duration::from_nanos(1_000), year);
        let config =
            BackoffConfig { base, cap, factor, jitter: Jitter::None, ..BackoffConfig::default() };
        let backoff = Backoff::new(&config).unwrap();
        let waits = (1..5_000).map(|n| backoff.delay(n, Duration::ZERO, Pressure::NONE, 0));
        assert!(waits.is_sorted(), "factor {factor}");
    }
}

#[test]
fn linear_adds_the_increment_which_is_the_base_by_default() {
    let plain = config(Strategy::Linear, Jitter::None);
    check(&plain, 1, 1_000, 1_000);
    check(&plain, 3, 3_000, 3_000);
    check(&plain, 61, 60_000, 60_000);
    let stepped = BackoffConfig { increment: Some(Duration::from_millis(250)), ..plain };
    check(&stepped, 3, 1_500, 1_500);
}

#[test]
fn fixed_stays() {
    check(&config(Strategy::Fixed, Jitter::None), 7, 1_000, 1_000);
}

#[test]
fn jitters_draw_from_their_range() {
    check(&config(Strategy::Exponential, Jitter::Full), 3, 0, 4_000);
    check(&config(Strategy::Exponential, Jitter::Equal), 3, 2_000, 4_000);
    let ratio = Jitter::Ratio(Ratio::percent(10));
    check(&config(Strategy::Exponential, ratio), 3, 3_600, 4_400);
}

#[test]
fn r03_a_ratio_jitter_at_the_cap_is_lowered_until_it_fits_under_it() {
    let half = Jitter::Ratio(Ratio::percent(50));
    check(&config(Strategy::Exponential, half), 9, 20_000, 60_000);
}

#[test]
fn r25_decorrelated_draws_from_base_to_three_times_the_previous_wait_under_the_cap() {
    let backoff = Backoff::new(&config(Strategy::Decorrelated, Jitter::Full)).unwrap();
    let delay = |previous, bits| {
        backoff.delay(2, Duration::from_secs(previous), Pressure::NONE, bits).as_secs()
    };
    assert_eq!((delay(0, 0), delay(0, MAX)), (1, 1));
    assert_eq!((delay(4, 0), delay(4, MAX)), (1, 12));
    assert_eq!((delay(59, 0), delay(59, MAX)), (1, 60));
}

#[test]
fn r04_sessions_with_other_streams_draw_other_delays() {
    let backoff = Backoff::new(&config(Strategy::Exponential, Jitter::Full)).unwrap();
    let session = |stream| -> Vec<Duration> {
        let bits = |n| crate::bits::bits(7, stream, n);
        (1..6)
            .map(|n| backoff.delay(n, Duration::ZERO, Pressure::NONE, bits(u64::from(n))))
            .collect()
    };
    assert_ne!(session(1), session(2));
    assert_eq!(session(1), session(1));
}

#[test]
fn r05_jitter_never_feeds_the_next_base() {
    let backoff = Backoff::new(&config(Strategy::Exponential, Jitter::Full)).unwrap();
    let after = |previous| backoff.delay(3, previous, Pressure::NONE, MAX);
    assert_eq!(after(Duration::ZERO), after(Duration::from_secs(50)));
}

#[test]
fn adaptive_without_pressure_equals_exponential_with_full_jitter() {
    let plain = Backoff::new(&config(Strategy::Exponential, Jitter::Full)).unwrap();
    let adaptive = Backoff::new(&config(Strategy::Adaptive, Jitter::Full)).unwrap();
    for attempt in 0..70 {
        let bits = crate::bits::bits(1, 2, u64::from(attempt));
        let both =
            [plain, adaptive].map(|b| b.delay(attempt, Duration::ZERO, Pressure::NONE, bits));
        assert_eq!(both[0], both[1]);
    }
}

#[test]
fn adaptive_under_pressure_does_not_start_at_the_base_and_ends_at_the_cap() {
    let adaptive = Backoff::new(&config(Strategy::Adaptive, Jitter::Full)).unwrap();
    let first = |share| {
        adaptive.delay(1, Duration::ZERO, Pressure::new(Ratio::percent(share)), MAX).as_millis()
    };
    assert_eq!(first(0), 1_000);
    assert!((7_000..9_000).contains(&first(50)), "{}", first(50));
    assert!((59_900..=60_000).contains(&first(100)), "{}", first(100));
}

#[test]
fn b28_a_config_that_makes_no_sense_is_refused_by_the_name_of_its_field() {
    let good = BackoffConfig::default();
    let minute = Duration::from_secs(60);
    let cases = [
        (BackoffConfig { base: Duration::ZERO, ..good }, "base"),
        (BackoffConfig { base: minute, cap: Duration::from_secs(2), ..good }, "cap"),
        (BackoffConfig { cap: Duration::MAX, ..good }, "cap"),
        (BackoffConfig { factor: Ratio::percent(99), ..good }, "factor"),
        (BackoffConfig { jitter: Jitter::Ratio(Ratio::percent(101)), ..good }, "jitter.ratio"),
    ];
    for (config, field) in cases {
        let error = Backoff::new(&config).unwrap_err();
        assert_eq!(error.field, field, "{error}");
    }
}

fn any_config() -> impl proptest::strategy::Strategy<Value = BackoffConfig> {
    let strategy = prop_oneof![
        Just(Strategy::Fixed),
        Just(Strategy::Linear),
        Just(Strategy::Exponential),
        Just(Strategy::Decorrelated),
        Just(Strategy::Adaptive)
    ];
    let jitter = prop_oneof![
        Just(Jitter::None),
        Just(Jitter::Full),
        Just(Jitter::Equal),
        (0..=1_000_000_u32).prop_map(|ppm| Jitter::Ratio(Ratio::from_ppm(ppm)))
    ];
    let longest = nanos(crate::config::LONGEST);
    (strategy, jitter, 1..=longest, 0..=longest, 1_000_000..=100_000_000_u32, 0..=longest).prop_map(
        |(strategy, jitter, base, more, factor, increment)| BackoffConfig {
            strategy,
            jitter,
            base: Duration::from_nanos(base),
            cap: Duration::from_nanos(base.saturating_add(more)).min(crate::config::LONGEST),
            factor: Ratio::from_ppm(factor),
            increment: Some(Duration::from_nanos(increment)),
        },
    )
}
proptest! {
    #[test]
    fn r01_r03_every_attempt_of_every_config_waits_between_zero_and_the_cap(
        config in any_config(), attempt: u32, previous: u64, ppm in 0..=1_000_000_u32, bits: u64,
    ) {
        let backoff = Backoff::new(&config).unwrap();
        let pressure = Pressure::new(Ratio::from_ppm(ppm));
        let delay = backoff.delay(attempt, Duration::from_nanos(previous), pressure, bits);
        prop_assert!(delay <= config.cap);
    }

    #[test]
    fn r01_ceilings_never_shrink(config in any_config(), attempt: u32) {
        let backoff = Backoff::new(&config).unwrap();
        let ceiling = |n| backoff.delay(n, Duration::ZERO, Pressure::NONE, MAX);
        prop_assert!(ceiling(attempt) <= ceiling(attempt.saturating_add(1)));
    }
}

#[test]
fn r02_at_the_cap_under_one_per_cent_of_delays_equal_it() {
    for jitter in [Jitter::Full, Jitter::Equal, Jitter::Ratio(Ratio::percent(10))] {
        let config = config(Strategy::Exponential, jitter);
        let backoff = Backoff::new(&config).unwrap();
        let at_cap = (0..10_000)
            .map(|n| crate::bits::bits(3, 9, n))
            .filter(|bits| backoff.delay(40, Duration::ZERO, Pressure::NONE, *bits) == config.cap)
            .count();
        assert!(at_cap < 100, "{jitter:?}: {at_cap} of 10000");
    }
}

#[test]
fn r06_jitter_is_proportional_to_the_ceiling() {
    let config = config(Strategy::Exponential, Jitter::Ratio(Ratio::percent(10)));
    check(&config, 1, 900, 1_100);
    check(&config, 5, 14_400, 17_600);
}
