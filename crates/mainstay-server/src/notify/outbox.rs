//! What is to be sent, and what could not be, kept in the store.

use std::sync::Arc;

use mainstay_monitor::notify::Snapshot;
use mainstay_store::{Area, Change, KeyValue, Store, StoreError, Writer};
use serde::{Deserialize, Serialize};

use super::letter::Letter;
use crate::session::unix_ms;

/// What was due and is not sent yet: `receiver/number`.
const OUTBOX: Area = Area::new("notify_outbox");
/// What could not be sent: `receiver/time number`.
const DEAD: Area = Area::new("notify_dead");
/// What the dispatcher knows, in pieces.
const STATE: Area = Area::new("notify_state");
/// The key of how many pieces there are.
const HEAD: &[u8] = b"head";
/// Bytes of one piece.
const PIECE: usize = 512 << 10;
/// Notices that wait for one receiver; with more the oldest are given up.
pub(super) const QUEUE_MAX: usize = 1_000;
/// Notices that could not be told and are kept, of each receiver; the oldest give way.
pub(super) const DEAD_MAX: usize = 1_000;

/// Rows that are looked through for receivers that are no more.
const STRANGERS_MAX: usize = 200_000;

/// What is to be sent, and what could not be.
#[derive(Clone, Debug)]
pub(super) struct Outbox {
    store: Arc<dyn Store>,
    writer: Arc<Writer>,
}

/// Something that could not be told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DeadLetter {
    pub(super) letter: Letter,
    pub(crate) receiver: String,
    /// When it was given up, in milliseconds since 1970.
    pub(crate) at: u64,
    pub(crate) error: String,
    pub(crate) attempts: u32,
    key: Vec<u8>,
}

impl DeadLetter {
    pub(crate) fn id(&self) -> &str {
        &self.letter.id
    }

    /// What it said.
    pub(crate) fn what(&self) -> String {
        super::text::title(&self.letter)
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    letter: Letter,
    error: String,
    attempts: u32,
}

#[derive(Serialize, Deserialize)]
struct Head {
    pieces: usize,
    at_unix_ms: u64,
}

/// What was left when the process last ended.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// What the dispatcher knew, and when, in milliseconds since 1970.
    pub(super) snapshot: Option<(Snapshot, u64)>,
    pub(super) letters: Vec<Letter>,
    /// Which receivers have how much that could not be told.
    pub(super) dead: Vec<(String, usize)>,
    /// Rows of receivers that are no more.
    strangers: Vec<Change>,
}

impl Outbox {
    pub(super) fn new(store: Arc<dyn Store>, writer: Arc<Writer>) -> Self {
        Self { store, writer }
    }

    /// Keeps what the dispatcher knows and, in the same commit, what follows from it.
    pub(super) async fn keep(
        &self,
        snapshot: &Snapshot,
        letters: &[Letter],
    ) -> Result<(), StoreError> {
        let mut changes = Vec::new();
        for letter in letters {
            changes.push(Change::put_value(OUTBOX, &key(letter), &bytes(letter)));
        }
        let state = bytes(snapshot);
        let pieces: Vec<&[u8]> = state.chunks(PIECE).collect();
        for (index, piece) in pieces.iter().enumerate() {
            changes.push(Change::put_value(STATE, &piece_key(index), piece));
        }
        let head = Head { pieces: pieces.len(), at_unix_ms: unix_ms() };
        changes.push(Change::put_value(STATE, HEAD, &bytes(&head)));
        self.writer.submit(changes).await?.await
    }

    /// It was sent.
    pub(super) async fn sent(&self, letter: &Letter) -> Result<(), StoreError> {
        let gone = Change::RemoveValue { area: OUTBOX, key: key(letter).into() };
        self.writer.submit(vec![gone]).await?.await
    }

    /// It could not be sent: it is kept aside; how many of that receiver are, then.
    pub(super) async fn bury(
        &self,
        letter: &Letter,
        error: &str,
        attempts: u32,
    ) -> Result<usize, StoreError> {
        let receiver = letter.notification.receiver.to_string();
        let dead = self.dead(vec![receiver.clone()]).await?;
        let stored = Stored { letter: letter.clone(), error: error.into(), attempts };
        let at = unix_ms().to_be_bytes();
        let number = letter.notification.number.to_be_bytes();
        let dead_key = [receiver.as_bytes(), b"/", &at, &number].concat();
        let mut changes = vec![
            Change::RemoveValue { area: OUTBOX, key: key(letter).into() },
            Change::put_value(DEAD, &dead_key, &bytes(&stored)),
        ];
        let count = dead.len() + 1;
        let too_many = count.saturating_sub(DEAD_MAX);
        for old in dead.into_iter().take(too_many) {
            changes.push(Change::RemoveValue { area: DEAD, key: old.key.into() });
        }
        self.writer.submit(changes).await?.await?;
        Ok(count.min(DEAD_MAX))
    }

    /// It is to be sent again.
    pub(super) async fn revive(&self, dead: &DeadLetter) -> Result<(), StoreError> {
        let changes = vec![
            Change::RemoveValue { area: DEAD, key: dead.key.clone().into() },
            Change::put_value(OUTBOX, &key(&dead.letter), &bytes(&dead.letter)),
        ];
        self.writer.submit(changes).await?.await
    }

    /// Nobody needs it any more.
    pub(super) async fn forget(&self, dead: &DeadLetter) -> Result<(), StoreError> {
        let gone = Change::RemoveValue { area: DEAD, key: dead.key.clone().into() };
        self.writer.submit(vec![gone]).await?.await
    }

    /// What those receivers could not be told, the oldest first.
    pub(super) async fn dead(&self, names: Vec<String>) -> Result<Vec<DeadLetter>, StoreError> {
        let store = self.store.clone();
        blocking(move || {
            let mut found = Vec::new();
            for name in names {
                for (key, value) in rows(&*store, DEAD, &name, DEAD_MAX)? {
                    found.extend(read_dead(&name, key, &value));
                }
            }
            Ok(found)
        })
        .await
    }

    /// What was left when the process last ended, for receivers of these names; others' is dropped.
    pub(super) async fn left(&self, names: Vec<String>) -> Result<Left, StoreError> {
        let store = self.store.clone();
        let mut left = blocking(move || {
            let mut left = Left { snapshot: snapshot(&*store)?, ..Left::default() };
            for area in [OUTBOX, DEAD] {
                left.strangers.extend(strangers(&*store, area, &names)?);
            }
            for name in names {
                let rows_of = rows(&*store, OUTBOX, &name, QUEUE_MAX)?;
                let letters = rows_of.iter().filter_map(|(_, value)| read(value));
                left.letters.extend(letters);
                let dead = rows(&*store, DEAD, &name, DEAD_MAX)?.len();
                left.dead.push((name, dead));
            }
            Ok(left)
        })
        .await?;
        if !left.strangers.is_empty() {
            tracing::warn!(
                rows = left.strangers.len(),
                "notices of receivers that are no more are dropped"
            );
            self.writer.submit(std::mem::take(&mut left.strangers)).await?.await?;
        }
        Ok(left)
    }

    /// A receiver is no more: nothing is to be sent to it.
    pub(super) async fn leave(&self, receiver: &str) -> Result<(), StoreError> {
        let (store, name) = (self.store.clone(), receiver.to_owned());
        let rows = blocking(move || rows(&*store, OUTBOX, &name, 2 * QUEUE_MAX)).await?;
        let gone = rows.into_iter().map(|(key, _)| remove(OUTBOX, key)).collect();
        self.writer.submit(gone).await?.await
    }
}

/// Reads what the dispatcher knew. What cannot be read is as good as nothing: then what fires is told
/// again.
fn snapshot(store: &dyn Store) -> Result<Option<(Snapshot, u64)>, StoreError> {
    let Some(head) = store.value(STATE, HEAD)?.and_then(|head| read::<Head>(&head)) else {
        return Ok(None);
    };
    let mut state = Vec::new();
    for index in 0..head.pieces {
        state.extend(store.value(STATE, &piece_key(index))?.unwrap_or_default());
    }
    Ok(read(&state).map(|snapshot| (snapshot, head.at_unix_ms)))
}

/// What to remove of receivers that are not among `names`; many of them in several starts.
fn strangers(store: &dyn Store, area: Area, names: &[String]) -> Result<Vec<Change>, StoreError> {
    let known = |key: &[u8]| {
        let name = key.split(|byte| *byte == b'/').next().unwrap_or_default();
        names.iter().any(|known| known.as_bytes() == name)
    };
    let rows = store.values(area, None, STRANGERS_MAX)?;
    Ok(rows.into_iter().filter(|(key, _)| !known(key)).map(|(key, _)| remove(area, key)).collect())
}

fn remove(area: Area, key: Vec<u8>) -> Change {
    Change::RemoveValue { area, key: key.into() }
}

/// The rows of one receiver.
fn rows(
    store: &dyn Store,
    area: Area,
    receiver: &str,
    most: usize,
) -> Result<Vec<KeyValue>, StoreError> {
    let prefix = [receiver.as_bytes(), b"/"].concat();
    let mut found = store.values(area, Some(&prefix), most + 1)?;
    found.retain(|(key, _)| key.starts_with(&prefix));
    Ok(found)
}

fn read_dead(name: &str, key: Vec<u8>, value: &[u8]) -> Option<DeadLetter> {
    let (at, _) = key.get(name.len() + 1..)?.split_first_chunk::<8>()?;
    let at = u64::from_be_bytes(*at);
    let Stored { letter, error, attempts } = read(value)?;
    Some(DeadLetter { letter, receiver: name.into(), at, error, attempts, key })
}

fn read<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let read = serde_json::from_slice(bytes);
    if let Err(error) = &read {
        tracing::warn!(%error, "something of notices that was kept cannot be read");
    }
    read.ok()
}

fn bytes(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("texts and numbers are written as JSON")
}

fn key(letter: &Letter) -> Vec<u8> {
    let number = letter.notification.number.to_be_bytes();
    [letter.notification.receiver.as_bytes(), b"/", &number].concat()
}

fn piece_key(index: usize) -> Vec<u8> {
    format!("piece {index:06}").into_bytes()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(StoreError::Closed))
}
