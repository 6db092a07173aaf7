use super::race::{Answer, Attempt, Attempts, Input, Race, Step};
use super::{HedgeConfig, Hedging};
use crate::bits::{bits, uniform};
use crate::config::Ratio;
use crate::policy::outcome::{Outcome, Sample};
use crate::time::{Instant, nanos};
use core::time::Duration;
use proptest::prelude::{Just, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy;

const DELAY: Duration = Duration::from_millis(100);

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn hedging() -> Hedging {
    Hedging::new(&HedgeConfig { warm_up: Duration::ZERO, ..HedgeConfig::default() }).unwrap()
}

fn race(max_hedges: u8) -> Race {
    Race::new(at(0), Some(DELAY), true, max_hedges)
}

fn finished(attempt: Attempt, outcome: Outcome) -> Input {
    Input::Finished { attempt, outcome }
}

/// A race whose first hedge has been sent.
fn hedged() -> Race {
    let mut race = race(1);
    assert_eq!(race.step(), Step::Wait { until: Some(at(100)) });
    assert_eq!(race.handle(at(100), Input::Timer), Step::Hedge { attempt: 1 });
    assert_eq!(race.handle(at(100), Input::Granted), Step::Wait { until: None });
    race
}

#[test]
fn a_hedge_is_due_at_the_percentile() {
    let mut hedging = hedging();
    for millis in 1..=1_000 {
        hedging.answered(at(millis), ms(millis));
    }
    let delay = hedging.delay(at(1_000)).unwrap();
    assert!((ms(950)..=ms(981)).contains(&delay), "{delay:?}");
}

#[test]
fn h01_the_first_success_wins_and_not_the_first_answer() {
    let mut race = hedged();
    let step = race.handle(at(110), finished(1, Outcome::TRANSIENT));
    assert_eq!(step, Step::Wait { until: None });
    assert_eq!(race.handle(at(150), finished(0, Outcome::Success)), Step::Done(Answer::Won(0)));
}

#[test]
fn h01_when_all_fail_the_error_is_that_of_the_first_attempt() {
    let mut race = hedged();
    let step = race.handle(at(110), finished(0, Outcome::Permanent));
    assert_eq!(step, Step::Wait { until: None });
    assert_eq!(race.handle(at(150), finished(1, Outcome::TRANSIENT)), Step::Done(Answer::Lost));
}

#[test]
fn h02_losers_keep_the_percentile_where_it_is() {
    // Round trips have a heavy tail: one in n takes longer than n × 10 ms, so the 95th percentile
    // is 200 ms. Every call is hedged after the percentile; the attempt that answers first wins.
    let run = |count_losers: bool| {
        let mut hedging = Hedging::new(&HedgeConfig::default()).unwrap();
        let latency = |stream, call| 10_000 / (uniform(bits(1, stream, call), 999) + 1);
        for call in 0..20_000_u64 {
            let now = at(call * 3);
            let (first, second) = (ms(latency(1, call)), ms(latency(2, call)));
            let delay = hedging.delay(now).unwrap_or(Duration::MAX);
            let hedge = delay.saturating_add(second);
            let won = first.min(hedge);
            let mut count = |begun: Duration, takes: Duration| {
                if begun.saturating_add(takes) <= won {
                    hedging.answered(now, takes);
                } else if begun < won && count_losers {
                    hedging.censored(now, won.saturating_sub(begun));
                }
            };
            count(Duration::ZERO, first);
            count(delay, second);
        }
        hedging.delay(at(60_000)).unwrap()
    };
    let (winners, all) = (run(false), run(true));
    assert!(winners < ms(160), "winners only: {winners:?}");
    assert!((ms(185)..ms(220)).contains(&all), "with losers: {all:?}");
}

#[test]
fn h03_a_spent_budget_suppresses_new_hedges_only() {
    let mut race = race(2);
    assert_eq!(race.handle(at(100), Input::Timer), Step::Hedge { attempt: 1 });
    assert_eq!(race.handle(at(100), Input::Granted), Step::Wait { until: Some(at(200)) });
    assert_eq!(race.handle(at(200), Input::Timer), Step::Hedge { attempt: 2 });
    assert_eq!(race.handle(at(200), Input::Denied), Step::Wait { until: None });
    assert_eq!(race.handle(at(300), Input::Timer), Step::Wait { until: None });
    let step = race.handle(at(300), finished(1, Outcome::Success));
    assert_eq!(step, Step::Cancel(Attempts::default().with(0)));
}

#[test]
fn h04_nothing_is_hedged_before_enough_is_known() {
    let mut hedging = Hedging::new(&HedgeConfig::default()).unwrap();
    for sample in 0..99 {
        hedging.answered(at(sample), ms(500));
    }
    assert_eq!(hedging.delay(at(20_000)), None, "99 samples");
    hedging.answered(at(20_000), ms(500));
    assert!(hedging.delay(at(20_000)).is_some());
    let mut fresh = Hedging::new(&HedgeConfig::default()).unwrap();
    for _ in 0..1_000 {
        fresh.answered(at(5), ms(500));
    }
    assert_eq!(fresh.delay(at(10_004)), None, "warming up");
    assert!(fresh.delay(at(10_005)).is_some());
}

#[test]
fn h04_a_fast_target_is_hedged_after_the_least_delay() {
    let mut hedging = hedging();
    for _ in 0..100 {
        hedging.answered(at(1), Duration::from_micros(50));
    }
    assert_eq!(hedging.delay(at(1)), Some(ms(10)));
}

#[test]
fn h05_losers_are_cancelled_before_the_winner_is_returned() {
    let mut race = hedged();
    let losers = Step::Cancel(Attempts::default().with(0));
    assert_eq!(race.handle(at(110), finished(1, Outcome::Success)), losers);
    assert_eq!(race.handle(at(110), finished(0, Outcome::Success)), losers);
    assert_eq!(race.elapsed(at(110), 0), Some(ms(110)));
    assert_eq!(race.handle(at(110), Input::Cancelled), Step::Done(Answer::Won(1)));
}

#[test]
fn h05_a_caller_that_left_leaves_nothing_running() {
    let mut race = hedged();
    let Step::Cancel(all) = race.handle(at(110), Input::Left) else { panic!("{race:?}") };
    assert!(all.iter().eq([0, 1]));
    assert_eq!(race.handle(at(110), Input::Cancelled), Step::Done(Answer::Abandoned));
}

#[test]
fn h06_losers_are_abandoned_and_neutral() {
    assert_eq!(Attempts::OUTCOME, Outcome::Abandoned);
    assert_eq!(Attempts::OUTCOME.sample(), Sample::Neutral);
}

#[test]
fn what_must_not_run_twice_is_never_hedged() {
    for mut race in [
        Race::new(at(0), Some(DELAY), false, 7),
        Race::new(at(0), None, true, 7),
        Race::new(at(0), Some(DELAY), true, 0),
    ] {
        assert_eq!(race.handle(at(1_000_000), Input::Timer), Step::Wait { until: None });
    }
}

#[test]
fn an_answer_ends_a_race_that_is_asking_and_the_grant_comes_too_late() {
    let mut race = race(1);
    assert_eq!(race.handle(at(100), Input::Timer), Step::Hedge { attempt: 1 });
    let done = Step::Done(Answer::Won(0));
    assert_eq!(race.handle(at(101), finished(0, Outcome::Refused)), done);
    assert_eq!(race.handle(at(102), Input::Granted), done);
    assert_eq!(race.elapsed(at(102), 1), None);
}

#[test]
fn old_samples_lose_their_weight() {
    let mut hedging = hedging();
    for _ in 0..1_000 {
        hedging.answered(at(1), ms(900));
    }
    for _ in 0..1_000 {
        hedging.answered(at(600_000), ms(20));
    }
    assert!(hedging.delay(at(600_000)).unwrap() < ms(30));
    assert_eq!(hedging.delay(Instant::MAX), None, "all is forgotten");
    for _ in 0..100 {
        hedging.answered(at(5), ms(20));
    }
    assert!(hedging.delay(at(6)).is_some(), "the clock was set back");
}

#[test]
fn b28_hedging_that_makes_no_sense_is_refused_by_the_name_of_its_field() {
    let good = HedgeConfig::default();
    let cases = [
        (HedgeConfig { percentile: Ratio::ONE, ..good }, "percentile"),
        (HedgeConfig { min_delay: Duration::ZERO, ..good }, "min_delay"),
        (HedgeConfig { min_samples: 0, ..good }, "min_samples"),
        (HedgeConfig { warm_up: Duration::MAX, ..good }, "warm_up"),
        (HedgeConfig { half_life: Duration::ZERO, ..good }, "half_life"),
        (HedgeConfig { max_hedges: 8, ..good }, "max_hedges"),
    ];
    for (config, field) in cases {
        assert_eq!(Hedging::new(&config).unwrap_err().field, field);
    }
}

fn inputs() -> impl Strategy<Value = Input> {
    let outcome = prop_oneof![
        Just(Outcome::Success),
        Just(Outcome::Permanent),
        Just(Outcome::TRANSIENT),
        Just(Outcome::Abandoned)
    ];
    prop_oneof![
        4 => Just(Input::Timer),
        4 => Just(Input::Granted),
        1 => Just(Input::Denied),
        4 => (0..9_u8, outcome).prop_map(|(attempt, outcome)| finished(attempt, outcome)),
        1 => Just(Input::Cancelled),
        1 => Just(Input::Left),
    ]
}

proptest! {
    /// The naive model keeps a list of attempts and what came of each.
    #[test]
    fn h01_h05_every_script_equals_a_list_of_attempts(
        script in proptest::collection::vec((inputs(), prop_oneof![0..400_u64, any::<u64>()]), 1..60),
        max_hedges: u8,
    ) {
        let mut race = race(max_hedges);
        let mut attempts: std::vec::Vec<Option<Outcome>> = std::vec![None];
        let (mut over, mut cancelled) = (None, false);
        let mut last = race.step();
        for (input, now) in script {
            let step = race.handle(Instant::from_nanos(now), input);
            if over.is_none() {
                if let (Step::Hedge { attempt }, Input::Granted) = (last, input) {
                    prop_assert_eq!(usize::from(attempt), attempts.len());
                    attempts.push(None);
                }
                if input == Input::Left {
                    over = Some(Answer::Abandoned);
                }
                if let Input::Finished { attempt, outcome } = input
                    && let Some(open @ None) = attempts.get_mut(usize::from(attempt))
                {
                    *open = Some(outcome);
                    if outcome == Outcome::Success {
                        over = Some(Answer::Won(attempt));
                    } else if attempts.iter().all(Option::is_some) {
                        over = Some(Answer::Lost);
                    }
                }
            } else {
                cancelled |= input == Input::Cancelled;
                if input == Input::Left && !cancelled && matches!(last, Step::Cancel(_)) {
                    over = Some(Answer::Abandoned);
                }
            }
            let open = (0_u8..).zip(&attempts).filter(|(_, o)| o.is_none()).map(|(a, _)| a);
            match (over, step) {
                (Some(answer), Step::Done(given)) => {
                    prop_assert_eq!(answer, given);
                    prop_assert!(cancelled || open.count() == 0);
                }
                (Some(_), Step::Cancel(losers)) => prop_assert!(losers.iter().eq(open)),
                (None, Step::Wait { .. } | Step::Hedge { .. }) => {}
                _ => prop_assert!(false, "{over:?} but {step:?}"),
            }
            prop_assert!(attempts.len() <= 1 + usize::from(max_hedges.min(7)));
            last = step;
        }
    }

    #[test]
    fn h02_without_losers_the_percentile_is_that_of_the_histogram(
        samples in proptest::collection::vec(0..5_000_u64, 100..300), ppm in 500_000..=999_000_u32,
    ) {
        let percentile = Ratio::from_ppm(ppm);
        let config = HedgeConfig { percentile, warm_up: Duration::ZERO, ..HedgeConfig::default() };
        let mut hedging = Hedging::new(&config).unwrap();
        samples.iter().for_each(|sample| hedging.answered(at(0), ms(*sample)));
        let expected = hedging.answered.quantile(percentile).unwrap();
        let found = hedging.percentile();
        // Rounding may decide a tie the other way, one bucket on.
        let off = nanos(found).abs_diff(nanos(expected));
        let tie = (u64::from(ppm) * samples.len() as u64).is_multiple_of(1_000_000);
        prop_assert!(off == 0 || tie);
    }
}
