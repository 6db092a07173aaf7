//! What is stored.

use chittyid::{ChittyId, EntityType};
use mainstay_store::{Area, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Ids with what is known of them.
pub(super) const IDS: Area = Area::new("chittyid.ids");
/// The numbers that ids are made of.
pub(super) const SEQUENCES: Area = Area::new("chittyid.sequences");
/// What was answered to whom under which `Idempotency-Key`.
pub(super) const ANSWERS: Area = Area::new("chittyid.answers");
/// What is written to find out whether the store takes anything.
pub(super) const PROBE: Area = Area::new("chittyid.probe");
/// Who did what.
pub(super) const AUDIT: Area = Area::new("chittyid.audit");

/// An id that was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Minted {
    /// It.
    pub id: ChittyId,
    /// What it names. Some letters do not tell that alone.
    pub entity: EntityType,
    /// How whoever minted it called it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What whoever minted it said about it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
    /// When, in milliseconds since 1970.
    pub minted_at: u64,
    /// The name of the key that minted it.
    pub by: String,
}

/// What was answered under an `Idempotency-Key`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answered {
    /// What was asked.
    pub(super) digest: String,
    pub(super) at: u64,
    pub(super) ids: Vec<ChittyId>,
}

/// Something that was done, as the audit log has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// What: `mint`, `validate` or `info`.
    pub what: String,
    /// The ids that it concerned.
    pub ids: Vec<String>,
    /// The name of the key.
    pub by: String,
    /// The first 16 hexadecimal digits of the key's SHA-256; none when none was shown.
    pub key: Option<String>,
    /// Where the request came from.
    pub address: Option<String>,
    /// What came of it: `minted`, `valid`, `invalid`, `unknown`.
    pub outcome: String,
}

/// A row as what was written into it.
pub(super) fn read<T: for<'a> Deserialize<'a>>(area: Area, row: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(row).map_err(|error| {
        let why = format!("a row cannot be read: {error}");
        StoreError::Damaged { path: area.name().into(), why }
    })
}

/// The key of an entry: sorted by time, and never twice.
pub(super) fn audit_key(at: u64, bits: u64) -> [u8; 16] {
    ((u128::from(at) << 64) | u128::from(bits)).to_be_bytes()
}

/// When the entry of this key was made.
pub(super) fn audit_time(key: &[u8]) -> Option<u64> {
    key.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}
