//! Gives ids, each once, and says which it gave.

mod capacity;
mod issuer;
mod metadata;
mod plan;
mod prune;
mod row;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chittyid::{BuildError, ChittyId, EntityType, Profile, Profiles};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use mainstay::clock;
use mainstay::core::config::ConfigError;
use mainstay::rates::Rates;
use mainstay_store::{Change, Durability, Store, StoreError, Writer};
use ring::digest::{Context, SHA256};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

pub(crate) use capacity::Capacity;
pub use capacity::Left;
use issuer::{Before, Issuer, Job, Once, Order, Wanted, When};
pub(crate) use plan::Plan;
use row::{AUDIT, PROBE, audit_key};
pub use row::{Entry, Minted};

use crate::{Audited, AuthorityConfig, Caller};

/// The longest name of an id, in bytes.
pub const NAME_MAX: usize = 256;
/// The longest `Idempotency-Key`, in bytes.
pub const KEY_MAX: usize = 255;

/// What to mint.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// The entity, in any case.
    pub entity: String,
    /// What the caller calls it, up to 256 bytes.
    pub name: Option<String>,
    /// An object, or nothing.
    pub metadata: Option<Value>,
}

/// What was minted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mint {
    /// The ids, in the order of the requests.
    pub minted: Vec<Minted>,
    /// Whether that was answered before, under the same key.
    pub repeated: bool,
}

/// What is known of an id.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It was given here.
    Issued(Box<Minted>),
    /// It could be one of ours, but was not given here.
    NotIssued(ChittyId),
    /// It is no id that this authority gives.
    Malformed(chittyid::Error),
    /// Its check digits are wrong.
    Mismatch(ChittyId),
}

/// Why nothing was minted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum MintError {
    /// The request makes no sense; whoever sent it must act.
    Request {
        /// Which of a batch, from 0; none when it was a single one.
        index: Option<usize>,
        /// A word for programs, such as `INVALID_ENTITY`.
        code: &'static str,
        /// What is wrong.
        message: String,
    },
    /// The caller has minted too many; again in so many seconds.
    RateLimited(u32),
    /// There are not so many ids left in this sequence; the operator must change the configuration.
    Exhausted {
        /// Which, as its fields are printed.
        sequence: String,
        /// How many there are in all.
        limit: u64,
        /// How many are left: fewer than were asked for.
        left: u64,
    },
    /// The same `Idempotency-Key` was used for something else; the caller must act.
    KeyReused,
    /// Too much waits to be minted; later.
    Busy,
    /// The store could not keep it; the operator must act. Nothing was given.
    Store(StoreError),
    /// An id of an earlier answer is not in the store any more.
    Lost(ChittyId),
    /// The configuration makes no ids.
    Build(BuildError),
    /// The server stops.
    Stopping,
}

/// Where an authority takes the wall clock from.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// A part of the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditPage {
    /// What was done, the oldest first.
    pub entries: Vec<Entry>,
    /// Where to go on; none when this was the last of it.
    pub next: Option<u128>,
}

/// An authority on a store.
///
/// One process may have several on one store, and a store that another process has open cannot be
/// opened: so no number is given twice.
pub struct Authority {
    config: AuthorityConfig,
    store: Arc<dyn Store>,
    writer: Arc<Writer>,
    issuer: Issuer,
    rates: Rates<String>,
    capacity: Arc<Capacity>,
    clock: Clock,
}

impl Authority {
    /// An authority that gives what `config` says and keeps it in `store`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when the configuration makes no sense, no thread can be started, or `writer`
    /// says that something is kept before it is: an id would be given twice after a crash.
    pub fn new(
        config: AuthorityConfig,
        store: Arc<dyn Store>,
        writer: Arc<Writer>,
    ) -> Result<Self, ConfigError> {
        Self::with_clock(config, store, writer, Arc::new(SystemTime::now))
    }

    /// The same with another wall clock: it says which year and month ids carry, and how old
    /// answers and audit entries are.
    ///
    /// # Errors
    ///
    /// As [`Authority::new`].
    pub fn with_clock(
        config: AuthorityConfig,
        store: Arc<dyn Store>,
        writer: Arc<Writer>,
        clock: Clock,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        if writer.durability() == Durability::None {
            return Err(ConfigError::new("store.durability", "none", "disk or os"));
        }
        let capacity = Arc::new(Capacity::default());
        let issuer = Issuer::start(&config, store.clone(), writer.clone(), capacity.clone())
            .map_err(|error| ConfigError::new("authority", error, "a thread can be started"))?;
        let (most, minute) = (config.mints_per_minute, Duration::from_secs(60));
        let rates = Rates::new(most, minute, most)?;
        Ok(Self { config, store, writer, issuer, rates, capacity, clock })
    }

    /// What it was told.
    #[must_use]
    pub const fn config(&self) -> &AuthorityConfig {
        &self.config
    }

    /// How many ids are left in the sequences of this month or year that it gave from since it
    /// started.
    #[must_use]
    pub fn left(&self) -> Vec<Left> {
        let now = when((self.clock)());
        self.capacity.all(Plan::period(&self.config, now.year, now.month))
    }

    /// Whether it can mint: whether the store took what it was given last. Where it did not, it is
    /// given something small, so that a later call finds out.
    #[must_use]
    pub fn is_well(&self) -> bool {
        let is_failing = self.writer.stats().failing.is_some();
        if is_failing {
            let probe = Change::put_value(PROBE, b"probe", &[]);
            // The writer says how it went; where there is no room for it, others wait.
            drop(self.writer.try_submit(vec![probe]));
        }
        !is_failing && self.issuer.is_alive()
    }

    /// Mints one id for each request, all or none; kept once this answers. Under the same `key` the
    /// same caller gets the same ids for the same requests, as long as the configuration says.
    ///
    /// Dropping the future takes nothing back: what was ordered may be minted.
    ///
    /// # Errors
    ///
    /// [`MintError`], which says who must act.
    pub async fn mint(
        &self,
        requests: Vec<Request>,
        is_batch: bool,
        caller: &Caller,
        key: Option<&str>,
    ) -> Result<Mint, MintError> {
        let wanted = self.wanted(requests, is_batch)?;
        let once = key.map(|key| once(caller, key, &wanted)).transpose()?;
        if let Some(once) = &once
            && let Some(mint) = self.answered(once).await?
        {
            return Ok(mint);
        }
        let count = u32::try_from(wanted.len()).unwrap_or(u32::MAX);
        let admitted = self.rates.admit_many(clock::now(), caller.told_apart_by(), count);
        admitted.map_err(MintError::RateLimited)?;
        let (answer, answered) = oneshot::channel();
        let order = Order { wanted, once, caller: caller.clone(), at: self.now(), answer };
        self.issuer.ask(Job::Mint(order))?;
        let mint = answered.await.map_err(|_| MintError::Stopping)??;
        if !mint.repeated {
            metrics::counter!("chittyid_minted_total").increment(u64::from(count));
        }
        Ok(mint)
    }

    /// What was answered before is answered again without counting: it mints nothing.
    async fn answered(&self, once: &Once) -> Result<Option<Mint>, MintError> {
        let (config, store) = (self.config.clone(), self.store.clone());
        let (once, now) = (once.clone(), self.now().unix_ms);
        let read = spawn_blocking(move || issuer::before(&config, &*store, &once, now));
        match read.await.map_err(|_| MintError::Stopping)?? {
            Before::Answered(mint) => Ok(Some(mint)),
            Before::Nothing | Before::Outdated => Ok(None),
        }
    }

    fn wanted(&self, requests: Vec<Request>, is_batch: bool) -> Result<Vec<Wanted>, MintError> {
        let refuse =
            |index: Option<usize>, code, message| MintError::Request { index, code, message };
        if requests.is_empty() || requests.len() > self.config.batch_max {
            let (found, max) = (requests.len(), self.config.batch_max);
            let message = format!("requests has {found} entries, allowed: 1 to {max}");
            return Err(refuse(None, "INVALID_BATCH", message));
        }
        let one = |(index, request): (usize, Request)| {
            let index = is_batch.then_some(index);
            let entity = request.entity.parse::<EntityType>();
            let entity =
                entity.map_err(|error| refuse(index, "INVALID_ENTITY", error.to_string()))?;
            if request.name.as_ref().is_some_and(|name| name.len() > NAME_MAX) {
                let message = format!("name is longer than {NAME_MAX} bytes");
                return Err(refuse(index, "INVALID_NAME", message));
            }
            let metadata = metadata::checked(request.metadata, self.config.metadata_max);
            let metadata =
                metadata.map_err(|error| refuse(index, "INVALID_METADATA", error.to_string()))?;
            Ok(Wanted { entity, name: request.name, metadata })
        };
        requests.into_iter().enumerate().map(one).collect()
    }

    /// What is known of an id. Blocks while the store is read.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    pub fn verdict(&self, text: &str) -> Result<Verdict, StoreError> {
        // An authority that was given another profile still knows what it gave before.
        let ours = Profiles::CLIENT_V1.with(Profile::Canonical03);
        let id = match chittyid::parse(text, ours) {
            Ok(id) => id,
            Err(error) => return Ok(Verdict::Malformed(error)),
        };
        if let chittyid::ChecksumStatus::Mismatch { .. } = id.checksum() {
            return Ok(Verdict::Mismatch(id));
        }
        let found = issuer::minted(&*self.store, id.as_str())?;
        Ok(found.map_or(Verdict::NotIssued(id), |found| Verdict::Issued(Box::new(found))))
    }

    /// Takes down that somebody asked about an id, if that is wanted.
    pub(crate) fn note(&self, what: &str, id: &str, outcome: &str, caller: &Caller) {
        if self.config.audit != Audited::All {
            return;
        }
        let at = self.now().unix_ms;
        let entry = Entry {
            at,
            what: what.into(),
            // What is no id may be long.
            ids: vec![id.chars().take(chittyid::MAX_LEN).collect()],
            by: caller.name.to_string(),
            key: caller.key.clone(),
            address: caller.address.map(|address| address.to_string()),
            outcome: outcome.into(),
        };
        let bytes = serde_json::to_vec(&entry).unwrap_or_default();
        let change = Change::put_value(AUDIT, &audit_key(at, clock::draw()), &bytes);
        if let Err(refused) = self.writer.try_submit(vec![change]) {
            tracing::warn!(%refused, what, outcome, "an audit entry is not stored");
        }
    }

    /// The audit log from `after` on, the oldest first, at most `limit` entries. Blocks.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    pub fn audit(&self, after: Option<u128>, limit: usize) -> Result<AuditPage, StoreError> {
        let after = after.map(u128::to_be_bytes);
        let rows = self.store.values(AUDIT, after.as_ref().map(<[u8; 16]>::as_slice), limit)?;
        let is_full = rows.len() == limit;
        let last = rows.last().and_then(|(key, _)| key.first_chunk::<16>());
        let next = last.filter(|_| is_full).map(|key| u128::from_be_bytes(*key));
        let entry = |(_, row): (Vec<u8>, Vec<u8>)| {
            // One that is damaged does not hide the others.
            let entry = row::read(AUDIT, &row);
            entry.inspect_err(|error| tracing::error!(%error, "an audit entry is damaged")).ok()
        };
        Ok(AuditPage { entries: rows.into_iter().filter_map(entry).collect(), next })
    }

    fn now(&self) -> When {
        when((self.clock)())
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Under which key a request is made, with what it asks.
fn once(caller: &Caller, key: &str, wanted: &[Wanted]) -> Result<Once, MintError> {
    if key.is_empty() || key.len() > KEY_MAX || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(MintError::Request {
            index: None,
            code: "INVALID_IDEMPOTENCY_KEY",
            message: format!("Idempotency-Key must have 1 to {KEY_MAX} visible characters"),
        });
    }
    let hash = |parts: &[&str]| {
        let mut context = Context::new(&SHA256);
        for part in parts {
            context.update(&part.len().to_be_bytes());
            context.update(part.as_bytes());
        }
        context.finish()
    };
    let mut bytes = [0; 32];
    bytes.copy_from_slice(hash(&[&caller.told_apart_by(), key]).as_ref());
    let asked = |one: &Wanted| {
        // A form that stays: it is compared with what another version has stored.
        json!([one.entity, one.name, one.metadata]).to_string()
    };
    let asked: Vec<String> = wanted.iter().map(asked).collect();
    let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
    let digest = crate::caller::hex(&hash(&asked).as_ref()[..16]);
    Ok(Once { key: bytes, digest })
}

/// A time, with the year and month in UTC that ids show.
fn when(time: SystemTime) -> When {
    let unix_ms = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let date = Timestamp::try_from(time).unwrap_or_default().to_zoned(TimeZone::UTC);
    When {
        unix_ms: u64::try_from(unix_ms).unwrap_or(u64::MAX),
        year: u16::try_from(date.year()).unwrap_or(2000),
        month: u8::try_from(date.month()).unwrap_or(1),
    }
}

impl From<StoreError> for MintError {
    fn from(error: StoreError) -> Self {
        // It is closed when the server stops.
        if matches!(error, StoreError::Closed) { Self::Stopping } else { Self::Store(error) }
    }
}

impl fmt::Display for MintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request { index: Some(index), message, .. } => {
                write!(f, "requests[{index}]: {message}")
            }
            Self::Request { index: None, message, .. } => f.write_str(message),
            Self::RateLimited(seconds) => {
                write!(f, "rate limit: too many ids are minted with this key; again in {seconds} s")
            }
            Self::Exhausted { sequence, limit, left: 0 } => {
                write!(f, "all {limit} ids of the sequence {sequence} are given")
            }
            Self::Exhausted { sequence, limit, left } => {
                write!(f, "of the {limit} ids of the sequence {sequence}, only {left} are left")
            }
            Self::KeyReused => {
                f.write_str("this Idempotency-Key was used for another request; take a new one")
            }
            Self::Busy => f.write_str("too much waits to be minted; try again"),
            Self::Store(error) => write!(f, "it could not be stored: {error}"),
            Self::Lost(id) => write!(f, "{id} was minted and is not in the store any more"),
            Self::Build(error) => error.fmt(f),
            Self::Stopping => f.write_str("the server stops"),
        }
    }
}

impl std::error::Error for MintError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            Self::Build(error) => Some(error),
            Self::Request { .. }
            | Self::RateLimited(_)
            | Self::Exhausted { .. }
            | Self::KeyReused
            | Self::Busy
            | Self::Lost(_)
            | Self::Stopping => None,
        }
    }
}
