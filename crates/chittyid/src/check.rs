//! Check digits.

/// What a checksum says about an id.
///
/// ```
/// use chittyid::{ChecksumStatus, Profiles, parse};
///
/// // An example in a client's documentation, which no authority can have issued.
/// let id = parse("03-1-USA-1234-P-2601-3-42", Profiles::ALL)?;
/// assert_eq!(id.checksum(), ChecksumStatus::Mismatch { expected: 86, found: 42 });
/// # Ok::<(), chittyid::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChecksumStatus {
    /// The check digits are those of the other fields.
    Valid,
    /// They are not: a digit was mistyped, or somebody made the id up.
    Mismatch {
        /// What the other fields ask for, 0 to 96.
        expected: u8,
        /// What stands there, 0 to 99.
        found: u8,
    },
    /// Nothing that is known defines a checksum for this profile.
    NotDefined,
    /// There is one, and it needs what the id does not hold: the content that the id was made for.
    NeedsContext,
}

impl ChecksumStatus {
    /// Whether the id is known to be wrong.
    ///
    /// ```
    /// use chittyid::ChecksumStatus;
    /// assert!(ChecksumStatus::Mismatch { expected: 1, found: 2 }.is_mismatch());
    /// assert!(!ChecksumStatus::NotDefined.is_mismatch());
    /// ```
    #[must_use]
    pub const fn is_mismatch(self) -> bool {
        matches!(self, Self::Mismatch { .. })
    }
}

/// The check digits of [`Profile::Canonical03`](crate::Profile::Canonical03) over `symbols`, 0 to 96;
/// none when there is anything but digits, capital letters and hyphens.
///
/// The symbols are all fields but the last. Hyphens do not count. With r = 0 at the start, a digit d
/// makes it (10 r + d) mod 97, a letter (100 r + 10 … 35 for A … Z) mod 97; the answer is
/// (98 − r) mod 97, written with two digits. No single wrong symbol and no two neighbours that
/// changed places keep it. Sources call it "ISO 7064 MOD 97-10"; it is not, since the standard
/// multiplies by 100 at the end.
///
/// ```
/// assert_eq!(chittyid::check_digits("03-1-USA-5537-P-2602-0"), Some(38));
/// assert_eq!(chittyid::check_digits("031USA5537P26020"), Some(38));
/// assert_eq!(chittyid::check_digits("03-1-usa"), None);
/// ```
#[must_use]
pub fn check_digits(symbols: &str) -> Option<u8> {
    digits(symbols.as_bytes())
}

/// The same over bytes.
pub(crate) fn digits(symbols: &[u8]) -> Option<u8> {
    let mut rest = 0_u64;
    for byte in symbols {
        rest = match byte {
            b'0'..=b'9' => 10 * rest + u64::from(byte - b'0'),
            b'A'..=b'Z' => 100 * rest + u64::from(byte - b'A') + 10,
            b'-' => continue,
            _ => return None,
        };
        // Rarely enough to be cheap, and long before a hundred times as much overflows.
        if rest >> 56 != 0 {
            rest %= 97;
        }
    }
    u8::try_from((98 - rest % 97) % 97).ok()
}
