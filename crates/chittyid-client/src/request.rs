use chittyid::{ChittyId, EntityType};
use serde_json::Value;

use crate::Credentials;

/// What to mint.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What the id stands for.
    pub entity: EntityType,
    /// What it is called, up to 256 bytes.
    pub name: Option<String>,
    /// What is kept with it: an object, up to 10 000 bytes.
    pub metadata: Option<Value>,
    /// Whose key is sent. Default the client's.
    pub credentials: Credentials,
    /// What makes this request the same one when it is made again, also by another process: 1 to 255
    /// visible ASCII characters. Default a random one, the same over this call's attempts.
    pub idempotency_key: Option<String>,
}

impl Request {
    /// A request for `entity`, with nothing said about it.
    #[must_use]
    pub const fn new(entity: EntityType) -> Self {
        Self {
            entity,
            name: None,
            metadata: None,
            credentials: Credentials::Own,
            idempotency_key: None,
        }
    }
}

/// An id that was given.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Minted {
    /// The id, of a profile that is accepted.
    pub id: ChittyId,
    /// What it was asked for.
    pub entity: EntityType,
    /// When it was given, as the service says.
    pub timestamp: Option<String>,
    /// The version of the service.
    pub version: Option<String>,
    /// The metadata as the service kept it.
    pub metadata: Option<Value>,
    /// Whether the service had given it before, to the same `Idempotency-Key`.
    pub repeated: bool,
}

/// What the service knows of an id.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Info {
    /// The id.
    pub id: ChittyId,
    /// What it stands for.
    pub entity: Option<EntityType>,
    /// When it was given, as the service says.
    pub issued_at: Option<String>,
    /// What it is called; services show it to those with a key.
    pub name: Option<String>,
    /// What was kept with it; services show it to those with a key.
    pub metadata: Option<Value>,
    /// All that the service said.
    pub answer: Value,
}

/// What the service says of its health.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Health {
    /// Whether it answered 2xx.
    pub is_healthy: bool,
    /// The HTTP status.
    pub status: u16,
    /// Its word for it, such as `healthy`.
    pub says: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// All that it said; null when that was no JSON.
    pub answer: Value,
}
