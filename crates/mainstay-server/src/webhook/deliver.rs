use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mainstay::clock;
use mainstay::core::policy::backoff::{Backoff, BackoffConfig};
use mainstay::core::policy::outcome::Outcome;
use mainstay::core::policy::preset::PolicyConfig;
use mainstay::core::policy::pressure::Pressure;
use mainstay::http::{Client, RequestError, status_outcome};
use mainstay_store::{Change, KeyValue, Position, Store, StoreError};
use reqwest::Response;
use tokio::time::{Instant, sleep};

use super::batch::{self, Batch};
use super::{CURSORS, DEAD, DEAD_MAX, Hook};
use crate::session::{Hub, unix_ms};

/// How long it waits when the history cannot be read.
const PAUSE: Duration = Duration::from_secs(5);
/// The longest time of one request.
const REQUEST_WITHIN: Duration = Duration::from_secs(15);

/// What came of telling a batch.
enum Told {
    Yes,
    /// The receiver does not want it, and will not later.
    Refused(String),
    /// It may be told later.
    NotNow(String),
}

/// Tells what happens for as long as the server runs.
pub(super) async fn run(hook: Arc<Hook>, hub: Arc<Hub>) {
    let store = hub.journal().store.clone();
    let client = match Client::new(&policy()) {
        Ok(client) => client,
        Err(error) => {
            tracing::error!(webhook = hook.spec.name, %error, "nothing can be told");
            return;
        }
    };
    let mut committed = hub.journal().committed.subscribe();
    let mut position = begin(&hook, &hub).await;
    {
        let mut view = hook.held();
        view.position = position;
        view.dead = own_dead(&hook, &*store).map_or(0, |dead| dead.len() as u64);
    }
    loop {
        let history = match store.history(position, hook.spec.batch_max) {
            Ok(history) => history,
            Err(error) => {
                hook.failed(format!("the history cannot be read: {error}"));
                sleep(PAUSE).await;
                continue;
            }
        };
        let Some((last, _)) = history.last() else {
            if committed.changed().await.is_err() {
                return;
            }
            // More will come soon: they are told together.
            sleep(hook.spec.batch_within).await;
            continue;
        };
        let last = *last;
        let told = match batch::make(&hook.spec, &history) {
            Some(batch) => tell(&hook, &hub, &client, &batch).await,
            None => 0,
        };
        position = last;
        hook.delivered(position, told);
        keep(&hub, &hook, vec![cursor(&hook.spec.name, position)]).await;
    }
}

/// Tells one batch, however long it takes; answers how many events were told. What cannot be told is
/// kept aside.
async fn tell(hook: &Hook, hub: &Hub, client: &Client, batch: &Batch) -> usize {
    let began = Instant::now();
    let (backoff, mut attempt, mut before) = (between(), 0, Duration::ZERO);
    let why = loop {
        match send(hook, client, batch).await {
            Told::Yes => return batch.events,
            Told::Refused(why) => break why,
            Told::NotNow(why) => {
                hook.failed(why.clone());
                tracing::warn!(webhook = hook.spec.name, why, "a batch of events was not told yet");
                attempt += 1;
                let pause = backoff.delay(attempt, before, Pressure::default(), clock::draw());
                if began.elapsed() + pause > hook.spec.give_up_after {
                    break why;
                }
                sleep(pause).await;
                before = pause;
            }
        }
    };
    tracing::error!(webhook = hook.spec.name, why, "a batch of events is given up and kept aside");
    hook.failed(why);
    bury(hook, hub, batch).await;
    // Not before it is there: whoever reads the count may ask for it at once.
    hook.held().dead += 1;
    0
}

async fn send(hook: &Hook, client: &Client, batch: &Batch) -> Told {
    let timestamp = unix_ms() / 1000;
    let request = client
        .inner()
        .post(hook.spec.url.expose())
        .timeout(REQUEST_WITHIN)
        .header("content-type", "application/json")
        .header("webhook-id", &batch.id)
        .header("webhook-timestamp", timestamp.to_string())
        .header("webhook-signature", hook.spec.secret.sign(&batch.id, timestamp, &batch.body))
        // A batch may be told twice: it says so itself.
        .header("idempotency-key", &batch.id)
        .body(batch.body.clone())
        .build();
    let request = match request {
        Ok(request) => request,
        Err(error) => return Told::Refused(error.without_url().to_string()),
    };
    match client.execute(request).await {
        Ok(answer) => judge(&answer),
        Err(RequestError::Failed(error)) => Told::NotNow(deepest(&error)),
        Err(error) => Told::NotNow(error.to_string()),
    }
}

/// What the answer means, by the table of the library.
fn judge(answer: &Response) -> Told {
    let (status, now) = (answer.status(), SystemTime::now());
    let what = format!("it answered {status}");
    match status_outcome(status, answer.headers(), now) {
        // A redirect is not followed: the address in the configuration is the one that was meant.
        Outcome::Success if status.is_success() => Told::Yes,
        Outcome::Success | Outcome::Refused | Outcome::Permanent | Outcome::Mistake => {
            Told::Refused(what)
        }
        Outcome::Transient { .. }
        | Outcome::Elsewhere
        | Outcome::Throttled { .. }
        | Outcome::Rejected { .. }
        | Outcome::Abandoned => Told::NotNow(what),
    }
}

/// The cause of all: what lies above it may show the address, which may hold a secret.
fn deepest(error: &(dyn Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    if deepest.is::<reqwest::Error>() { "no answer".into() } else { deepest.to_string() }
}

/// Keeps a batch aside that could not be told. The oldest give way.
async fn bury(hook: &Hook, hub: &Hub, batch: &Batch) {
    let prefix = prefix(hook);
    let key = [&prefix, &unix_ms().to_be_bytes()[..], batch.id.as_bytes()].concat();
    let mut changes = vec![Change::put_value(DEAD, &key, batch.body.as_bytes())];
    match own_dead(hook, &*hub.journal().store) {
        Ok(own) => {
            let too_many = (own.len() + 1).saturating_sub(DEAD_MAX);
            for (key, _) in own.into_iter().take(too_many) {
                changes.push(Change::RemoveValue { area: DEAD, key: key.into() });
            }
        }
        Err(error) => tracing::error!(%error, "what was kept aside cannot be read"),
    }
    keep(hub, hook, changes).await;
}

fn prefix(hook: &Hook) -> Vec<u8> {
    [hook.spec.name.as_bytes(), b"/"].concat()
}

/// What was kept aside of a webhook, the oldest first.
fn own_dead(hook: &Hook, store: &dyn Store) -> Result<Vec<KeyValue>, StoreError> {
    let prefix = prefix(hook);
    let mut found = store.values(DEAD, Some(&prefix), DEAD_MAX + 1)?;
    found.retain(|(key, _)| key.starts_with(&prefix));
    Ok(found)
}

/// The same as people read it: when it was given up, its id, and what it said.
pub(crate) fn dead_letters(
    hook: &Hook,
    store: &dyn Store,
) -> Result<Vec<(u64, String, String)>, StoreError> {
    let start = prefix(hook).len();
    let read = |(key, body): KeyValue| {
        let (at, id) = key.get(start..)?.split_first_chunk::<8>()?;
        let id = String::from_utf8_lossy(id).into_owned();
        Some((u64::from_be_bytes(*at), id, String::from_utf8(body).ok()?))
    };
    Ok(own_dead(hook, store)?.into_iter().filter_map(read).collect())
}

/// Tells again, once, what was kept aside; answers how many batches were told, and how many are
/// left.
pub(crate) async fn tell_again(hook: &Hook, hub: &Hub) -> Result<(usize, usize), StoreError> {
    let store = hub.journal().store.clone();
    let letters = dead_letters(hook, &*store)?;
    let count = letters.len();
    let Ok(client) = Client::new(&policy()) else { return Ok((0, count)) };
    let mut told = 0;
    for (at, id, body) in letters {
        let key = [&prefix(hook), &at.to_be_bytes()[..], id.as_bytes()].concat();
        let batch = Batch { id, body, events: 0 };
        match send(hook, &client, &batch).await {
            Told::Yes => {
                told += 1;
                let gone = Change::RemoveValue { area: DEAD, key: key.into() };
                keep(hub, hook, vec![gone]).await;
            }
            Told::Refused(_) => {}
            // It is of no use to go on.
            Told::NotNow(_) => break,
        }
    }
    hook.held().dead = (count - told) as u64;
    Ok((told, count - told))
}

/// Where it goes on: where it stopped, or for a new one now.
async fn begin(hook: &Hook, hub: &Hub) -> Position {
    let store = &hub.journal().store;
    let kept = store.value(CURSORS, hook.spec.name.as_bytes());
    let kept = kept.ok().flatten().and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
    match kept {
        Some(bytes) => Position(u64::from_be_bytes(bytes)),
        None => {
            let now = store.stats().map_or(Position(0), |stats| stats.position);
            // What happens from now on is told, even if nothing could be told before a restart.
            keep(hub, hook, vec![cursor(&hook.spec.name, now)]).await;
            now
        }
    }
}

fn cursor(name: &str, position: Position) -> Change {
    Change::put_value(CURSORS, name.as_bytes(), &position.0.to_be_bytes())
}

/// Should it not be kept, it is told twice: that is allowed.
async fn keep(hub: &Hub, hook: &Hook, changes: Vec<Change>) {
    let kept: Result<(), StoreError> =
        async { hub.journal().writer.submit(changes).await?.await }.await;
    if let Err(error) = kept {
        tracing::warn!(webhook = hook.spec.name, %error, "how far it has got was not stored");
    }
}

/// A few quick attempts, and a breaker for a receiver that is down. The longer waits are ours.
fn policy() -> PolicyConfig {
    let mut policy = PolicyConfig::default();
    policy.call.attempts = 3;
    policy.call.attempt_timeout = Some(REQUEST_WITHIN);
    policy
}

/// The longer waits, when those attempts were of no use.
fn between() -> Backoff {
    let config = BackoffConfig {
        base: Duration::from_secs(10),
        cap: Duration::from_secs(600),
        ..BackoffConfig::default()
    };
    Backoff::new(&config).expect("a configuration that makes sense")
}
