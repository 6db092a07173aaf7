//! The formats as tables, and two readers of them.
//!
//! [`find`] is the fast one: it asks of all symbols at once whether each is in the set that stands
//! at its place. [`walk`] reads one part after the other and says where it had to stop, so it serves
//! the formats whose parts have no fixed width, and the messages. A test holds them against each
//! other.

use crate::{Field, MAX_LEN, Profile, Profiles};

/// A set of symbols; each byte is in none or several of those below.
type Set = u16;

const DIGIT: Set = 1;
const UPPER: Set = 1 << 1;
const HYPHEN: Set = 1 << 2;
/// 1 to 9.
const REGION: Set = 1 << 3;
/// 0 to 5.
const TRUST: Set = 1 << 4;
const PLTEA: Set = 1 << 5;
const PLTE: Set = 1 << 6;
const PLTM: Set = 1 << 7;
const CEF: Set = 1 << 8;
const CE: Set = 1 << 9;
const ONLY_C: Set = 1 << 10;
const ONLY_0: Set = 1 << 11;
const ONLY_3: Set = 1 << 12;
const ALNUM: Set = DIGIT | UPPER;

const MEMBERS: [(Set, &[u8]); 13] = [
    (DIGIT, b"0123456789"),
    (UPPER, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    (HYPHEN, b"-"),
    (REGION, b"123456789"),
    (TRUST, b"012345"),
    (PLTEA, b"PLTEA"),
    (PLTE, b"PLTE"),
    (PLTM, b"PLTM"),
    (CEF, b"CEF"),
    (CE, b"CE"),
    (ONLY_C, b"C"),
    (ONLY_0, b"0"),
    (ONLY_3, b"3"),
];

/// The sets that each byte is in.
static SETS: [Set; 256] = {
    let (mut sets, mut row) = ([0; 256], 0);
    while row < MEMBERS.len() {
        let (set, members) = MEMBERS[row];
        let mut at = 0;
        while at < members.len() {
            sets[members[at] as usize] |= set;
            at += 1;
        }
        row += 1;
    }
    sets
};

/// What one part may be.
struct Part {
    field: Field,
    least: usize,
    most: usize,
    /// The set for each place; the last one also for all that follow.
    sets: &'static [Set],
    /// When not empty, the part is one of these.
    words: &'static [&'static str],
    what: &'static str,
}

impl Part {
    const fn new(field: Field, width: usize, sets: &'static [Set], what: &'static str) -> Self {
        Self { field, least: width, most: width, sets, words: &[], what }
    }

    const fn up_to(mut self, most: usize) -> Self {
        self.most = most;
        self
    }

    const fn one_of(mut self, words: &'static [&'static str]) -> Self {
        self.words = words;
        self
    }

    const fn set(&self, place: usize) -> Set {
        if place < self.sets.len() { self.sets[place] } else { self.sets[self.sets.len() - 1] }
    }
}

const LETTER: &str = "one capital letter";
const DIGITS_2: &str = "two digits";
const DIGITS_4: &str = "four digits";
const ALNUM_1: &str = "one digit or capital letter";

const V_LETTERS: Part = Part::new(Field::Version, 2, &[UPPER], "two capital letters");
const V_DIGITS: Part = Part::new(Field::Version, 2, &[DIGIT], DIGITS_2);
const V_03: Part = Part::new(Field::Version, 2, &[ONLY_0, ONLY_3], "`03`");
const G_LETTER: Part = Part::new(Field::Generation, 1, &[UPPER], LETTER);
const G_REGION: Part = Part::new(Field::Generation, 1, &[REGION], "a region from 1 to 9");
const L_LETTERS: Part = Part::new(Field::Location, 3, &[UPPER], "three capital letters");
const SEQUENCE: Part = Part::new(Field::Sequence, 4, &[DIGIT], DIGITS_4);
const T_LETTER: Part = Part::new(Field::Type, 1, &[UPPER], LETTER);
const T_CANONICAL: Part = Part::new(Field::Type, 1, &[PLTEA], "one of P, L, T, E and A");
const YM_2: Part = Part::new(Field::YearMonth, 2, &[DIGIT], DIGITS_2);
const YM_4: Part = Part::new(Field::YearMonth, 4, &[DIGIT], DIGITS_4);
const YM_36: Part = Part::new(Field::YearMonth, 2, &[ALNUM], "two digits or capital letters");
const C_DIGIT: Part = Part::new(Field::Category, 1, &[DIGIT], "one digit");
const C_LETTER: Part = Part::new(Field::Category, 1, &[UPPER], LETTER);
const C_TRUST: Part = Part::new(Field::Category, 1, &[TRUST], "a trust level from 0 to 5");
const C_ALNUM: Part = Part::new(Field::Category, 1, &[ALNUM], ALNUM_1);
const X_ALNUM: Part = Part::new(Field::Extension, 1, &[ALNUM], ALNUM_1);
const X_DIGITS: Part = Part::new(Field::Extension, 2, &[DIGIT], DIGITS_2);

static CLIENT_V1: [Part; 8] =
    [V_LETTERS, G_LETTER, L_LETTERS, SEQUENCE, T_LETTER, YM_2, C_LETTER, X_ALNUM];
static SERVICE_V1: [Part; 8] = [
    V_DIGITS,
    G_LETTER,
    L_LETTERS,
    SEQUENCE,
    T_LETTER,
    YM_4,
    C_DIGIT,
    Part::new(Field::Extension, 1, &[ALNUM], "one or two digits or capital letters").up_to(2),
];
static CANONICAL_03: [Part; 8] =
    [V_03, G_REGION, L_LETTERS, SEQUENCE, T_CANONICAL, YM_4, C_TRUST, X_DIGITS];
static CANONICAL_03_SHORT: [Part; 8] = [
    V_03,
    G_REGION,
    L_LETTERS,
    SEQUENCE,
    T_CANONICAL,
    Part::new(Field::YearMonth, 2, &[DIGIT], "two or three digits").up_to(3),
    C_TRUST,
    X_DIGITS,
];
static FOUNDATION_V2: [Part; 8] = [
    Part::new(Field::Version, 2, &[ONLY_C, PLTE], "one of CP, CL, CT and CE"),
    Part::new(Field::Generation, 1, &[ALNUM], ALNUM_1),
    Part::new(Field::Location, 3, &[ALNUM], "three digits or capital letters"),
    SEQUENCE,
    Part::new(Field::Type, 1, &[PLTE], "one of P, L, T and E"),
    YM_4,
    C_LETTER,
    X_DIGITS,
];
static VRF: [Part; 8] = [
    V_03,
    Part::new(Field::Generation, 1, &[CEF], "one of C, E and F"),
    L_LETTERS,
    SEQUENCE,
    T_CANONICAL,
    Part::new(Field::YearMonth, 3, &[DIGIT], "three digits"),
    C_TRUST,
    X_DIGITS,
];
static LEGACY: [Part; 4] = [
    Part::new(Field::Version, 6, &[UPPER], "`CHITTY`").one_of(&["CHITTY"]),
    Part::new(Field::Type, 1, &[UPPER], "capital letters").up_to(MAX_LEN),
    Part::new(Field::Sequence, 1, &[ALNUM], "digits or capital letters").up_to(MAX_LEN),
    Part::new(Field::Extension, 1, &[ALNUM], "digits or capital letters").up_to(MAX_LEN),
];
static HYBRID_TECHNICAL: [Part; 8] =
    [V_LETTERS, G_LETTER, L_LETTERS, SEQUENCE, T_LETTER, YM_2, C_DIGIT, X_ALNUM];
static HYBRID_LEGAL: [Part; 8] =
    [V_DIGITS, G_LETTER, L_LETTERS, SEQUENCE, T_LETTER, YM_2, C_DIGIT, X_ALNUM];
static CANON_SPEC: [Part; 8] = [
    V_DIGITS,
    Part::new(Field::Generation, 1, &[CE], "one of C and E"),
    Part::new(Field::Location, 3, &[UPPER], "one of ACT, EMG, MTR, EXP and ARC")
        .one_of(&["ACT", "EMG", "MTR", "EXP", "ARC"]),
    SEQUENCE,
    Part::new(Field::Type, 3, &[UPPER], "one of the nine entities' names")
        .up_to(7)
        .one_of(&["PEO", "PLACE", "PROP", "EVNT", "AUTH", "INFO", "FACT", "CONTEXT", "ACTOR"]),
    YM_36,
    C_ALNUM,
    X_ALNUM,
];
static GATEWAY: [Part; 8] = [
    V_DIGITS,
    G_REGION,
    L_LETTERS,
    SEQUENCE,
    Part::new(Field::Type, 1, &[PLTM], "one of P, L, T and M"),
    YM_36,
    C_ALNUM,
    X_ALNUM,
];
static ROUTER: [Part; 8] = [
    V_DIGITS,
    Part::new(Field::Generation, 1, &[DIGIT], "one digit"),
    L_LETTERS,
    SEQUENCE,
    T_LETTER,
    Part::new(Field::YearMonth, 6, &[DIGIT], "six digits"),
    Part::new(Field::Category, 1, &[DIGIT], "digits").up_to(MAX_LEN),
    Part::new(Field::Extension, 1, &[DIGIT], "digits").up_to(MAX_LEN),
];
static EXPRESS: [Part; 8] = [
    Part::new(Field::Version, 2, &[ALNUM], "two digits or capital letters"),
    G_LETTER,
    L_LETTERS,
    SEQUENCE,
    T_LETTER,
    YM_36,
    C_ALNUM,
    X_ALNUM,
];

const fn parts(profile: Profile) -> &'static [Part] {
    match profile {
        Profile::ClientV1 => &CLIENT_V1,
        Profile::ServiceV1 => &SERVICE_V1,
        Profile::Canonical03 => &CANONICAL_03,
        Profile::Canonical03Short => &CANONICAL_03_SHORT,
        Profile::FoundationV2 => &FOUNDATION_V2,
        Profile::Vrf => &VRF,
        Profile::Legacy => &LEGACY,
        Profile::HybridTechnical => &HYBRID_TECHNICAL,
        Profile::HybridLegal => &HYBRID_LEGAL,
        Profile::CanonSpec => &CANON_SPEC,
        Profile::Gateway => &GATEWAY,
        Profile::Router => &ROUTER,
        Profile::Express => &EXPRESS,
    }
}

/// The ids of one profile that have `N` bytes: which set stands at each place.
struct Shape<const N: usize> {
    profile: Profile,
    sets: [Set; N],
}

/// The shape of `profile` with `N` bytes; its one part without a fixed width takes the bytes that
/// the others leave.
const fn shape<const N: usize>(profile: Profile) -> Shape<N> {
    Shape { profile, sets: lay(parts(profile)) }
}

const fn lay<const N: usize>(parts: &[Part]) -> [Set; N] {
    let (mut least, mut number) = (parts.len() - 1, 0);
    while number < parts.len() {
        least += parts[number].least;
        number += 1;
    }
    let (mut sets, mut at, mut number) = ([HYPHEN; N], 0, 0);
    while number < parts.len() {
        let part = &parts[number];
        let width = if part.most > part.least { part.least + N - least } else { part.least };
        let mut place = 0;
        while place < width {
            sets[at + place] = part.set(place);
            place += 1;
        }
        at += width + 1;
        number += 1;
    }
    assert!(at == N + 1, "the parts and their hyphens are the whole id");
    sets
}

static BYTES_22: [Shape<22>; 5] = [
    shape(Profile::ClientV1),
    shape(Profile::HybridTechnical),
    shape(Profile::HybridLegal),
    shape(Profile::Gateway),
    shape(Profile::Express),
];
static BYTES_23: [Shape<23>; 1] = [shape(Profile::Canonical03Short)];
static BYTES_24: [Shape<24>; 4] = [
    shape(Profile::ServiceV1),
    shape(Profile::Canonical03Short),
    shape(Profile::Vrf),
    shape(Profile::CanonSpec),
];
static BYTES_25: [Shape<25>; 4] = [
    shape(Profile::ServiceV1),
    shape(Profile::Canonical03),
    shape(Profile::FoundationV2),
    shape(Profile::CanonSpec),
];
static BYTES_26: [Shape<26>; 1] = [shape(Profile::CanonSpec)];
static BYTES_28: [Shape<28>; 1] = [shape(Profile::CanonSpec)];
/// Up to the hyphen before C; the rest has no fixed width.
static ROUTER_START: [Set; 22] = lay(ROUTER.split_at(6).0);

/// The first of `wanted` that `text` is well-formed in.
#[inline]
pub(crate) fn find(text: &[u8], wanted: Profiles) -> Option<Profile> {
    let fixed = match text.len() {
        22 => first(text, &BYTES_22, wanted),
        23 => first(text, &BYTES_23, wanted),
        24 => first(text, &BYTES_24, wanted),
        25 => first(text, &BYTES_25, wanted),
        26 => first(text, &BYTES_26, wanted),
        28 => first(text, &BYTES_28, wanted),
        _ => None,
    };
    fixed.or_else(|| loose(text, wanted))
}

/// The profiles whose widths are not fixed. They share no id with each other nor with a shape.
fn loose(text: &[u8], wanted: Profiles) -> Option<Profile> {
    if text.len() > MAX_LEN {
        return None;
    }
    let (profile, fits) = match text.strip_prefix(b"CHITTY-") {
        Some(rest) => (Profile::Legacy, are_runs(rest, &[UPPER, ALNUM, ALNUM])),
        None => (Profile::Router, is_router(text)),
    };
    (fits && wanted.contains(profile)).then_some(profile)
}

fn is_router(text: &[u8]) -> bool {
    let Some((start, [b'-', rest @ ..])) = text.split_first_chunk() else { return false };
    fits(&sets(start), &ROUTER_START) && are_runs(rest, &[DIGIT, DIGIT])
}

/// Whether `text` is one run of symbols of each set, with hyphens between them.
fn are_runs(text: &[u8], wanted: &[Set]) -> bool {
    let (mut run, mut is_empty) = (0, true);
    for byte in text {
        if SETS[usize::from(*byte)] & wanted[run] != 0 {
            is_empty = false;
        } else if *byte == b'-' && !is_empty && run + 1 < wanted.len() {
            (run, is_empty) = (run + 1, true);
        } else {
            return false;
        }
    }
    run + 1 == wanted.len() && !is_empty
}

/// Whether an id of the shape of [`Profile::CanonSpec`] has its words.
fn has_words(text: &[u8]) -> bool {
    let (lifecycle, entity) = (&text[5..8], &text[14..text.len() - 7]);
    let is_first = matches!(entity, b"PEO" | b"PLACE" | b"PROP" | b"EVNT" | b"AUTH" | b"INFO");
    let is_entity = is_first || matches!(entity, b"FACT" | b"CONTEXT" | b"ACTOR");
    is_entity && matches!(lifecycle, b"ACT" | b"EMG" | b"MTR" | b"EXP" | b"ARC")
}

/// Whether `text` is well-formed in [`Profile::ClientV1`].
#[inline]
pub(crate) fn is_client_v1(text: &[u8]) -> bool {
    let text: Result<&[u8; 22], _> = text.try_into();
    text.is_ok_and(|text| fits(&sets(text), &BYTES_22[0].sets))
}

#[inline]
fn first<const N: usize>(text: &[u8], shapes: &[Shape<N>], wanted: Profiles) -> Option<Profile> {
    let text: &[u8; N] = text.try_into().ok()?;
    let sets = sets(text);
    let mut wanted = shapes.iter().filter(|shape| wanted.contains(shape.profile));
    let shape = wanted.find(|shape| fits(&sets, &shape.sets))?;
    let is_whole = shape.profile != Profile::CanonSpec || has_words(text);
    is_whole.then_some(shape.profile)
}

#[inline]
fn sets<const N: usize>(text: &[u8; N]) -> [Set; N] {
    text.map(|byte| SETS[usize::from(byte)])
}

/// Without an early end, so that the compiler compares many symbols at once.
#[inline]
fn fits<const N: usize>(found: &[Set; N], wanted: &[Set; N]) -> bool {
    found.iter().zip(wanted).fold(true, |fits, (found, wanted)| fits & (found & wanted != 0))
}

/// Where a reader had to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    /// The first byte that does not fit, or the length of the text.
    pub(crate) at: usize,
    pub(crate) field: Field,
    pub(crate) what: &'static str,
    pub(crate) why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// The text ended before the field did.
    Ended,
    /// This byte is not what the field is made of.
    Symbol,
    /// The field is complete; a hyphen follows, and not this byte.
    Hyphen,
    /// The field is complete and the last one; nothing follows.
    End,
}

/// Reads `text` as an id of `profile`, part by part.
pub(crate) fn walk(profile: Profile, text: &[u8]) -> Result<(), Stop> {
    let parts = parts(profile);
    let mut at = 0;
    for (part, next) in parts.iter().zip(parts.iter().skip(1).map(Some).chain([None])) {
        at = read(part, text, at)?;
        let stop = |part: &Part, why| Err(Stop { at, field: part.field, what: part.what, why });
        match (next, text.get(at)) {
            (Some(_), Some(b'-')) => at += 1,
            (Some(_), Some(_)) => return stop(part, Why::Hyphen),
            (Some(next), None) => return stop(next, Why::Ended),
            (None, Some(_)) => return stop(part, Why::End),
            (None, None) => {}
        }
    }
    Ok(())
}

/// Reads one part from `start` on and answers where it ends.
fn read(part: &Part, text: &[u8], start: usize) -> Result<usize, Stop> {
    let rest = &text[start..];
    let symbols = rest.iter().take(part.most).enumerate();
    let width = symbols
        .take_while(|(place, byte)| SETS[usize::from(**byte)] & part.set(*place) != 0)
        .count();
    let fits = if part.words.is_empty() {
        if width >= part.least { Ok(width) } else { Err(width) }
    } else {
        word(part.words, &rest[..width])
    };
    fits.map(|width| start + width).map_err(|place| {
        let why = if place < rest.len() { Why::Symbol } else { Why::Ended };
        Stop { at: start + place, field: part.field, what: part.what, why }
    })
}

/// The length of `found` if it is one of `words`, otherwise how much of it one of them begins with.
fn word(words: &[&str], found: &[u8]) -> Result<usize, usize> {
    let same = |word: &&str| word.bytes().zip(found).take_while(|(a, b)| a == *b).count();
    if words.iter().any(|word| word.as_bytes() == found) {
        return Ok(found.len());
    }
    Err(words.iter().map(same).max().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts() -> impl Strategy<Value = std::string::String> {
        let symbols = "[A-Z0-9-]{0,39}";
        let close = "(CHITTY|03|CP|01|AA)-[A-Z0-9]-(ACT|[A-Z0-9]{3})-[0-9]{3,5}-(PEO|CONTEXT|[A-Z])\
                     -[0-9A-Z]{1,6}-[A-Z0-9]-[0-9A-Z]{1,3}";
        prop_oneof![symbols, close]
    }

    proptest! {
        #[test]
        fn the_fast_reader_and_the_one_that_explains_agree(text in texts()) {
            for profile in Profile::ALL {
                let walked = text.len() <= MAX_LEN && walk(profile, text.as_bytes()).is_ok();
                let fast = find(text.as_bytes(), profile.into());
                prop_assert_eq!(fast, walked.then_some(profile));
            }
        }
    }
}
