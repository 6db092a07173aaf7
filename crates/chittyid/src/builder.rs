//! From fields to id, for whoever has the authority to issue one.
//!
//! Sequences are an argument: giving each only once is the work of whoever stores them.

use core::fmt::{self, Write};

use crate::{ChittyId, Field, MAX_LEN, Profile, check_digits};

/// A field of an id to be built is out of its range; the caller must act.
///
/// ```
/// use chittyid::{Canonical03, Field};
///
/// let error = Canonical03 { trust: 6, ..Canonical03::default() }.build().unwrap_err();
/// assert_eq!(error.field, Field::Category);
/// assert_eq!(error.to_string(), "the trust level of a canonical-03 id must be from 0 to 5");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BuildError {
    /// The profile.
    pub profile: Profile,
    /// The field that is wrong.
    pub field: Field,
    /// What it must be.
    pub allowed: &'static str,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { profile, field, allowed } = *self;
        write!(f, "the {} of a {profile} id must be {allowed}", field.name(profile))
    }
}

impl core::error::Error for BuildError {}

/// The fields of a [`Profile::ClientV1`] id.
///
/// No source says what version, generation, location, category and extension hold beyond their
/// symbols, and the form has two digits for "year and month": seed 001 reads `24` as 2024, so the
/// year stands there and the month nowhere. New deployments are better off with [`Canonical03`],
/// which has check digits.
///
/// ```
/// use chittyid::ClientV1;
///
/// let id = ClientV1 { location: "CHI", sequence: 1234, letter: 'I', ..ClientV1::default() };
/// assert_eq!(id.build()?, "CT-A-CHI-1234-I-24-A-0");
/// # Ok::<(), chittyid::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientV1<'a> {
    /// Two capital letters; default `CT`, the seeds' first example.
    pub version: &'a str,
    /// One capital letter; default `A`.
    pub generation: char,
    /// Three capital letters; default `CHI`.
    pub location: &'a str,
    /// 1 to 9999; default 1. The pattern allows 0000; it is never given.
    pub sequence: u16,
    /// One capital letter; [`EntityType::letter`](crate::EntityType::letter) has those of the
    /// entities; default `I`.
    pub letter: char,
    /// 2000 to 2099, of which two digits are kept; default 2024.
    pub year: u16,
    /// One capital letter; default `A`.
    pub category: char,
    /// One digit or capital letter; default `0`. An authority counts on with it when sequences are
    /// used up.
    pub extension: char,
}

impl Default for ClientV1<'_> {
    fn default() -> Self {
        Self {
            version: "CT",
            generation: 'A',
            location: "CHI",
            sequence: 1,
            letter: 'I',
            year: 2024,
            category: 'A',
            extension: '0',
        }
    }
}

impl ClientV1<'_> {
    /// The id.
    ///
    /// ```
    /// use chittyid::{ClientV1, Field};
    ///
    /// let error = ClientV1 { sequence: 0, ..ClientV1::default() }.build().unwrap_err();
    /// assert_eq!(error.field, Field::Sequence);
    /// ```
    ///
    /// # Errors
    ///
    /// [`BuildError`] with the first field that is out of its range.
    pub fn build(&self) -> Result<ChittyId, BuildError> {
        let Self { version, generation, location, sequence, letter, year, category, extension } =
            *self;
        let check = Check(Profile::ClientV1);
        check.that(is_letters(version, 2), Field::Version, "two capital letters")?;
        check.letter(generation, Field::Generation)?;
        check.that(is_letters(location, 3), Field::Location, "three capital letters")?;
        check.sequence(sequence)?;
        check.letter(letter, Field::Type)?;
        check.year(year)?;
        check.letter(category, Field::Category)?;
        let is_alnum = extension.is_ascii_uppercase() || extension.is_ascii_digit();
        check.that(is_alnum, Field::Extension, "one digit or capital letter")?;
        let year = year % 100;
        let mut text = Text::default();
        text.write(format_args!(
            "{version}-{generation}-{location}-{sequence:04}-{letter}-{year:02}-{category}-{extension}"
        ));
        Ok(text.id(Profile::ClientV1))
    }
}

/// The fields of a [`Profile::Canonical03`] id; its check digits are computed.
///
/// ```
/// use chittyid::Canonical03;
///
/// let fields = Canonical03 { sequence: 5537, year: 2026, month: 2, ..Canonical03::default() };
/// assert_eq!(fields.build()?, "03-1-USA-5537-P-2602-0-38");
/// # Ok::<(), chittyid::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Canonical03<'a> {
    /// 1 to 9, see [`Region`](crate::Region); default 1.
    pub region: u8,
    /// Three capital letters: a code of ISO 3166-1, or `INT` where there is none; default `USA`.
    /// That the code is assigned is not checked.
    pub jurisdiction: &'a str,
    /// 1 to 9999; default 1. The pattern allows 0000; it is never given.
    pub sequence: u16,
    /// One of P, L, T, E and A; default `P`.
    pub letter: char,
    /// 2000 to 2099, of which two digits are kept; default 2026.
    pub year: u16,
    /// 1 to 12; default 1.
    pub month: u8,
    /// 0 to 5, see [`Trust`](crate::Trust); default 0.
    pub trust: u8,
}

impl Default for Canonical03<'_> {
    fn default() -> Self {
        Self {
            region: 1,
            jurisdiction: "USA",
            sequence: 1,
            letter: 'P',
            year: 2026,
            month: 1,
            trust: 0,
        }
    }
}

impl Canonical03<'_> {
    /// The id.
    ///
    /// ```
    /// use chittyid::{Canonical03, ChecksumStatus};
    ///
    /// assert_eq!(Canonical03::default().build()?.checksum(), ChecksumStatus::Valid);
    /// # Ok::<(), chittyid::BuildError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`BuildError`] with the first field that is out of its range.
    ///
    /// # Panics
    ///
    /// Never: the fields are checked before their symbols are counted.
    pub fn build(&self) -> Result<ChittyId, BuildError> {
        let Self { region, jurisdiction, sequence, letter, year, month, trust } = *self;
        let check = Check(Profile::Canonical03);
        check.that((1..=9).contains(&region), Field::Generation, "from 1 to 9")?;
        check.that(is_letters(jurisdiction, 3), Field::Location, "three capital letters")?;
        check.sequence(sequence)?;
        let is_canonical = ['P', 'L', 'T', 'E', 'A'].contains(&letter);
        check.that(is_canonical, Field::Type, "one of P, L, T, E and A")?;
        check.year(year)?;
        check.that((1..=12).contains(&month), Field::YearMonth, "a month from 1 to 12")?;
        check.that(trust <= 5, Field::Category, "from 0 to 5")?;
        let year = year % 100;
        let mut text = Text::default();
        text.write(format_args!(
            "03-{region}-{jurisdiction}-{sequence:04}-{letter}-{year:02}{month:02}-{trust}"
        ));
        let digits = check_digits(text.as_str()).expect("only symbols that have a value");
        text.write(format_args!("-{digits:02}"));
        Ok(text.id(Profile::Canonical03))
    }
}

/// Checks fields of one profile.
#[derive(Clone, Copy)]
struct Check(Profile);

impl Check {
    fn that(self, holds: bool, field: Field, allowed: &'static str) -> Result<(), BuildError> {
        if holds { Ok(()) } else { Err(BuildError { profile: self.0, field, allowed }) }
    }

    fn letter(self, letter: char, field: Field) -> Result<(), BuildError> {
        self.that(letter.is_ascii_uppercase(), field, "one capital letter")
    }

    fn sequence(self, sequence: u16) -> Result<(), BuildError> {
        self.that((1..=9999).contains(&sequence), Field::Sequence, "from 1 to 9999")
    }

    fn year(self, year: u16) -> Result<(), BuildError> {
        self.that((2000..=2099).contains(&year), Field::YearMonth, "in a year from 2000 to 2099")
    }
}

fn is_letters(text: &str, width: usize) -> bool {
    text.len() == width && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// Text without an allocation.
struct Text {
    bytes: [u8; MAX_LEN],
    length: usize,
}

impl Default for Text {
    fn default() -> Self {
        Self { bytes: [0; MAX_LEN], length: 0 }
    }
}

impl Text {
    fn write(&mut self, text: fmt::Arguments<'_>) {
        self.write_fmt(text).expect("fields of these widths fit into an id");
    }

    fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.length]).expect("made of whole texts")
    }

    fn id(&self, profile: Profile) -> ChittyId {
        ChittyId::stored(&self.bytes[..self.length], profile)
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        let free = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        free.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}
