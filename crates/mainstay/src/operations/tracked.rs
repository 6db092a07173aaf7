use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use mainstay_core::policy::call::Verdict;
use mainstay_core::policy::outcome::Outcome;
use mainstay_core::time::Instant;
use serde::Serialize;
use tokio::sync::Notify;

use super::Inner;
use super::history::{AttemptRecord, Record};
use super::spans::Spans;
use crate::clock;
use crate::event::{Events, Kind, RetryEvent, RetryWhat};
use crate::retry::{Failed, Observe};

/// The longest error text that is kept, in bytes.
const ERROR_TEXT_MAX: usize = 200;
/// Failed attempts kept per operation; older ones are counted only.
const ATTEMPTS_MAX: usize = 16;

/// An operation under way.
#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) id: u64,
    pub(super) slot: usize,
    pub(super) name: Arc<str>,
    endpoint: Option<Arc<str>>,
    attempts_max: u32,
    created: Instant,
    created_at: SystemTime,
    is_cancelled: AtomicBool,
    cancel: Notify,
    /// When it ended, in nanoseconds of our clock; zero while it lasts.
    ended: AtomicU64,
    succeeded: AtomicBool,
    /// Whether it left its first attempt, so that there is something in `live`.
    is_eventful: AtomicBool,
    live: Mutex<Live>,
}

#[derive(Debug)]
struct Live {
    state: StatusState,
    attempt: u32,
    last_attempt: Option<Instant>,
    next_attempt: Option<Instant>,
    waited: Duration,
    failures: Vec<AttemptRecord>,
    verdict: Option<Verdict>,
}

/// What an operation does at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusState {
    /// It has not begun yet.
    Scheduled,
    /// An attempt is under way.
    Running,
    /// It waits for its next attempt.
    Waiting,
    /// It is over, with a result.
    Succeeded,
    /// It is over, without one.
    Failed,
    /// It was cancelled.
    Cancelled,
}

/// An operation as others see it. Times are milliseconds since 1970.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Its number in this process.
    pub id: u64,
    /// Its name.
    pub name: Arc<str>,
    /// What it does.
    pub state: StatusState,
    /// The attempt under way or last made, from 1; 0 before the first.
    pub attempt: u32,
    /// How many attempts it may make.
    pub attempts_max: u32,
    /// The gate it goes through.
    pub endpoint: Option<Arc<str>>,
    /// When it was created.
    pub created_at_ms: u64,
    /// When its last attempt began.
    pub last_attempt_at_ms: Option<u64>,
    /// When its next attempt begins, while it waits or is scheduled.
    pub next_attempt_at_ms: Option<u64>,
    /// Its failed attempts, at most 16.
    pub errors: Vec<AttemptRecord>,
}

impl Tracked {
    #[inline]
    pub(super) fn new(
        id: u64,
        slot: usize,
        name: Arc<str>,
        endpoint: Option<Arc<str>>,
        attempts_max: u32,
        created: (Instant, SystemTime),
        at: Option<Instant>,
    ) -> Self {
        let is_scheduled = at.is_some();
        let live = Live {
            state: if is_scheduled { StatusState::Scheduled } else { StatusState::Running },
            attempt: u32::from(!is_scheduled),
            last_attempt: (!is_scheduled).then_some(created.0),
            next_attempt: at,
            waited: Duration::ZERO,
            failures: Vec::new(),
            verdict: None,
        };
        Self {
            id,
            slot,
            name,
            endpoint,
            attempts_max,
            created: created.0,
            created_at: created.1,
            is_cancelled: AtomicBool::new(false),
            cancel: Notify::new(),
            ended: AtomicU64::new(0),
            succeeded: AtomicBool::new(false),
            is_eventful: AtomicBool::new(is_scheduled),
            live: Mutex::new(live),
        }
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.is_eventful.store(true, Ordering::Release);
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cancels; answers whether this call did it.
    pub(super) fn cancel(&self) -> bool {
        let first = !self.is_cancelled.swap(true, Ordering::AcqRel);
        // A permit is stored, so that a task that has not begun to wait sees it too.
        self.cancel.notify_one();
        first
    }

    pub(super) async fn cancelled(&self) {
        while !self.is_cancelled.load(Ordering::Acquire) {
            self.cancel.notified().await;
        }
    }

    /// Whether it was cancelled before its task ever looked.
    pub(super) fn is_cancelled_unseen(&self) -> bool {
        self.is_cancelled.load(Ordering::Acquire)
    }

    /// The first attempt of a scheduled operation begins.
    pub(super) fn begin(&self) {
        let mut live = self.live();
        live.state = StatusState::Running;
        live.attempt = 1;
        live.last_attempt = Some(clock::now());
        live.next_attempt = None;
    }

    pub(super) fn attempt(&self) -> u32 {
        self.live().attempt
    }

    pub(super) fn status(&self) -> Status {
        let live = self.live();
        // A success of the first attempt leaves no other trace.
        let at_once = self.succeeded.load(Ordering::Acquire).then_some(Verdict::Succeeded);
        let state = match live.verdict.or(at_once) {
            None => live.state,
            Some(Verdict::Succeeded) => StatusState::Succeeded,
            Some(Verdict::Cancelled) => StatusState::Cancelled,
            Some(_) => StatusState::Failed,
        };
        let waits = matches!(state, StatusState::Scheduled | StatusState::Waiting);
        let wall = |instant: Instant| unix_ms(self.created_at + instant.since(self.created));
        Status {
            id: self.id,
            name: Arc::clone(&self.name),
            state,
            attempt: live.attempt,
            attempts_max: self.attempts_max,
            endpoint: self.endpoint.clone(),
            created_at_ms: unix_ms(self.created_at),
            last_attempt_at_ms: live.last_attempt.map(wall),
            next_attempt_at_ms: live.next_attempt.filter(|_| waits).map(wall),
            errors: live.failures.clone(),
        }
    }

    /// Ends it and answers what is remembered.
    pub(super) fn close(&self, inner: &Inner) -> Record {
        let ended = match self.ended.load(Ordering::Acquire) {
            0 => clock::now(),
            ended => Instant::from_nanos(ended),
        };
        let mut record = Record {
            id: self.id,
            created_at_ms: unix_ms(self.created_at),
            verdict: Verdict::Succeeded.as_str(),
            succeeded: true,
            attempts: 1,
            attempts_max: self.attempts_max,
            endpoint: self.endpoint.clone(),
            took_ms: millis(ended.since(self.created)),
            waited_ms: 0,
            failures: Vec::new(),
        };
        if self.succeeded.load(Ordering::Acquire) && !self.is_eventful.load(Ordering::Acquire) {
            return record;
        }
        let mut live = self.live();
        let at_once = self.succeeded.load(Ordering::Acquire).then_some(Verdict::Succeeded);
        let verdict = live.verdict.or(at_once).unwrap_or(Verdict::Cancelled);
        // Whoever holds the handle sees how it ended.
        live.verdict = Some(verdict);
        if verdict == Verdict::Cancelled {
            let seconds = ended.since(self.created).as_secs_f64();
            inner.instruments.ended(verdict, seconds, live.attempt);
            tell(self, &inner.events, RetryWhat::Cancelled, live.attempt, None, None);
        }
        record.verdict = verdict.as_str();
        record.succeeded = verdict == Verdict::Succeeded;
        record.attempts = live.attempt;
        record.waited_ms = millis(live.waited);
        record.failures.clone_from(&live.failures);
        record
    }
}

impl Status {
    /// An operation that is over.
    pub(super) fn past(name: &Arc<str>, record: &Record) -> Self {
        let state = match (record.succeeded, record.verdict) {
            (true, _) => StatusState::Succeeded,
            (false, "cancelled") => StatusState::Cancelled,
            (false, _) => StatusState::Failed,
        };
        Self {
            id: record.id,
            name: Arc::clone(name),
            state,
            attempt: record.attempts,
            attempts_max: record.attempts_max,
            endpoint: record.endpoint.clone(),
            created_at_ms: record.created_at_ms,
            last_attempt_at_ms: None,
            next_attempt_at_ms: None,
            errors: record.failures.clone(),
        }
    }
}

/// Follows one call for its [`Tracked`].
pub(super) struct Watch<'a> {
    inner: &'a Inner,
    tracked: &'a Arc<Tracked>,
    spans: &'a Spans,
}

impl<'a> Watch<'a> {
    pub(super) const fn new(inner: &'a Inner, tracked: &'a Arc<Tracked>, spans: &'a Spans) -> Self {
        Self { inner, tracked, spans }
    }

    fn tell(
        &self,
        what: RetryWhat,
        attempt: u32,
        delay: Option<Duration>,
        error: Option<Arc<str>>,
    ) {
        tell(self.tracked, &self.inner.events, what, attempt, delay, error);
    }
}

impl<E: fmt::Display> Observe<E> for Watch<'_> {
    fn begun(&self) -> Option<Instant> {
        if !self.tracked.is_eventful.load(Ordering::Acquire) {
            return Some(self.tracked.created);
        }
        Some(self.tracked.live().last_attempt.unwrap_or(self.tracked.created))
    }

    fn attempt(&mut self, number: u32) {
        // The first attempt began with the operation itself.
        if number > 1 {
            let mut live = self.tracked.live();
            live.state = StatusState::Running;
            live.attempt = number;
            live.last_attempt = Some(clock::now());
            live.next_attempt = None;
        }
        tracing::debug!(attempt = number, "attempt begins");
        self.tell(RetryWhat::Attempt, number, None, None);
    }

    fn failed(&mut self, failed: &Failed<E>, outcome: Outcome) {
        let error = shortened(&failed.failure);
        tracing::debug!(attempt = failed.attempt, %error, ?outcome, "attempt failed");
        self.spans.failed(outcome.as_str(), failed.failure.kind());
        metrics::counter!("mainstay_retry_failures_total", "kind" => failed.failure.kind())
            .increment(1);
        let mut live = self.tracked.live();
        live.waited += failed.waited;
        if live.failures.len() == ATTEMPTS_MAX {
            live.failures.remove(0);
        }
        live.failures.push(AttemptRecord {
            attempt: failed.attempt,
            kind: failed.failure.kind(),
            class: outcome.as_str(),
            error: Arc::clone(&error),
            at_ms: unix_ms(SystemTime::now()),
            waited_ms: millis(failed.waited),
            took_ms: failed.took.map(millis),
        });
        drop(live);
        self.tell(RetryWhat::Failed, failed.attempt, None, Some(error));
    }

    fn waiting(&mut self, delay: Duration, until: Instant) {
        let mut live = self.tracked.live();
        live.state = StatusState::Waiting;
        live.next_attempt = Some(until);
        let attempt = live.attempt;
        drop(live);
        tracing::debug!(delay_ms = millis(delay), "waiting for the next attempt");
        self.tell(RetryWhat::Waiting, attempt, Some(delay), None);
    }

    fn done(&mut self, verdict: Verdict, attempt: u32, now: Option<Instant>) {
        let ended = now.unwrap_or_else(clock::now);
        self.tracked.ended.store(ended.as_nanos(), Ordering::Release);
        let seconds = ended.since(self.tracked.created).as_secs_f64();
        self.inner.instruments.ended(verdict, seconds, attempt);
        self.spans.done(verdict, attempt);
        if verdict == Verdict::Succeeded && !self.tracked.is_eventful.load(Ordering::Acquire) {
            // The common case: nothing happened that needs the lock.
            self.tracked.succeeded.store(true, Ordering::Release);
            self.tell(RetryWhat::Success, attempt, None, None);
            return;
        }
        let mut live = self.tracked.live();
        live.verdict = Some(verdict);
        live.attempt = attempt;
        let error = live.failures.last().map(|failure| Arc::clone(&failure.error));
        drop(live);
        if verdict == Verdict::Succeeded {
            self.tell(RetryWhat::Success, attempt, None, None);
        } else {
            tracing::warn!(attempt, verdict = verdict.as_str(), "operation failed");
            self.tell(RetryWhat::Exhausted, attempt, None, error);
        }
    }
}

fn tell(
    tracked: &Tracked,
    events: &Events,
    what: RetryWhat,
    attempt: u32,
    delay: Option<Duration>,
    error: Option<Arc<str>>,
) {
    events.send(|| {
        let operation = Arc::clone(&tracked.name);
        Kind::Retry(RetryEvent { what, operation, id: tracked.id, attempt, delay, error })
    });
}

/// The error as text, cut at a character boundary.
fn shortened(error: &impl fmt::Display) -> Arc<str> {
    let text = error.to_string();
    let fits = |(at, character): &(usize, char)| at + character.len_utf8() <= ERROR_TEXT_MAX;
    let end = text.char_indices().take_while(fits).last().map_or(0, |(at, c)| at + c.len_utf8());
    text[..end].into()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn unix_ms(at: SystemTime) -> u64 {
    millis(at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use mainstay_core::policy::call::{CallConfig, Verdict};

    use super::{Spans, StatusState, Watch};
    use crate::operations::Operations;
    use crate::retry::{Observe, Retry};

    #[test]
    fn a_look_between_the_success_and_the_end_changes_nothing() {
        let operations = Operations::default();
        let retry = Retry::new(&CallConfig::default()).unwrap();
        let tracked = operations.register("sync", &retry, None);
        let spans = Spans::new(tracing::Span::none(), None);
        let mut watch = Watch::new(&operations.inner, &tracked, &spans);
        Observe::<String>::done(&mut watch, Verdict::Succeeded, 1, None);
        assert_eq!(tracked.status().state, StatusState::Succeeded);
        let record = tracked.close(&operations.inner);
        assert_eq!((record.verdict, record.succeeded), ("succeeded", true));
    }
}
