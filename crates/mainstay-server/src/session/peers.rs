use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mainstay_registry::SessionId;

use super::peer::Peer;

/// A power of two.
const SHARDS: usize = 64;

/// The messages of every session that has said or heard something here.
#[derive(Debug)]
pub(crate) struct Peers([Mutex<Shard>; SHARDS]);

type Shard = HashMap<SessionId, Arc<Peer>>;

impl Peers {
    pub(crate) fn new() -> Self {
        Self(std::array::from_fn(|_| Mutex::new(HashMap::new())))
    }

    pub(crate) fn get(&self, session: SessionId) -> Option<Arc<Peer>> {
        self.shard(session).get(&session).cloned()
    }

    /// The one that is there, or a new one.
    pub(crate) fn get_or(&self, session: SessionId, make: impl FnOnce() -> Peer) -> Arc<Peer> {
        self.shard(session).entry(session).or_insert_with(|| Arc::new(make())).clone()
    }

    pub(crate) fn remove(&self, session: SessionId) -> Option<Arc<Peer>> {
        self.shard(session).remove(&session)
    }

    /// All of them, at the time each shard is looked at.
    pub(crate) fn all(&self) -> Vec<Arc<Peer>> {
        let shards = self.0.iter();
        shards.flat_map(|shard| lock(shard).values().cloned().collect::<Vec<_>>()).collect()
    }

    fn shard(&self, session: SessionId) -> MutexGuard<'_, Shard> {
        let bits = session.to_bits();
        let mixed = (bits ^ (bits >> 64)).to_le_bytes();
        lock(&self.0[usize::from(mixed[0] ^ mixed[2] ^ mixed[5]) % SHARDS])
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
