//! What an id may stand for.

use core::fmt;
use core::str::FromStr;

use crate::Profile;

/// What an id stands for: the nine of the seeds.
///
/// Reading one ignores case. Letters for them differ by profile, and are not all reversible: keep the
/// entity beside the id where it matters.
///
/// ```
/// use chittyid::EntityType;
///
/// assert_eq!("evnt".parse(), Ok(EntityType::Event));
/// assert_eq!(EntityType::Event.to_string(), "EVNT");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntityType {
    /// `PEO`.
    Person,
    /// `PLACE`.
    Place,
    /// `PROP`.
    Property,
    /// `EVNT`.
    Event,
    /// `AUTH`.
    Authorization,
    /// `INFO`.
    Information,
    /// `FACT`.
    Fact,
    /// `CONTEXT`.
    Context,
    /// `ACTOR`.
    Actor,
}

impl EntityType {
    /// All nine, in the seeds' order.
    pub const ALL: [Self; 9] = [
        Self::Person,
        Self::Place,
        Self::Property,
        Self::Event,
        Self::Authorization,
        Self::Information,
        Self::Fact,
        Self::Context,
        Self::Actor,
    ];

    /// Its name on the wire.
    ///
    /// ```
    /// assert_eq!(chittyid::EntityType::Person.name(), "PEO");
    /// ```
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Person => "PEO",
            Self::Place => "PLACE",
            Self::Property => "PROP",
            Self::Event => "EVNT",
            Self::Authorization => "AUTH",
            Self::Information => "INFO",
            Self::Fact => "FACT",
            Self::Context => "CONTEXT",
            Self::Actor => "ACTOR",
        }
    }

    /// What it is, for people.
    ///
    /// ```
    /// assert_eq!(chittyid::EntityType::Actor.description(), "Actor/Agent");
    /// ```
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Person => "Person",
            Self::Place => "Location",
            Self::Property => "Property/Asset",
            Self::Event => "Event",
            Self::Authorization => "Authorization",
            Self::Information => "Information",
            Self::Fact => "Fact/Evidence",
            Self::Context => "Context",
            Self::Actor => "Actor/Agent",
        }
    }

    /// Its letter in ids of `profile`; none where no letters are defined.
    ///
    /// Client-v1 and service-v1 have one for each entity. `R` for `PROP` is our choice: no source has
    /// one, and `P` is taken. The canonical profiles fold nine entities into the five letters P, L, T,
    /// E and A (contexts and actors are synthetic persons; property, information and facts are
    /// things).
    ///
    /// ```
    /// use chittyid::{EntityType, Profile};
    ///
    /// assert_eq!(EntityType::Information.letter(Profile::ClientV1), Some('I'));
    /// assert_eq!(EntityType::Information.letter(Profile::Canonical03), Some('T'));
    /// assert_eq!(EntityType::Information.letter(Profile::Legacy), None);
    /// ```
    #[must_use]
    pub const fn letter(self, profile: Profile) -> Option<char> {
        match letters(profile) {
            Letters::Nine => Some(self.own_letter()),
            Letters::Five => Some(self.canonical_letter()),
            Letters::Undefined => None,
        }
    }

    /// The entities that `letter` may stand for in ids of `profile`, none where it has no meaning.
    ///
    /// There is more than one in the canonical profiles, and for `I` in service-v1: the live service
    /// of October 2025 gave it to `INFO` and to `CONTEXT`.
    ///
    /// ```
    /// use chittyid::{EntityType, Profile};
    ///
    /// assert_eq!(EntityType::from_letter(Profile::ClientV1, 'X'), [EntityType::Actor]);
    /// assert_eq!(EntityType::from_letter(Profile::Canonical03, 'P').len(), 3);
    /// assert!(EntityType::from_letter(Profile::Canonical03, 'X').is_empty());
    /// ```
    #[must_use]
    pub const fn from_letter(profile: Profile, letter: char) -> &'static [Self] {
        match (letters(profile), letter) {
            (Letters::Nine, 'P') => &[Self::Person],
            (Letters::Nine | Letters::Five, 'L') => &[Self::Place],
            (Letters::Nine, 'R') => &[Self::Property],
            (Letters::Nine | Letters::Five, 'E') => &[Self::Event],
            (Letters::Nine | Letters::Five, 'A') => &[Self::Authorization],
            (Letters::Nine, 'I') if matches!(profile, Profile::ServiceV1) => {
                &[Self::Information, Self::Context]
            }
            (Letters::Nine, 'I') => &[Self::Information],
            (Letters::Nine, 'F') => &[Self::Fact],
            (Letters::Nine, 'C') => &[Self::Context],
            (Letters::Nine, 'X') => &[Self::Actor],
            (Letters::Five, 'P') => &[Self::Person, Self::Context, Self::Actor],
            (Letters::Five, 'T') => &[Self::Property, Self::Information, Self::Fact],
            (Letters::Nine | Letters::Five | Letters::Undefined, _) => &[],
        }
    }

    const fn own_letter(self) -> char {
        match self {
            Self::Person => 'P',
            Self::Place => 'L',
            Self::Property => 'R',
            Self::Event => 'E',
            Self::Authorization => 'A',
            Self::Information => 'I',
            Self::Fact => 'F',
            Self::Context => 'C',
            Self::Actor => 'X',
        }
    }

    const fn canonical_letter(self) -> char {
        match self {
            Self::Person | Self::Context | Self::Actor => 'P',
            Self::Place => 'L',
            Self::Property | Self::Information | Self::Fact => 'T',
            Self::Event => 'E',
            Self::Authorization => 'A',
        }
    }
}

/// Which letters a profile gives to the entities.
enum Letters {
    Nine,
    Five,
    Undefined,
}

const fn letters(profile: Profile) -> Letters {
    match profile {
        Profile::ClientV1 | Profile::ServiceV1 => Letters::Nine,
        Profile::Canonical03 | Profile::Canonical03Short | Profile::Vrf => Letters::Five,
        Profile::FoundationV2
        | Profile::Legacy
        | Profile::HybridTechnical
        | Profile::HybridLegal
        | Profile::CanonSpec
        | Profile::Gateway
        | Profile::Router
        | Profile::Express => Letters::Undefined,
    }
}

impl fmt::Display for EntityType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for EntityType {
    type Err = UnsupportedEntity;

    fn from_str(name: &str) -> Result<Self, UnsupportedEntity> {
        let mut all = Self::ALL.into_iter();
        all.find(|entity| entity.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| UnsupportedEntity::new(name))
    }
}

/// What was asked for is none of the nine; the caller must act.
///
/// The text is the seeds'. It repeats at most 32 bytes of what was asked for.
///
/// ```
/// let error = "CASE".parse::<chittyid::EntityType>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "Unsupported ChittyID entity type: CASE. Use one of \
///      PEO, PLACE, PROP, EVNT, AUTH, INFO, FACT, CONTEXT, ACTOR.",
/// );
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct UnsupportedEntity {
    name: [u8; 32],
    length: u8,
    is_cut: bool,
}

impl UnsupportedEntity {
    fn new(asked: &str) -> Self {
        let mut name = [0; 32];
        let whole = (0..=name.len()).rev().find(|end| asked.is_char_boundary(*end)).unwrap_or(0);
        name[..whole].copy_from_slice(&asked.as_bytes()[..whole]);
        let length = u8::try_from(whole).expect("no more than fits");
        Self { name, length, is_cut: whole < asked.len() }
    }

    /// What was asked for, cut after 32 bytes at most.
    ///
    /// ```
    /// let error = "CASE".parse::<chittyid::EntityType>().unwrap_err();
    /// assert_eq!(error.asked(), "CASE");
    /// ```
    #[must_use]
    pub fn asked(&self) -> &str {
        let name = &self.name[..usize::from(self.length)];
        core::str::from_utf8(name).unwrap_or_default()
    }
}

impl fmt::Display for UnsupportedEntity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Escaped: what strangers ask for may end in a log, line by line.
        write!(f, "Unsupported ChittyID entity type: {}", self.asked().escape_debug())?;
        f.write_str(if self.is_cut { "…. Use one of " } else { ". Use one of " })?;
        for (number, entity) in EntityType::ALL.into_iter().enumerate() {
            f.write_str(if number > 0 { ", " } else { "" })?;
            f.write_str(entity.name())?;
        }
        f.write_str(".")
    }
}

impl fmt::Debug for UnsupportedEntity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnsupportedEntity({:?})", self.asked())
    }
}

impl core::error::Error for UnsupportedEntity {}
