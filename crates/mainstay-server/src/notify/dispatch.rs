//! The task that decides what is due.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use mainstay::clock;
use mainstay_monitor::notify::{DispatchConfig, Dispatcher, Notification, Route};

use super::letter::Letter;
use super::outbox::Left;
use super::{Inner, Waiting};
use crate::session::unix_ms;

/// How long it waits when what was kept cannot be read.
const PAUSE: Duration = Duration::from_secs(5);
/// Notices are gathered for that long at least: many alerts change at once.
const STEP: Duration = Duration::from_millis(20);
/// After what was kept it rests for so many times as long as that took, unless something is due.
const REST: u32 = 10;

/// Decides for as long as the server runs.
pub(super) async fn run(inner: Arc<Inner>, routes: Vec<Route>, config: DispatchConfig) {
    let left = left(&inner).await;
    let mut dispatcher = begin(left.snapshot, &routes, &config);
    hand_out(&inner, left.letters);
    for (name, dead) in left.dead {
        if let Some(receiver) = inner.receivers().get(&name) {
            receiver.buried(dead);
        }
    }
    let (mut is_unkept, mut keep_at) = (false, clock::now());
    loop {
        is_unkept |= hear(&inner, &mut dispatcher);
        if inner.waiting().stop {
            tell(&inner, &dispatcher, Vec::new()).await;
            return;
        }
        let now = clock::now();
        let due = dispatcher.due(now);
        if !due.is_empty() || (is_unkept && now >= keep_at) {
            tell(&inner, &dispatcher, due).await;
            // What is known of thousands of alerts is megabytes: changes alone take a tenth of the
            // time that there is.
            let done = clock::now();
            (is_unkept, keep_at) = (false, done.after(done.since(now).saturating_mul(REST)));
        }
        let next = dispatcher.next_due();
        let next =
            if is_unkept { Some(next.map_or(keep_at, |next| next.min(keep_at))) } else { next };
        let timer = async {
            match next {
                Some(next) => clock::sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = inner.wake.notified() => tokio::time::sleep(STEP).await,
            () = timer => {}
        }
    }
}

/// What was left, once it can be read.
async fn left(inner: &Inner) -> Left {
    loop {
        let names: Vec<String> = inner.receivers().keys().cloned().collect();
        match inner.outbox.left(names).await {
            Ok(left) => return left,
            Err(error) => {
                tracing::error!(%error, "what is to be told cannot be read");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn begin(
    snapshot: Option<(mainstay_monitor::notify::Snapshot, u64)>,
    routes: &[Route],
    config: &DispatchConfig,
) -> Dispatcher {
    let now = clock::now();
    let dispatcher = match snapshot {
        Some((snapshot, at)) => {
            let outage = Duration::from_millis(unix_ms().saturating_sub(at));
            Dispatcher::restore(now, routes, config, snapshot, outage)
        }
        None => Dispatcher::new(routes, config),
    };
    // Ids are not used again, even where nothing is kept over a restart.
    dispatcher.numbered_from(unix_ms())
}

/// Takes down what has been said since; whether anything was.
fn hear(inner: &Inner, dispatcher: &mut Dispatcher) -> bool {
    let Waiting { alerts, settings, lost, stop: _ } = {
        let mut waiting = inner.waiting();
        let (lost, stop) = (waiting.lost, waiting.stop);
        let taken = std::mem::take(&mut *waiting);
        (waiting.lost, waiting.stop) = (lost, stop);
        taken
    };
    let now = clock::now();
    let has_changed = !alerts.is_empty() || settings.is_some();
    if let Some((routes, config)) = settings {
        let known = dispatcher.snapshot(now);
        *dispatcher = Dispatcher::restore(now, &routes, &config, known, Duration::ZERO);
    }
    for standing in alerts.into_values() {
        dispatcher.alert(now, standing);
    }
    let mut counts = inner.counts.lock().unwrap_or_else(PoisonError::into_inner);
    counts.alerts = dispatcher.len();
    counts.lost = dispatcher.dropped() + lost;
    has_changed
}

/// Keeps what is due, then gives it to the receivers.
async fn tell(inner: &Inner, dispatcher: &Dispatcher, due: Vec<Notification>) {
    let at = unix_ms();
    let letters: Vec<Letter> =
        due.into_iter().map(|notification| Letter::new(notification, at)).collect();
    let snapshot = dispatcher.snapshot(clock::now());
    if let Err(error) = inner.outbox.keep(&snapshot, &letters).await {
        // A disk that is full is what somebody must be told of: it is sent all the same.
        tracing::error!(%error, notices = letters.len(), "notices are sent without being kept");
        inner.counts.lock().unwrap_or_else(PoisonError::into_inner).unkept += letters.len() as u64;
    }
    hand_out(inner, letters);
}

fn hand_out(inner: &Inner, letters: Vec<Letter>) {
    let receivers = inner.receivers();
    for letter in letters {
        match receivers.get(&*letter.notification.receiver) {
            Some(receiver) => receiver.push(letter),
            None => tracing::warn!(id = letter.id, "a notice is for a receiver that is no more"),
        }
    }
}
