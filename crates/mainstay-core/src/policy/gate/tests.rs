use super::{Ended, Gate, GateConfig, Meters, Permit, RejectedBy};
use crate::policy::adaptive_limit::AdaptiveLimitConfig;
use crate::policy::breaker::{BreakerConfig, RejectionReason, State};
use crate::policy::bulkhead::BulkheadConfig;
use crate::policy::outcome::Outcome;
use crate::policy::pressure::Pressure;
use crate::policy::rate::RateConfig;
use crate::policy::throttle::ThrottleConfig;
use crate::time::{Instant, Moment};
use core::cell::Cell;
use core::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

const fn at(ms: u64) -> Moment {
    Moment { now: Instant::from_millis(ms), bits: 0 }
}

const fn ended(outcome: Outcome) -> Ended {
    Ended { outcome, elapsed: Duration::ZERO, timed_out: false }
}

fn gate(config: &GateConfig) -> Gate {
    Gate::new(config).unwrap().0
}

#[track_caller]
fn admit(gate: &Gate, ms: u64) -> Permit {
    gate.admit(None, || at(ms)).verdict.expect("admitted")
}

fn rejected_by(gate: &Gate, ms: u64) -> RejectedBy {
    gate.admit(None, || at(ms)).verdict.expect_err("rejected").by
}

fn call(gate: &Gate, outcome: Outcome, ms: u64) {
    let _transition = gate.record(None, admit(gate, ms), ended(outcome), || at(ms));
}

#[test]
fn r12_a_hint_holds_all_callers_of_the_endpoint() {
    let gate = gate(&GateConfig::default());
    call(&gate, Outcome::Throttled { hint: Some(5 * SECOND) }, 0);
    let rejection = gate.admit(None, || at(1_000)).verdict.unwrap_err();
    assert_eq!((rejection.by, rejection.retry_after), (RejectedBy::Hold, Some(4 * SECOND)));
    call(&gate, Outcome::Success, 5_000);
    let config = GateConfig { hold_cap: 2 * SECOND, ..GateConfig::default() };
    let capped = Gate::new(&config).unwrap().0;
    call(&capped, Outcome::Throttled { hint: Some(3_600 * SECOND) }, 0);
    call(&capped, Outcome::Success, 2_000);
}

#[test]
fn r12_a_shorter_hint_does_not_shorten_a_longer_one() {
    let gate = gate(&GateConfig::default());
    let (one, two) = (admit(&gate, 0), admit(&gate, 0));
    let hint = |seconds| ended(Outcome::Throttled { hint: Some(seconds * SECOND) });
    assert_eq!(gate.record(None, one, hint(9), || at(0)), None);
    assert_eq!(gate.record(None, two, hint(1), || at(0)), None);
    assert_eq!(gate.held_for(at(0).now), Some(9 * SECOND));
}

#[test]
fn r12_a_caller_that_read_the_clock_a_little_earlier_does_not_lift_a_hold() {
    let gate = gate(&GateConfig { hold_cap: 5 * SECOND, ..GateConfig::default() });
    call(&gate, Outcome::Throttled { hint: Some(60 * SECOND) }, 1_000);
    assert_eq!(rejected_by(&gate, 999), RejectedBy::Hold);
    assert_eq!(gate.held_for(at(999).now), Some(5 * SECOND));
    assert_eq!(gate.held_for(at(2_000).now), Some(4 * SECOND));
}

#[test]
fn b15_a_hold_from_before_the_clock_stepped_back_is_forgotten() {
    let gate = gate(&GateConfig::default());
    call(&gate, Outcome::Throttled { hint: Some(5 * SECOND) }, 1_000_000_000);
    call(&gate, Outcome::Success, 0);
}

#[test]
fn x01_a_later_rejection_gives_back_what_an_earlier_policy_granted() {
    let config = GateConfig {
        rate: Some(RateConfig { limit: 1, period: SECOND, burst: 2, ..RateConfig::default() }),
        bulkhead: Some(BulkheadConfig { max: 1, ..BulkheadConfig::default() }),
        ..GateConfig::default()
    };
    let gate = gate(&config);
    let held = admit(&gate, 0);
    assert_eq!(rejected_by(&gate, 0), RejectedBy::Bulkhead, "and the quota of 2 is not used up");
    assert_eq!(rejected_by(&gate, 0), RejectedBy::Bulkhead);
    assert_eq!(gate.record(None, held, ended(Outcome::Success), || at(0)), None);
    call(&gate, Outcome::Success, 0);
    assert_eq!(rejected_by(&gate, 0), RejectedBy::RateLimit);
}

#[test]
fn x01_the_breaker_is_asked_before_the_bulkhead_and_a_full_bulkhead_returns_the_probe() {
    let config = GateConfig {
        breaker: Some(BreakerConfig { consecutive_failures: 1, ..BreakerConfig::default() }),
        bulkhead: Some(BulkheadConfig { max: 1, ..BulkheadConfig::default() }),
        ..GateConfig::default()
    };
    let gate = gate(&config);
    let long = admit(&gate, 0);
    let breaker = gate.breaker().unwrap();
    let _seen = breaker.force_open();
    assert_eq!(rejected_by(&gate, 0), RejectedBy::Breaker(RejectionReason::ForcedOpen));
    let _seen = breaker.reset();
    assert_eq!(rejected_by(&gate, 0), RejectedBy::Bulkhead);
    assert_eq!(gate.record(None, long, ended(Outcome::TRANSIENT), || at(0)), None, "stale");
    call(&gate, Outcome::TRANSIENT, 0);
    let long = admit(&gate, 7_000);
    assert!(long.is_probe());
    assert_eq!(rejected_by(&gate, 7_000), RejectedBy::Bulkhead);
    assert_eq!(gate.view(at(7_000).now).unwrap().probes, 1, "the rejected probe's place is free");
}

#[test]
fn b08_a_rejection_of_a_policy_is_no_failure_of_the_peer() {
    let config = GateConfig {
        breaker: Some(BreakerConfig { consecutive_failures: 2, ..BreakerConfig::default() }),
        bulkhead: Some(BulkheadConfig { max: 1, ..BulkheadConfig::default() }),
        ..GateConfig::default()
    };
    let gate = gate(&config);
    let _held = admit(&gate, 0);
    for _ in 0..50 {
        assert_eq!(rejected_by(&gate, 0), RejectedBy::Bulkhead);
    }
    assert_eq!(gate.view(at(0).now).unwrap().state, State::Closed);
}

#[test]
fn b08_a_call_that_a_later_policy_rejects_does_not_count_for_the_throttle() {
    let config = GateConfig {
        throttle: Some(ThrottleConfig::default()),
        rate: Some(RateConfig { limit: 1, period: SECOND, burst: 1, ..RateConfig::default() }),
        ..GateConfig::default()
    };
    let (gate, mut meters) = measured(&config);
    for ms in [0, 2_000, 4_000] {
        // With bits of 0 the throttle turns a call away as soon as it may turn any away.
        let permit = gate.admit(Some(&mut meters), || at(ms)).verdict.expect("the peer is well");
        let success = ended(Outcome::Success);
        let _transition = gate.record(Some(&mut meters), permit, success, || at(ms));
        for _ in 0..100 {
            let rejection = gate.admit(Some(&mut meters), || at(ms)).verdict.unwrap_err();
            assert_eq!(rejection.by, RejectedBy::RateLimit);
        }
    }
}

#[test]
fn while_all_is_well_no_clock_is_read() {
    let breaker = BreakerConfig {
        window: crate::policy::breaker::Window::Count(100),
        ..BreakerConfig::default()
    };
    let gate = gate(&GateConfig { breaker: Some(breaker), ..GateConfig::default() });
    let reads = Cell::new(0);
    let clock = || {
        reads.set(reads.get() + 1);
        at(0)
    };
    for _ in 0..100 {
        let permit = gate.admit(None, clock).verdict.unwrap();
        assert_eq!(gate.record(None, permit, ended(Outcome::Success), clock), None);
    }
    assert_eq!(reads.get(), 0);
}

fn measured(config: &GateConfig) -> (Gate, Meters) {
    Gate::new(config).unwrap()
}

#[test]
fn the_throttle_and_the_adaptive_limit_work_through_the_gate() {
    let config = GateConfig {
        breaker: None,
        throttle: Some(ThrottleConfig::default()),
        adaptive_limit: Some(AdaptiveLimitConfig { initial: 3, ..AdaptiveLimitConfig::default() }),
        ..GateConfig::default()
    };
    let (gate, mut meters) = measured(&config);
    let held: std::vec::Vec<_> =
        (0..3).map(|_| gate.admit(Some(&mut meters), || at(0)).verdict.unwrap()).collect();
    let full = gate.admit(Some(&mut meters), || at(0)).verdict.unwrap_err();
    assert_eq!(full.by, RejectedBy::Bulkhead);
    for permit in held {
        assert_eq!(
            gate.record(Some(&mut meters), permit, ended(Outcome::TRANSIENT), || at(0)),
            None
        );
    }
    let mut turned_away = 0;
    for n in 0..200 {
        let moment = Moment { bits: crate::bits::bits(1, 1, n), ..at(1) };
        match gate.admit(Some(&mut meters), || moment).verdict {
            Ok(permit) => {
                let failed = ended(Outcome::TRANSIENT);
                assert_eq!(gate.record(Some(&mut meters), permit, failed, || moment), None);
            }
            Err(rejection) => turned_away += u32::from(rejection.by == RejectedBy::Throttle),
        }
    }
    assert!((80..190).contains(&turned_away), "{turned_away}");
}

#[test]
fn pressure_grows_with_failures_latency_holds_and_our_own_load() {
    let config = GateConfig { breaker: None, measure: true, ..GateConfig::default() };
    let (gate, mut meters) = measured(&config);
    let cap = 20 * SECOND;
    let mut call = |outcome, elapsed_ms| {
        let permit = gate.admit(Some(&mut meters), || at(0)).verdict.unwrap();
        let elapsed = Duration::from_millis(elapsed_ms);
        let ended = Ended { outcome, elapsed, timed_out: false };
        let _transition = gate.record(Some(&mut meters), permit, ended, || at(0));
        meters.pressure(at(0).now, gate.held_for(at(0).now), cap).share().as_f64()
    };
    assert!(call(Outcome::Success, 10) < 0.01);
    assert!(call(Outcome::TRANSIENT, 10) < 0.01, "one failure of two says little");
    for _ in 0..3 {
        call(Outcome::Success, 10);
    }
    assert!((0.3..0.35).contains(&call(Outcome::TRANSIENT, 10)));
    for _ in 0..100 {
        call(Outcome::Success, 40);
    }
    assert!(call(Outcome::Success, 40) > 0.8, "four times the baseline");
    meters.report_lag(at(0).now, SECOND);
    assert_eq!(meters.pressure(at(0).now, None, cap), Pressure::FULL);
    assert!(
        meters.pressure(at(3_000).now, None, cap) < Pressure::FULL,
        "an old lag counts no more"
    );
}

#[test]
fn b29_a_reload_keeps_calls_in_flight_quota_holds_and_the_breaker() {
    let bulkhead = |max| Some(BulkheadConfig { max, ..BulkheadConfig::default() });
    let rate = Some(RateConfig { limit: 1, burst: 2, ..RateConfig::default() });
    let config = GateConfig { bulkhead: bulkhead(2), rate, ..GateConfig::default() };
    let gate = gate(&config);
    let (one, two) = (admit(&gate, 0), admit(&gate, 0));
    let _seen = gate.breaker().unwrap().isolate();
    let (new, _) =
        gate.reloaded(&GateConfig { bulkhead: bulkhead(1), ..config }, at(0).now).unwrap();
    assert_eq!(new.in_flight(), Some((2, 1)));
    assert_eq!(new.view(at(0).now).unwrap().isolations, 1);
    let _seen = new.breaker().unwrap().release();
    assert_eq!(rejected_by(&new, 0), RejectedBy::RateLimit);
    let one = gate.release_place(one);
    assert_eq!(new.record(None, one, ended(Outcome::Success), || at(0)), None);
    assert_eq!(new.record(None, two, ended(Outcome::Success), || at(0)), None);
    assert_eq!(new.in_flight(), Some((0, 1)));
    let broken = GateConfig { bulkhead: bulkhead(0), ..config };
    assert_eq!(gate.reloaded(&broken, at(0).now).unwrap_err().field, "bulkhead.max");
}

#[cfg(feature = "serde")]
#[test]
fn a_table_switches_a_policy_on_and_false_switches_it_off() {
    let config: GateConfig = toml::from_str("breaker = false\n[rate]\nlimit = 7").unwrap();
    assert_eq!((config.breaker, config.rate.unwrap().limit), (None, 7));
    assert_eq!(toml::from_str::<GateConfig>("").unwrap(), GateConfig::default());
    let on: GateConfig = toml::from_str("bulkhead = true").unwrap();
    assert_eq!(on.bulkhead, Some(BulkheadConfig::default()));
    let error = toml::from_str::<GateConfig>("[breaker]\nopne = 1").unwrap_err();
    assert!(error.message().contains("opne"), "{error}");
}
