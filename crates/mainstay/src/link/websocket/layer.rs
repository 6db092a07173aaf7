//! A protocol above the messages of a link: it greets first, and stands between the socket and the
//! application.

use std::future::Future;
use std::pin::Pin;
use std::task::Context;

use mainstay_core::link::Reaction;
use mainstay_core::time::Instant;

use super::config::Ending;
use super::message::Message;
use super::opening::Opening;
use crate::link::transport::DialError;

/// A greeting under way; it answers the connection, numbered by [`Opening::number`].
pub(in crate::link) type Greeting<'a> =
    Pin<Box<dyn Future<Output = Result<Opening, DialError>> + Send + 'a>>;

/// What a link speaks in place of bare messages. Connections are told apart by the number that the
/// layer gave them when it greeted.
pub(in crate::link) trait Layer: Send + Sync + 'static {
    /// Says what has to be said before anything else, with the token that the provider gave.
    fn greet(&self, opening: Opening, token: Option<String>) -> Greeting<'_>;

    /// Puts what is to be written now into `out`, which is empty. If that is nothing, the next to be
    /// written wakes `context`.
    fn take(&self, connection: u64, now: Instant, out: &mut Vec<Message>, context: &Context<'_>);

    /// Whether the layer still speaks over this connection, and not over a later one.
    fn is_current(&self, connection: u64) -> bool;

    /// When there will be something to be written by itself.
    fn deadline(&self, connection: u64) -> Option<Instant>;

    /// Takes messages that came.
    ///
    /// # Errors
    ///
    /// [`GiveUp`] when the connection must not go on.
    fn deliver(
        &self,
        connection: u64,
        now: Instant,
        messages: &mut dyn Iterator<Item = Message>,
    ) -> Result<(), GiveUp>;

    /// The connection ended, by the peer's doing; says what to do about it. `usual` is what a link
    /// without a layer would do.
    fn ended(&self, connection: u64, ending: &Ending<'_>, usual: Reaction) -> Reaction;

    /// The connection is being closed: what still has to be said is to be taken now.
    fn closing(&self, connection: u64);

    /// The link has given up, or is trying again.
    fn failed(&self, failed: bool);

    /// The link is over.
    fn stop(&self);
}

/// Why a layer gives a connection up.
#[derive(Debug)]
pub(in crate::link) struct GiveUp {
    /// The close code that tells the peer so.
    pub(in crate::link) code: u16,
    /// The same for people.
    pub(in crate::link) reason: &'static str,
    /// What the link makes of it.
    pub(in crate::link) error: DialError,
}
