//! Why a text is no id that is accepted.

use core::fmt;

use crate::{Field, MAX_LEN, Profile, Profiles};

/// Why a text is not accepted as a ChittyID; whoever gave the text must act, for
/// [`Error::Profile`] perhaps whoever decides what is accepted.
///
/// Positions are bytes from 0. Of a text that no accepted profile can read, the error tells what the
/// profile says that got furthest. It holds nothing of the text but one character, and allocates
/// nothing.
///
/// ```
/// use chittyid::{Profiles, parse};
///
/// let error = parse("CT-A-CHI-12X4-I-24-A-0", Profiles::CLIENT_V1).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "byte 11 is 'X', where the sequence of a client-v1 id has four digits",
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// There is no text.
    Empty,
    /// No id is as long as this; what stands in it was not looked at.
    TooLong {
        /// Bytes of the text.
        length: usize,
    },
    /// A character that is not ASCII, where an id has capital letters, digits and hyphens.
    NonAscii {
        /// Its first byte.
        at: usize,
        /// The character.
        found: char,
    },
    /// A blank, a tab or a line break, perhaps left over around the id.
    Whitespace {
        /// Its byte.
        at: usize,
        /// The character.
        found: char,
    },
    /// A small letter; ids are written in capitals, and are not changed here.
    Lowercase {
        /// Its byte.
        at: usize,
        /// The letter.
        found: char,
    },
    /// The text ends too early: parts are missing.
    Incomplete {
        /// The profile it was read as.
        profile: Profile,
        /// The field that is missing or not complete.
        field: Field,
        /// What the field has.
        expected: &'static str,
        /// Bytes of the text.
        length: usize,
    },
    /// A field has a character that it cannot have.
    Character {
        /// The profile it was read as.
        profile: Profile,
        /// The field.
        field: Field,
        /// What the field has.
        expected: &'static str,
        /// The byte.
        at: usize,
        /// The character.
        found: char,
    },
    /// A field is complete, and does not end.
    FieldTooLong {
        /// The profile it was read as.
        profile: Profile,
        /// The field.
        field: Field,
        /// What the field has.
        expected: &'static str,
        /// The byte that is too many.
        at: usize,
        /// Its character.
        found: char,
    },
    /// A well-formed id of a profile that is not accepted.
    Profile {
        /// Its profile.
        detected: Profile,
        /// Those that are accepted.
        accepted: Profiles,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Empty => f.write_str("the text is empty"),
            Self::TooLong { length } => {
                write!(f, "{length} bytes are too long, ids have at most {MAX_LEN}")
            }
            Self::NonAscii { at, found } => {
                write!(f, "byte {at} is {found:?}, ids have ASCII characters only")
            }
            Self::Whitespace { at, found } => {
                write!(f, "byte {at} is {found:?}, ids have no whitespace in or around them")
            }
            Self::Lowercase { at, found } => {
                write!(f, "byte {at} is {found:?}, ids have capital letters only")
            }
            Self::Incomplete { profile, field, expected, length } => {
                let field = field.name(profile);
                write!(f, "the text ends after {length} bytes, before the {field} is complete: ")?;
                write!(f, "a {profile} id has {expected} there")
            }
            Self::Character { profile, field, expected, at, found } => {
                let field = field.name(profile);
                write!(f, "byte {at} is {found:?}, where the {field} of a {profile} id has ")?;
                f.write_str(expected)
            }
            Self::FieldTooLong { profile, field, expected, at, found } => {
                let field = field.name(profile);
                write!(
                    f,
                    "byte {at} is {found:?}, where the {field} of a {profile} id has ended: "
                )?;
                write!(f, "it has {expected}")
            }
            Self::Profile { detected, accepted } if accepted.is_empty() => {
                write!(f, "its profile is {detected}, and none is accepted")
            }
            Self::Profile { detected, accepted } => {
                write!(f, "its profile is {detected}, and accepted are only {accepted}")
            }
        }
    }
}

impl core::error::Error for Error {}
