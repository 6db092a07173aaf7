//! Fields in, id out.

use chittyid::{
    Canonical03, ChecksumStatus, ClientV1, Field, Profile, Profiles, Region, Trust, parse,
    validate_format,
};
use proptest::prelude::*;

#[test]
fn every_field_of_a_client_id_is_checked_by_name() {
    let good = ClientV1::default();
    let cases = [
        (ClientV1 { version: "C", ..good }, Field::Version),
        (ClientV1 { version: "03", ..good }, Field::Version),
        (ClientV1 { version: "É", ..good }, Field::Version),
        (ClientV1 { generation: 'a', ..good }, Field::Generation),
        (ClientV1 { location: "CHIC", ..good }, Field::Location),
        (ClientV1 { location: "-- ", ..good }, Field::Location),
        (ClientV1 { sequence: 0, ..good }, Field::Sequence),
        (ClientV1 { sequence: 10_000, ..good }, Field::Sequence),
        (ClientV1 { letter: 'É', ..good }, Field::Type),
        (ClientV1 { year: 24, ..good }, Field::YearMonth),
        (ClientV1 { year: 2100, ..good }, Field::YearMonth),
        (ClientV1 { category: '7', ..good }, Field::Category),
        (ClientV1 { extension: 'x', ..good }, Field::Extension),
    ];
    for (fields, wrong) in cases {
        let error = fields.build().unwrap_err();
        assert_eq!((error.profile, error.field), (Profile::ClientV1, wrong), "{fields:?}");
    }
}

#[test]
fn every_field_of_a_canonical_id_is_checked_by_name() {
    let good = Canonical03::default();
    let cases = [
        (Canonical03 { region: 0, ..good }, Field::Generation),
        (Canonical03 { region: 10, ..good }, Field::Generation),
        (Canonical03 { jurisdiction: "us", ..good }, Field::Location),
        (Canonical03 { sequence: 0, ..good }, Field::Sequence),
        (Canonical03 { sequence: 10_000, ..good }, Field::Sequence),
        (Canonical03 { letter: 'X', ..good }, Field::Type),
        (Canonical03 { year: 1999, ..good }, Field::YearMonth),
        (Canonical03 { month: 0, ..good }, Field::YearMonth),
        (Canonical03 { month: 13, ..good }, Field::YearMonth),
        (Canonical03 { trust: 6, ..good }, Field::Category),
    ];
    for (fields, wrong) in cases {
        let error = fields.build().unwrap_err();
        assert_eq!((error.profile, error.field), (Profile::Canonical03, wrong), "{fields:?}");
    }
}

#[test]
fn an_error_says_what_the_field_must_be() {
    let error = Canonical03 { month: 13, ..Canonical03::default() }.build().unwrap_err();
    let told = "the year and month of a canonical-03 id must be a month from 1 to 12";
    assert_eq!(error.to_string(), told);
    let error = ClientV1 { year: 24, ..ClientV1::default() }.build().unwrap_err();
    let told = "the year of a client-v1 id must be in a year from 2000 to 2099";
    assert_eq!(error.to_string(), told);
}

#[test]
fn genuine_ids_are_rebuilt_from_their_fields() {
    let base = Canonical03 { year: 2026, ..Canonical03::default() };
    let fields = Canonical03 { sequence: 735, letter: 'T', month: 5, trust: 1, ..base };
    assert_eq!(fields.build().unwrap(), "03-1-USA-0735-T-2605-1-73");
    let fields = Canonical03 { sequence: 970, month: 3, ..base };
    assert_eq!(fields.build().unwrap(), "03-1-USA-0970-P-2603-0-54");
}

#[test]
fn regions_and_trust_levels_are_their_digits() {
    for digit in 0..=u8::MAX {
        let region = Region::from_digit(digit);
        assert_eq!(region.is_some(), (1..=9).contains(&digit));
        assert_eq!(region.map_or(digit, Region::digit), digit);
        let trust = Trust::from_digit(digit);
        assert_eq!(trust.is_some(), digit <= 5);
        assert_eq!(trust.map_or(digit, Trust::digit), digit);
    }
    let names = Region::ALL.map(Region::name);
    assert_eq!(names[..3], ["North America", "South America", "Europe"]);
    let names = Trust::ALL.map(Trust::name);
    assert_eq!(names, ["Unverified", "Basic", "Standard", "Verified", "Premium", "Official"]);
}

#[test]
fn countries_have_their_region_and_jurisdiction() {
    let cases = [
        ("US CA MX", 1, "USA CAN MEX"),
        ("BR AR CL", 2, "BRA ARG CHL"),
        ("GB DE FR", 3, "GBR DEU FRA"),
        ("CN JP IN", 4, "CHN JPN IND"),
        ("ZA NG EG", 5, "ZAF NGA EGY"),
        ("AU NZ", 6, "AUS NZL"),
        ("AQ", 7, "ATA"),
        ("INT", 8, "INT"),
        ("DIGITAL", 9, "INT"),
    ];
    for (countries, region, jurisdictions) in cases {
        for (country, jurisdiction) in countries.split(' ').zip(jurisdictions.split(' ')) {
            let (found, place) = Region::of_country(country);
            assert_eq!((found.digit(), place), (region, jurisdiction), "{country}");
            assert_eq!(Region::of_country(&country.to_lowercase()), (found, place));
        }
    }
    for unknown in ["", "CH", "USA", "é"] {
        assert_eq!(Region::of_country(unknown), (Region::Digital, "INT"), "{unknown}");
    }
}

proptest! {
    #[test]
    fn what_is_built_is_read_back(
        region in 1..=9_u8, jurisdiction in "[A-Z]{3}", sequence in 1..=9999_u16,
        letter in proptest::sample::select(vec!['P', 'L', 'T', 'E', 'A']), year in 2000..=2099_u16,
        month in 1..=12_u8, trust in 0..=5_u8,
    ) {
        let jurisdiction = &*jurisdiction;
        let fields = Canonical03 { region, jurisdiction, sequence, letter, year, month, trust };
        let id = fields.build().unwrap();
        let read = parse(id.as_str(), Profiles::INTEROP).unwrap();
        prop_assert_eq!((read, read.profile()), (id, Profile::Canonical03));
        prop_assert_eq!(read.checksum(), ChecksumStatus::Valid);
        prop_assert_eq!(read.sequence(), Some(sequence));
        prop_assert_eq!(read.generation(), char::from_digit(region.into(), 10));
        prop_assert_eq!((read.location(), read.entity_letter()), (Some(jurisdiction), Some(letter)));
        prop_assert_eq!(read.year_month().unwrap(), format!("{:02}{month:02}", year % 100));
        prop_assert_eq!(read.category().unwrap(), trust.to_string());

        let extension = char::from_digit(trust.into(), 10).unwrap();
        let other = ClientV1 { location: jurisdiction, sequence, letter, year, extension, ..ClientV1::default() };
        let id = other.build().unwrap();
        prop_assert!(validate_format(id.as_str()));
        prop_assert_eq!(id.sequence(), Some(sequence));
    }
}
