use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The public name of a session: a UUID of version 7, so names sort by when they were given.
///
/// It names, it does not authorise: whoever knows it cannot resume the session with it. Some of its
/// random bits tell the registry where to look first.
///
/// ```
/// use mainstay_registry::SessionId;
///
/// let id: SessionId = "0198c0de-7b3a-7000-8000-0123456789ab".parse()?;
/// assert_eq!(id.to_string(), "0198c0de-7b3a-7000-8000-0123456789ab");
/// assert_eq!(id.unix_ms(), 0x0198_c0de_7b3a);
/// # Ok::<(), mainstay_registry::NotAnId>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(u128);

/// The bits of the slot.
const SLOTS: u128 = 0xFF_FFFF;
/// The bits of variant, shard and slot.
pub(crate) const PLACE: u128 = 0xFFFF_FFFF << 32;

/// A text that is no session's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnId;

impl SessionId {
    /// The one of these bits.
    #[must_use]
    pub const fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    /// Its 128 bits; comparing them compares time first.
    #[must_use]
    pub const fn to_bits(self) -> u128 {
        self.0
    }

    /// A new one: 44 random bits, and where the registry keeps it.
    pub(crate) const fn mint(unix_ms: u64, shard: u8, slot: u32, bits: u64) -> Self {
        let (time, random) = ((unix_ms as u128) << 80, bits as u128);
        let high = (0x7 << 76) | ((random >> 32 & 0xFFF) << 64);
        let place = (0b10 << 62) | ((shard as u128 & 0x3F) << 56) | ((slot as u128 & SLOTS) << 32);
        Self(time | high | place | (random & 0xFFFF_FFFF))
    }

    /// Which shard keeps it.
    #[must_use]
    pub const fn shard(self) -> usize {
        (self.0 >> 56 & 0x3F) as usize
    }

    /// The slot it was given first; it may be in another one by now.
    pub(crate) const fn slot(self) -> u32 {
        (self.0 >> 32 & SLOTS) as u32
    }

    /// Whether a registry may have made it: the version and the variant are right.
    pub(crate) const fn is_ours(self) -> bool {
        self.0 >> 76 & 0xF == 7 && self.0 >> 62 & 0b11 == 0b10
    }

    /// Its bits with the place replaced by a generation: what a slot is compared with. Together with
    /// shard and slot, this is the whole name.
    pub(crate) const fn check(self, generation: u32) -> u128 {
        (self.0 & !PLACE) | (generation as u128) << 32
    }

    /// When it was given, in milliseconds since 1970.
    #[must_use]
    pub const fn unix_ms(self) -> u64 {
        (self.0 >> 80) as u64
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0;
        let part = |shift: u32, width: u32| (bits >> shift) & ((1 << width) - 1);
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            part(96, 32),
            part(80, 16),
            part(64, 16),
            part(48, 16),
            part(0, 48)
        )
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SessionId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let bytes = text.as_bytes();
        if bytes.len() != 36 {
            return Err(NotAnId);
        }
        let mut bits = 0_u128;
        for (at, byte) in bytes.iter().enumerate() {
            match (at, byte) {
                (8 | 13 | 18 | 23, b'-') => {}
                (8 | 13 | 18 | 23, _) => return Err(NotAnId),
                (_, byte) => {
                    let digit = char::from(*byte).to_digit(16).ok_or(NotAnId)?;
                    bits = (bits << 4) | u128::from(digit);
                }
            }
        }
        Ok(Self(bits))
    }
}

impl fmt::Display for NotAnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "not a session's name: that is a UUID, such as 0198c0de-7b3a-7000-8000-0123456789ab",
        )
    }
}

impl std::error::Error for NotAnId {}

impl Serialize for SessionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SessionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
