use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use mainstay_core::config::Ratio;
use mainstay_core::policy::backoff::{Backoff, BackoffConfig, Jitter, Strategy};
use mainstay_core::policy::pressure::Pressure;
use mainstay_core::time::Instant;

use super::message::Message;
use crate::clock;

/// What is to be subscribed, for as long as the link lives: sent anew on every connection, before
/// anything that waits in the outbox. A clone is the same set.
///
/// What is removed while the link is down is not subscribed again. A subscription that the peer
/// refuses is tried again by itself, ever later, without touching the link.
///
/// ```
/// use mainstay::link::websocket::Subscriptions;
///
/// let wanted = Subscriptions::default();
/// wanted.set("ticks", r#"{"subscribe":"ticks"}"#);
/// wanted.set("news", r#"{"subscribe":"news"}"#);
/// wanted.remove("ticks");
/// assert_eq!(wanted.keys(), ["news".into()]);
/// ```
#[derive(Clone, Default)]
pub struct Subscriptions(Arc<Shared>);

#[derive(Default)]
struct Shared {
    entries: Mutex<Vec<Entry>>,
    /// Who sends what is to be tried again.
    pump: Mutex<Option<Waker>>,
}

#[derive(Clone, Debug)]
struct Entry {
    key: Arc<str>,
    message: Message,
    /// How often the peer has refused it in a row.
    refusals: u32,
    previous: Duration,
    /// When it is tried again by itself.
    retry_at: Option<Instant>,
}

/// The most subscriptions of one link. More want a protocol of their own.
pub const SUBSCRIPTIONS_MAX: usize = 65_536;

/// Waits of a subscription that was refused: as those of a link.
const BACKOFF: BackoffConfig = BackoffConfig {
    strategy: Strategy::Exponential,
    base: Duration::from_secs(1),
    cap: Duration::from_secs(60),
    factor: Ratio::percent(200),
    increment: None,
    jitter: Jitter::Full,
};

impl Subscriptions {
    /// Subscribes with `message` on every connection from the next on. The same key again replaces
    /// the message in its place. Says whether there was room.
    ///
    /// [`super::WebSocket::subscribe`] sends it over the present connection too.
    pub fn set(&self, key: &str, message: impl Into<Message>) -> bool {
        let message = message.into();
        let mut entries = self.entries();
        if let Some(entry) = entries.iter_mut().find(|entry| *entry.key == *key) {
            entry.message = message;
            (entry.refusals, entry.retry_at) = (0, None);
            return true;
        }
        if entries.len() >= SUBSCRIPTIONS_MAX {
            return false;
        }
        let entry = Entry {
            key: key.into(),
            message,
            refusals: 0,
            previous: Duration::ZERO,
            retry_at: None,
        };
        entries.push(entry);
        true
    }

    /// Subscribes it no more.
    pub fn remove(&self, key: &str) {
        let _was_there = self.take_out(key);
    }

    /// The same, and says whether it was there.
    pub(super) fn take_out(&self, key: &str) -> bool {
        let mut entries = self.entries();
        let before = entries.len();
        entries.retain(|entry| *entry.key != *key);
        entries.len() < before
    }

    /// Subscribes nothing any more, such as at a logout.
    pub fn clear(&self) {
        self.entries().clear();
    }

    /// The peer refused it: it is sent again after a while, on this connection or the next. Answers
    /// after how long; none when there is no such subscription.
    pub fn refused(&self, key: &str) -> Option<Duration> {
        let (now, bits) = (clock::now(), clock::draw());
        let mut entries = self.entries();
        let entry = entries.iter_mut().find(|entry| *entry.key == *key)?;
        entry.refusals = entry.refusals.saturating_add(1);
        let backoff = Backoff::new(&BACKOFF).ok()?;
        let delay = backoff.delay(entry.refusals, entry.previous, Pressure::NONE, bits);
        entry.previous = delay;
        entry.retry_at = Some(now.after(delay));
        drop(entries);
        let pump = self.0.pump.lock().unwrap_or_else(PoisonError::into_inner).take();
        pump.into_iter().for_each(Waker::wake);
        Some(delay)
    }

    /// The peer accepted it: earlier refusals are forgotten.
    pub fn accepted(&self, key: &str) {
        if let Some(entry) = self.entries().iter_mut().find(|entry| *entry.key == *key) {
            (entry.refusals, entry.previous, entry.retry_at) = (0, Duration::ZERO, None);
        }
    }

    /// The keys, in the order of subscribing.
    #[must_use]
    pub fn keys(&self) -> Vec<Arc<str>> {
        self.entries().iter().map(|entry| entry.key.clone()).collect()
    }

    /// What is to be sent on a new connection. Those that were refused wait for their time.
    pub(super) fn all(&self, now: Instant) -> Vec<Message> {
        let mut entries = self.entries();
        let due = entries.iter_mut().filter(|entry| entry.retry_at.is_none_or(|at| at <= now));
        due.map(|entry| {
            entry.retry_at = None;
            entry.message.clone()
        })
        .collect()
    }

    /// When something is to be tried again; wakes `pump` when that changes.
    pub(super) fn deadline(&self, pump: &Waker) -> Option<Instant> {
        let entries = self.entries();
        if entries.is_empty() {
            return None;
        }
        let mut slot = self.0.pump.lock().unwrap_or_else(PoisonError::into_inner);
        if !slot.as_ref().is_some_and(|waker| waker.will_wake(pump)) {
            *slot = Some(pump.clone());
        }
        entries.iter().filter_map(|entry| entry.retry_at).min()
    }

    /// What is to be tried again now.
    pub(super) fn due(&self, now: Instant) -> Vec<Message> {
        let mut entries = self.entries();
        let due = entries.iter_mut().filter(|entry| entry.retry_at.is_some_and(|at| at <= now));
        due.map(|entry| {
            entry.retry_at = None;
            entry.message.clone()
        })
        .collect()
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Subscriptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is sent may hold secrets.
        f.debug_set().entries(self.keys()).finish()
    }
}
