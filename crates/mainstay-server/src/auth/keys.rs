use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;

use super::{DEFAULT_ORGANISATION, Identity, Role};
use crate::config::Secret;

/// What every key begins with, so that scanners for leaked secrets can know it.
const PREFIX: &str = "msk_";

/// The SHA-256 of a key. A key has 256 random bits, so that nothing slower is needed to hide it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyHash([u8; 32]);

/// A text that is no hash of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAHash;

/// A key that is let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// What it is called.
    pub name: Arc<str>,
    /// What it must hash to.
    pub hash: KeyHash,
    /// What it may do.
    pub role: Role,
    /// The user it stands for.
    pub user: Option<Arc<str>>,
    /// The organisation it belongs to.
    pub organisation: Option<Arc<str>>,
}

/// A key that was just made. It is shown once.
#[derive(Debug)]
pub struct NewKey {
    /// The key.
    pub key: Secret,
    /// What to write into the configuration.
    pub hash: KeyHash,
}

/// The keys in force.
#[derive(Clone, Debug, Default)]
pub struct Keys(HashMap<u64, Vec<ApiKey>>);

impl KeyHash {
    /// Of that key.
    #[must_use]
    pub fn of(key: &str) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, key.as_bytes());
        let mut hash = [0; 32];
        hash.copy_from_slice(digest.as_ref());
        Self(hash)
    }

    /// Where it stands in the table. Says nothing of the key, and whoever guesses keys cannot choose
    /// it.
    fn place(&self) -> u64 {
        let mut first = [0; 8];
        first.copy_from_slice(&self.0[..8]);
        u64::from_be_bytes(first)
    }
}

impl NewKey {
    /// A key of 256 random bits.
    ///
    /// # Errors
    ///
    /// When the system gives no random bits.
    pub fn make() -> Result<Self, ring::error::Unspecified> {
        let random = ring::rand::SystemRandom::new();
        let bits: [u8; 32] = ring::rand::generate(&random)?.expose();
        let key = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bits));
        Ok(Self { hash: KeyHash::of(&key), key: Secret::new(key) })
    }
}

impl ApiKey {
    pub(super) fn identity(&self) -> Identity {
        let organisation = self.organisation.clone();
        Identity {
            name: self.name.clone(),
            role: self.role,
            user: self.user.clone(),
            organisation: organisation.unwrap_or_else(|| DEFAULT_ORGANISATION.into()),
            expires_at: None,
        }
    }
}

impl Keys {
    /// Those.
    #[must_use]
    pub fn new(keys: &[ApiKey]) -> Self {
        let mut table: HashMap<u64, Vec<ApiKey>> = HashMap::new();
        for key in keys {
            table.entry(key.hash.place()).or_default().push(key.clone());
        }
        Self(table)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The one that was shown.
    pub(super) fn find(&self, shown: &str) -> Option<&ApiKey> {
        let hash = KeyHash::of(shown);
        let is_it = |key: &&ApiKey| bool::from(key.hash.0.ct_eq(&hash.0));
        self.0.get(&hash.place())?.iter().find(is_it)
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(…)")
    }
}

impl FromStr for KeyHash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let digits = text.strip_prefix("sha256:").ok_or(NotAHash)?.as_bytes();
        let mut hash = [0; 32];
        if digits.len() != 2 * hash.len() {
            return Err(NotAHash);
        }
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(NotAHash);
            let value = digit(pair[0])? * 16 + digit(pair[1])?;
            *byte = u8::try_from(value).map_err(|_| NotAHash)?;
        }
        Ok(Self(hash))
    }
}

impl fmt::Display for NotAHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not the hash of a key: that is `sha256:` and 64 hexadecimal digits")
    }
}

impl std::error::Error for NotAHash {}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, hash: KeyHash, role: Role) -> ApiKey {
        ApiKey { name: name.into(), hash, role, user: None, organisation: None }
    }

    #[test]
    fn a_key_is_known_by_its_hash_and_no_other_is() {
        let (one, other) = (NewKey::make().unwrap(), NewKey::make().unwrap());
        assert_ne!(one.key.expose(), other.key.expose());
        let keys = Keys::new(&[key("one", one.hash, Role::Client)]);
        assert_eq!(keys.find(one.key.expose()).map(|key| &*key.name), Some("one"));
        assert_eq!(keys.find(other.key.expose()), None);
        assert_eq!(keys.find(""), None);
        let longer = format!("{}x", one.key.expose());
        assert_eq!(keys.find(&longer), None);
    }

    #[test]
    fn a_hash_is_read_as_it_is_written() {
        let hash = KeyHash::of("msk_test");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!(hash.to_string().len(), 7 + 64);
        for text in ["", "sha256:", "sha256:00", "md5:00", &format!("sha256:{}", "g".repeat(64))] {
            assert_eq!(text.parse::<KeyHash>(), Err(NotAHash), "{text}");
        }
    }

    #[test]
    fn neither_key_nor_hash_is_shown_by_accident() {
        let made = NewKey::make().unwrap();
        let shown = format!("{made:?}");
        assert!(!shown.contains(made.key.expose()) && !shown.contains(&made.hash.to_string()));
    }
}
