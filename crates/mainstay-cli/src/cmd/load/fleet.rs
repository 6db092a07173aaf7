//! All clients of one process, from the first begin to the last goodbye.

use std::sync::Arc;
use std::time::Duration;

use mainstay::clock;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::client::{Client, Phase};
use super::plan::Plan;
use super::tally::Tally;

/// How long what is on its way may take in the end: longer than clients wait to come back.
const SETTLE: Duration = Duration::from_secs(20);
/// Clients that begin without letting others have their turn.
const AT_ONCE: u64 = 32;

/// Runs all clients until their time is over, or `stop` ends; then lets them say goodbye.
pub(super) async fn run(plan: &Plan, tally: &Arc<Tally>, stop: impl Future<Output = ()>) {
    let (sender, phase) = watch::channel(Phase::Talk);
    let mut clients = JoinSet::new();
    let work = async {
        begin(plan, tally, &phase, &mut clients).await;
        tokio::time::sleep(plan.during).await;
    };
    tokio::select! {
        () = stop => {}
        () = work => {}
    }
    sender.send_replace(Phase::Settle(clock::now().after(SETTLE)));
    while let Some(ended) = clients.join_next().await {
        if ended.is_err() {
            tally.wrong("a client's task failed".into());
        }
    }
}

/// Begins one client after the other.
async fn begin(
    plan: &Plan,
    tally: &Arc<Tally>,
    phase: &watch::Receiver<Phase>,
    clients: &mut JoinSet<()>,
) {
    let start = Instant::now();
    for number in 0..plan.connections {
        let steps = u32::try_from(number).unwrap_or(u32::MAX);
        let at = start.checked_add(plan.spacing.saturating_mul(steps));
        match at {
            Some(at) if at > Instant::now() => sleep_until(at).await,
            Some(_) if number % AT_ONCE == 0 => tokio::task::yield_now().await,
            Some(_) => {}
            // So slow that it is never.
            None => std::future::pending().await,
        }
        let nr = plan.first + number;
        let (target, tally) = (plan.target.clone(), tally.clone());
        let client = Client::new(nr, target, plan.habits(nr), tally, phase.clone());
        clients.spawn(client.run());
    }
}
