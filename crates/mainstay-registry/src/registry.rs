use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay_core::config::{ConfigError, in_range};
use mainstay_core::detect::{MassSuspicion, OwnPause};
use mainstay_core::policy::backoff::Backoff;
use mainstay_core::policy::pressure::Pressure;
use mainstay_core::session::status::{EndReason, LossReason};
use mainstay_core::time::Instant;

use crate::config::Rules;
use crate::shard::{Expectation, Shard};
use crate::{
    Admitted, Beat, Beats, Effect, EventId, Key, Origin, Record, Refusal, Registration,
    RegistryConfig, Reserved, SessionId,
};

mod ask;
mod sweep;

pub use sweep::SweepReport;

/// How many parts a registry has, each behind its own lock.
pub const SHARDS: usize = 64;

/// The table of sessions: what happened goes in, what to do comes out.
///
/// Every method takes one lock at a time, for a moment. What there is to do waits in the shard it
/// was decided in, in order, until it is [drained](Self::drain).
///
/// ```
/// use mainstay_core::time::Instant;
/// use mainstay_registry::{Beats, Origin, Registration, Registry, RegistryConfig};
///
/// let now = Instant::from_millis(0);
/// let origin = Origin { now, unix_ms: 1_800_000_000_000 };
/// let registry = Registry::new(&RegistryConfig::default(), origin)?;
/// let admitted = registry.register(now, 1 << 100, Registration {
///     user: Some("ann".into()),
///     organisation: "acme".into(),
///     client_type: "WEB_APP".into(),
///     client_version: "".into(),
///     metadata: "".into(),
///     beats: Beats::Server,
/// })?;
/// let session = admitted.key.session();
/// assert!(registry.get(session).is_none(), "not before the store has it");
/// assert!(registry.committed(now, admitted.key));
/// assert!(registry.heard(now, admitted.key));
/// assert_eq!(registry.counts().connected, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Registry {
    shards: Box<[Mutex<Shard>]>,
    rules: Rules,
    guards: Mutex<Guards>,
    live: Arc<AtomicU32>,
    stress: AtomicU8,
    /// A bit for each shard with something to do.
    pending: AtomicU64,
}

/// What sees all shards at once.
#[derive(Debug)]
struct Guards {
    pause: OwnPause,
    mass: MassSuspicion,
    rates: [u64; 2],
    swept_at: Option<Instant>,
}

impl Guards {
    /// Nobody is given up before.
    fn held_until(&self) -> Instant {
        self.pause.lenient_until().max(self.mass.held_until())
    }
}

impl Registry {
    /// A registry without sessions.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field that makes no sense.
    pub fn new(config: &RegistryConfig, origin: Origin) -> Result<Self, ConfigError> {
        let rules = Rules::new(config)?;
        let live = Arc::new(AtomicU32::new(0));
        let shards = (0..64).map(|nr| Mutex::new(Shard::new(rules, origin, nr, Arc::clone(&live))));
        Ok(Self {
            shards: shards.collect(),
            rules,
            guards: Mutex::new(Guards {
                pause: OwnPause::new(&rules.detector),
                mass: MassSuspicion::new(&rules.detector),
                rates: [0; 2],
                swept_at: None,
            }),
            live,
            stress: AtomicU8::new(0),
            pending: AtomicU64::new(0),
        })
    }

    /// A new session. Nobody sees it, and it is not asked for beats, until the store has it and
    /// [`committed`](Self::committed) says so. `bits` are 128 fresh random bits.
    ///
    /// # Errors
    ///
    /// [`Refusal::Full`] and [`Refusal::TooManyOfUser`]: a limit is reached.
    pub fn register(
        &self,
        now: Instant,
        bits: u128,
        registration: Registration,
    ) -> Result<Admitted, Refusal> {
        let most = self.rules.config.sessions_max;
        let more = |live: u32| (live < most).then_some(live + 1);
        self.live
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .map_err(|_| Refusal::Full)?;
        let shard = match registration.user.as_deref() {
            Some(user) => shard_of(user),
            None => usize::try_from(bits >> 122).unwrap_or(0),
        };
        let admitted = self.with(shard, |shard| shard.register(now, bits, registration));
        if admitted.is_err() {
            self.live.fetch_sub(1, Ordering::Relaxed);
        }
        admitted
    }

    /// The store has a new session: it can be seen from now on. One that was ended meanwhile ends
    /// now. Answers whether it was waiting for this.
    ///
    /// A connection that breaks before this is [lost](Self::lost) after it.
    pub fn committed(&self, now: Instant, key: Key) -> bool {
        self.with(key.session.shard(), |shard| shard.committed(now, key))
    }

    /// The store could not take a new session: nothing of it remains, and it has no end either.
    pub fn rolled_back(&self, key: Key) -> bool {
        self.with(key.session.shard(), |shard| shard.rolled_back(key))
    }

    /// A new connection of a session: it gets the next generation, and one that is still there gives
    /// way to it. `shown` is the generation the client was given last. While the latest connection was
    /// never heard, those since the client was last told count too: their welcomes were lost. `replay` goes into the history;
    /// `beats` may be another than before: a client may come back through another door.
    ///
    /// # Errors
    ///
    /// [`Refusal::Unknown`], [`Refusal::Gone`] and [`Refusal::Stale`].
    pub fn resume(
        &self,
        now: Instant,
        bits: u64,
        session: SessionId,
        shown: u64,
        replay: bool,
        beats: Beats,
    ) -> Result<Admitted, Refusal> {
        self.with(session.shard(), |shard| shard.resume(now, bits, session, shown, replay, beats))
    }

    /// A frame came on this connection. `false`: it is not the connection of its session any more.
    pub fn heard(&self, now: Instant, key: Key) -> bool {
        self.with(key.session.shard(), |shard| shard.heard(now, key))
    }

    /// Frames came on these connections. Answers how many of them were refused; those of one shard
    /// that stand together cost one lock.
    pub fn heard_many(&self, now: Instant, keys: &[Key]) -> usize {
        let runs = keys.chunk_by(|a, b| a.session.shard() == b.session.shard());
        runs.map(|run| {
            self.with(run[0].session.shard(), |shard| {
                run.iter().filter(|key| !shard.heard(now, **key)).count()
            })
        })
        .sum()
    }

    /// The answer to the latest ping came after `rtt`.
    pub fn answered(&self, now: Instant, key: Key, rtt: Duration) -> bool {
        self.with(key.session.shard(), |shard| shard.answered(now, key, rtt))
    }

    /// A session beat by itself, or a gateway did for it; one that was taken for lost is back. None
    /// when it is unknown, over, was suspended by an operator, or has no connection and needs one.
    pub fn heartbeat(
        &self,
        now: Instant,
        session: SessionId,
        rtt: Option<Duration>,
    ) -> Option<Beat> {
        self.with(session.shard(), |shard| shard.heartbeat(now, session, rtt))
    }

    /// [`heartbeat`](Self::heartbeat) for many, with the answers in the same order.
    pub fn heartbeat_many(
        &self,
        now: Instant,
        beats: &[(SessionId, Option<Duration>)],
    ) -> Vec<Option<Beat>> {
        let mut answers = Vec::with_capacity(beats.len());
        for run in beats.chunk_by(|(a, _), (b, _)| a.shard() == b.shard()) {
            self.with(run[0].0.shard(), |shard| {
                answers.extend(run.iter().map(|(id, rtt)| shard.heartbeat(now, *id, *rtt)));
            });
        }
        answers
    }

    /// This connection ended; the session may come back within its grace.
    pub fn lost(&self, now: Instant, key: Key, reason: LossReason) -> bool {
        self.with(key.session.shard(), |shard| shard.lost(now, key, reason))
    }

    /// The session rests without a connection, for as long as was asked (at most `rest_max`), or as
    /// its grace is.
    pub fn suspend(
        &self,
        now: Instant,
        session: SessionId,
        reason: LossReason,
        how_long: Option<Duration>,
    ) -> bool {
        self.with(session.shard(), |shard| shard.suspend(now, session, reason, how_long))
    }

    /// The session is over. `false`: it is unknown, or was over.
    pub fn end(&self, now: Instant, session: SessionId, reason: EndReason) -> bool {
        self.with(session.shard(), |shard| shard.end(now, session, reason))
    }

    /// Removes what is left of a session; one that is not over is ended first.
    pub fn remove(&self, now: Instant, session: SessionId) -> bool {
        self.with(session.shard(), |shard| shard.remove(now, session))
    }

    /// What a session says about itself from now on.
    pub fn set_metadata(&self, now: Instant, session: SessionId, metadata: Box<str>) -> bool {
        self.with(session.shard(), |shard| shard.set_metadata(now, session, metadata))
    }

    /// Reserves a place for a session that is expected back, for as long as `backoff` waits before
    /// this attempt. A window that passes is followed by the next one, and after `max_attempts` by
    /// the end. `pressure` is what adaptive backoff looks at.
    ///
    /// # Errors
    ///
    /// [`Refusal::Unknown`], and [`Refusal::Gone`] when it is over, be it now.
    pub fn expect_back(
        &self,
        now: Instant,
        bits: u64,
        session: SessionId,
        backoff: &Backoff,
        pressure: Pressure,
        max_attempts: u16,
    ) -> Result<Reserved, Refusal> {
        let previous = Duration::ZERO;
        let expectation = Expectation { backoff: *backoff, pressure, max_attempts, previous };
        self.with(session.shard(), |shard| shard.expect_back(now, bits, session, expectation))
    }

    /// Room for so many sessions more: call it before many are restored.
    pub fn make_room(&self, sessions: usize) {
        for shard in 0..SHARDS {
            // A sixteenth more, because users are not spread evenly.
            let share = sessions.div_ceil(SHARDS);
            self.with(shard, |shard| shard.make_room(share + share / 16));
        }
    }

    /// A session from the store, after a restart: it has its full grace from now on. `false`: it is
    /// over, or known already.
    ///
    /// That it lost its connection is in its history with what happens to it next, or when
    /// [`tell_restored`](Self::tell_restored) comes to it: a start does not wait until a million
    /// rows are written again.
    ///
    /// The history goes on after everything that is restored, even when the clock was set back.
    pub fn restore(&self, now: Instant, record: Record) -> bool {
        self.with(record.session.shard(), |shard| shard.restore(now, &record))
    }

    /// Tells of about `most` restored sessions that they lost their connection with the restart, the
    /// same number in every shard; answers how many are left. Call it until that is none.
    pub fn tell_restored(&self, now: Instant, most: usize) -> usize {
        let share = most.div_ceil(SHARDS);
        (0..SHARDS).map(|shard| self.with(shard, |shard| shard.tell_restored(now, share))).sum()
    }

    /// The history goes on after this event, the last one in the store: call it before anything is
    /// restored. Rows alone do not tell it, since not every event changes a time in one.
    pub fn go_on_after(&self, last: EventId) {
        for shard in 0..SHARDS {
            self.with(shard, |shard| shard.go_on_after(last.unix_ms));
        }
    }

    /// How overloaded this server is, 0 to 7: stretches intervals and slack from the next sweep on.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] above 7.
    pub fn set_stress(&self, stress: u8) -> Result<(), ConfigError> {
        in_range("stress", stress, 0, 7)?;
        self.stress.store(stress, Ordering::Relaxed);
        Ok(())
    }

    /// Which shards have something to do, a bit for each; asking takes no lock.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.pending.load(Ordering::Acquire)
    }

    /// What there is to do in a shard, in the order in which it was decided.
    pub fn drain(&self, shard: usize, into: &mut Vec<Effect>) {
        let Some(lock) = self.shards.get(shard) else { return };
        let mut shard_guard = held(lock);
        self.pending.fetch_and(!(1 << shard), Ordering::AcqRel);
        shard_guard.drain(into);
    }

    fn with<T>(&self, shard: usize, work: impl FnOnce(&mut Shard) -> T) -> T {
        let mut held = held(&self.shards[shard]);
        let answer = work(&mut held);
        if held.has_effects() {
            self.pending.fetch_or(1 << shard, Ordering::AcqRel);
        }
        answer
    }
}

/// The lock, also after a panic of another thread: a shard is changed in whole steps.
fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The shard of a user: the same on every server, so that a session finds its own after a move.
fn shard_of(user: &str) -> usize {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
    let hash = user.bytes().fold(0xCBF2_9CE4_8422_2325, step);
    usize::try_from(mainstay_core::bits::bits(hash, 0, 0) >> 58).unwrap_or(0)
}
