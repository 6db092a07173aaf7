//! From text to id.

use crate::grammar::{self, Why, walk};
use crate::{ChittyId, Error, MAX_LEN, Profile, Profiles};

/// Reads `text` as an id of one of the `accepted` profiles.
///
/// Where a text is well-formed in several profiles, the first accepted one is taken, in the order of
/// [`Profile::ALL`]. Nothing is trimmed or changed, checksums are computed by
/// [`ChittyId::checksum`] alone, and nothing is allocated. It takes bounded time for any text.
///
/// ```
/// use chittyid::{ChecksumStatus, Error, Profile, Profiles, parse};
///
/// let id = parse("03-1-USA-5537-P-2602-0-38", Profiles::INTEROP)?;
/// assert_eq!(id.profile(), Profile::Canonical03);
/// assert_eq!(id.checksum(), ChecksumStatus::Valid);
///
/// let refused = parse("03-1-USA-5537-P-2602-0-38", Profiles::CLIENT_V1);
/// let detected = Profile::Canonical03;
/// assert_eq!(refused, Err(Error::Profile { detected, accepted: Profiles::CLIENT_V1 }));
/// # Ok::<(), Error>(())
/// ```
///
/// # Errors
///
/// [`Error`], which names what is wrong and where.
#[inline]
pub fn parse(text: &str, accepted: Profiles) -> Result<ChittyId, Error> {
    // Made here and not where it is found: moving it costs as much as checking it.
    match grammar::find(text.as_bytes(), accepted) {
        Some(profile) => Ok(ChittyId::stored(text.as_bytes(), profile)),
        None => Err(refusal(text, accepted)),
    }
}

/// The profile of `text`, whichever it is: the first that fits, in the order of [`Profile::ALL`].
///
/// ```
/// use chittyid::{Profile, detect};
///
/// assert_eq!(detect("01-C-INF-0177-I-2510-7-23"), Some(Profile::ServiceV1));
/// assert_eq!(detect("chitty_1234"), None);
/// ```
#[must_use]
pub fn detect(text: &str) -> Option<Profile> {
    grammar::find(text.as_bytes(), Profiles::ALL)
}

/// Whether `text` has the format that seed 001 calls official: [`Profile::ClientV1`], nothing else.
///
/// It is a pure function of the text: no checksum is defined for this format, so a `true` says
/// nothing about whether anybody has issued the id.
///
/// ```
/// assert!(chittyid::validate_format("CT-A-CHI-1234-I-24-A-0"));
/// assert!(!chittyid::validate_format("01-A-CHI-1234-I-2409-5-0"));
/// ```
#[inline]
#[must_use]
pub fn validate_format(text: &str) -> bool {
    grammar::is_client_v1(text.as_bytes())
}

/// Whether `text` is a ChittyID: another name of [`validate_format`], from the seeds.
///
/// ```
/// assert!(chittyid::is_chittyid("AB-B-NYC-5678-P-25-B-X"));
/// assert!(!chittyid::is_chittyid("CHITTY-PEO-00001-A1B2C3"));
/// ```
#[inline]
#[must_use]
pub fn is_chittyid(text: &str) -> bool {
    validate_format(text)
}

/// The letter of the entity, if `text` passes [`validate_format`].
///
/// [`EntityType::from_letter`](crate::EntityType::from_letter) says which entities it may mean.
///
/// ```
/// assert_eq!(chittyid::extract_entity_type("CT-A-CHI-1234-I-24-A-0"), Some('I'));
/// assert_eq!(chittyid::extract_entity_type("01-C-INF-0177-I-2510-7-23"), None);
/// ```
#[must_use]
pub fn extract_entity_type(text: &str) -> Option<char> {
    parse(text, Profiles::CLIENT_V1).ok()?.entity_letter()
}

/// Why `text` is not accepted.
#[cold]
fn refusal(text: &str, accepted: Profiles) -> Error {
    if text.is_empty() {
        return Error::Empty;
    }
    if text.len() > MAX_LEN {
        return Error::TooLong { length: text.len() };
    }
    if let Some(detected) = detect(text) {
        return Error::Profile { detected, accepted };
    }
    let odd = |odd: fn(&char) -> bool| text.char_indices().find(|(_, found)| odd(found));
    if let Some((at, found)) = odd(|found| !found.is_ascii()) {
        return Error::NonAscii { at, found };
    }
    if let Some((at, found)) = odd(char::is_ascii_whitespace) {
        return Error::Whitespace { at, found };
    }
    if let Some((at, found)) = odd(char::is_ascii_lowercase) {
        return Error::Lowercase { at, found };
    }
    furthest(text.as_bytes(), accepted)
}

/// What the profile says that can read most of `text`, the first of them if several can.
fn furthest(text: &[u8], accepted: Profiles) -> Error {
    let asked = if accepted.is_empty() { Profiles::ALL } else { accepted };
    let stops = asked.iter().filter_map(|profile| Some((profile, walk(profile, text).err()?)));
    let best = stops.reduce(|best, next| if next.1.at > best.1.at { next } else { best });
    let (profile, stop) = best.expect("a text that a profile reads to its end has been detected");
    let (field, expected, at) = (stop.field, stop.what, stop.at);
    let found = text.get(at).map_or('\0', |byte| char::from(*byte));
    match stop.why {
        Why::Ended => Error::Incomplete { profile, field, expected, length: text.len() },
        Why::Symbol => Error::Character { profile, field, expected, at, found },
        Why::Hyphen | Why::End => Error::FieldTooLong { profile, field, expected, at, found },
    }
}
