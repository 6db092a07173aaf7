use super::{
    Budget, BudgetConfig, Charge, Deposit, Exhausted, InFlightBudgetConfig, SLOTS, TOKEN,
    TokenBudgetConfig,
};
use crate::config::Ratio;
use crate::time::Instant;
use core::time::Duration;
use proptest::prelude::{Just, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy;
use std::vec::Vec;

fn at(seconds: u64) -> Instant {
    Instant::from_millis(seconds * 1000)
}

fn tokens(ratio: Ratio, reserve_per_sec: u32) -> Budget {
    let config = TokenBudgetConfig { ratio, reserve_per_sec, ..TokenBudgetConfig::default() };
    Budget::new(&BudgetConfig::Tokens(config)).unwrap()
}

fn in_flight(ratio: Ratio, min: u32) -> Budget {
    Budget::new(&BudgetConfig::InFlight(InFlightBudgetConfig { ratio, min })).unwrap()
}

/// Deposits `calls` and says how many extra attempts were granted after them.
fn granted_after(budget: &Budget, calls: u64, now: Instant) -> u64 {
    for _ in 0..calls {
        budget.close(budget.deposit(now));
    }
    drain(budget, now)
}

fn drain(budget: &Budget, now: Instant) -> u64 {
    let mut granted = 0;
    while let Ok(charge) = budget.withdraw(now) {
        budget.spend(charge);
        granted += 1;
    }
    granted
}

#[test]
fn the_defaults_are_those_of_finagle_and_envoy() {
    assert_eq!(granted_after(&tokens(Ratio::percent(20), 10), 1000, at(0)), 200 + 100);
    let default = Budget::new(&BudgetConfig::default()).unwrap();
    assert_eq!(granted_after(&default, 0, at(0)), 100);
    let envoy = in_flight(Ratio::percent(20), 3);
    let calls: Vec<Deposit> = (0..100).map(|_| envoy.deposit(at(0))).collect();
    let charges: Vec<Charge> = (0..20).map(|_| envoy.withdraw(at(0)).unwrap()).collect();
    assert_eq!(envoy.withdraw(at(0)), Err(Exhausted));
    charges.into_iter().for_each(|charge| envoy.spend(charge));
    calls.into_iter().for_each(|call| envoy.close(call));
    assert_eq!(envoy.available(at(0)), 3);
}

#[test]
fn a_token_not_spent_within_its_life_is_lost() {
    let budget = tokens(Ratio::ONE, 0);
    for second in 0..10 {
        budget.close(budget.deposit(at(second)));
    }
    assert_eq!(budget.available(at(9)), 10);
    assert_eq!(budget.available(at(10)), 9);
    assert_eq!(budget.available(at(14)), 5);
    assert_eq!(drain(&budget, at(19)), 0);
}

#[test]
fn the_oldest_tokens_are_spent_first() {
    let budget = tokens(Ratio::ONE, 0);
    budget.close(budget.deposit(at(0)));
    budget.close(budget.deposit(at(5)));
    budget.spend(budget.withdraw(at(6)).unwrap());
    assert_eq!(budget.available(at(14)), 1);
}

#[test]
fn r15_a_refunded_charge_costs_nothing_and_a_spent_one_does() {
    for budget in [tokens(Ratio::ONE, 0), in_flight(Ratio::ONE, 0)] {
        let call = budget.deposit(at(0));
        let charge = budget.withdraw(at(0)).unwrap();
        assert_eq!(budget.withdraw(at(0)), Err(Exhausted));
        budget.refund(charge);
        assert_eq!(budget.available(at(0)), 1);
        budget.spend(budget.withdraw(at(0)).unwrap());
        budget.close(call);
    }
}

#[test]
fn r16_zero_means_zero() {
    for budget in [tokens(Ratio::ZERO, 0), in_flight(Ratio::ZERO, 0)] {
        let call = budget.deposit(at(0));
        for second in [0, 1, 100, 1_000_000] {
            assert_eq!(budget.withdraw(at(second)), Err(Exhausted));
        }
        assert_eq!(budget.withdraw(Instant::MAX), Err(Exhausted));
        budget.close(call);
    }
}

#[test]
fn b13_idling_for_the_whole_clock_is_caught_up_in_one_sweep() {
    let config = TokenBudgetConfig {
        ttl: Duration::from_millis(1),
        ratio: Ratio::ONE,
        reserve_per_sec: 10_000,
    };
    let budget = Budget::new(&BudgetConfig::Tokens(config)).unwrap();
    assert_eq!(granted_after(&budget, 5, at(0)), 15);
    assert_eq!(drain(&budget, Instant::MAX), 10);
}

#[test]
fn a_clock_set_back_neither_freezes_a_budget_nor_fills_it() {
    let budget = tokens(Ratio::ONE, 10);
    assert_eq!(drain(&budget, Instant::MAX), 100);
    assert_eq!(drain(&budget, at(50)), 0);
    assert_eq!(granted_after(&budget, 5, at(50)), 5);
    assert_eq!(drain(&budget, at(55)), 50);
}

#[test]
fn h03_hedges_and_retries_draw_on_the_same_budget() {
    let budget = tokens(Ratio::percent(50), 0);
    budget.close(budget.deposit(at(0)));
    budget.close(budget.deposit(at(0)));
    let hedge = budget.withdraw(at(0)).unwrap();
    assert_eq!(budget.withdraw(at(0)), Err(Exhausted), "the retry finds the budget spent");
    budget.spend(hedge);
}

#[test]
fn b28_a_budget_that_makes_no_sense_is_refused_by_the_name_of_its_field() {
    let good = TokenBudgetConfig::default();
    let cases = [
        (TokenBudgetConfig { ttl: Duration::ZERO, ..good }, "ttl"),
        (TokenBudgetConfig { ratio: Ratio::percent(1001), ..good }, "ratio"),
        (TokenBudgetConfig { reserve_per_sec: 1_000_001, ..good }, "reserve_per_sec"),
    ];
    for (config, field) in cases {
        assert_eq!(Budget::new(&BudgetConfig::Tokens(config)).unwrap_err().field, field);
    }
    let config = InFlightBudgetConfig { ratio: Ratio::percent(1001), min: 0 };
    assert_eq!(Budget::new(&BudgetConfig::InFlight(config)).unwrap_err().field, "ratio");
}

proptest! {
    #[test]
    fn r13_any_ratio_grants_its_floor_and_the_reserve_exactly(
        ppm in 1..=10_000_000_u32, reserve in 0..20_u32, calls in 0..2_000_u64,
    ) {
        let ratio = Ratio::from_ppm(ppm);
        let granted = granted_after(&tokens(ratio, reserve), calls, at(0));
        prop_assert_eq!(granted, ratio.times(calls) + u64::from(reserve) * 10);
    }

    #[test]
    fn r13_calls_in_flight_allow_their_share_or_the_minimum(
        ppm in 0..=10_000_000_u32, min in 0..20_u32, calls in 0..500_u64,
    ) {
        let ratio = Ratio::from_ppm(ppm);
        let budget = in_flight(ratio, min);
        let open: Vec<Deposit> = (0..calls).map(|_| budget.deposit(at(0))).collect();
        let mut charges = Vec::new();
        while let Ok(charge) = budget.withdraw(at(0)) {
            charges.push(charge);
        }
        prop_assert_eq!(charges.len() as u64, ratio.times(calls).max(u64::from(min)));
        open.into_iter().for_each(|call| budget.close(call));
        charges.into_iter().for_each(|charge| budget.refund(charge));
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Deposit,
    Withdraw,
    Refund,
    Forward(u64),
    Back(u64),
    To(u64),
}

fn script() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => Just(Step::Deposit),
        6 => Just(Step::Withdraw),
        1 => Just(Step::Refund),
        4 => (0..4_000_000_000_u64).prop_map(Step::Forward),
        1 => (0..30_000_000_000_u64).prop_map(Step::Back),
        1 => any::<u64>().prop_map(Step::To),
    ];
    proptest::collection::vec(step, 1..200)
}

/// The naive model: a list of deposits with the slot they were made in.
struct Model {
    newest: u64,
    per_call: u64,
    reserve: u64,
    deposited: Vec<(u64, u64)>,
    balance: u64,
}

impl Model {
    fn new(per_call: u64, reserve: u64) -> Self {
        // Slot numbers are shifted by nine, so that the first reserves have a slot each.
        Self {
            newest: SLOTS - 1,
            per_call,
            reserve,
            deposited: (0..SLOTS).map(|slot| (slot, reserve)).collect(),
            balance: reserve * SLOTS,
        }
    }

    fn go_to(&mut self, second: u64) {
        let number = second.saturating_add(SLOTS - 1);
        if number <= self.newest {
            if self.newest - number > SLOTS {
                let gap = self.newest - number;
                for (slot, _) in &mut self.deposited {
                    *slot = slot.saturating_sub(gap);
                }
                self.newest = number;
            }
            return;
        }
        let fresh = (number - self.newest).min(SLOTS);
        self.newest = number;
        let oldest = number - (SLOTS - 1);
        for step in 0..fresh {
            self.deposited.push((number - step, self.reserve));
        }
        self.deposited.retain(|(slot, _)| *slot >= oldest);
        let held: u64 = self.deposited.iter().map(|(_, amount)| amount).sum();
        self.balance = (self.balance + fresh * self.reserve).min(held);
    }

    fn deposit(&mut self) {
        self.deposited.push((self.newest, self.per_call));
        self.balance += self.per_call;
    }

    fn withdraw(&mut self) -> bool {
        let granted = self.balance >= TOKEN;
        self.balance -= if granted { TOKEN } else { 0 };
        granted
    }
}

proptest! {
    #[test]
    fn b13_r13_every_script_equals_a_list_of_deposits(
        steps in script(), ppm in 0..=3_000_000_u32, reserve in 0..3_u32,
    ) {
        let budget = tokens(Ratio::from_ppm(ppm), reserve);
        let mut model = Model::new(u64::from(ppm), u64::from(reserve) * TOKEN);
        let (mut now, mut charges, mut back) = (0_u64, Vec::new(), false);
        let (mut calls, mut granted, mut passed) = (0_u64, 0_u64, 0_u64);
        for step in steps {
            // After a step back the ring's slots no longer tell ages, only bounds are promised.
            match step {
                Step::Forward(nanos) => {
                    now = now.saturating_add(nanos);
                    passed = passed.saturating_add(nanos);
                }
                Step::Back(nanos) => {
                    back = true;
                    now = now.saturating_sub(nanos);
                }
                Step::To(nanos) => {
                    back |= nanos < now;
                    passed = passed.saturating_add(nanos.saturating_sub(now));
                    now = nanos;
                }
                Step::Deposit => {
                    calls += 1;
                    budget.close(budget.deposit(Instant::from_nanos(now)));
                }
                Step::Withdraw => {
                    let charge = budget.withdraw(Instant::from_nanos(now));
                    granted += u64::from(charge.is_ok());
                    model.go_to(now / 1_000_000_000);
                    let expected = model.withdraw();
                    prop_assert!(back || charge.is_ok() == expected);
                    charges.extend(charge);
                    continue;
                }
                Step::Refund => {
                    if let Some(charge) = charges.pop() {
                        granted -= 1;
                        budget.refund(charge);
                        model.balance += TOKEN;
                    }
                    continue;
                }
            }
            model.go_to(now / 1_000_000_000);
            if let Step::Deposit = step {
                model.deposit();
            }
            let available = budget.available(Instant::from_nanos(now));
            prop_assert!(back || available == model.balance / TOKEN);
            let slots = u128::from(passed) / 1_000_000_000 + u128::from(SLOTS) + 200;
            let most = u128::from(calls) * u128::from(ppm) / 1_000_000
                + slots * u128::from(reserve);
            prop_assert!(u128::from(granted) <= most);
        }
        charges.into_iter().for_each(|charge| budget.spend(charge));
    }
}
