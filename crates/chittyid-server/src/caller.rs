use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use ring::digest::{SHA256, digest};

/// Who asks. Whoever mounts the routes puts it into the extensions of each request whose
/// credentials hold; a request without one is a stranger's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The name of its key, as the audit log has it. Limits and idempotency keys are counted by it:
    /// whoever shows a new token in place of one that ran out is the same caller.
    pub name: Arc<str>,
    /// [`key_hash`] of what it showed; none when it showed nothing, and need not.
    pub key: Option<String>,
    /// Where the request comes from.
    pub address: Option<IpAddr>,
    /// Whether it may read the audit log.
    pub is_admin: bool,
}

impl Caller {
    /// What limits and idempotency keys are counted by.
    pub(crate) fn told_apart_by(&self) -> String {
        match (&self.key, self.address) {
            (None, Some(address)) => format!("{} {address}", self.name),
            (Some(_), _) | (None, None) => self.name.to_string(),
        }
    }
}

/// What tells a key in logs: the first 16 hexadecimal digits of its SHA-256.
#[must_use]
pub fn key_hash(key: &str) -> String {
    hex(&digest(&SHA256, key.as_bytes()).as_ref()[..8])
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _infallible = write!(text, "{byte:02x}");
    }
    text
}
