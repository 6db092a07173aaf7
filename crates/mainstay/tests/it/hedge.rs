//! Hedged calls, under a paused clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mainstay::core::config::Ratio;
use mainstay::core::policy::budget::{BudgetConfig, TokenBudgetConfig};
use mainstay::core::policy::call::CallConfig;
use mainstay::core::policy::gate::GateConfig;
use mainstay::core::policy::hedge::HedgeConfig;
use mainstay::core::policy::preset::PolicyConfig;
use mainstay::gate::Gate;
use mainstay::retry::Retry;
use tokio::time::{Instant, sleep};

const MS: Duration = Duration::from_millis(1);

/// A hedge after about 20 ms, learnt from a hundred calls of 20 ms each.
async fn learnt(budget: Option<BudgetConfig>) -> Retry {
    let hedge = HedgeConfig { warm_up: Duration::ZERO, min_samples: 50, ..HedgeConfig::default() };
    let gate = GateConfig { budget, hedge: Some(hedge), ..GateConfig::default() };
    let gate = Gate::new("peer", &gate).unwrap();
    let call = CallConfig { attempts: 1, ..CallConfig::default() };
    let policy = PolicyConfig { call, ..PolicyConfig::default() };
    let retry = Retry::through(&policy, gate).unwrap();
    for _ in 0..100 {
        let quick = retry.call_hedged(|_| async {
            sleep(20 * MS).await;
            Ok::<_, String>(())
        });
        quick.await.unwrap();
    }
    retry
}

/// Counts how many of its futures live.
struct Alive(Arc<AtomicU32>);

impl Alive {
    fn new(count: &Arc<AtomicU32>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn h05_the_hedge_of_a_hung_attempt_wins_and_the_loser_is_gone_by_then() {
    let retry = learnt(Some(BudgetConfig::default())).await;
    let alive = Arc::new(AtomicU32::new(0));
    let begun = Instant::now();
    let answer = retry
        .call_hedged(|attempt| {
            let alive = Alive::new(&alive);
            async move {
                let _alive = alive;
                if attempt.hedge == 0 {
                    std::future::pending::<()>().await;
                }
                sleep(5 * MS).await;
                Ok::<_, String>(attempt.hedge)
            }
        })
        .await;
    assert_eq!(answer.unwrap(), 1);
    assert_eq!(alive.load(Ordering::Relaxed), 0);
    assert!(begun.elapsed() < 40 * MS, "{:?}", begun.elapsed());
    let view = retry.gate().unwrap().view();
    assert_eq!((view.failed, view.abandoned), (0, 1), "h06: the loser is abandoned, not failed");
}

#[tokio::test(start_paused = true)]
async fn h01_a_failure_does_not_beat_a_success_that_is_still_under_way() {
    let retry = learnt(Some(BudgetConfig::default())).await;
    let answer = retry
        .call_hedged(|attempt| async move {
            if attempt.hedge == 1 {
                return Err("the hedge fails at once".to_owned());
            }
            sleep(100 * MS).await;
            Ok(attempt.hedge)
        })
        .await;
    assert_eq!(answer.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn h01_when_all_fail_the_error_is_the_first_attempts() {
    let retry = learnt(Some(BudgetConfig::default())).await;
    let answer = retry
        .call_hedged(|attempt| async move {
            sleep((if attempt.hedge == 0 { 60 } else { 1 }) * MS).await;
            Err::<(), _>(format!("from {}", attempt.hedge))
        })
        .await;
    assert_eq!(answer.unwrap_err().into_error().unwrap(), "from 0");
}

#[tokio::test(start_paused = true)]
async fn h03_an_empty_budget_suppresses_the_hedge_only() {
    let none = TokenBudgetConfig { ratio: Ratio::ZERO, reserve_per_sec: 0, ..Default::default() };
    let retry = learnt(Some(BudgetConfig::Tokens(none))).await;
    let begun = Instant::now();
    let answer = retry
        .call_hedged(|attempt| async move {
            sleep(200 * MS).await;
            Ok::<_, String>(attempt.hedge)
        })
        .await;
    assert_eq!((answer.unwrap(), begun.elapsed()), (0, 200 * MS));
}

#[tokio::test(start_paused = true)]
async fn h03_a_hedge_that_the_gate_turns_away_costs_the_budget_nothing() {
    let tokens = TokenBudgetConfig { ratio: Ratio::ZERO, reserve_per_sec: 5, ..Default::default() };
    let retry = learnt(Some(BudgetConfig::Tokens(tokens))).await;
    let gate = retry.gate().unwrap();
    sleep(60_000 * MS).await;
    let before = gate.view().budget;
    let shut = async {
        sleep(5 * MS).await;
        gate.force_open();
    };
    let call = retry.call_hedged(|attempt| async move {
        sleep(200 * MS).await;
        Ok::<_, String>(attempt.hedge)
    });
    let (answer, ()) = tokio::join!(call, shut);
    assert_eq!(answer.unwrap(), 0);
    assert_eq!(gate.view().budget, before);
}

#[tokio::test(start_paused = true)]
async fn h06_a_first_attempt_that_failed_before_the_hedge_won_is_a_failure() {
    let retry = learnt(Some(BudgetConfig::default())).await;
    let answer = retry
        .call_hedged(|attempt| async move {
            sleep((if attempt.hedge == 0 { 25 } else { 40 }) * MS).await;
            if attempt.hedge == 0 { Err("failed".to_owned()) } else { Ok(attempt.hedge) }
        })
        .await;
    assert_eq!(answer.unwrap(), 1);
    let view = retry.gate().unwrap().view();
    assert_eq!((view.failed, view.abandoned), (1, 0));
}
