//! Who did what: the actions of operators, kept in the store.
//!
//! Keys are times counted backwards, so that the latest action comes first. What is too old or too
//! much is removed with the action that makes it so, in one batch. Actions that were refused have a
//! share of their own: whoever may do nothing cannot push out what others did.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mainstay_store::{Area, Change, Store, StoreError, Writer};
use serde::{Deserialize, Serialize};

use crate::auth::Role;
use crate::config::ApiConfig;

const AREA: Area = Area::new("audit");
/// Actions that are read at once.
const PIECE: usize = 256;
/// Of what is kept, one in so many may have been refused.
const REFUSED_SHARE: usize = 10;
/// Removed with one action, at most, where a smaller limit was put in force.
const REMOVED_MAX: usize = 1000;

/// Something that somebody did, or tried to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Action {
    /// In milliseconds since 1970.
    pub(crate) at: u64,
    /// Whose credentials were shown: the name of a key, or which kind.
    pub(crate) who: String,
    pub(crate) role: Role,
    /// Where it came from.
    pub(crate) address: Option<IpAddr>,
    /// What, such as `sessions.disconnect`.
    pub(crate) action: String,
    /// To what: a session, a link, a gate.
    pub(crate) target: Option<String>,
    /// The status of the answer.
    pub(crate) status: u16,
    /// The code of the answer, where it was a problem.
    pub(crate) code: Option<String>,
    /// More about it, such as how many it concerned.
    pub(crate) note: Option<String>,
}

/// Which actions are wanted: those that fit every field that is given.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) who: Option<String>,
    pub(crate) action: Option<String>,
    pub(crate) target: Option<String>,
    /// From then on, in milliseconds since 1970.
    pub(crate) from: u64,
    /// Until then, exclusively.
    pub(crate) to: u64,
}

/// Where an action stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(u128);

/// The audit log.
#[derive(Debug)]
pub(crate) struct Audit {
    max: usize,
    age_ms: u64,
    kept: Mutex<Kept>,
}

/// What is kept, the latest first.
#[derive(Debug, Default)]
struct Kept {
    done: VecDeque<Key>,
    refused: VecDeque<Key>,
    /// The time of the latest, and how many that millisecond had before.
    last: (u64, u64),
}

impl Key {
    const fn new(unix_ms: u64, nr: u64) -> Self {
        Self(!(((unix_ms as u128) << 64) | nr as u128))
    }

    /// Behind everything that happened from then on, and before what happened earlier.
    const fn before(unix_ms: u64) -> Self {
        Self::new(unix_ms, 0)
    }

    const fn unix_ms(self) -> u64 {
        (!self.0 >> 64) as u64
    }

    #[expect(clippy::cast_possible_truncation, reason = "the lower half is taken")]
    const fn nr(self) -> u64 {
        !self.0 as u64
    }

    const fn bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    fn of(bytes: &[u8]) -> Option<Self> {
        <[u8; 16]>::try_from(bytes).ok().map(|bytes| Self(u128::from_be_bytes(bytes)))
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl std::str::FromStr for Key {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(());
        }
        u128::from_str_radix(text, 16).map(Self).map_err(drop)
    }
}

impl Action {
    /// Whether it was not allowed.
    const fn is_refused(&self) -> bool {
        matches!(self.status, 401 | 403 | 429)
    }
}

impl Wanted {
    fn fits(&self, action: &Action) -> bool {
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == found)
        };
        is(&self.who, &action.who)
            && is(&self.action, &action.action)
            && (self.target.is_none() || self.target == action.target)
            && (self.from..self.to).contains(&action.at)
    }
}

impl Audit {
    /// What the store has kept of it. Blocks.
    pub(crate) fn open(store: &dyn Store, config: &ApiConfig) -> Result<Self, StoreError> {
        let (mut kept, mut after) = (Kept::default(), None::<Key>);
        loop {
            let bytes = after.map(Key::bytes);
            let rows = store.values(AREA, bytes.as_ref().map(<[u8; 16]>::as_slice), PIECE)?;
            let is_last = rows.len() < PIECE;
            for (key, value) in rows {
                let Some(key) = Key::of(&key) else { continue };
                after = Some(key);
                // One that cannot be read is kept no longer than the others.
                let refused = serde_json::from_slice(&value).is_ok_and(|a: Action| a.is_refused());
                let into = if refused { &mut kept.refused } else { &mut kept.done };
                into.push_back(key);
            }
            if is_last {
                break;
            }
        }
        let latest = kept.done.front().into_iter().chain(kept.refused.front()).min();
        kept.last = latest.map_or((0, 0), |key| (key.unix_ms(), key.nr()));
        Ok(Self {
            max: usize::try_from(config.audit_max).unwrap_or(usize::MAX),
            age_ms: u64::try_from(config.audit_age.as_millis()).unwrap_or(u64::MAX),
            kept: Mutex::new(kept),
        })
    }

    /// Keeps an action. It is logged, too: when nothing can be stored the log has it.
    pub(crate) async fn keep(&self, writer: &Writer, action: Action) {
        let Action { who, role, address, action: what, target, status, note, .. } = &action;
        tracing::info!(
            %who, %role, ?address, action = what, ?target, status, ?note, "done over the api"
        );
        let stored = match writer.submit(self.changes(&action)).await {
            Ok(ticket) => ticket.await,
            Err(error) => Err(error),
        };
        if let Err(error) = stored {
            tracing::error!(%error, action = what, "the audit log cannot be stored");
        }
    }

    /// What keeping an action changes.
    fn changes(&self, action: &Action) -> Vec<Change> {
        let bytes = serde_json::to_vec(action).unwrap_or_default();
        let mut kept = self.kept();
        let (last, nr) = kept.last;
        // Later than every other, also when the clock was set back.
        kept.last = if action.at > last { (action.at, 0) } else { (last, nr + 1) };
        let key = Key::new(kept.last.0, kept.last.1);
        let refused = (self.max / REFUSED_SHARE).max(1);
        let (into, max) = if action.is_refused() {
            (&mut kept.refused, refused)
        } else {
            (&mut kept.done, self.max - refused)
        };
        into.push_front(key);
        let mut changes = vec![Change::put_value(AREA, &key.bytes(), &bytes)];
        let oldest = Key::before(action.at.saturating_sub(self.age_ms));
        while changes.len() <= REMOVED_MAX
            && let Some(key) = into.back().copied()
            && key > oldest
        {
            into.pop_back();
            changes.push(Change::RemoveValue { area: AREA, key: key.bytes().into() });
        }
        while changes.len() <= REMOVED_MAX
            && into.len() > max
            && let Some(key) = into.pop_back()
        {
            changes.push(Change::RemoveValue { area: AREA, key: key.bytes().into() });
        }
        changes
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A part of the log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// The latest first.
    pub(crate) actions: Vec<Action>,
    /// Where the list goes on; none at its end.
    pub(crate) next: Option<Key>,
}

/// The actions that fit, behind `after`, at most `limit`. Blocks.
pub(crate) fn list(
    store: &dyn Store,
    wanted: &Wanted,
    after: Option<Key>,
    limit: usize,
) -> Result<Part, StoreError> {
    // From the latest that can fit on.
    let mut after = match after {
        None if wanted.to == u64::MAX => None,
        None => Some(Key::before(wanted.to)),
        Some(key) => Some(key),
    };
    let mut actions = Vec::new();
    loop {
        let bytes = after.map(Key::bytes);
        let rows = store.values(AREA, bytes.as_ref().map(<[u8; 16]>::as_slice), PIECE)?;
        let is_last = rows.len() < PIECE;
        for (key, value) in rows {
            let Some(key) = Key::of(&key) else { continue };
            if key.unix_ms() < wanted.from {
                return Ok(Part { actions, next: None });
            }
            if let Ok(action) = serde_json::from_slice(&value)
                && wanted.fits(&action)
            {
                if actions.len() == limit {
                    return Ok(Part { actions, next: after });
                }
                actions.push(action);
            }
            after = Some(key);
        }
        if is_last {
            return Ok(Part { actions, next: None });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use mainstay_store::{MemoryStore, StoreConfig};

    use super::*;

    fn action(at: u64, status: u16) -> Action {
        Action {
            at,
            who: "ops".into(),
            role: Role::Operator,
            address: Some([192, 0, 2, 1].into()),
            action: "sessions.disconnect".into(),
            target: Some(at.to_string()),
            status,
            code: None,
            note: None,
        }
    }

    const ALL: Wanted = Wanted { who: None, action: None, target: None, from: 0, to: u64::MAX };

    fn times(store: &dyn Store, wanted: &Wanted) -> Vec<u64> {
        let part = list(store, wanted, None, 10_000).unwrap();
        part.actions.iter().map(|action| action.at).collect()
    }

    #[test]
    fn a_key_is_read_as_it_is_written() {
        for key in [Key::new(0, 0), Key::new(u64::MAX, u64::MAX), Key::new(7, 9)] {
            assert_eq!(key.to_string().parse(), Ok(key));
            assert_eq!(Key::of(&key.bytes()), Some(key));
        }
        assert_eq!((Key::new(7, 9).unix_ms(), Key::new(7, 9).nr()), (7, 9));
        assert!(Key::new(8, 0) < Key::new(7, 9) && Key::new(7, 9) < Key::new(7, 8));
        for wrong in ["", "0", &"g".repeat(32), &"+".repeat(32)] {
            assert_eq!(wrong.parse::<Key>(), Err(()));
        }
    }

    #[test]
    fn as_many_are_kept_as_may_be_and_the_refused_push_out_only_their_own() {
        let store = MemoryStore::new();
        let config = ApiConfig { audit_max: 100, ..ApiConfig::default() };
        let audit = Audit::open(&store, &config).unwrap();
        for at in 1..=200 {
            store.commit(&audit.changes(&action(at, 200))).unwrap();
        }
        for at in 201..=300 {
            store.commit(&audit.changes(&action(at, 403))).unwrap();
        }
        let wanted: Vec<u64> = (291..=300).chain(111..=200).collect();
        let mut found = times(&store, &ALL);
        assert!(found.is_sorted_by(|a, b| a > b));
        found.sort_unstable();
        let mut sorted = wanted;
        sorted.sort_unstable();
        assert_eq!(found, sorted);
        // The same after a restart.
        let audit = Audit::open(&store, &config).unwrap();
        store.commit(&audit.changes(&action(301, 200))).unwrap();
        assert_eq!(times(&store, &ALL).len(), 100);
        assert!(!times(&store, &ALL).contains(&111));
    }

    #[test]
    fn what_is_too_old_goes() {
        let store = MemoryStore::new();
        let config = ApiConfig { audit_age: Duration::from_secs(86_400), ..ApiConfig::default() };
        let audit = Audit::open(&store, &config).unwrap();
        let day = 86_400_000;
        for at in [day, day + 1, day + 2, 2 * day + 1] {
            store.commit(&audit.changes(&action(at, 200))).unwrap();
        }
        assert_eq!(times(&store, &ALL), [2 * day + 1, day + 2, day + 1]);
    }

    #[test]
    fn a_clock_that_was_set_back_overwrites_nothing() {
        let store = MemoryStore::new();
        let audit = Audit::open(&store, &ApiConfig::default()).unwrap();
        for at in [50, 50, 20, 60] {
            store.commit(&audit.changes(&action(at, 200))).unwrap();
        }
        assert_eq!(times(&store, &ALL), [60, 20, 50, 50]);
    }

    #[test]
    fn a_list_goes_on_where_the_page_before_ended() {
        let store = MemoryStore::new();
        let audit = Audit::open(&store, &ApiConfig::default()).unwrap();
        for at in 1..=600 {
            store.commit(&audit.changes(&action(at, 200))).unwrap();
        }
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let part = list(&store, &ALL, after, 100).unwrap();
            found.extend(part.actions.into_iter().map(|action| action.at));
            after = part.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, (1..=600).rev().collect::<Vec<_>>());
        let some = Wanted { from: 10, to: 12, ..ALL };
        assert_eq!(times(&store, &some), [11, 10]);
        assert_eq!(times(&store, &Wanted { target: Some("5".into()), ..ALL }), [5]);
        assert_eq!(times(&store, &Wanted { who: Some("kim".into()), ..ALL }), [0_u64; 0]);
    }

    #[tokio::test]
    async fn an_action_is_there_once_it_was_kept() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let writer = Writer::start(store.clone(), &StoreConfig::default()).unwrap();
        let audit = Audit::open(&*store, &ApiConfig::default()).unwrap();
        audit.keep(&writer, action(1, 200)).await;
        assert_eq!(times(&*store, &ALL), [1]);
    }
}
