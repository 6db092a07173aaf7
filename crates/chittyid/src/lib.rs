//! ChittyIDs: which of their many formats a text has, what its fields say, whether its check digits
//! are right, and how a new one is built.
//!
//! ```
//! use chittyid::{ChecksumStatus, Profile, Profiles, parse};
//!
//! let id = parse("03-1-USA-5537-P-2602-0-38", Profiles::INTEROP)?;
//! assert_eq!(id.profile(), Profile::Canonical03);
//! assert_eq!((id.location(), id.sequence()), (Some("USA"), Some(5537)));
//! assert_eq!(id.checksum(), ChecksumStatus::Valid);
//!
//! let error = parse("03-1-USA-5537-P-2602-0-38", Profiles::default()).unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "its profile is canonical-03, and accepted are only client-v1",
//! );
//! # Ok::<(), chittyid::Error>(())
//! ```
//!
//! Everything is a pure function of its arguments: nothing here connects, caches or allocates. An id
//! that is well-formed need not have been issued; only the service that issues them knows.
//!
//! # Profiles
//!
//! One name, `VV-G-LLL-SSSS-T-YM-C-X`, was given to many formats. `9` is a digit, `A` a capital
//! letter, `#` either.
//!
//! | profile | form | G | LLL | YM | C | X | [checksum](ChecksumStatus) |
//! |---|---|---|---|---|---|---|---|
//! | client-v1 | `AA-A-AAA-9999-A-99-A-#` | generation | location | year | category | extension | not defined |
//! | service-v1 | `99-A-AAA-9999-A-9999-9-#[#]` | group | entity code | YYMM | check digit | extension | not defined |
//! | canonical-03 | `03-[1-9]-AAA-9999-[PLTEA]-9999-[0-5]-99` | region | jurisdiction | YYMM | trust | check digits | [`check_digits`] |
//! | canonical-03-short | the same, YM `99[9]` | region | jurisdiction | YY, end of MM | trust | check digits | [`check_digits`] |
//! | foundation-v2 | `C[PLTE]-#-###-9999-[PLTE]-9999-A-99` | generation | location | YYMM | category | checksum | not defined |
//! | vrf | `03-[CEF]-AAA-9999-[PLTEA]-999-[0-5]-99` | domain | namespace | YY, end of MM | trust | checksum | needs the content |
//! | legacy | `CHITTY-A…-#…-#…` | – | – | – | – | checksum | not defined |
//! | hybrid-technical | `AA-A-AAA-9999-A-99-9-#` | generation | location | – | category | extension | not defined |
//! | hybrid-legal | `99-A-AAA-9999-A-99-9-#` | generation | location | – | category | extension | not defined |
//! | canon-spec | `99-[CE]-(lifecycle)-9999-(entity)-##-#-#` | domain | lifecycle | base 36 | checksum | revision | not defined |
//! | gateway | `99-[1-9]-AAA-9999-[PLTM]-##-#-#` | region | jurisdiction | base 36 | trust | checksum | not defined |
//! | router | `99-9-AAA-9999-A-999999-9…-9…` | generation | location | YYYYMM | category | extension | not defined |
//! | express | `##-A-AAA-9999-A-##-#-#` | generation | location | base 36 | category | extension | needs the content |
//!
//! By their symbols and widths all of them exclude each other, but for express, which also fits every
//! client-v1, hybrid-technical and hybrid-legal id: [`parse`] takes the first that is accepted, in the
//! table's order. Their sources contradict each other about what fields mean; the repository's
//! `docs/chittyid.md` tells how.
//!
//! # Features
//!
//! `serde`: ids, entities and profiles as strings, sets of profiles as lists of their names.

#![no_std]

#[cfg(test)]
extern crate std;

mod builder;
mod canon;
mod check;
#[cfg(feature = "serde")]
mod data;
mod entity;
mod error;
mod field;
mod grammar;
mod id;
mod parse;
mod profile;

pub use builder::{BuildError, Canonical03, ClientV1};
pub use canon::{Region, Trust};
pub use check::{ChecksumStatus, check_digits};
pub use entity::{EntityType, UnsupportedEntity};
pub use error::Error;
pub use field::Field;
pub use id::{ChittyId, Fields, MAX_LEN};
pub use parse::{detect, extract_entity_type, is_chittyid, parse, validate_format};
pub use profile::{Profile, Profiles, UnknownProfile};
