//! Ids that were seen, as tables: what they are and what their checksums say.

use chittyid::{
    ChecksumStatus, Error, Field, Profile, Profiles, check_digits, detect, extract_entity_type,
    is_chittyid, parse, validate_format,
};

/// What the seeds call valid.
const SEEDS_VALID: [(&str, char); 8] = [
    ("CT-A-CHI-1234-I-24-A-0", 'I'),
    ("ID-B-CHI-5678-P-24-B-X", 'P'),
    ("EV-C-TES-9999-E-25-C-Y", 'E'),
    ("PL-A-NYC-0001-L-24-D-Z", 'L'),
    ("AB-B-NYC-5678-P-25-B-X", 'P'),
    ("AB-B-CHI-5678-P-25-B-1", 'P'),
    ("ZZ-C-TES-9999-E-10-C-5", 'E'),
    ("XY-A-NYC-0001-L-24-D-A", 'L'),
];

/// What the seeds call invalid: other formats, and malformed ones.
const SEEDS_INVALID: [&str; 27] = [
    "01-A-CHI-1234-I-2409-5-0",
    "01-B-CHI-5678-P-2410-7-12",
    "01-C-TES-9999-E-2510-3-45",
    "02-A-NYC-0001-L-2409-8-67",
    "01-C-INF-0177-I-2510-7-23",
    "chitty_1234567890",
    "chitty_",
    "CHITTY-PEO-00001-A1B2C3",
    "CHITTY-",
    "CD-A1B2C3",
    "",
    "invalid",
    "null",
    "CT",
    "CT-A-CHI-1234-I-24-A",
    "CT-A-CHI-1234-I-24-A-0-1",
    "CTX-A-CHI-1234-I-24-A-0",
    "C-A-CHI-1234-I-24-A-0",
    "CT-AA-CHI-1234-I-24-A-0",
    "CT-A-CH-1234-I-24-A-0",
    "CT-A-CHI-123-I-24-A-0",
    "CT-A-CHI-12345-I-24-A-0",
    "CT-A-CHI-1234-II-24-A-0",
    "CT-A-CHI-1234-I-2409-A-0",
    "CT-A-CHI-1234-I-24-5-0",
    "CT-A-CHI-1234-I-24-A-00",
    "ct-a-chi-1234-i-24-a-0",
];

/// Answers of live services, with what their checksums say.
const GENUINE: [(&str, Profile, ChecksumStatus); 12] = [
    ("01-C-INF-0177-I-2510-7-23", Profile::ServiceV1, ChecksumStatus::NotDefined),
    ("01-C-CON-3844-I-2510-4-87", Profile::ServiceV1, ChecksumStatus::NotDefined),
    ("01-C-CON-7968-I-2510-8-34", Profile::ServiceV1, ChecksumStatus::NotDefined),
    ("01-C-CON-3758-I-2510-8-96", Profile::ServiceV1, ChecksumStatus::NotDefined),
    ("01-C-CON-0026-I-2510-6-11", Profile::ServiceV1, ChecksumStatus::NotDefined),
    ("03-1-USA-0735-T-2605-1-73", Profile::Canonical03, ChecksumStatus::Valid),
    ("03-1-USA-0970-P-2603-0-54", Profile::Canonical03, ChecksumStatus::Valid),
    ("03-1-USA-2709-T-2602-0-42", Profile::Canonical03, ChecksumStatus::Valid),
    ("03-1-USA-5222-T-2603-1-36", Profile::Canonical03, ChecksumStatus::Valid),
    ("03-1-USA-5537-P-2602-0-38", Profile::Canonical03, ChecksumStatus::Valid),
    ("03-1-USA-7165-T-2602-0-13", Profile::Canonical03, ChecksumStatus::Valid),
    ("03-1-USA-9636-T-2605-1-75", Profile::Canonical03, ChecksumStatus::Valid),
];

/// Computed by hand from the rule.
const COMPUTED: [(&str, Profile); 9] = [
    ("03-1-USA-0001-P-2602-0-85", Profile::Canonical03),
    ("03-1-USA-0001-L-2602-0-57", Profile::Canonical03),
    ("03-1-USA-0001-T-2602-0-16", Profile::Canonical03),
    ("03-1-USA-0001-E-2602-0-08", Profile::Canonical03),
    ("03-1-USA-0001-A-2602-0-77", Profile::Canonical03),
    ("03-9-INT-0001-T-2601-0-48", Profile::Canonical03),
    ("03-3-GBR-1234-E-2601-3-54", Profile::Canonical03),
    ("03-1-USA-9999-T-2605-5-31", Profile::Canonical03),
    ("03-1-USA-0001-P-251-3-79", Profile::Canonical03Short),
];

/// One or more ids of each further profile.
const OTHERS: [(&str, Profile, ChecksumStatus); 13] = [
    ("01-A-CHI-1234-I-2409-5-0", Profile::ServiceV1, ChecksumStatus::NotDefined),
    ("02-A-NYC-0001-L-2409-8-6Z", Profile::ServiceV1, ChecksumStatus::NotDefined),
    ("CP-A-001-1234-P-2509-I-82", Profile::FoundationV2, ChecksumStatus::NotDefined),
    ("03-C-GEN-0001-P-259-3-10", Profile::Vrf, ChecksumStatus::NeedsContext),
    ("CHITTY-PEO-00001-A1B2C3", Profile::Legacy, ChecksumStatus::NotDefined),
    ("CHITTY-CONTEXT-000001-A1B2C3D4", Profile::Legacy, ChecksumStatus::NotDefined),
    ("AA-C-TSK-1234-I-25-7-X", Profile::HybridTechnical, ChecksumStatus::NotDefined),
    ("01-N-USA-1234-P-25-3-X", Profile::HybridLegal, ChecksumStatus::NotDefined),
    ("01-C-ACT-4829-PEO-Q5-7-0", Profile::CanonSpec, ChecksumStatus::NotDefined),
    ("01-E-ARC-4829-CONTEXT-Q5-7-0", Profile::CanonSpec, ChecksumStatus::NotDefined),
    ("03-1-USA-0001-M-Q5-3-7", Profile::Gateway, ChecksumStatus::NotDefined),
    ("01-1-USA-0001-P-202510-3-7", Profile::Router, ChecksumStatus::NotDefined),
    ("02-C-DOC-1234-I-2B-7-A", Profile::Express, ChecksumStatus::NeedsContext),
];

#[test]
fn what_the_seeds_call_valid_is_valid_and_has_its_letter() {
    for (text, letter) in SEEDS_VALID {
        assert!(validate_format(text), "{text}");
        assert!(is_chittyid(text), "{text}");
        assert_eq!(extract_entity_type(text), Some(letter), "{text}");
        let id = parse(text, Profiles::default()).unwrap();
        assert_eq!((id.profile(), id.as_str()), (Profile::ClientV1, text));
        assert_eq!(id.checksum(), ChecksumStatus::NotDefined);
    }
}

#[test]
fn what_the_seeds_call_invalid_is_invalid() {
    for text in SEEDS_INVALID {
        assert!(!validate_format(text), "{text}");
        assert!(!is_chittyid(text), "{text}");
        assert_eq!(extract_entity_type(text), None, "{text}");
        assert!(parse(text, Profiles::default()).is_err(), "{text}");
    }
}

#[test]
fn what_services_have_answered_is_recognised_and_its_checksum_holds() {
    for (text, profile, checksum) in GENUINE {
        let id = parse(text, Profiles::INTEROP).unwrap();
        assert_eq!((id.profile(), id.checksum()), (profile, checksum), "{text}");
        let refused = parse(text, Profiles::default());
        let accepted = Profiles::CLIENT_V1;
        assert_eq!(refused, Err(Error::Profile { detected: profile, accepted }), "{text}");
    }
}

#[test]
fn computed_check_digits_hold() {
    for (text, profile) in COMPUTED {
        let id = parse(text, Profiles::ALL).unwrap();
        assert_eq!((id.profile(), id.checksum()), (profile, ChecksumStatus::Valid), "{text}");
    }
}

#[test]
fn every_profile_is_recognised() {
    for (text, profile, checksum) in OTHERS {
        assert_eq!(detect(text), Some(profile), "{text}");
        let id = parse(text, profile.into()).unwrap();
        assert_eq!((id.as_str(), id.checksum()), (text, checksum), "{text}");
    }
}

#[test]
fn examples_that_documents_call_official_are_known_to_be_wrong() {
    let wrong = [
        ("03-1-USA-0001-P-251-3-15", 79, 15),
        ("03-1-USA-1234-P-2601-3-42", 86, 42),
        ("03-1-USA-0001-P-2509-3-97", 42, 97),
        ("03-1-USA-0001-P-2602-0-42", 85, 42),
    ];
    for (text, expected, found) in wrong {
        let id = parse(text, Profiles::ALL).unwrap();
        assert_eq!(id.checksum(), ChecksumStatus::Mismatch { expected, found }, "{text}");
    }
    // Of another version, so no profile has it; the digits are wrong all the same.
    assert_eq!(detect("01-1-USA-0001-P-2509-0-82"), None);
    assert_eq!(check_digits("01-1-USA-0001-P-2509-0"), Some(29));
}

#[test]
fn check_digits_wrap_where_the_rest_is_zero_or_one() {
    // A single digit is its own rest: 98 and 97 are written as 1 and 0.
    assert_eq!(
        [check_digits("0"), check_digits("1"), check_digits("2")],
        [Some(1), Some(0), Some(96)]
    );
    assert_eq!(check_digits(""), Some(1));
    for text in ["a", "A B", "é", "1\n", "+1"] {
        assert_eq!(check_digits(text), None, "{text:?}");
    }
}

#[test]
fn canonical_ids_are_refused_field_by_field() {
    let cases = [
        ("03-0-USA-0001-P-2602-0-85", Field::Generation),
        ("03-1-USA-0001-X-2602-0-85", Field::Type),
        ("03-1-USA-0001-P-2602-6-85", Field::Category),
        ("04-1-USA-0001-P-2602-0-85", Field::Version),
        ("03-1-US1-0001-P-2602-0-85", Field::Location),
        ("03-1-USA-000A-P-2602-0-85", Field::Sequence),
        ("03-1-USA-0001-P-260A-0-85", Field::YearMonth),
        ("03-1-USA-0001-P-2602-0-8A", Field::Extension),
    ];
    for (text, wrong) in cases {
        match parse(text, Profile::Canonical03.into()) {
            Err(Error::Character { profile: Profile::Canonical03, field, .. }) => {
                assert_eq!(field, wrong, "{text}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    for text in
        ["03-1-USA-0001-P-2602-0", "03-1-USA-0001-P-2602-0-85-1", "03-1-usa-0001-p-2602-0-85"]
    {
        assert!(parse(text, Profiles::ALL).is_err(), "{text}");
    }
}

#[test]
fn fields_are_those_of_the_text() {
    let id = parse("03-1-USA-5537-P-2602-0-38", Profiles::INTEROP).unwrap();
    assert_eq!((id.version(), id.generation(), id.location()), ("03", Some('1'), Some("USA")));
    assert_eq!((id.sequence(), id.entity_letter()), (Some(5537), Some('P')));
    assert_eq!((id.year_month(), id.category(), id.extension()), (Some("2602"), Some("0"), "38"));
    let fields = id.fields().unwrap();
    assert_eq!((fields.version, fields.generation, fields.location), ("03", '1', "USA"));
    assert_eq!((fields.sequence, fields.entity, fields.year_month), (5537, "P", "2602"));
    assert_eq!((fields.category, fields.extension), ("0", "38"));

    let id = parse("CHITTY-PEO-00001-A1B2C3", Profiles::ALL).unwrap();
    assert_eq!((id.version(), id.extension(), id.fields()), ("CHITTY", "A1B2C3", None));
    assert_eq!((id.field(Field::Type), id.entity_letter()), (Some("PEO"), None));
    assert_eq!((id.generation(), id.location(), id.sequence()), (None, None, None));
    assert_eq!((id.year_month(), id.category()), (None, None));

    let id = parse("01-C-ACT-4829-PEO-Q5-7-0", Profiles::ALL).unwrap();
    assert_eq!((id.field(Field::Type), id.entity_letter()), (Some("PEO"), None));
}

#[test]
fn a_sequence_of_zeros_is_well_formed() {
    let id = parse("CT-A-CHI-0000-I-24-A-0", Profiles::default()).unwrap();
    assert_eq!(id.sequence(), Some(0));
}

#[test]
fn a_text_that_fits_two_profiles_is_of_the_first_that_is_accepted() {
    let text = "CT-A-CHI-1234-I-24-A-0";
    let both = Profiles::CLIENT_V1.with(Profile::Express);
    assert_eq!(parse(text, both).unwrap().profile(), Profile::ClientV1);
    let express = parse(text, Profile::Express.into()).unwrap();
    assert_eq!(express.profile(), Profile::Express);
    // The same text is the same id.
    assert_eq!(express, parse(text, Profiles::CLIENT_V1).unwrap());
}

#[test]
fn an_id_is_a_small_value_that_maps_find_by_its_text() {
    assert_eq!(size_of::<chittyid::ChittyId>(), 40);
    let ids: Vec<_> = SEEDS_VALID.map(|(text, _)| parse(text, Profiles::ALL).unwrap()).into();
    let sorted: std::collections::BTreeSet<_> = ids.iter().copied().collect();
    let hashed: std::collections::HashSet<_> = ids.iter().copied().collect();
    let mut texts = SEEDS_VALID.map(|(text, _)| text);
    texts.sort_unstable();
    assert!(sorted.iter().map(AsRef::as_ref).eq(texts));
    for text in texts {
        assert!(hashed.contains(text) && sorted.contains(text), "{text}");
    }
    assert_eq!(format!("{:?}", ids[0]), "ChittyId(CT-A-CHI-1234-I-24-A-0, client-v1)");
    assert_eq!(format!("{:>24}", ids[0]), "  CT-A-CHI-1234-I-24-A-0");
}
