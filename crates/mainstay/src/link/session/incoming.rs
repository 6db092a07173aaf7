use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;

use mainstay_wire::{Fault, Raw};

use super::restart::Restarted;
use super::shared::Shared;

/// What comes over a [`super::SessionLink`], over all its connections, in order.
///
/// There is one reader. Once it is dropped, what comes is acknowledged and thrown away, so that the
/// server does not wait for a reader that there is not.
pub struct SessionIncoming {
    pub(super) shared: Arc<Shared>,
}

/// What came. A `match` over it is exhaustive, so that nobody overlooks a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message.
    Message(Received),
    /// The session began anew.
    Restarted(Restarted),
    /// Something failed at the server, and the connection stays.
    Fault(Fault),
    /// So many messages without a number were lost, because they were not taken in time.
    Missed(u64),
}

/// A message that came.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// What it says.
    pub payload: Raw,
    /// Whether it has a number: only then does it survive a connection that breaks.
    pub tracked: bool,
}

impl SessionIncoming {
    /// The next one. None when the link was shut down and all was taken.
    ///
    /// Asking for the next says that those before are *processed*: they are acknowledged, and the
    /// server forgets them. Whoever hands messages on to others must not ask before those are done,
    /// or accepts that a crash loses what they had. For the same reason this is no `Stream`: its
    /// combinators ask ahead.
    ///
    /// Dropping the future loses nothing.
    pub async fn recv(&mut self) -> Option<Event> {
        poll_fn(|context| self.shared.poll_next(context)).await
    }

    /// What was taken so far is processed: it can be acknowledged before the next is asked for.
    pub fn done(&mut self) {
        self.shared.done();
    }
}

impl Drop for SessionIncoming {
    fn drop(&mut self) {
        self.shared.reader_gone();
    }
}

impl fmt::Debug for SessionIncoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionIncoming").finish_non_exhaustive()
    }
}
