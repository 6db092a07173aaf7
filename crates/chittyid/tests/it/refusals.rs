//! Every way to be no id, with the words it gets.

use chittyid::{Error, Profile, Profiles, parse};

#[track_caller]
fn check(text: &str, accepted: Profiles, told: &str) {
    let error = parse(text, accepted).expect_err(text);
    assert_eq!(error.to_string(), told, "{text:?}: {error:?}");
}

#[test]
fn what_is_wrong_with_a_text_as_a_whole_is_told_first() {
    let strict = Profiles::default();
    check("", strict, "the text is empty");
    check(&"A".repeat(39), strict, "39 bytes are too long, ids have at most 38");
    check(&"é".repeat(1 << 20), strict, "2097152 bytes are too long, ids have at most 38");
    check("CT-A-CHÍ-1234-I-24-A-0", strict, "byte 7 is 'Í', ids have ASCII characters only");
    check("CT\u{2010}A-CHI-1234-I-24-A-0", strict, "byte 2 is '‐', ids have ASCII characters only");
    check(
        "CT-A-CHI-1234-I-24-A-0\n",
        strict,
        "byte 22 is '\\n', ids have no whitespace in or around them",
    );
    check(
        " CT-A-CHI-1234-I-24-A-0",
        strict,
        "byte 0 is ' ', ids have no whitespace in or around them",
    );
    check("CT-A-chi-1234-I-24-A-0", strict, "byte 5 is 'c', ids have capital letters only");
    check("chitty_1234", strict, "byte 0 is 'c', ids have capital letters only");
}

#[test]
fn the_field_the_byte_and_what_was_expected_are_named() {
    let strict = Profiles::default();
    let cases = [
        (
            ".T-A-CHI-1234-I-24-A-0",
            "byte 0 is '.', where the version of a client-v1 id has two capital letters",
        ),
        (
            "CT-1-CHI-1234-I-24-A-0",
            "byte 3 is '1', where the generation of a client-v1 id has one capital letter",
        ),
        (
            "CT-A-C1I-1234-I-24-A-0",
            "byte 6 is '1', where the location of a client-v1 id has three capital letters",
        ),
        (
            "CT-A-CHI-123-I-24-A-0",
            "byte 12 is '-', where the sequence of a client-v1 id has four digits",
        ),
        (
            "CT-A-CHI-1234-1-24-A-0",
            "byte 14 is '1', where the type of a client-v1 id has one capital letter",
        ),
        (
            "CT-A-CHI-1234-I-2.-A-0",
            "byte 17 is '.', where the year of a client-v1 id has two digits",
        ),
        (
            "CT-A-CHI-1234-I-24-.-0",
            "byte 19 is '.', where the category of a client-v1 id has one capital letter",
        ),
        (
            "CT-A-CHI-1234-I-24-A-_",
            "byte 21 is '_', where the extension of a client-v1 id has one digit or capital letter",
        ),
        (
            "CT-A-CHI-1234-I-2409-5-0",
            "byte 18 is '0', where the year of a client-v1 id has ended: it has two digits",
        ),
        (
            "CT-A-CHI-1234-I-24-A-00",
            "byte 22 is '0', where the extension of a client-v1 id has ended: it has one digit or capital letter",
        ),
        (
            "CT/A-CHI-1234-I-24-A-0",
            "byte 2 is '/', where the version of a client-v1 id has ended: it has two capital letters",
        ),
        (
            "CT",
            "the text ends after 2 bytes, before the generation is complete: a client-v1 id has one capital letter there",
        ),
        (
            "CT-A-CHI-12",
            "the text ends after 11 bytes, before the sequence is complete: a client-v1 id has four digits there",
        ),
        (
            "CT-A-CHI-1234-I-24-A-",
            "the text ends after 21 bytes, before the extension is complete: a client-v1 id has one digit or capital letter there",
        ),
        (
            "CT-A-CHI-1234-I-24-A",
            "the text ends after 20 bytes, before the extension is complete: a client-v1 id has one digit or capital letter there",
        ),
        ("\0", "byte 0 is '\\0', where the version of a client-v1 id has two capital letters"),
    ];
    for (text, told) in cases {
        check(text, strict, told);
    }
}

#[test]
fn a_well_formed_id_of_another_profile_is_told_as_such() {
    check(
        "CHITTY-PEO-00001-A1B2C3",
        Profiles::INTEROP,
        "its profile is legacy, and accepted are only client-v1, service-v1, canonical-03",
    );
    check(
        "CT-A-CHI-1234-I-24-A-0",
        Profiles::NONE,
        "its profile is client-v1, and none is accepted",
    );
    let error = parse("01-C-INF-0177-I-2510-7-23", Profiles::CLIENT_V1).unwrap_err();
    let detected = Profile::ServiceV1;
    assert_eq!(error, Error::Profile { detected, accepted: Profiles::CLIENT_V1 });
}

#[test]
fn of_several_profiles_the_one_speaks_that_read_most() {
    check(
        "03-1-USA-0001-P-2602-9-85",
        Profiles::INTEROP,
        "byte 21 is '9', where the trust level of a canonical-03 id has a trust level from 0 to 5",
    );
    check(
        "01-C-ACX-4829-PEO-Q5-7-0",
        Profile::CanonSpec.into(),
        "byte 7 is 'X', where the lifecycle of a canon-spec id has one of ACT, EMG, MTR, EXP and ARC",
    );
    check(
        "01-C-ACT-4829-PEOPLE-Q5-7-0",
        Profile::CanonSpec.into(),
        "byte 17 is 'P', where the type of a canon-spec id has one of the nine entities' names",
    );
    check(
        "CHATTY-PEO-1-A",
        Profile::Legacy.into(),
        "byte 2 is 'A', where the prefix of a legacy id has `CHITTY`",
    );
    check(
        "CHITTY-PEO",
        Profiles::ALL,
        "the text ends after 10 bytes, before the sequence is complete: a legacy id has digits or capital letters there",
    );
}
