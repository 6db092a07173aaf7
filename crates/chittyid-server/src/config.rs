use std::time::Duration;

use chittyid::{BuildError, Profile};
use chittyid_client::ClientConfig;
use mainstay::core::config::{ConfigError, duration, in_range};
use serde::{Deserialize, Serialize};

use crate::authority::Plan;

/// The section `[chittyid]` of a configuration file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChittyIdConfig {
    /// An authority; none when the section is not there.
    pub authority: Option<AuthorityConfig>,
    /// A gateway to an authority, with the settings of a client but for `api_key`; none when the
    /// section is not there.
    pub gateway: Option<ClientConfig>,
}

impl ChittyIdConfig {
    /// Whether all of it makes sense.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field that does not, from `authority` or `gateway` on.
    pub fn check(&self) -> Result<(), ConfigError> {
        let authority = self.authority.as_ref().map_or(Ok(()), AuthorityConfig::check);
        authority.map_err(|error| error.within("authority"))?;
        let gateway = self.gateway.as_ref().map_or(Ok(()), crate::gateway::check);
        gateway.map_err(|error| error.within("gateway"))
    }
}

/// What an authority gives, and to whom how much: the section `[chittyid.authority]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthorityConfig {
    /// The format of its ids: `client-v1` (the default, what the seeds' clients take) or
    /// `canonical-03` (recommended for new deployments: it has check digits and a month).
    pub profile: IssuedProfile,
    /// Version of client-v1 ids: two capital letters. Default `CT`, the seeds' example.
    pub version: String,
    /// Generation of client-v1 ids: a capital letter. Default `A`.
    pub generation: char,
    /// Location of client-v1 ids: three capital letters. Default `CHI`, the seeds' example.
    pub location: String,
    /// Category of client-v1 ids: a capital letter. Default `A`.
    pub category: char,
    /// Region of canonical-03 ids: 1 to 9. Default 1, North America.
    pub region: u8,
    /// Jurisdiction of canonical-03 ids: three capital letters. Default `USA`.
    pub jurisdiction: String,
    /// Trust level of canonical-03 ids: 0 to 5. Default 0, nobody has been verified.
    pub trust: u8,
    /// Ids that one key may mint a minute, and at once after a rest. Default 100, as seed 002
    /// recommends; 1 to 1 000 000.
    pub mints_per_minute: u32,
    /// The most ids of one batch. Default 100; 1 to 1000, and to `mints_per_minute`.
    pub batch_max: usize,
    /// The most bytes of an id's metadata. Default 10 000, the seed's limit; 2 to 10 000.
    pub metadata_max: usize,
    /// For how long a mint that is asked for again with the same `Idempotency-Key` is answered as
    /// the first time. Default 24 h; 1 minute to 30 days.
    #[serde(with = "duration")]
    pub idempotency_for: Duration,
    /// What goes into the audit log.
    pub audit: Audited,
    /// For how long the audit log is kept. Default 400 days; 1 day to 10 years.
    #[serde(with = "duration")]
    pub audit_for: Duration,
}

/// A format that an authority gives ids in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum IssuedProfile {
    /// `VV-G-LLL-SSSS-T-YM-C-X` as the seeds' clients check it: 359 964 a year for one letter.
    #[default]
    #[serde(rename = "client-v1")]
    ClientV1,
    /// `03-G-LLL-SSSS-T-YYMM-C-XX` with check digits: 9 999 a month for one letter.
    #[serde(rename = "canonical-03")]
    Canonical03,
}

impl IssuedProfile {
    /// The profile of its ids.
    #[must_use]
    pub const fn profile(self) -> Profile {
        match self {
            Self::ClientV1 => Profile::ClientV1,
            Self::Canonical03 => Profile::Canonical03,
        }
    }
}

/// What goes into the audit log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audited {
    /// Every mint. The default.
    #[default]
    Mints,
    /// Every mint and every validation.
    All,
}

impl Default for AuthorityConfig {
    fn default() -> Self {
        Self {
            profile: IssuedProfile::ClientV1,
            version: "CT".into(),
            generation: 'A',
            location: "CHI".into(),
            category: 'A',
            region: 1,
            jurisdiction: "USA".into(),
            trust: 0,
            mints_per_minute: 100,
            batch_max: 100,
            metadata_max: 10_000,
            idempotency_for: Duration::from_secs(86_400),
            audit: Audited::Mints,
            audit_for: Duration::from_secs(400 * 86_400),
        }
    }
}

impl AuthorityConfig {
    /// Whether it makes sense.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field that does not.
    pub fn check(&self) -> Result<(), ConfigError> {
        in_range("mints_per_minute", self.mints_per_minute, 1, 1_000_000)?;
        let most = usize::try_from(self.mints_per_minute).unwrap_or(usize::MAX);
        in_range("batch_max", self.batch_max, 1, most.min(1_000))?;
        in_range("metadata_max", self.metadata_max, 2, 10_000)?;
        let day = Duration::from_secs(86_400);
        in_range("idempotency_for", self.idempotency_for, Duration::from_secs(60), 30 * day)?;
        in_range("audit_for", self.audit_for, day, 3_650 * day)?;
        // One id of each profile shows whether the fields make sense, those that are not used too.
        for profile in [IssuedProfile::ClientV1, IssuedProfile::Canonical03] {
            let config = Self { profile, ..self.clone() };
            let plan = Plan::of(&config, chittyid::EntityType::Person, 2026, 1);
            plan.id(1).map_err(|error| config.refused(&error))?;
        }
        Ok(())
    }

    /// The field of ours that an id's field is made of.
    fn refused(&self, error: &BuildError) -> ConfigError {
        let is_canonical = self.profile == IssuedProfile::Canonical03;
        let (field, value): (_, &dyn std::fmt::Debug) = match error.field {
            chittyid::Field::Version => ("version", &self.version),
            chittyid::Field::Generation if is_canonical => ("region", &self.region),
            chittyid::Field::Generation => ("generation", &self.generation),
            chittyid::Field::Location if is_canonical => ("jurisdiction", &self.jurisdiction),
            chittyid::Field::Location => ("location", &self.location),
            chittyid::Field::Category if is_canonical => ("trust", &self.trust),
            chittyid::Field::Category
            | chittyid::Field::Sequence
            | chittyid::Field::Type
            | chittyid::Field::YearMonth
            | chittyid::Field::Extension => ("category", &self.category),
        };
        ConfigError::new(field, value, error.allowed)
    }
}
