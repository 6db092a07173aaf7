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
/// What is removed while the link is down is not subscribed again, and what is subscribed or removed
/// while a connection is being made is not forgotten. A subscription that the peer
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
    book: Mutex<Book>,
}

/// What only one may look at at a time.
#[derive(Default)]
struct Book {
    entries: Vec<Entry>,
    /// What is to be said about those that were removed, and over which connection alone.
    farewells: Vec<(u64, Message)>,
    /// The number of the newest connection. Numbers rise, so that whatever happens between greeting
    /// a connection and serving it is known to have happened.
    newest: u64,
    /// Who sends what has come meanwhile.
    pump: Option<Waker>,
}

#[derive(Clone, Debug)]
struct Entry {
    key: Arc<str>,
    message: Message,
    /// The connection over which it was sent last; 0: it is to be sent.
    sent_over: u64,
    /// How often the peer has refused it in a row.
    refusals: u32,
    previous: Duration,
    /// Not to be sent before.
    not_before: Option<Instant>,
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
    /// Subscribes with `message`: now, if there is a connection, and on every later one before
    /// anything else is sent. The same key again replaces the message in its place. Says whether
    /// there was room.
    pub fn set(&self, key: &str, message: impl Into<Message>) -> bool {
        let message = message.into();
        let mut book = self.book();
        let fresh = Entry {
            key: key.into(),
            message,
            sent_over: 0,
            refusals: 0,
            previous: Duration::ZERO,
            not_before: None,
        };
        if let Some(entry) = book.entries.iter_mut().find(|entry| *entry.key == *key) {
            *entry = fresh;
        } else if book.entries.len() < SUBSCRIPTIONS_MAX {
            book.entries.push(fresh);
        } else {
            return false;
        }
        book.wake();
        true
    }

    /// Subscribes it no more.
    pub fn remove(&self, key: &str) {
        let _was_there = self.take_out(key, None);
    }

    /// The same, says so with `farewell` to the peer that has it, and says whether it was there.
    pub(super) fn take_out(&self, key: &str, farewell: Option<Message>) -> bool {
        let mut book = self.book();
        let Some(index) = book.entries.iter().position(|entry| *entry.key == *key) else {
            return false;
        };
        let entry = book.entries.remove(index);
        if let Some(farewell) = farewell
            && entry.sent_over > 0
            && book.farewells.len() < SUBSCRIPTIONS_MAX
        {
            book.farewells.push((entry.sent_over, farewell));
            book.wake();
        }
        true
    }

    /// Subscribes nothing any more, such as at a logout.
    pub fn clear(&self) {
        self.book().entries.clear();
    }

    /// The peer refused it: it is sent again after a while, on this connection or the next. Answers
    /// after how long; none when there is no such subscription.
    #[expect(clippy::must_use_candidate, reason = "the delay is for who wants to show it")]
    pub fn refused(&self, key: &str) -> Option<Duration> {
        let (now, bits) = (clock::now(), clock::draw());
        let backoff = Backoff::new(&BACKOFF).ok()?;
        let mut book = self.book();
        let entry = book.entries.iter_mut().find(|entry| *entry.key == *key)?;
        entry.refusals = entry.refusals.saturating_add(1);
        let delay = backoff.delay(entry.refusals, entry.previous, Pressure::NONE, bits);
        (entry.previous, entry.sent_over) = (delay, 0);
        entry.not_before = Some(now.after(delay));
        book.wake();
        Some(delay)
    }

    /// The peer accepted it: earlier refusals are forgotten.
    pub fn accepted(&self, key: &str) {
        if let Some(entry) = self.book().entries.iter_mut().find(|entry| *entry.key == *key) {
            (entry.refusals, entry.previous, entry.not_before) = (0, Duration::ZERO, None);
        }
    }

    /// The keys, in the order of subscribing.
    #[must_use]
    pub fn keys(&self) -> Vec<Arc<str>> {
        self.book().entries.iter().map(|entry| entry.key.clone()).collect()
    }

    /// A number for a new connection, and what is to be sent over it first. Those that were refused
    /// wait for their time.
    pub(super) fn greet(&self, now: Instant) -> (u64, Vec<Message>) {
        let mut book = self.book();
        book.newest += 1;
        let number = book.newest;
        (number, book.take_due(number, now))
    }

    /// What has come since `connection` was greeted and is to be said over it.
    pub(super) fn due(&self, connection: u64, now: Instant) -> Vec<Message> {
        let mut book = self.book();
        let mut due = Vec::new();
        // First: who was removed and set again is to be subscribed in the end.
        book.farewells.retain(|(over, farewell)| {
            if *over == connection {
                due.push(farewell.clone());
            }
            // What was said over an earlier connection went with it.
            *over > connection
        });
        due.extend(book.take_due(connection, now));
        due
    }

    /// When something is to be said over `connection`; wakes `pump` when that changes.
    pub(super) fn deadline(&self, connection: u64, pump: &Waker) -> Option<Instant> {
        let mut book = self.book();
        if !book.pump.as_ref().is_some_and(|waker| waker.will_wake(pump)) {
            book.pump = Some(pump.clone());
        }
        let at_once = Instant::from_nanos(0);
        let farewell = book.farewells.iter().any(|(over, _)| *over <= connection);
        let unsent = book.entries.iter().filter(|entry| entry.sent_over < connection);
        let at = unsent.map(|entry| entry.not_before.unwrap_or(at_once)).min();
        if farewell { Some(at_once) } else { at }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn take_due(&mut self, connection: u64, now: Instant) -> Vec<Message> {
        let due = |entry: &&mut Entry| {
            entry.sent_over < connection && entry.not_before.is_none_or(|at| at <= now)
        };
        let due = self.entries.iter_mut().filter(due);
        due.map(|entry| {
            (entry.sent_over, entry.not_before) = (connection, None);
            entry.message.clone()
        })
        .collect()
    }

    fn wake(&mut self) {
        self.pump.take().into_iter().for_each(Waker::wake);
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

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn texts(messages: &[Message]) -> Vec<&str> {
        messages.iter().filter_map(Message::as_text).collect()
    }

    #[test]
    fn w32_what_is_subscribed_while_a_connection_is_greeted_is_sent_over_it() {
        let wanted = Subscriptions::default();
        assert!(wanted.set("a", "+a"));
        let (first, greeting) = wanted.greet(at(0));
        assert_eq!(texts(&greeting), ["+a"]);
        assert!(wanted.set("b", "+b"));
        assert_eq!(wanted.deadline(first, Waker::noop()), Some(at(0)));
        assert_eq!(texts(&wanted.due(first, at(1))), ["+b"]);
        assert_eq!(wanted.deadline(first, Waker::noop()), None);
        assert!(wanted.due(first, at(2)).is_empty(), "once");
    }

    #[test]
    fn w32_what_is_removed_while_a_connection_is_greeted_is_said_over_it_alone() {
        let wanted = Subscriptions::default();
        assert!(wanted.set("a", "+a") && wanted.set("b", "+b"));
        let (first, _) = wanted.greet(at(0));
        assert!(wanted.take_out("a", Some("-a".into())));
        assert!(!wanted.take_out("a", Some("-a".into())));
        assert_eq!(texts(&wanted.due(first, at(1))), ["-a"]);
        assert!(wanted.take_out("b", Some("-b".into())));
        assert!(wanted.set("a", "+a again"));
        assert!(wanted.take_out("a", Some("-a again".into())), "before it was sent");
        let (second, greeting) = wanted.greet(at(2));
        assert!(greeting.is_empty(), "what is not wanted is not subscribed again");
        assert!(wanted.due(second, at(3)).is_empty(), "the next connection never had it");
    }

    #[test]
    fn w32_who_leaves_and_comes_back_stays() {
        let wanted = Subscriptions::default();
        assert!(wanted.set("a", "+a"));
        let (first, _) = wanted.greet(at(0));
        assert!(wanted.take_out("a", Some("-a".into())));
        assert!(wanted.set("a", "+a"));
        assert_eq!(texts(&wanted.due(first, at(1))), ["-a", "+a"]);
    }

    #[test]
    fn w43_what_comes_during_a_migration_reaches_both_connections_once() {
        let wanted = Subscriptions::default();
        assert!(wanted.set("a", "+a"));
        let (old, _) = wanted.greet(at(0));
        let (new, greeting) = wanted.greet(at(1));
        assert_eq!(texts(&greeting), ["+a"]);
        assert!(wanted.due(old, at(2)).is_empty(), "the old one has it already");
        assert!(wanted.set("b", "+b"));
        assert_eq!(texts(&wanted.due(old, at(3))), ["+b"]);
        assert_eq!(texts(&wanted.due(new, at(4))), ["+b"]);
    }

    #[test]
    fn w32_a_refusal_backs_off_by_itself_and_an_acceptance_forgives() {
        let wanted = Subscriptions::default();
        assert!(wanted.set("a", "+a"));
        let (first, _) = wanted.greet(at(0));
        let mut longest = Duration::ZERO;
        for _ in 0..20 {
            longest = longest.max(wanted.refused("a").unwrap());
            let due = wanted.deadline(first, Waker::noop()).unwrap();
            assert_eq!(wanted.due(first, due).len(), 1);
        }
        assert!(longest > Duration::from_secs(1) && longest <= Duration::from_secs(60));
        wanted.accepted("a");
        assert!(wanted.refused("a").unwrap() <= Duration::from_secs(1));
        assert_eq!(wanted.refused("b"), None);
    }
}
