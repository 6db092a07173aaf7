//! What becomes of messages where no application takes them.

use std::sync::Arc;

use mainstay_registry::SessionId;
use mainstay_wire::Raw;
use tokio::sync::broadcast;

use super::config::Messages;
use super::handler::{Handled, Handler, Session};
use super::peer::SendError;

/// Messages that a listener may be behind before it loses some.
const BEHIND: usize = 1024;

/// A message of a client, for whoever listens.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) session: SessionId,
    pub(crate) user: Option<Arc<str>>,
    pub(crate) organisation: Arc<str>,
    pub(crate) payload: Raw,
}

/// The handler of a server by itself.
#[derive(Debug)]
pub(crate) struct Standalone {
    messages: Messages,
    told: broadcast::Sender<Told>,
}

impl Standalone {
    pub(crate) fn new(messages: Messages) -> Self {
        Self { messages, told: broadcast::Sender::new(BEHIND) }
    }

    /// Where messages are told.
    pub(crate) const fn told(&self) -> &broadcast::Sender<Told> {
        &self.told
    }
}

/// Sends it back; a client that does not acknowledge what comes back is not read further.
fn echo(session: &Session, message: Raw) -> Handled {
    match session.send(&message) {
        Err(SendError::Full) => {
            let session = session.clone();
            Handled::later(async move {
                let _sent: Result<u64, SendError> = session.send_waiting(&message).await;
            })
        }
        Ok(_) | Err(_) => Handled::Done,
    }
}

impl Handler for Standalone {
    fn wants_events(&self) -> bool {
        false
    }

    fn message(&self, session: &Session, message: Raw) -> Handled {
        match self.messages {
            Messages::Echo => return echo(session, message),
            Messages::Tell if self.told.receiver_count() > 0 => {
                let told = Told {
                    session: session.id(),
                    user: session.user.clone(),
                    organisation: session.organisation.clone(),
                    payload: message,
                };
                // The last listener may have left just now.
                let _listeners: Result<usize, _> = self.told.send(told);
            }
            Messages::Tell => {}
        }
        Handled::Done
    }
}
