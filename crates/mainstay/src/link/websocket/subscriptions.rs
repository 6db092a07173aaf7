use std::collections::VecDeque;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
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
    /// None until something is subscribed: most links have none.
    book: Mutex<Option<Box<Book>>>,
    /// The revision of the book, to be looked at without a lock.
    latest: AtomicU64,
    /// Who says what has changed or is to be tried again: the pumps of the links that share this.
    pumps: Mutex<Vec<Waker>>,
    /// How often they were called. Who has waited since the last time waits still.
    calls: AtomicU64,
}

/// What is subscribed, and what has changed. Each change has a number: a connection knows up to
/// which it was told, so that one made beside another is told what only the other has heard.
#[derive(Default)]
struct Book {
    entries: Vec<Entry>,
    farewells: VecDeque<Farewell>,
    revision: u64,
    /// What the newest connection was told when it was made.
    greeted: u64,
}

/// What is to be said to a connection that was told of it and not of its end.
struct Farewell {
    added: u64,
    removed: u64,
    message: Message,
}

#[derive(Clone, Debug)]
struct Entry {
    key: Arc<str>,
    message: Message,
    /// The change that brought it, and the last that changed it.
    added: u64,
    changed: u64,
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
    /// Subscribes with `message`: now, if there is a connection, and on every later one. The same key
    /// again replaces the message in its place. Says whether there was room.
    pub fn set(&self, key: &str, message: impl Into<Message>) -> bool {
        let message = message.into();
        {
            let mut book = self.book();
            let revision = book.revision + 1;
            if let Some(entry) = book.entries.iter_mut().find(|entry| *entry.key == *key) {
                (entry.message, entry.changed) = (message, revision);
                (entry.refusals, entry.retry_at) = (0, None);
            } else if book.entries.len() >= SUBSCRIPTIONS_MAX {
                return false;
            } else {
                let entry = Entry {
                    key: key.into(),
                    message,
                    added: revision,
                    changed: revision,
                    refusals: 0,
                    previous: Duration::ZERO,
                    retry_at: None,
                };
                book.entries.push(entry);
            }
            self.revise(&mut book);
        }
        self.call();
        true
    }

    /// Subscribes it no more.
    pub fn remove(&self, key: &str) {
        let _was_there = self.take_out(key, None);
    }

    /// The same, and says so with `farewell` to a connection that was told of it; answers whether it
    /// was there.
    pub(super) fn take_out(&self, key: &str, farewell: Option<Message>) -> bool {
        {
            let mut book = self.book();
            let at = book.entries.iter().position(|entry| *entry.key == *key);
            let Some(entry) = at.map(|at| book.entries.remove(at)) else { return false };
            // One that waits to be tried again is not subscribed.
            if let (Some(message), None) = (farewell, entry.retry_at) {
                let (added, removed) = (entry.added, book.revision + 1);
                if book.farewells.len() == SUBSCRIPTIONS_MAX {
                    drop(book.farewells.pop_front());
                }
                book.farewells.push_back(Farewell { added, removed, message });
            }
            self.revise(&mut book);
        }
        self.call();
        true
    }

    /// Subscribes nothing any more, such as at a logout.
    pub fn clear(&self) {
        self.book().entries.clear();
    }

    /// The peer refused it: it is sent again after a while, on this connection or the next. Answers
    /// after how long; none when there is no such subscription.
    #[expect(clippy::must_use_candidate, reason = "it is called for its effect")]
    pub fn refused(&self, key: &str) -> Option<Duration> {
        let (now, bits) = (clock::now(), clock::draw());
        let mut book = self.book();
        let entry = book.entries.iter_mut().find(|entry| *entry.key == *key)?;
        entry.refusals = entry.refusals.saturating_add(1);
        let backoff = Backoff::new(&BACKOFF).ok()?;
        let delay = backoff.delay(entry.refusals, entry.previous, Pressure::NONE, bits);
        entry.previous = delay;
        entry.retry_at = Some(now.after(delay));
        drop(book);
        self.call();
        Some(delay)
    }

    /// The peer accepted it: earlier refusals are forgotten.
    pub fn accepted(&self, key: &str) {
        if let Some(entry) = self.book().entries.iter_mut().find(|entry| *entry.key == *key) {
            (entry.refusals, entry.previous, entry.retry_at) = (0, Duration::ZERO, None);
        }
    }

    /// The keys, in the order of subscribing.
    #[must_use]
    pub fn keys(&self) -> Vec<Arc<str>> {
        self.book().entries.iter().map(|entry| entry.key.clone()).collect()
    }

    /// What is to be said on a new connection, and the number of the last change in it. Those that
    /// were refused wait for their time.
    pub(super) fn all(&self, now: Instant) -> (Vec<Message>, u64) {
        if self.0.latest.load(Ordering::Acquire) == 0 {
            return (Vec::new(), 0);
        }
        let mut book = self.book();
        book.greeted = book.revision;
        let due = book.entries.iter_mut().filter(|entry| entry.is_due(now));
        let messages = due.map(Entry::say).collect();
        (messages, book.revision)
    }

    /// Whether anything has changed since the change numbered `told`.
    pub(super) fn changed_since(&self, told: u64) -> bool {
        self.0.latest.load(Ordering::Acquire) > told
    }

    /// What is to be said to a connection that was told all up to `told`, in the order in which it
    /// changed, and the number of the last change in it.
    pub(super) fn changes(&self, now: Instant, told: u64) -> (Vec<Message>, u64) {
        let mut book = self.book();
        let farewells = book.farewells.iter();
        let farewells = farewells.filter(|farewell| farewell.is_for(told));
        let mut changes: Vec<(u64, Message)> =
            farewells.map(|farewell| (farewell.removed, farewell.message.clone())).collect();
        let new = book.entries.iter_mut().filter(|entry| entry.changed > told);
        changes.extend(new.filter(|e| e.is_due(now)).map(|entry| (entry.changed, entry.say())));
        changes.sort_by_key(|(change, _)| *change);
        // A connection that is being made beside this one may still have to hear of it.
        let greeted = book.greeted;
        book.farewells.retain(|farewell| farewell.is_for(greeted));
        (changes.into_iter().map(|(_, message)| message).collect(), book.revision)
    }

    /// When something is to be tried again; wakes `pump` when that or anything else changes.
    pub(super) fn deadline(&self, pump: &Waker, waiting: &mut Option<u64>) -> Option<Instant> {
        if *waiting != Some(self.0.calls.load(Ordering::Acquire)) {
            let mut pumps = self.0.pumps.lock().unwrap_or_else(PoisonError::into_inner);
            if !pumps.iter().any(|waker| waker.will_wake(pump)) {
                // Almost always there is one.
                pumps.reserve_exact(1);
                pumps.push(pump.clone());
            }
            *waiting = Some(self.0.calls.load(Ordering::Acquire));
        }
        // Every change wakes the pump, which then looks.
        if self.0.latest.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.book().entries.iter().filter_map(|entry| entry.retry_at).min()
    }

    /// What is to be tried again now.
    pub(super) fn due(&self, now: Instant) -> Vec<Message> {
        let mut book = self.book();
        let waiting = book.entries.iter_mut().filter(|entry| entry.retry_at.is_some());
        waiting.filter(|entry| entry.is_due(now)).map(Entry::say).collect()
    }

    fn revise(&self, book: &mut Book) {
        book.revision += 1;
        self.0.latest.store(book.revision, Ordering::Release);
    }

    /// Wakes the pumps.
    fn call(&self) {
        let pumps = {
            let mut pumps = self.0.pumps.lock().unwrap_or_else(PoisonError::into_inner);
            self.0.calls.fetch_add(1, Ordering::AcqRel);
            std::mem::take(&mut *pumps)
        };
        pumps.into_iter().for_each(Waker::wake);
    }

    fn book(&self) -> Opened<'_> {
        Opened(self.0.book.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The book, made when it is first opened.
struct Opened<'a>(MutexGuard<'a, Option<Box<Book>>>);

impl Deref for Opened<'_> {
    type Target = Book;

    fn deref(&self) -> &Book {
        static EMPTY: Book = Book::EMPTY;
        self.0.as_deref().unwrap_or(&EMPTY)
    }
}

impl DerefMut for Opened<'_> {
    fn deref_mut(&mut self) -> &mut Book {
        self.0.get_or_insert_default()
    }
}

impl Book {
    const EMPTY: Self =
        Self { entries: Vec::new(), farewells: VecDeque::new(), revision: 0, greeted: 0 };
}

impl Entry {
    fn is_due(&self, now: Instant) -> bool {
        self.retry_at.is_none_or(|at| at <= now)
    }

    fn say(&mut self) -> Message {
        self.retry_at = None;
        self.message.clone()
    }
}

impl Farewell {
    /// Whether a connection that was told all up to `told` has heard of it, and not of its end.
    const fn is_for(&self, told: u64) -> bool {
        self.added <= told && told < self.removed
    }
}

impl fmt::Debug for Subscriptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is sent may hold secrets.
        f.debug_set().entries(self.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(messages: &[Message]) -> Vec<&str> {
        messages.iter().filter_map(Message::as_text).collect()
    }

    #[test]
    fn w32_a_connection_hears_what_changed_since_it_was_greeted_and_nothing_else() {
        let (wanted, now) = (Subscriptions::default(), Instant::from_millis(0));
        for key in ["a", "b", "c"] {
            assert!(wanted.set(key, format!("+{key}")));
        }
        let (greeting, told) = wanted.all(now);
        assert_eq!(texts(&greeting), ["+a", "+b", "+c"]);
        assert!(!wanted.changed_since(told));
        // While the greeting is on its way.
        assert!(wanted.take_out("a", Some("-a".into())));
        assert!(wanted.set("d", "+d"));
        assert!(wanted.set("e", "+e"));
        assert!(wanted.take_out("e", Some("-e".into())));
        assert!(wanted.take_out("b", Some("-b".into())) && wanted.set("b", "+b2"));
        assert!(wanted.changed_since(told));
        let (changes, told) = wanted.changes(now, told);
        assert_eq!(texts(&changes), ["-a", "+d", "-b", "+b2"], "not what came and went");
        assert!(!wanted.changed_since(told));
        assert_eq!(wanted.changes(now, told).0, []);
    }

    #[test]
    fn w32_a_connection_that_takes_over_hears_what_only_the_other_was_told() {
        let (wanted, now) = (Subscriptions::default(), Instant::from_millis(0));
        assert!(wanted.set("a", "+a") && wanted.set("b", "+b"));
        let (_, serving) = wanted.all(now);
        let (_, standby) = wanted.all(now);
        assert!(wanted.set("c", "+c") && wanted.take_out("a", Some("-a".into())));
        let (changes, serving) = wanted.changes(now, serving);
        assert_eq!(texts(&changes), ["+c", "-a"]);
        assert!(wanted.take_out("c", Some("-c".into())));
        assert_eq!(texts(&wanted.changes(now, serving).0), ["-c"]);
        assert_eq!(texts(&wanted.changes(now, standby).0), ["-a"]);
    }

    #[test]
    fn w32_what_leaves_during_a_migration_that_fails_is_said_to_who_serves_on() {
        let (wanted, now) = (Subscriptions::default(), Instant::from_millis(0));
        assert!(wanted.set("a", "+a") && wanted.set("b", "+b"));
        let (_, serving) = wanted.all(now);
        let (_, _failed) = wanted.all(now);
        assert!(wanted.take_out("a", Some("-a".into())));
        let (changes, serving) = wanted.changes(now, serving);
        assert_eq!(texts(&changes), ["-a"]);
        assert!(wanted.take_out("b", Some("-b".into())));
        assert_eq!(texts(&wanted.changes(now, serving).0), ["-b"]);
    }

    #[test]
    fn w32_a_refusal_backs_off_by_itself_and_an_acceptance_forgives() {
        let wanted = Subscriptions::default();
        assert!(wanted.set("a", "+a"));
        let (_, told) = wanted.all(Instant::from_millis(0));
        let mut longest = Duration::ZERO;
        for _ in 0..20 {
            longest = longest.max(wanted.refused("a").unwrap());
            assert!(!wanted.changed_since(told), "it is no change");
            let due = wanted.deadline(Waker::noop(), &mut None).unwrap();
            assert_eq!(wanted.due(due).len(), 1);
            assert_eq!(wanted.due(due).len(), 0, "once");
        }
        assert!(longest > Duration::from_secs(1) && longest <= Duration::from_secs(60));
        wanted.accepted("a");
        assert!(wanted.refused("a").unwrap() <= Duration::from_secs(1));
        assert_eq!(wanted.refused("b"), None);
    }
}
