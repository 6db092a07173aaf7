//! ChittyIDs: whether a text has the official format, and which profile it has.

use std::hint::black_box;

use chittyid::{Profile, Profiles, parse, validate_format};
use regex::Regex;

use crate::measure::Row;
use crate::report::Section;

const VALIDATE: &str = "chittyid, is it official";
const PARSE: &str = "chittyid, which profile";
const REFUSE: &str = "chittyid, what is wrong";

/// An id of each profile, and the profile's pattern.
const IDS: [(Profile, &str, &str); 13] = [
    (
        Profile::ClientV1,
        "CT-A-CHI-1234-I-24-A-0",
        "^[A-Z]{2}-[A-Z]-[A-Z]{3}-[0-9]{4}-[A-Z]-[0-9]{2}-[A-Z]-[0-9A-Z]$",
    ),
    (
        Profile::ServiceV1,
        "01-C-INF-0177-I-2510-7-23",
        "^[0-9]{2}-[A-Z]-[A-Z]{3}-[0-9]{4}-[A-Z]-[0-9]{4}-[0-9]-[0-9A-Z]{1,2}$",
    ),
    (
        Profile::Canonical03,
        "03-1-USA-5537-P-2602-0-38",
        "^03-[1-9]-[A-Z]{3}-[0-9]{4}-[PLTEA]-[0-9]{4}-[0-5]-[0-9]{2}$",
    ),
    (
        Profile::Canonical03Short,
        "03-1-USA-0001-P-251-3-79",
        "^03-[1-9]-[A-Z]{3}-[0-9]{4}-[PLTEA]-[0-9]{2,3}-[0-5]-[0-9]{2}$",
    ),
    (
        Profile::FoundationV2,
        "CP-A-001-1234-P-2509-I-82",
        "^(CP|CL|CT|CE)-[A-Z0-9]-[A-Z0-9]{3}-[0-9]{4}-[PLTE]-[0-9]{4}-[A-Z]-[0-9]{2}$",
    ),
    (
        Profile::Vrf,
        "03-C-GEN-0001-P-259-3-10",
        "^03-[CEF]-[A-Z]{3}-[0-9]{4}-[PLTEA]-[0-9]{3}-[0-5]-[0-9]{2}$",
    ),
    (Profile::Legacy, "CHITTY-PEO-00001-A1B2C3", "^CHITTY-[A-Z]+-[A-Z0-9]+-[A-Z0-9]+$"),
    (
        Profile::HybridTechnical,
        "AA-C-TSK-1234-I-25-7-X",
        "^[A-Z]{2}-[A-Z]-[A-Z]{3}-[0-9]{4}-[A-Z]-[0-9]{2}-[0-9]-[0-9A-Z]$",
    ),
    (
        Profile::HybridLegal,
        "01-N-USA-1234-P-25-3-X",
        "^[0-9]{2}-[A-Z]-[A-Z]{3}-[0-9]{4}-[A-Z]-[0-9]{2}-[0-9]-[0-9A-Z]$",
    ),
    (
        Profile::CanonSpec,
        "01-C-ACT-4829-PEO-Q5-7-0",
        "^[0-9]{2}-[CE]-(ACT|EMG|MTR|EXP|ARC)-[0-9]{4}-\
         (PEO|PLACE|PROP|EVNT|AUTH|INFO|FACT|CONTEXT|ACTOR)-[0-9A-Z]{2}-[0-9A-Z]-[0-9A-Z]$",
    ),
    (
        Profile::Gateway,
        "03-1-USA-0001-P-Q5-3-7",
        "^[0-9]{2}-[1-9]-[A-Z]{3}-[0-9]{4}-[PLTM]-[0-9A-Z]{2}-[0-9A-Z]-[0-9A-Z]$",
    ),
    (
        Profile::Router,
        "01-1-USA-0001-P-202510-3-7",
        "^[0-9]{2}-[0-9]-[A-Z]{3}-[0-9]{4}-[A-Z]-[0-9]{6}-[0-9]+-[0-9]+$",
    ),
    (
        Profile::Express,
        "02-C-DOC-1234-I-2B-7-A",
        "^[A-Z0-9]{2}-[A-Z]-[A-Z]{3}-[0-9]{4}-[A-Z]-[A-Z0-9]{2}-[A-Z0-9]-[A-Z0-9]$",
    ),
];

/// Of another shape only in its last byte, so that nothing can be refused early.
const WRONG: &str = "CT-A-CHI-1234-I-24-A-_";

pub fn sections() -> Vec<Section> {
    let note = "The format of client-v1; the bound compares the bytes with those of a known id.";
    let parse = "All thirteen profiles accepted: ours finds out which one it is and keeps the id, the \
                 pattern of that one profile only says yes. Checksums are not computed.";
    let refuse =
        "The last byte is wrong: ours answers an error that names field, byte and character.";
    vec![
        Section::new(VALIDATE, note, validate),
        Section::new(PARSE, parse, profiles),
        Section::new(REFUSE, refuse, refused),
    ]
}

/// Ours beside its peer: section, our row, the peer's row, and the most that ours may take of it.
/// Formats that nobody issues are checked after the others, and cost a little more.
pub fn pairs() -> impl Iterator<Item = (&'static str, String, String, f64)> {
    let most = |profile| if Profiles::INTEROP.contains(profile) { 0.5 } else { 0.75 };
    let each = IDS.map(|(profile, ..)| (PARSE, ours(profile), theirs(profile), most(profile)));
    std::iter::once((VALIDATE, "validate_format".into(), "regex".into(), 0.5)).chain(each)
}

fn ours(profile: Profile) -> String {
    format!("parse, {profile}")
}

fn theirs(profile: Profile) -> String {
    format!("regex, {profile}")
}

fn matching(name: &str, pattern: &'static str, text: &'static str, fits: bool) -> Row {
    Row::new(name, move || {
        let pattern = Regex::new(pattern).expect("a sound pattern");
        move |_| assert!(pattern.is_match(black_box(text)) == fits)
    })
}

fn validate() -> Vec<Row> {
    let (_, text, pattern) = IDS[0];
    vec![
        Row::new("bound: compare the bytes", move || {
            move |_| assert!(black_box(text) == black_box(text))
        }),
        Row::new("validate_format", move || move |_| assert!(validate_format(black_box(text)))),
        matching("regex", pattern, text, true),
    ]
}

fn profiles() -> Vec<Row> {
    let mut rows = vec![Row::new("bound: copy the bytes", || {
        let text = IDS[0].1;
        move |_| {
            let mut bytes = [0_u8; 38];
            let text = black_box(text);
            bytes[..text.len()].copy_from_slice(text.as_bytes());
            black_box(&bytes);
        }
    })];
    for (profile, text, pattern) in IDS {
        rows.push(Row::new(&ours(profile), move || {
            move |_| {
                let read = parse(black_box(text), Profiles::ALL);
                assert!(matches!(black_box(&read), Ok(id) if id.profile() == profile));
            }
        }));
        rows.push(matching(&theirs(profile), pattern, text, true));
    }
    rows.push(Row::new("parse with checksum, canonical-03", || {
        let text = IDS[2].1;
        move |_| {
            let read = parse(black_box(text), Profiles::ALL);
            assert!(matches!(black_box(&read), Ok(id) if !id.checksum().is_mismatch()));
        }
    }));
    rows
}

fn refused() -> Vec<Row> {
    vec![
        Row::new("parse, client-v1", || {
            |_| assert!(black_box(parse(black_box(WRONG), Profiles::CLIENT_V1)).is_err())
        }),
        Row::new("parse, all profiles", || {
            |_| assert!(black_box(parse(black_box(WRONG), Profiles::ALL)).is_err())
        }),
        matching("regex, client-v1, says only no", IDS[0].2, WRONG, false),
    ]
}
