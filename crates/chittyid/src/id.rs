//! The id as a value.

use core::borrow::Borrow;
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::str::FromStr;

use crate::{ChecksumStatus, Error, Field, Profile, Profiles, check, parse};

/// The most bytes that an id has: 38.
///
/// Two profiles set no limit of their own; the longest of their ids that is known has 30.
pub const MAX_LEN: usize = 38;

/// A well-formed ChittyID: its text and its profile, in 40 bytes.
///
/// It comes from [`parse`], [`FromStr`] (only [`Profiles::default`], as strict as
/// [`validate_format`](crate::validate_format)) or a builder. With the feature `serde` it is a string; every
/// profile is read back, so that what was stored is never lost, and whoever takes ids from strangers
/// asks [`Profiles::contains`].
///
/// Ids are compared, ordered and hashed as their texts, so a map of them can be asked with a `&str`.
/// The sequence `0000` is well-formed, as in the seeds' pattern; builders never give it.
///
/// ```
/// use chittyid::ChittyId;
///
/// let id: ChittyId = "CT-A-CHI-1234-I-24-A-0".parse()?;
/// assert_eq!((id.sequence(), id.entity_letter()), (Some(1234), Some('I')));
/// assert_eq!(id.to_string(), "CT-A-CHI-1234-I-24-A-0");
/// # Ok::<(), chittyid::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct ChittyId {
    /// Zero after the text.
    bytes: [u8; MAX_LEN],
    length: u8,
    profile: Profile,
}

/// The eight fields of an id, as they stand in it.
///
/// What they mean depends on the profile: see the table in the crate's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fields<'a> {
    /// VV.
    pub version: &'a str,
    /// G.
    pub generation: char,
    /// LLL.
    pub location: &'a str,
    /// SSSS, 0 to 9999.
    pub sequence: u16,
    /// T: one letter, except in [`Profile::CanonSpec`], which has the entity's name here.
    pub entity: &'a str,
    /// YM, 2 to 6 symbols.
    pub year_month: &'a str,
    /// C.
    pub category: &'a str,
    /// X.
    pub extension: &'a str,
}

impl ChittyId {
    /// `text`, which is well-formed in `profile`.
    #[inline]
    pub(crate) fn stored(text: &[u8], profile: Profile) -> Self {
        let mut bytes = [0; MAX_LEN];
        match (text.first_chunk::<16>(), text.last_chunk::<16>()) {
            // Two copies of a known width that overlap, instead of a call for one of any width.
            (Some(start), Some(end)) if text.len() <= 32 => {
                bytes[..16].copy_from_slice(start);
                bytes[text.len() - 16..text.len()].copy_from_slice(end);
            }
            _ => bytes[..text.len()].copy_from_slice(text),
        }
        let length = u8::try_from(text.len()).expect("a profile has no ids above MAX_LEN");
        Self { bytes, length, profile }
    }

    /// The text.
    ///
    /// # Panics
    ///
    /// Never: only ASCII is stored.
    ///
    /// ```
    /// let id: chittyid::ChittyId = "CT-A-CHI-1234-I-24-A-0".parse()?;
    /// assert_eq!(id.as_str(), "CT-A-CHI-1234-I-24-A-0");
    /// # Ok::<(), chittyid::Error>(())
    /// ```
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).expect("every profile has ASCII symbols only")
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// The profile it was read as.
    ///
    /// ```
    /// let id: chittyid::ChittyId = "CT-A-CHI-1234-I-24-A-0".parse()?;
    /// assert_eq!(id.profile(), chittyid::Profile::ClientV1);
    /// # Ok::<(), chittyid::Error>(())
    /// ```
    #[must_use]
    pub const fn profile(&self) -> Profile {
        self.profile
    }

    /// One field as it stands there; none when the profile has no such field, which only
    /// [`Profile::Legacy`] lacks.
    ///
    /// ```
    /// use chittyid::{Field, Profiles, parse};
    ///
    /// let id = parse("CHITTY-PEO-00001-A1B2C3", Profiles::ALL)?;
    /// assert_eq!(id.field(Field::Sequence), Some("00001"));
    /// assert_eq!(id.field(Field::Location), None);
    /// # Ok::<(), chittyid::Error>(())
    /// ```
    #[must_use]
    pub fn field(&self, field: Field) -> Option<&str> {
        let place = if self.profile == Profile::Legacy {
            match field {
                Field::Version => 0,
                Field::Type => 1,
                Field::Sequence => 2,
                Field::Extension => 3,
                Field::Generation | Field::Location | Field::YearMonth | Field::Category => {
                    return None;
                }
            }
        } else {
            field as usize
        };
        self.as_str().split('-').nth(place)
    }

    /// All eight fields; none for [`Profile::Legacy`], which has four others ([`ChittyId::field`]).
    ///
    /// ```
    /// use chittyid::{Profiles, parse};
    ///
    /// let id = parse("03-1-USA-5537-P-2602-0-38", Profiles::INTEROP)?;
    /// let fields = id.fields().expect("not a legacy id");
    /// assert_eq!((fields.generation, fields.location, fields.sequence), ('1', "USA", 5537));
    /// # Ok::<(), chittyid::Error>(())
    /// ```
    #[must_use]
    pub fn fields(&self) -> Option<Fields<'_>> {
        let mut parts = self.as_str().split('-');
        Some(Fields {
            version: parts.next()?,
            generation: parts.next()?.chars().next()?,
            location: parts.next()?,
            sequence: parts.next()?.parse().ok()?,
            entity: parts.next()?,
            year_month: parts.next()?,
            category: parts.next()?,
            extension: parts.next()?,
        })
    }

    /// VV, or the prefix of [`Profile::Legacy`].
    ///
    /// ```
    /// let id: chittyid::ChittyId = "CT-A-CHI-1234-I-24-A-0".parse()?;
    /// assert_eq!(id.version(), "CT");
    /// # Ok::<(), chittyid::Error>(())
    /// ```
    #[must_use]
    pub fn version(&self) -> &str {
        self.field(Field::Version).unwrap_or_default()
    }

    /// G; none for [`Profile::Legacy`].
    ///
    /// ```
    /// let id: chittyid::ChittyId = "CT-A-CHI-1234-I-24-A-0".parse()?;
    /// assert_eq!(id.generation(), Some('A'));
    /// # Ok::<(), chittyid::Error>(())
    /// ```
    #[must_use]
    pub fn generation(&self) -> Option<char> {
        self.field(Field::Generation)?.chars().next()
    }

    /// LLL; none for [`Profile::Legacy`].
    ///
    /// ```
    /// let id: chittyid::ChittyId = "CT-A-CHI-1234-I-24-A-0".parse()?;
    /// assert_eq!(id.location(), Some("CHI"));
    /// # Ok::<(), chittyid::Error>(())
    /// ```
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.field(Field::Location)
    }

    /// SSSS, 0 to 9999; none for [`Profile::Legacy`], whose sequences need not be numbers.
    ///
    /// ```
    /// let id: chittyid::ChittyId = "CT-A-CHI-1234-I-24-A-0".parse()?;
    /// assert_eq!(id.sequence(), Some(1234));
    /// # Ok::<(), chittyid::Error>(())
    /// ```
    #[must_use]
    pub fn sequence(&self) -> Option<u16> {
        self.fields().map(|fields| fields.sequence)
    }

    /// T; none where it is no single letter ([`Profile::Legacy`], [`Profile::CanonSpec`]).
    ///
    /// ```
    /// let id: chittyid::ChittyId = "CT-A-CHI-1234-I-24-A-0".parse()?;
    /// assert_eq!(id.entity_letter(), Some('I'));
    /// # Ok::<(), chittyid::Error>(())
    /// ```
    #[must_use]
    pub fn entity_letter(&self) -> Option<char> {
        let mut letters = self.fields()?.entity.chars();
        letters.next().filter(|_| letters.next().is_none())
    }

    /// YM; none for [`Profile::Legacy`].
    ///
    /// ```
    /// let id: chittyid::ChittyId = "CT-A-CHI-1234-I-24-A-0".parse()?;
    /// assert_eq!(id.year_month(), Some("24"));
    /// # Ok::<(), chittyid::Error>(())
    /// ```
    #[must_use]
    pub fn year_month(&self) -> Option<&str> {
        self.field(Field::YearMonth)
    }

    /// C; none for [`Profile::Legacy`].
    ///
    /// ```
    /// let id: chittyid::ChittyId = "CT-A-CHI-1234-I-24-A-0".parse()?;
    /// assert_eq!(id.category(), Some("A"));
    /// # Ok::<(), chittyid::Error>(())
    /// ```
    #[must_use]
    pub fn category(&self) -> Option<&str> {
        self.field(Field::Category)
    }

    /// X.
    ///
    /// ```
    /// let id: chittyid::ChittyId = "CT-A-CHI-1234-I-24-A-0".parse()?;
    /// assert_eq!(id.extension(), "0");
    /// # Ok::<(), chittyid::Error>(())
    /// ```
    #[must_use]
    pub fn extension(&self) -> &str {
        self.field(Field::Extension).unwrap_or_default()
    }

    /// What its checksum says.
    ///
    /// ```
    /// use chittyid::{ChecksumStatus, Profiles, parse};
    ///
    /// let id = parse("03-1-USA-5537-P-2602-0-38", Profiles::INTEROP)?;
    /// assert_eq!(id.checksum(), ChecksumStatus::Valid);
    /// let id = parse("01-C-INF-0177-I-2510-7-23", Profiles::INTEROP)?;
    /// assert_eq!(id.checksum(), ChecksumStatus::NotDefined);
    /// # Ok::<(), chittyid::Error>(())
    /// ```
    #[must_use]
    pub fn checksum(&self) -> ChecksumStatus {
        match self.profile {
            Profile::Canonical03 | Profile::Canonical03Short => self.canonical_checksum(),
            Profile::Vrf | Profile::Express => ChecksumStatus::NeedsContext,
            Profile::ClientV1
            | Profile::ServiceV1
            | Profile::FoundationV2
            | Profile::Legacy
            | Profile::HybridTechnical
            | Profile::HybridLegal
            | Profile::CanonSpec
            | Profile::Gateway
            | Profile::Router => ChecksumStatus::NotDefined,
        }
    }

    fn canonical_checksum(&self) -> ChecksumStatus {
        let checked = self.as_bytes().split_last_chunk().and_then(|(symbols, [tens, ones])| {
            let found = 10 * tens.checked_sub(b'0')? + ones.checked_sub(b'0')?;
            Some((check::digits(symbols)?, found))
        });
        let (expected, found) = checked.expect("a canonical id ends in two digits");
        if expected == found {
            ChecksumStatus::Valid
        } else {
            ChecksumStatus::Mismatch { expected, found }
        }
    }
}

impl fmt::Display for ChittyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for ChittyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChittyId({self}, {})", self.profile)
    }
}

impl FromStr for ChittyId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text, Profiles::default())
    }
}

impl AsRef<str> for ChittyId {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for ChittyId {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for ChittyId {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for ChittyId {}

impl PartialEq<str> for ChittyId {
    fn eq(&self, text: &str) -> bool {
        self.as_bytes() == text.as_bytes()
    }
}

impl PartialEq<&str> for ChittyId {
    fn eq(&self, text: &&str) -> bool {
        *self == **text
    }
}

impl PartialOrd for ChittyId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ChittyId {
    fn cmp(&self, other: &Self) -> Ordering {
        // What follows the text is zero, and no text has a zero.
        self.bytes.cmp(&other.bytes)
    }
}

impl Hash for ChittyId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}
