use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::event::{LinkEvent, NAMES};

/// The most listeners one link has. More are a leak.
pub const LISTENERS_MAX: usize = 256;

type Callback = dyn Fn(&LinkEvent) + Send + Sync;

struct Entry {
    name: Box<str>,
    call: Box<Callback>,
}

/// The listeners of one link.
#[derive(Default)]
pub(super) struct Listeners {
    entries: Mutex<Vec<Arc<Entry>>>,
}

/// A listener that was added, and can be removed. Dropping this leaves it in place.
#[derive(Clone)]
pub struct Listener {
    entry: Weak<Entry>,
    home: Weak<Listeners>,
}

/// Why a listener was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListenError {
    /// No event has that name, neither dotted nor as an alias. The programmer must act.
    UnknownEvent,
    /// There are [`LISTENERS_MAX`] already.
    TooMany,
}

impl Listeners {
    pub(super) fn add(
        self: &Arc<Self>,
        name: &str,
        call: impl Fn(&LinkEvent) + Send + Sync + 'static,
    ) -> Result<Listener, ListenError> {
        if name != "*" && !NAMES.iter().any(|(own, old)| *own == name || *old == Some(name)) {
            return Err(ListenError::UnknownEvent);
        }
        let mut entries = self.entries();
        if entries.len() >= LISTENERS_MAX {
            return Err(ListenError::TooMany);
        }
        let entry = Arc::new(Entry { name: name.into(), call: Box::new(call) });
        let listener = Listener { entry: Arc::downgrade(&entry), home: Arc::downgrade(self) };
        entries.push(entry);
        Ok(listener)
    }

    /// Removes them all: nothing will be told any more. They may hold handles of their own link.
    pub(super) fn clear(&self) {
        let entries = std::mem::take(&mut *self.entries());
        drop(entries);
    }

    pub(super) fn len(&self) -> usize {
        self.entries().len()
    }

    /// Calls everyone who wants `event`, holding no lock: a listener may add or remove listeners,
    /// and one that panics keeps none of the others from being called.
    pub(super) fn call(&self, event: &LinkEvent) {
        let snapshot: Vec<Arc<Entry>> = self.entries().clone();
        for entry in snapshot.iter().filter(|entry| event.is_called(&entry.name)) {
            if catch_unwind(AssertUnwindSafe(|| (entry.call)(event))).is_err() {
                tracing::error!(link = %event.link, event = event.name(), "a listener panicked");
            }
        }
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener {
    /// Removes it. Does nothing the second time.
    pub fn remove(&self) {
        if let Some(home) = self.home.upgrade() {
            home.entries().retain(|entry| !std::ptr::eq(Arc::as_ptr(entry), self.entry.as_ptr()));
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownEvent => f.write_str("no event has that name"),
            Self::TooMany => write!(f, "the link has {LISTENERS_MAX} listeners already"),
        }
    }
}

impl Error for ListenError {}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_core::link::Event as What;

    #[test]
    fn the_names_are_those_of_the_machine() {
        let known = |what: What| NAMES.contains(&(what.name(), what.alias()));
        assert!(known(What::Connected) && known(What::BreakerHalfOpen));
        assert!(known(What::AttemptsExhausted { attempts: 1 }));
        let found = Arc::new(Listeners::default());
        assert_eq!(found.add("conected", |_| {}).unwrap_err(), ListenError::UnknownEvent);
    }
}
