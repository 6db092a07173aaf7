use super::{Call, CallConfig, CallRules, Input, Step, Verdict, WaitFor, WhenRejected};
use crate::config::Ratio;
use crate::policy::backoff::{BackoffConfig, Jitter};
use crate::policy::outcome::Outcome;
use crate::policy::pressure::Pressure;
use crate::time::Instant;
use core::time::Duration;
use proptest::prelude::{Just, Strategy, prop_assert, prop_oneof, proptest};

const SECOND: Duration = Duration::from_secs(1);

/// Three attempts, waits of 1 s and 2 s, 5 s an attempt, 30 s in all.
fn config() -> CallConfig {
    CallConfig {
        attempts: 3,
        attempt_timeout: Some(5 * SECOND),
        deadline: Some(30 * SECOND),
        backoff: BackoffConfig {
            base: SECOND,
            cap: 60 * SECOND,
            jitter: Jitter::None,
            ..BackoffConfig::default()
        },
        hint_jitter: Ratio::ZERO,
        ..CallConfig::default()
    }
}

fn rules(config: &CallConfig) -> CallRules {
    CallRules::new(config).unwrap()
}

/// A call and the clock it lives by.
struct Played {
    call: Call,
    rules: CallRules,
    now: Instant,
}

impl Played {
    fn new(config: &CallConfig) -> Self {
        let rules = rules(config);
        Self { call: Call::start(Instant::from_nanos(0), &rules), rules, now: Instant::default() }
    }

    fn tell(&mut self, input: Input) -> Step {
        self.call.handle(self.now, input, &self.rules)
    }

    fn finish(&mut self, outcome: Outcome) -> Step {
        self.tell(Input::finished(outcome, 0))
    }

    /// Fails, is granted the budget and answers the wait in milliseconds.
    #[track_caller]
    fn fail(&mut self, outcome: Outcome) -> u64 {
        assert_eq!(self.finish(outcome), Step::Charge);
        let Step::Wait { until } = self.tell(Input::Charged(true)) else { panic!("no wait") };
        let wait = until.since(self.now);
        u64::try_from(wait.as_millis()).unwrap()
    }

    fn wait(&mut self) -> Step {
        if let Step::Wait { until } = self.call.step() {
            self.now = until;
        }
        self.tell(Input::WaitOver)
    }
}

#[test]
fn r09_attempts_count_the_first_call_and_one_means_no_retry() {
    let mut call = Played::new(&config());
    assert_eq!(call.fail(Outcome::TRANSIENT), 1_000);
    assert!(matches!(call.wait(), Step::Attempt { number: 2, .. }));
    assert_eq!(call.fail(Outcome::TRANSIENT), 2_000);
    assert!(matches!(call.wait(), Step::Attempt { number: 3, .. }));
    assert_eq!(call.finish(Outcome::TRANSIENT), Step::Done(Verdict::AttemptsExhausted));

    let mut once = Played::new(&CallConfig { attempts: 1, ..config() });
    assert_eq!(once.finish(Outcome::TRANSIENT), Step::Done(Verdict::AttemptsExhausted));
    let error = CallRules::new(&CallConfig { attempts: 0, ..config() }).unwrap_err();
    assert_eq!(error.field, "attempts");
}

#[test]
fn r20_what_no_retry_mends_ends_the_call_and_elsewhere_goes_on_at_once() {
    for (outcome, verdict) in [
        (Outcome::Success, Verdict::Succeeded),
        (Outcome::Refused, Verdict::Final),
        (Outcome::Permanent, Verdict::Final),
        (Outcome::Abandoned, Verdict::Final),
    ] {
        assert_eq!(Played::new(&config()).finish(outcome), Step::Done(verdict));
    }
    let mut call = Played::new(&config());
    assert_eq!(call.fail(Outcome::Elsewhere), 0);
    assert!(matches!(call.wait(), Step::Attempt { number: 2, elsewhere: true, .. }));
}

#[test]
fn r08_a_wait_that_would_cross_the_deadline_fails_now() {
    let mut call = Played::new(&CallConfig { deadline: Some(4 * SECOND), ..config() });
    assert_eq!(call.fail(Outcome::TRANSIENT), 1_000);
    let _attempt = call.wait();
    call.now = Instant::from_millis(2_500);
    let verdict = Verdict::DeadlineExceeded { wait: 2 * SECOND };
    assert_eq!(call.finish(Outcome::TRANSIENT), Step::Done(verdict));
}

#[test]
fn r08_no_attempt_starts_at_or_after_the_deadline() {
    let mut call = Played::new(&CallConfig { deadline: Some(4 * SECOND), ..config() });
    assert_eq!(call.fail(Outcome::TRANSIENT), 1_000);
    call.now = Instant::from_millis(4_000);
    assert!(matches!(call.tell(Input::WaitOver), Step::Done(Verdict::DeadlineExceeded { .. })));
}

#[test]
fn an_attempt_is_given_up_at_its_timeout_or_the_deadline_whichever_is_first() {
    let call = Played::new(&config());
    let deadline = Some(Instant::from_millis(5_000));
    assert_eq!(call.call.step(), Step::Attempt { number: 1, deadline, elsewhere: false });
    let short = Played::new(&CallConfig { deadline: Some(3 * SECOND), ..config() });
    let Step::Attempt { deadline, .. } = short.call.step() else { panic!("no attempt") };
    assert_eq!(deadline, Some(Instant::from_millis(3_000)));
    let free = CallConfig { attempt_timeout: None, deadline: None, ..config() };
    let Step::Attempt { deadline, .. } = Played::new(&free).call.step() else { panic!() };
    assert_eq!(deadline, None);
}

#[test]
fn r11_a_hint_wins_over_a_shorter_backoff_and_the_backoff_over_a_shorter_hint() {
    let hint = |seconds| Outcome::Transient { hint: Some(seconds * SECOND) };
    assert_eq!(Played::new(&config()).fail(hint(7)), 7_000);
    assert_eq!(Played::new(&config()).fail(hint(0)), 1_000);
    let long = CallConfig { deadline: None, ..config() };
    assert_eq!(Played::new(&long).fail(hint(3_600)), 60_000, "held at hint_cap");
}

#[test]
fn r11_a_hint_beyond_the_deadline_fails_now_and_says_what_it_would_have_waited() {
    let hint = Outcome::Transient { hint: Some(40 * SECOND) };
    let verdict = Verdict::DeadlineExceeded { wait: 40 * SECOND };
    assert_eq!(Played::new(&config()).finish(hint), Step::Done(verdict));
}

#[test]
fn r11_hints_are_spread_upwards() {
    let config = CallConfig { hint_jitter: Ratio::percent(10), ..config() };
    let wait = |bits| {
        let mut call = Played::new(&config);
        let outcome = Outcome::Throttled { hint: Some(10 * SECOND) };
        let _charge = call.tell(Input::finished(outcome, bits));
        let Step::Wait { until } = call.tell(Input::Charged(true)) else { panic!("no wait") };
        until.since(call.now).as_millis()
    };
    assert_eq!((wait(0), wait(u64::MAX)), (10_000, 11_000));
}

#[test]
fn r15_an_empty_budget_ends_the_call_at_once_before_any_wait() {
    let mut call = Played::new(&config());
    assert_eq!(call.finish(Outcome::TRANSIENT), Step::Charge);
    assert_eq!(call.tell(Input::Charged(false)), Step::Done(Verdict::BudgetExhausted));
}

#[test]
fn r15_the_budget_is_asked_only_when_all_else_allows_a_retry() {
    let mut once = Played::new(&CallConfig { attempts: 1, ..config() });
    assert!(matches!(once.finish(Outcome::TRANSIENT), Step::Done(_)));
    let mut late = Played::new(&CallConfig { deadline: Some(SECOND), ..config() });
    assert!(matches!(late.finish(Outcome::TRANSIENT), Step::Done(_)));
}

#[test]
fn a_throttled_answer_waits_from_a_higher_base() {
    let backoff = BackoffConfig { base: Duration::from_millis(50), ..config().backoff };
    let config = CallConfig { backoff, ..config() };
    assert_eq!(Played::new(&config).fail(Outcome::TRANSIENT), 50);
    assert_eq!(Played::new(&config).fail(Outcome::THROTTLED), 1_000);
}

#[test]
fn b25_a_rejection_ends_the_call_by_default_and_uses_up_no_attempt_when_waited_out() {
    let rejected = Outcome::Rejected { retry_after: Some(3 * SECOND) };
    let verdict = Verdict::Rejected { retry_after: Some(3 * SECOND) };
    assert_eq!(Played::new(&config()).finish(rejected), Step::Done(verdict));

    let waiting = CallConfig { when_rejected: WhenRejected::Wait, ..config() };
    let mut call = Played::new(&waiting);
    assert_eq!(call.finish(rejected), Step::Wait { until: Instant::from_millis(3_000) });
    assert!(matches!(call.wait(), Step::Attempt { number: 1, .. }));
    let unknown = Outcome::Rejected { retry_after: None };
    assert_eq!(call.finish(unknown), Step::Done(Verdict::Rejected { retry_after: None }));
    let late = CallConfig { deadline: Some(2 * SECOND), ..waiting };
    let verdict = Verdict::DeadlineExceeded { wait: 3 * SECOND };
    assert_eq!(Played::new(&late).finish(rejected), Step::Done(verdict));
}

#[test]
fn b25_a_retry_that_an_open_breaker_would_reject_is_not_waited_for() {
    let failed = |probe_in| Input::Finished {
        outcome: Outcome::TRANSIENT,
        bits: 0,
        pressure: Pressure::NONE,
        probe_in: Some(probe_in),
    };
    let verdict = Verdict::Rejected { retry_after: Some(5 * SECOND) };
    assert_eq!(Played::new(&config()).tell(failed(5 * SECOND)), Step::Done(verdict));
    assert_eq!(Played::new(&config()).tell(failed(SECOND)), Step::Charge);
}

#[test]
fn a_rejection_can_not_be_waited_out_for_ever() {
    let waiting = CallConfig { when_rejected: WhenRejected::Wait, deadline: None, ..config() };
    let mut call = Played::new(&waiting);
    let rejected = Outcome::Rejected { retry_after: Some(SECOND) };
    let rounds = (0..10).take_while(|_| {
        let waits = matches!(call.finish(rejected), Step::Wait { .. });
        let _attempt = call.wait();
        waits
    });
    assert_eq!(rounds.count(), 3);
}

#[test]
fn the_strategy_circuit_breaker_waits_for_the_next_probe() {
    let config = CallConfig { wait_for: WaitFor::Probe, ..config() };
    let failed = |probe_in| Input::Finished {
        outcome: Outcome::TRANSIENT,
        bits: 0,
        pressure: Pressure::NONE,
        probe_in,
    };
    let wait = |probe_in| {
        let mut call = Played::new(&config);
        let _charge = call.tell(failed(probe_in));
        call.tell(Input::Charged(true))
    };
    assert_eq!(wait(Some(9 * SECOND)), Step::Wait { until: Instant::from_millis(9_000) });
    assert_eq!(wait(None), Step::Wait { until: Instant::from_millis(1_000) });
    let rejected = Outcome::Rejected { retry_after: Some(2 * SECOND) };
    let mut call = Played::new(&config);
    assert_eq!(call.finish(rejected), Step::Wait { until: Instant::from_millis(2_000) });
}

#[test]
fn under_pressure_an_adaptive_call_does_not_start_at_the_base() {
    let strategy = crate::policy::backoff::Strategy::Adaptive;
    let config = CallConfig { backoff: BackoffConfig { strategy, ..config().backoff }, ..config() };
    let mut call = Played::new(&config);
    let pressure = Pressure::new(Ratio::percent(50));
    let input = Input::Finished { outcome: Outcome::TRANSIENT, bits: 0, pressure, probe_in: None };
    assert_eq!(call.tell(input), Step::Charge);
    let Step::Wait { until } = call.tell(Input::Charged(true)) else { panic!("no wait") };
    assert!(until > Instant::from_millis(7_000), "{until:?}");
}

/// One call in each of its states.
fn states() -> [Played; 4] {
    let mut charging = Played::new(&config());
    let _charge = charging.finish(Outcome::TRANSIENT);
    let mut waiting = Played::new(&config());
    waiting.fail(Outcome::TRANSIENT);
    let mut done = Played::new(&config());
    let _done = done.finish(Outcome::Success);
    [Played::new(&config()), charging, waiting, done]
}

#[test]
fn every_input_in_every_state_leads_to_the_step_the_diagram_has() {
    let until = Instant::from_millis(1_000);
    let attempt =
        Step::Attempt { number: 1, deadline: Some(Instant::from_millis(5_000)), elsewhere: false };
    let (charge, wait) = (Step::Charge, Step::Wait { until });
    let done = Step::Done;
    let success = done(Verdict::Succeeded);
    let cancelled = done(Verdict::Cancelled);
    // Rows: states; columns: success, budget yes, budget no, an early timer, cancel.
    let expected = [
        [success, attempt, attempt, attempt, cancelled],
        [charge, wait, done(Verdict::BudgetExhausted), charge, cancelled],
        [wait, wait, wait, wait, cancelled],
        [success, success, success, success, success],
    ];
    let inputs = [
        Input::finished(Outcome::Success, 0),
        Input::Charged(true),
        Input::Charged(false),
        Input::WaitOver,
        Input::Cancel,
    ];
    for (row, steps) in expected.into_iter().enumerate() {
        for (input, step) in inputs.into_iter().zip(steps) {
            let mut call = states().into_iter().nth(row).unwrap();
            assert_eq!(call.tell(input), step, "state {row} with {input:?}");
        }
    }
}

#[test]
fn b28_a_config_that_makes_no_sense_is_refused_by_the_name_of_its_field() {
    let good = config();
    let backoff = BackoffConfig { base: Duration::ZERO, ..good.backoff };
    let cases = [
        (CallConfig { attempt_timeout: Some(Duration::ZERO), ..good }, "attempt_timeout"),
        (CallConfig { deadline: Some(Duration::ZERO), ..good }, "deadline"),
        (CallConfig { hint_cap: Duration::MAX, ..good }, "hint_cap"),
        (CallConfig { throttled_base: Duration::ZERO, ..good }, "throttled_base"),
        (CallConfig { hint_jitter: Ratio::percent(200), ..good }, "hint_jitter"),
        (CallConfig { backoff, ..good }, "backoff.base"),
    ];
    for (config, field) in cases {
        assert_eq!(CallRules::new(&config).unwrap_err().field, field);
    }
}

#[test]
fn t03_no_timeout_is_none_and_zero_is_refused() {
    assert!(!rules(&CallConfig::default()).is_timed());
    let zero = CallConfig { deadline: Some(Duration::ZERO), ..CallConfig::default() };
    assert!(CallRules::new(&zero).is_err());
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let hint = || proptest::option::of((0..100_000_u64).prop_map(Duration::from_millis));
    prop_oneof![
        Just(Outcome::Elsewhere),
        hint().prop_map(|hint| Outcome::Transient { hint }),
        hint().prop_map(|hint| Outcome::Throttled { hint }),
        hint().prop_map(|retry_after| Outcome::Rejected { retry_after }),
    ]
}

proptest! {
    #[test]
    fn r08_r09_no_script_makes_more_attempts_than_allowed_or_starts_one_too_late(
        outcomes in proptest::collection::vec((outcome(), 0..9_000_u64, proptest::bool::ANY), 1..60),
        attempts in 1..6_u32, waits: bool,
    ) {
        let when_rejected = if waits { WhenRejected::Wait } else { WhenRejected::Fail };
        let mut call = Played::new(&CallConfig { attempts, when_rejected, ..config() });
        let (mut sent, mut steps) = (0, 0);
        for (outcome, took_ms, budget) in outcomes {
            steps += 1;
            match call.call.step() {
                Step::Attempt { number, deadline, .. } => {
                    prop_assert!(number <= attempts);
                    prop_assert!(call.now < Instant::from_millis(30_000));
                    prop_assert!(deadline.unwrap() <= Instant::from_millis(30_000));
                    sent += u32::from(!matches!(outcome, Outcome::Rejected { .. }));
                    let took = Duration::from_millis(took_ms);
                    call.now = call.now.after(took).min(deadline.unwrap());
                    let _step = call.finish(outcome);
                }
                Step::Charge => { let _step = call.tell(Input::Charged(budget)); }
                Step::Wait { .. } => { let _step = call.wait(); }
                Step::Done(_) => break,
            }
        }
        prop_assert!(sent <= attempts);
        prop_assert!(steps <= 60);
    }
}
