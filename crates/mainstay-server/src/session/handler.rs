use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use mainstay_registry::{Event, Record, SessionId};
use mainstay_wire::Raw;

use super::peer::{Peer, SendError};

/// What an application does with its sessions.
///
/// Every method has a body that does nothing, so that an application writes what it needs. They are
/// called on the tasks of the server: one that blocks its thread holds up other sessions.
pub trait Handler: Send + Sync + 'static {
    /// A client said something. It is acknowledged when this is done; until then nothing more is
    /// read from that client.
    fn message(&self, session: &Session, message: Raw) -> Handled {
        let (_, _) = (session, message);
        Handled::Done
    }

    /// A session is expected back, within that time. Clients come by themselves; an application whose
    /// peers wait to be dialled dials this one.
    fn reconnect(&self, session: SessionId, attempt: u32, within: Duration) {
        let (_, _, _) = (session, attempt, within);
    }

    /// Whether it wants to be told [events](Self::event). Default yes.
    fn wants_events(&self) -> bool {
        true
    }

    /// Something happened to a session, and is stored. In the order of each session's `seq`.
    fn event(&self, event: &Arc<Event>) {
        let _ = event;
    }
}

/// What became of a message.
pub enum Handled {
    /// It was processed.
    Done,
    /// It is processed when this ends.
    Later(Pin<Box<dyn Future<Output = ()> + Send>>),
}

impl Handled {
    /// It is processed when `work` ends.
    pub fn later(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self::Later(Box::pin(work))
    }
}

impl fmt::Debug for Handled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done => "Done",
            Self::Later(_) => "Later(…)",
        })
    }
}

/// A session, for whoever sends to it. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Session {
    pub(super) peer: Arc<Peer>,
    pub(super) user: Option<Arc<str>>,
    pub(super) organisation: Arc<str>,
}

impl Session {
    pub(super) fn of(peer: Arc<Peer>, record: &Record) -> Self {
        Self {
            peer,
            user: record.user.as_deref().map(Arc::from),
            organisation: (&*record.organisation).into(),
        }
    }

    /// Its public name.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.peer.session
    }

    /// Whose it is; none for the anonymous.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The organisation it belongs to.
    #[must_use]
    pub fn organisation(&self) -> &str {
        &self.organisation
    }

    /// Sends a message that arrives once and in order, over this connection or a later one. The
    /// answer is its number.
    ///
    /// # Errors
    ///
    /// [`SendError`]: [`SendError::Full`] when the client has not acknowledged as much as may be
    /// held for it.
    pub fn send(&self, message: &Raw) -> Result<u64, SendError> {
        self.peer.send(message).map(|seq| seq.0)
    }

    /// Sends a message that is lost when nobody is there, or when the connection breaks. Says
    /// whether somebody is there.
    ///
    /// # Errors
    ///
    /// [`SendError::TooLarge`] and [`SendError::Gone`].
    pub fn tell(&self, message: &Raw) -> Result<bool, SendError> {
        self.peer.tell(message)
    }

    /// Messages that were sent and are not acknowledged.
    #[must_use]
    pub fn unacknowledged(&self) -> usize {
        self.peer.unacknowledged()
    }
}
