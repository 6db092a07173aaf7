//! Which ids there are to give for one entity at one time. Pure.

use chittyid::{BuildError, Canonical03, ChittyId, ClientV1, EntityType};

use crate::{AuthorityConfig, IssuedProfile};

/// The highest sequence of four digits; 0000 is never given.
const SEQUENCES: u64 = 9_999;
/// What client-v1's extension counts on with, once the sequences are used up.
const EXTENSIONS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// All fields of an id but the number, and with them how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan<'a> {
    config: &'a AuthorityConfig,
    letter: char,
    year: u16,
    month: u8,
}

impl<'a> Plan<'a> {
    pub(crate) fn of(
        config: &'a AuthorityConfig,
        entity: EntityType,
        year: u16,
        month: u8,
    ) -> Self {
        // Both profiles have a letter for every entity.
        let letter = entity.letter(config.profile.profile()).unwrap_or('I');
        Self { config, letter, year, month }
    }

    /// The sequence that its numbers are taken from: all fields as they are printed, but the number
    /// and what follows from it. Two entities with the same letter share one.
    pub(crate) fn sequence(&self) -> String {
        let Self { config, letter, year, month } = self;
        let year = year % 100;
        if config.profile == IssuedProfile::Canonical03 {
            let AuthorityConfig { region, jurisdiction, trust, .. } = config;
            format!("03-{region}-{jurisdiction}-{letter}-{year:02}{month:02}-{trust}")
        } else {
            let AuthorityConfig { version, generation, location, category, .. } = config;
            format!("{version}-{generation}-{location}-{letter}-{year:02}-{category}")
        }
    }

    /// The number of the month or year that its ids are of; later ones have higher numbers.
    pub(crate) const fn period(config: &AuthorityConfig, year: u16, month: u8) -> u32 {
        match config.profile {
            IssuedProfile::ClientV1 => year as u32,
            IssuedProfile::Canonical03 => year as u32 * 12 + month as u32,
        }
    }

    /// How many ids there are: 9 999 in a month for canonical-03, 36 times as many in a year for
    /// client-v1.
    pub(crate) fn capacity(&self) -> u64 {
        match self.config.profile {
            IssuedProfile::ClientV1 => SEQUENCES * EXTENSIONS.len() as u64,
            IssuedProfile::Canonical03 => SEQUENCES,
        }
    }

    /// The id of that number, from 1 to the capacity.
    pub(crate) fn id(&self, number: u64) -> Result<ChittyId, BuildError> {
        let Self { config, letter, year, month } = *self;
        let before = number.saturating_sub(1);
        let sequence = if number == 0 { 0 } else { before % SEQUENCES + 1 };
        // Out of range is no sequence, which the builders refuse.
        let sequence = u16::try_from(sequence).unwrap_or(0);
        let round = usize::try_from(before / SEQUENCES).unwrap_or(usize::MAX);
        if config.profile == IssuedProfile::Canonical03 {
            let fields = Canonical03 {
                region: config.region,
                jurisdiction: &config.jurisdiction,
                sequence: if round == 0 { sequence } else { 0 },
                letter,
                year,
                month,
                trust: config.trust,
            };
            return fields.build();
        }
        let extension = EXTENSIONS.get(round);
        let fields = ClientV1 {
            version: &config.version,
            generation: config.generation,
            location: &config.location,
            sequence: if extension.is_some() { sequence } else { 0 },
            letter,
            year,
            category: config.category,
            extension: char::from(extension.copied().unwrap_or(b'0')),
        };
        fields.build()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use chittyid::ChecksumStatus;
    use proptest::prelude::*;

    use super::*;

    fn config(profile: IssuedProfile) -> AuthorityConfig {
        AuthorityConfig { profile, ..AuthorityConfig::default() }
    }

    #[test]
    fn every_number_has_an_id_of_its_own_and_none_is_beyond_the_last() {
        for (profile, capacity) in
            [(IssuedProfile::ClientV1, 359_964), (IssuedProfile::Canonical03, 9_999)]
        {
            let config = config(profile);
            let plan = Plan::of(&config, EntityType::Information, 2026, 11);
            assert_eq!(plan.capacity(), capacity);
            let mut all = HashSet::new();
            for number in 1..=capacity {
                let id = plan.id(number).unwrap();
                assert_eq!(id.profile(), profile.profile());
                assert!(all.insert(id), "{id} twice");
            }
            assert!(plan.id(0).is_err() && plan.id(capacity + 1).is_err());
        }
    }

    #[test]
    fn the_first_and_the_last_are_as_expected() {
        let client = config(IssuedProfile::ClientV1);
        let plan = Plan::of(&client, EntityType::Property, 2026, 11);
        assert_eq!(plan.sequence(), "CT-A-CHI-R-26-A");
        assert_eq!(plan.id(1).unwrap(), "CT-A-CHI-0001-R-26-A-0");
        assert_eq!(plan.id(9_999).unwrap(), "CT-A-CHI-9999-R-26-A-0");
        assert_eq!(plan.id(10_000).unwrap(), "CT-A-CHI-0001-R-26-A-1");
        assert_eq!(plan.id(359_964).unwrap(), "CT-A-CHI-9999-R-26-A-Z");
        let canonical = config(IssuedProfile::Canonical03);
        let plan = Plan::of(&canonical, EntityType::Person, 2026, 2);
        assert_eq!(plan.sequence(), "03-1-USA-P-2602-0");
        assert_eq!(plan.id(5_537).unwrap(), "03-1-USA-5537-P-2602-0-38");
        assert_eq!(plan.id(1).unwrap().checksum(), ChecksumStatus::Valid);
    }

    proptest! {
        #[test]
        fn two_plans_with_the_same_id_have_the_same_sequence(
            one in (0..9_usize, 2020..2030_u16, 1..=12_u8, 1..9_999_u64),
            other in (0..9_usize, 2020..2030_u16, 1..=12_u8, 1..9_999_u64),
            canonical: bool,
        ) {
            let profile = if canonical { IssuedProfile::Canonical03 } else { IssuedProfile::ClientV1 };
            let config = config(profile);
            let of = |(entity, year, month, number): (usize, u16, u8, u64)| {
                let plan = Plan::of(&config, EntityType::ALL[entity], year, month);
                (plan.sequence(), number, plan.id(number).unwrap())
            };
            let (a, b) = (of(one), of(other));
            prop_assert_eq!((a.0 == b.0) && (a.1 == b.1), a.2 == b.2);
        }
    }
}
