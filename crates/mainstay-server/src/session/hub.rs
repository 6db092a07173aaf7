//! Everything the server knows of its sessions, and what it does about it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use mainstay::clock;
use mainstay::core::config::ConfigError;
use mainstay::core::session::status::{EndReason, LossReason};
use mainstay::core::session::stream::Epoch;
use mainstay::core::time::Instant;
use mainstay_registry::{
    Counts, Cursor, Key, Measured, Origin, Page, Query, Record, Registry, SessionId, Silence,
};
use mainstay_store::{Area, Change, Store, StoreConfig, StoreError, Writer};
use mainstay_wire::{Bye, CloseCode, Raw, Retry, Secret};

use super::config::{LimitsConfig, SessionsConfig};
use super::handler::{Handled, Handler, Session};
use super::journal::{Journal, NotStored, Stored};
use super::metadata;
use super::peer::Peer;
use super::peers::Peers;
use super::presence::Presence;
use super::restore;
use super::token::TokenKey;
use crate::auth::Auth;

/// Where the secret of resume tokens is kept.
const SECRETS: Area = Area::new("secrets");
const RESUME_KEY: &[u8] = b"resume-token";

/// The sessions of a server.
pub(crate) struct Hub {
    pub(super) registry: Registry,
    pub(super) journal: Journal,
    pub(super) peers: Peers,
    pub(super) tokens: TokenKey,
    pub(super) config: SessionsConfig,
    pub(super) auth: Arc<ArcSwap<Auth>>,
    handler: Arc<dyn Handler>,
    draining: AtomicBool,
    /// Whether nobody is given up, because too many fell silent at once.
    held: AtomicBool,
    pub(super) presence: Arc<Presence>,
}

/// Why sessions cannot be held.
#[derive(Debug)]
#[non_exhaustive]
pub enum SessionsError {
    /// The configuration makes no sense.
    Config(ConfigError),
    /// What was kept cannot be read, or nothing can be kept.
    Store(StoreError),
    /// The system gives no random bits.
    Random,
}

/// Why something was not done to a session.
#[derive(Debug)]
pub(crate) enum NotDone {
    /// There is no such session.
    Unknown,
    /// It is over.
    Gone,
    /// It could not be stored yet.
    Store(NotStored),
}

impl Hub {
    /// The sessions that `store` has kept, each waiting for its client.
    pub(crate) fn open(
        config: &SessionsConfig,
        store: Arc<dyn Store>,
        store_config: &StoreConfig,
        auth: Arc<ArcSwap<Auth>>,
        handler: Arc<dyn Handler>,
    ) -> Result<Self, SessionsError> {
        let now = clock::now_blocking();
        let origin = Origin { now, unix_ms: unix_ms() };
        let registry = Registry::new(&config.registry, origin).map_err(SessionsError::Config)?;
        let writer = Arc::new(Writer::start(store.clone(), store_config)?);
        restore::restore(&registry, &*store, &writer, now)?;
        let tokens = TokenKey::new(&secret(&*store, &writer)?);
        let journal = Journal::new(store, writer);
        // A few restored sessions are in the history before anybody can ask.
        restore::tell(&registry, &journal.writer, now);
        journal.take_all_down(&registry).for_each(drop);
        Ok(Self {
            registry,
            journal,
            peers: Peers::new(),
            tokens,
            config: config.clone(),
            auth,
            handler,
            draining: AtomicBool::new(false),
            held: AtomicBool::new(false),
            presence: Arc::default(),
        })
    }

    /// Messages, and bytes of them, that may wait for the application on one connection: twice what
    /// a client with our own window has on its way.
    pub(super) fn backlog(&self) -> (usize, usize) {
        let twice = |most: u32| usize::try_from(most).unwrap_or(usize::MAX).saturating_mul(2);
        let stream = &self.config.stream;
        (twice(stream.messages), twice(stream.bytes).max(4 * self.config.limits.frame_max))
    }

    /// Where everything is kept, and what commits to it.
    pub(crate) fn keeps(&self) -> (Arc<dyn Store>, Arc<Writer>) {
        (self.journal.store.clone(), self.journal.writer.clone())
    }

    pub(crate) const fn limits(&self) -> &LimitsConfig {
        &self.config.limits
    }

    /// What happened, and where it is stored.
    pub(crate) const fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Something came over this connection.
    pub(super) fn heard(&self, now: Instant, key: Key) {
        self.registry.heard(now, key);
    }

    /// Its client answered a ping.
    pub(super) fn answered(&self, now: Instant, key: Key, rtt: Duration) {
        self.journal.tally.round_trip(rtt);
        self.registry.answered(now, key, rtt);
    }

    /// Its client said something.
    pub(super) fn message(&self, session: &Session, payload: Raw) -> Handled {
        self.journal.tally.message();
        self.handler.message(session, payload)
    }

    /// Its client says something else about itself from now on.
    pub(super) fn describe(&self, session: SessionId, text: &str) -> Result<(), CloseCode> {
        metadata::check(text, self.limits()).map_err(|_| CloseCode::BAD_FRAME)?;
        self.act(session, |registry, now| registry.set_metadata(now, session, text.into()));
        Ok(())
    }

    /// Its client shows new credentials; answers until when they hold.
    pub(super) fn renew(
        &self,
        session: &Session,
        shown: &Secret,
    ) -> Result<Option<Instant>, CloseCode> {
        let now = unix_ms() / 1000;
        let who = self.auth.load().identify(Some(shown.expose()), now);
        let who = who.map_err(|_| CloseCode::UNAUTHORISED)?;
        if who.user.as_deref() != session.user() || *who.organisation != *session.organisation() {
            return Err(CloseCode::UNAUTHORISED);
        }
        Ok(expiry(who.expires_at))
    }

    /// A connection is no more.
    pub(super) fn lost(&self, key: Key, reason: LossReason) {
        if let Some(peer) = self.peers.get(key.session()) {
            peer.leave(key.generation());
        }
        self.act(key.session(), |registry, now| registry.lost(now, key, reason));
    }

    /// A client rests.
    pub(super) fn rests(&self, key: Key, how_long: Option<Duration>) {
        if let Some(peer) = self.peers.get(key.session()) {
            peer.leave(key.generation());
        }
        self.act(key.session(), |registry, now| {
            registry.suspend(now, key.session(), LossReason::Asked, how_long)
        });
    }

    /// A session is over, by the client's own word.
    pub(super) fn left(&self, key: Key) {
        self.act(key.session(), |registry, now| registry.end(now, key.session(), EndReason::Bye));
    }

    /// Does something to a session without waiting for it to be stored.
    pub(super) fn act<T>(
        &self,
        session: SessionId,
        act: impl FnOnce(&Registry, Instant) -> T,
    ) -> T {
        let (done, _ticket) = self.journaled(session, act);
        done
    }

    /// Does something to a session and takes down what follows from it.
    pub(super) fn journaled<T>(
        &self,
        session: SessionId,
        act: impl FnOnce(&Registry, Instant) -> T,
    ) -> (T, Stored) {
        let now = clock::now();
        let shard = session.shard();
        let (done, effects, stored) =
            self.journal.write(&self.registry, shard, |registry| act(registry, now));
        self.perform(effects);
        (done, stored)
    }

    /// A session ends by an operator's word, with what its client is told.
    pub(crate) async fn end(
        &self,
        session: SessionId,
        reason: EndReason,
        bye: Bye,
    ) -> Result<(), NotDone> {
        // The first goodbye is the one that is said.
        if let Some(peer) = self.peers.get(session) {
            peer.end(bye);
        }
        let (done, stored) =
            self.journaled(session, |registry, now| registry.end(now, session, reason));
        self.settled(session, done, stored).await
    }

    /// A session rests by an operator's word; its client may come back.
    pub(crate) async fn suspend(
        &self,
        session: SessionId,
        how_long: Option<Duration>,
    ) -> Result<(), NotDone> {
        let (done, stored) = self.journaled(session, |registry, now| {
            registry.suspend(now, session, LossReason::Operator, how_long)
        });
        self.settled(session, done, stored).await
    }

    async fn settled(&self, session: SessionId, done: bool, stored: Stored) -> Result<(), NotDone> {
        if !done {
            let is_known = self.registry.get(session).is_some();
            return Err(if is_known { NotDone::Gone } else { NotDone::Unknown });
        }
        stored.wait().await.map_err(NotDone::Store)
    }

    /// The sessions that fit.
    pub(crate) fn find(&self, wanted: &Query, cursor: Cursor, limit: usize) -> Page {
        self.registry.find(wanted, cursor, limit)
    }

    /// How many sessions there are, and how they are.
    pub(crate) fn counts(&self) -> Counts {
        self.registry.counts()
    }

    /// What beats said since this was last asked.
    pub(crate) fn take_measured(&self) -> Measured {
        self.registry.take_measured()
    }

    /// Whether nobody is given up now, because too many fell silent at once, or we slept.
    pub(crate) fn is_held(&self) -> bool {
        self.held.load(Ordering::Relaxed)
    }

    pub(super) fn hold(&self, held: bool) {
        self.held.store(held, Ordering::Relaxed);
    }

    /// Asks clients for fewer beats, the higher `stress` is (0 to 7).
    pub(crate) fn spare(&self, stress: u8) {
        let spared = self.registry.set_stress(stress);
        debug_assert!(spared.is_ok(), "the monitor's stress is within the registry's");
    }

    /// What is known of a session.
    pub(crate) fn record(&self, session: SessionId) -> Option<Record> {
        self.registry.get(session)
    }

    /// How long a session with a connection has been silent, and what will come of that.
    pub(crate) fn silence(&self, session: SessionId) -> Option<Silence> {
        self.registry.silence(clock::now(), session)
    }

    /// A session to send to, unless it is over.
    pub(crate) fn session(&self, session: SessionId) -> Option<Session> {
        let record = self.record(session).filter(|record| record.ended.is_none())?;
        Some(Session::of(self.peer(session), &record))
    }

    /// The messages of a session.
    pub(super) fn peer(&self, session: SessionId) -> Arc<Peer> {
        self.peers.get_or(session, || {
            let (stream, frame_max) = (&self.config.stream, self.config.limits.frame_max);
            // It was checked when the hub was opened.
            Peer::new(session, stream, frame_max, Epoch(clock::draw()))
                .expect("a checked configuration")
        })
    }

    /// Waits until the last connection is gone.
    pub(crate) async fn deserted(&self) {
        self.presence.deserted().await;
    }

    /// Whether clients are sent away.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    pub(super) fn drains(&self) {
        self.draining.store(true, Ordering::Release);
    }

    pub(super) fn handler(&self) -> &Arc<dyn Handler> {
        &self.handler
    }

    /// When clients come back that are sent away for a while.
    pub(super) fn retry(&self) -> Retry {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let retry = &self.config.retry;
        Retry { after_ms: millis(retry.base), jitter_ms: millis(retry.jitter) }
    }

    /// A goodbye of that code; those that bring clients back say when.
    pub(super) fn bye(&self, code: CloseCode) -> Bye {
        let comes_back = (4100..4200).contains(&code.code);
        let retry = comes_back.then(|| self.retry());
        Bye { code: code.code, reason: code.name.into(), retry }
    }
}

/// The secret of resume tokens: made once, and kept.
fn secret(store: &dyn Store, writer: &Writer) -> Result<[u8; 32], SessionsError> {
    let kept = store.value(SECRETS, RESUME_KEY)?;
    if let Some(secret) = kept.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()) {
        return Ok(secret);
    }
    let random = ring::rand::SystemRandom::new();
    let secret: [u8; 32] =
        ring::rand::generate(&random).map_err(|_| SessionsError::Random)?.expose();
    writer.submit_blocking(vec![Change::put_value(SECRETS, RESUME_KEY, &secret)])?.wait()?;
    Ok(secret)
}

/// Until when credentials hold, on the clock of connections.
pub(super) fn expiry(expires_at: Option<u64>) -> Option<Instant> {
    expires_at.map(|at| {
        let left = at.saturating_mul(1000).saturating_sub(unix_ms());
        clock::now().after(Duration::from_millis(left))
    })
}

/// The wall clock in milliseconds since 1970.
pub(crate) fn unix_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("registry", &self.registry).finish_non_exhaustive()
    }
}

impl From<StoreError> for SessionsError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl fmt::Display for SessionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Random => f.write_str("the system gives no random bits"),
        }
    }
}

impl std::error::Error for SessionsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(error) => Some(error),
            Self::Store(error) => Some(error),
            Self::Random => None,
        }
    }
}
