//! The parts of an id and what they are called.

use crate::Profile;

/// A part of an id, by its place in `VV-G-LLL-SSSS-T-YM-C-X`.
///
/// The places are the same in all profiles but [`Profile::Legacy`], which has only four of them; what
/// a place means is not. [`Field::name`] says what a profile calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// VV.
    Version,
    /// G: generation, group, region or domain.
    Generation,
    /// LLL: location, entity code, jurisdiction, namespace or lifecycle.
    Location,
    /// SSSS.
    Sequence,
    /// T: the entity's letter.
    Type,
    /// YM: year, or year and month.
    YearMonth,
    /// C: category, check character or trust level.
    Category,
    /// X: extension, checksum or revision.
    Extension,
}

impl Field {
    /// What `profile` calls it.
    ///
    /// Sources contradict each other about `client-v1`: seed 001 calls C a check character and X an
    /// extension, the client's own comment calls C a category and X a checksum. Neither is defined,
    /// so the neutral names stand here.
    ///
    /// ```
    /// use chittyid::{Field, Profile};
    ///
    /// assert_eq!(Field::Generation.name(Profile::ClientV1), "generation");
    /// assert_eq!(Field::Generation.name(Profile::Canonical03), "region");
    /// ```
    #[must_use]
    pub const fn name(self, profile: Profile) -> &'static str {
        names(profile)[self as usize]
    }
}

/// The names of the eight places.
const fn names(profile: Profile) -> [&'static str; 8] {
    let (generation, location, year_month, category, extension) = match profile {
        Profile::ClientV1 => ("generation", "location", "year", "category", "extension"),
        Profile::ServiceV1 => {
            ("group", "entity code", "year and month", "check digit", "extension")
        }
        Profile::Canonical03 | Profile::Canonical03Short | Profile::Gateway => {
            ("region", "jurisdiction", "year and month", "trust level", "checksum")
        }
        Profile::FoundationV2 => {
            ("generation", "location", "year and month", "category", "checksum")
        }
        Profile::Vrf => ("domain", "namespace", "year and month", "trust level", "checksum"),
        Profile::CanonSpec => ("domain", "lifecycle", "year and month", "checksum", "revision"),
        Profile::Legacy
        | Profile::HybridTechnical
        | Profile::HybridLegal
        | Profile::Router
        | Profile::Express => ("generation", "location", "year and month", "category", "extension"),
    };
    let (version, extension) = match profile {
        Profile::Legacy => ("prefix", "checksum"),
        Profile::ClientV1
        | Profile::ServiceV1
        | Profile::Canonical03
        | Profile::Canonical03Short
        | Profile::FoundationV2
        | Profile::Vrf
        | Profile::HybridTechnical
        | Profile::HybridLegal
        | Profile::CanonSpec
        | Profile::Gateway
        | Profile::Router
        | Profile::Express => ("version", extension),
    };
    [version, generation, location, "sequence", "type", year_month, category, extension]
}
