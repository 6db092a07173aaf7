use mainstay_core::policy::adaptive_limit::{AdaptiveLimitConfig, Algorithm, Completion, Finished};
use mainstay_core::policy::budget::{Budget, BudgetConfig, Exhausted, InFlightBudgetConfig};
use mainstay_core::policy::bulkhead::{BulkheadConfig, Full, Turn};
use mainstay_core::policy::hedge::HedgeConfig;
use mainstay_core::policy::hedge::race::{Answer, Attempts, Input, Step};
use mainstay_core::policy::outcome::Outcome;
use mainstay_core::policy::rate::{NotAdmitted, RateConfig, RateLimit};
use mainstay_core::policy::throttle::{Decision, ThrottleConfig};
use mainstay_core::session::stream::{
    Epoch, NeverSent, Position, Push, Received, Refusal, Resume, Seq, StreamConfig,
};
use mainstay_core::time::Instant;
use serde::Serialize;
use serde::de::DeserializeOwned;

#[track_caller]
fn check<T: Serialize + DeserializeOwned + PartialEq + core::fmt::Debug>(value: T, json: &str) {
    assert_eq!(serde_json::to_string(&value).expect("it serialises"), json);
    assert_eq!(serde_json::from_str::<T>(json).expect("it reads back"), value);
}

#[test]
fn an_empty_table_is_the_default_and_an_unknown_field_is_refused() {
    fn empty<T: DeserializeOwned + Default + PartialEq + core::fmt::Debug>() {
        assert_eq!(toml::from_str::<T>("").unwrap(), T::default());
        assert!(toml::from_str::<T>("no_such_field = 1").is_err());
    }
    empty::<RateConfig>();
    empty::<BulkheadConfig>();
    empty::<AdaptiveLimitConfig>();
    empty::<ThrottleConfig>();
    empty::<HedgeConfig>();
    empty::<InFlightBudgetConfig>();
    empty::<StreamConfig>();
}

#[test]
fn what_a_tracked_stream_takes_and_answers_serialises() {
    check(Position { epoch: Epoch(3), seq: Seq(9) }, r#"{"epoch":3,"seq":9}"#);
    check(Push::Full("a".to_string()), r#"{"full":"a"}"#);
    check(Push::<()>::Held(Seq(1)), r#"{"held":1}"#);
    check(Received::Deliver, r#""deliver""#);
    check(Received::Gap { expected: Seq(2) }, r#"{"gap":{"expected":2}}"#);
    check(Resume::Replay { messages: 2 }, r#"{"replay":{"messages":2}}"#);
    check(Resume::Restart(Refusal::OtherEpoch), r#"{"restart":"other_epoch"}"#);
    let fault = NeverSent { acknowledged: Seq(2), sent: Seq(1) };
    check(fault, r#"{"acknowledged":2,"sent":1}"#);
}

#[test]
fn configurations_read_as_people_write_them() {
    let budget: BudgetConfig = toml::from_str("[tokens]\nttl = \"5s\"\nratio = 0.1").unwrap();
    let BudgetConfig::Tokens(tokens) = budget else { panic!("{budget:?}") };
    assert_eq!((tokens.ttl.as_secs(), tokens.reserve_per_sec), (5, 10));
    let budget: BudgetConfig = toml::from_str("[in_flight]\nmin = 5").unwrap();
    assert!(matches!(budget, BudgetConfig::InFlight(InFlightBudgetConfig { min: 5, .. })));
    let limit: AdaptiveLimitConfig = toml::from_str("algorithm = \"vegas\"\nmax = 50").unwrap();
    assert_eq!((limit.algorithm, limit.max), (Algorithm::Vegas, 50));
    let limit: AdaptiveLimitConfig = toml::from_str("[algorithm.aimd]\nbackoff = 0.9").unwrap();
    assert_eq!(limit.algorithm, Algorithm::AIMD);
    let rate: RateConfig = toml::from_str("limit = 5\nperiod = \"1m\"\nburst = 1").unwrap();
    assert_eq!((rate.limit, rate.period.as_secs(), rate.burst), (5, 60, 1));
}

#[test]
fn inputs_and_answers_survive_a_flight_recorder() {
    let at = Instant::from_nanos(7);
    check(NotAdmitted::NotUntil { at }, r#"{"not_until":{"at":7}}"#);
    check(NotAdmitted::TooLarge { most: 3 }, r#"{"too_large":{"most":3}}"#);
    check(Full { max: 2 }, r#"{"max":2}"#);
    check(Exhausted, "null");
    check(Turn::Nobody, r#""nobody""#);
    check(Decision::Admit, r#""admit""#);
    check(Step::Cancel(Attempts::default().with(1)), r#"{"cancel":2}"#);
    check(Step::Done(Answer::Won(1)), r#"{"done":{"won":1}}"#);
    let outcome = Outcome::Success;
    let finished = r#"{"finished":{"attempt":1,"outcome":"success"}}"#;
    check(Input::Finished { attempt: 1, outcome }, finished);
    let call = Finished {
        completion: Completion::Dropped,
        round_trip: core::time::Duration::from_secs(1),
        in_flight: 3,
    };
    let json = r#"{"completion":"dropped","round_trip":"1s","in_flight":3}"#;
    check(call, json);
}

#[test]
fn tokens_can_be_recorded() {
    let budget = Budget::new(&BudgetConfig::default()).unwrap();
    let charge = budget.withdraw(Instant::default()).unwrap();
    assert_eq!(serde_json::to_string(&charge).unwrap(), "null");
    budget.refund(charge);
    let limit = RateLimit::new(&RateConfig::default()).unwrap();
    let place = limit.reserve(Instant::default(), 1, core::time::Duration::ZERO).unwrap();
    let json = serde_json::to_string(&place).unwrap();
    assert_eq!(json, r#"{"at":0,"after":10000000,"cost":10000000}"#);
}
