use std::error::Error;
use std::fmt;
use std::future::{Future, pending, ready};

use mainstay_core::link::{Reaction, StateName};
use mainstay_core::policy::outcome::Outcome;
use mainstay_core::time::Instant;

/// What a link dials, asks and closes.
///
/// It keeps the connection it made to itself; an application reaches it through a clone of the
/// transport's own handle. The link calls one of [`Transport::turn`], [`Transport::dial`],
/// [`Transport::lost`] and [`Transport::close`] at a time, and at most one [`Transport::probe`] and
/// one [`Transport::migrate`] beside it. Any of these
/// futures may be dropped before it ends.
pub trait Transport: Send + Sync + 'static {
    /// Where it leads, for people, such as `https://id.chitty.cc`. Must not contain a secret.
    fn target(&self) -> String;

    /// Makes a connection, replacing an earlier one. It is cut off at `deadline`.
    ///
    /// # Errors
    ///
    /// [`DialError`] with what came of it: a transient failure is tried again, a refusal or a
    /// permanent one is not.
    fn dial(&self, deadline: Instant) -> impl Future<Output = Result<(), DialError>> + Send;

    /// Asks whether the peer is well, with a connection or without one. It is cut off at
    /// `deadline`.
    ///
    /// # Errors
    ///
    /// [`DialError`] when it is not.
    fn probe(&self, deadline: Instant) -> impl Future<Output = Result<(), DialError>> + Send;

    /// Ends when the connection breaks, with the reason. By default never: then only probes and
    /// calls tell.
    fn lost(&self) -> impl Future<Output = DialError> + Send {
        pending()
    }

    /// Told when the state of the link has another name than before.
    fn entered(&self, state: StateName) {
        let _ = state;
    }

    /// Waits until it may dial: where many links share a limit on handshakes. By default at once.
    /// The time of the dial begins afterwards.
    fn turn(&self) -> impl Future<Output = ()> + Send {
        ready(())
    }

    /// When the peer was last heard, if the transport knows: any byte is life. By default it does
    /// not, and only probes tell.
    fn heard(&self) -> Option<Instant> {
        None
    }

    /// Makes a second connection beside the one that serves; after a success that one serves and
    /// the first is drained. By default it cannot.
    ///
    /// # Errors
    ///
    /// [`DialError`] when there is no second connection; the first serves on.
    fn migrate(&self, deadline: Instant) -> impl Future<Output = Result<(), DialError>> + Send {
        let _ = deadline;
        ready(Err(DialError::new(Outcome::Permanent, "this transport cannot migrate")))
    }

    /// Closes the connection in good order.
    fn close(&self) -> impl Future<Output = ()> + Send;

    /// Drops the connection at once.
    fn abandon(&self);
}

/// Why a connection could not be made, or broke.
///
/// The outcome says who must act: after a refusal the user, otherwise time.
#[derive(Debug)]
#[non_exhaustive]
pub struct DialError {
    /// What came of it.
    pub outcome: Outcome,
    /// What to do about it, when more is known than the outcome says.
    pub reaction: Option<Reaction>,
    what: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl DialError {
    /// An error that came of `outcome`, described by `what` as a lower-case fragment.
    #[must_use]
    pub fn new(outcome: Outcome, what: impl Into<String>) -> Self {
        Self { outcome, reaction: None, what: what.into(), source: None }
    }

    /// The same with its cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same with what to do about it, such as a close code says.
    #[must_use]
    pub const fn reaction(mut self, reaction: Reaction) -> Self {
        self.reaction = Some(reaction);
        self
    }

    /// The whole chain in one line, shortened.
    pub(super) fn chain(&self) -> String {
        let mut text = self.what.clone();
        let mut next = self.source();
        while let Some(error) = next {
            text = format!("{text}: {error}");
            next = error.source();
        }
        if let Some((cut, _)) = text.char_indices().nth(LONGEST) {
            text.truncate(cut);
        }
        text
    }
}

/// Characters of an error kept for listeners.
const LONGEST: usize = 300;

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for DialError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn Error + 'static))
    }
}
