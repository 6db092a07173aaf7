//! The formats that were found, and sets of them.

use core::fmt;
use core::str::FromStr;

/// A format that ChittyIDs are written in.
///
/// "VV-G-LLL-SSSS-T-YM-C-X" was read in at least thirteen ways. Each has its own meaning of the eight
/// fields (the crate's documentation has the table), and an id has exactly one profile. The order of
/// the variants is the order in which [`parse`](crate::parse) asks.
///
/// Mutually exclusive by symbols and widths are all but [`Profile::Express`], whose pattern also fits
/// every id of [`Profile::ClientV1`], [`Profile::HybridTechnical`] and [`Profile::HybridLegal`].
///
/// ```
/// use chittyid::Profile;
///
/// assert_eq!(Profile::Canonical03.to_string(), "canonical-03");
/// assert_eq!("client-v1".parse(), Ok(Profile::ClientV1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Profile {
    /// What the npm client checks, and what the specification names as official: `CT-A-CHI-1234-I-24-A-0`.
    ClientV1,
    /// What the live service answered in October 2025: `01-C-INF-0177-I-2510-7-23`.
    ServiceV1,
    /// What the live service answers since February 2026: `03-1-USA-5537-P-2602-0-38`.
    Canonical03,
    /// The same with two or three digits of year and month: `03-1-USA-0001-P-251-3-79`.
    Canonical03Short,
    /// Foundation v2, "vertical": `CP-A-001-1234-P-2509-I-82`.
    FoundationV2,
    /// From a verifiable random function: `03-C-GEN-0001-P-259-3-10`.
    Vrf,
    /// The old simple form: `CHITTY-PEO-00001-A1B2C3`.
    Legacy,
    /// The technical half of the hybrid scheme: `AA-C-TSK-1234-I-25-7-X`.
    HybridTechnical,
    /// The legal half of the hybrid scheme: `01-N-USA-1234-P-25-3-X`.
    HybridLegal,
    /// A specification that no service answers with: `01-C-ACT-4829-PEO-Q5-7-0`.
    CanonSpec,
    /// What the API gateway's module checks: `03-1-USA-0001-P-Q5-3-7`.
    Gateway,
    /// What the router and a command line check: `01-1-USA-0001-P-202510-3-7`.
    Router,
    /// What an older server checks: `02-C-DOC-1234-I-2B-7-A`.
    Express,
}

impl Profile {
    /// Every profile, in the order in which they are asked.
    pub const ALL: [Self; 13] = [
        Self::ClientV1,
        Self::ServiceV1,
        Self::Canonical03,
        Self::Canonical03Short,
        Self::FoundationV2,
        Self::Vrf,
        Self::Legacy,
        Self::HybridTechnical,
        Self::HybridLegal,
        Self::CanonSpec,
        Self::Gateway,
        Self::Router,
        Self::Express,
    ];

    /// Its name in configurations and messages.
    ///
    /// ```
    /// assert_eq!(chittyid::Profile::ServiceV1.name(), "service-v1");
    /// ```
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientV1 => "client-v1",
            Self::ServiceV1 => "service-v1",
            Self::Canonical03 => "canonical-03",
            Self::Canonical03Short => "canonical-03-short",
            Self::FoundationV2 => "foundation-v2",
            Self::Vrf => "vrf",
            Self::Legacy => "legacy",
            Self::HybridTechnical => "hybrid-technical",
            Self::HybridLegal => "hybrid-legal",
            Self::CanonSpec => "canon-spec",
            Self::Gateway => "gateway",
            Self::Router => "router",
            Self::Express => "express",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// No profile has this name; whoever wrote it must act.
///
/// ```
/// let error = "client-v2".parse::<chittyid::Profile>().unwrap_err();
/// assert!(error.to_string().starts_with("no profile has this name; there are client-v1, service-v1"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownProfile;

impl fmt::Display for UnknownProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no profile has this name; there are {}", Profiles::ALL)
    }
}

impl core::error::Error for UnknownProfile {}

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(name: &str) -> Result<Self, UnknownProfile> {
        Self::ALL.into_iter().find(|profile| profile.name() == name).ok_or(UnknownProfile)
    }
}

/// A set of profiles: those that are accepted.
///
/// The default is [`Profiles::CLIENT_V1`], which is what seed 001 calls official.
///
/// ```
/// use chittyid::{Profile, Profiles};
///
/// let accepted = Profiles::CLIENT_V1.with(Profile::Canonical03);
/// assert!(accepted.contains(Profile::Canonical03));
/// assert!(!accepted.contains(Profile::Legacy));
/// assert_eq!(accepted.to_string(), "client-v1, canonical-03");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Profiles(u16);

impl Profiles {
    /// None at all.
    pub const NONE: Self = Self(0);
    /// The client's pattern and nothing else: the default.
    pub const CLIENT_V1: Self = Self::NONE.with(Profile::ClientV1);
    /// What is found in the real world: the client's pattern and both shapes that the live service
    /// has answered with.
    pub const INTEROP: Self = Self::CLIENT_V1.with(Profile::ServiceV1).with(Profile::Canonical03);
    /// All of them, the old simple form included.
    pub const ALL: Self = {
        let (mut all, mut number) = (Self::NONE, 0);
        while number < Profile::ALL.len() {
            all = all.with(Profile::ALL[number]);
            number += 1;
        }
        all
    };

    /// This set and `profile`.
    ///
    /// ```
    /// use chittyid::{Profile, Profiles};
    /// assert_eq!(Profiles::NONE.with(Profile::ClientV1), Profiles::CLIENT_V1);
    /// ```
    #[must_use]
    pub const fn with(self, profile: Profile) -> Self {
        Self(self.0 | 1 << profile as u8)
    }

    /// This set without `profile`.
    ///
    /// ```
    /// use chittyid::{Profile, Profiles};
    /// assert!(Profiles::CLIENT_V1.without(Profile::ClientV1).is_empty());
    /// ```
    #[must_use]
    pub const fn without(self, profile: Profile) -> Self {
        Self(self.0 & !(1 << profile as u8))
    }

    /// Whether `profile` is in it.
    ///
    /// ```
    /// use chittyid::{Profile, Profiles};
    /// assert!(Profiles::INTEROP.contains(Profile::ServiceV1));
    /// ```
    #[must_use]
    pub const fn contains(self, profile: Profile) -> bool {
        self.0 & 1 << profile as u8 != 0
    }

    /// Whether nothing is in it.
    ///
    /// ```
    /// assert!(chittyid::Profiles::NONE.is_empty());
    /// ```
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those in it, in the order in which they are asked.
    ///
    /// ```
    /// use chittyid::{Profile, Profiles};
    /// assert_eq!(Profiles::INTEROP.iter().count(), 3);
    /// assert_eq!(Profiles::INTEROP.iter().next(), Some(Profile::ClientV1));
    /// ```
    pub fn iter(self) -> impl Iterator<Item = Profile> {
        Profile::ALL.into_iter().filter(move |profile| self.contains(*profile))
    }
}

impl Default for Profiles {
    fn default() -> Self {
        Self::CLIENT_V1
    }
}

impl From<Profile> for Profiles {
    fn from(profile: Profile) -> Self {
        Self::NONE.with(profile)
    }
}

impl FromIterator<Profile> for Profiles {
    fn from_iter<I: IntoIterator<Item = Profile>>(profiles: I) -> Self {
        profiles.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Display for Profiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, profile) in self.iter().enumerate() {
            if number > 0 {
                f.write_str(", ")?;
            }
            f.write_str(profile.name())?;
        }
        if self.is_empty() { f.write_str("none") } else { Ok(()) }
    }
}

impl fmt::Debug for Profiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Profiles({self})")
    }
}
