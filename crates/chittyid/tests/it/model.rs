//! The parser beside a naive model of it: one regular expression for each profile.

use chittyid::{ChecksumStatus, Error, MAX_LEN, Profile, Profiles, detect, parse, validate_format};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::string::string_regex;
use regex::Regex;
use std::sync::LazyLock;

/// As the sources write them; what they leave open ends with the length of the id.
const PATTERNS: [(Profile, &str); 13] = [
    (Profile::ClientV1, "[A-Z]{2}-[A-Z]-[A-Z]{3}-[0-9]{4}-[A-Z]-[0-9]{2}-[A-Z]-[0-9A-Z]"),
    (Profile::ServiceV1, "[0-9]{2}-[A-Z]-[A-Z]{3}-[0-9]{4}-[A-Z]-[0-9]{4}-[0-9]-[0-9A-Z]{1,2}"),
    (Profile::Canonical03, "03-[1-9]-[A-Z]{3}-[0-9]{4}-[PLTEA]-[0-9]{4}-[0-5]-[0-9]{2}"),
    (Profile::Canonical03Short, "03-[1-9]-[A-Z]{3}-[0-9]{4}-[PLTEA]-[0-9]{2,3}-[0-5]-[0-9]{2}"),
    (
        Profile::FoundationV2,
        "(CP|CL|CT|CE)-[A-Z0-9]-[A-Z0-9]{3}-[0-9]{4}-[PLTE]-[0-9]{4}-[A-Z]-[0-9]{2}",
    ),
    (Profile::Vrf, "03-[CEF]-[A-Z]{3}-[0-9]{4}-[PLTEA]-[0-9]{3}-[0-5]-[0-9]{2}"),
    (Profile::Legacy, "CHITTY-[A-Z]+-[A-Z0-9]+-[A-Z0-9]+"),
    (Profile::HybridTechnical, "[A-Z]{2}-[A-Z]-[A-Z]{3}-[0-9]{4}-[A-Z]-[0-9]{2}-[0-9]-[0-9A-Z]"),
    (Profile::HybridLegal, "[0-9]{2}-[A-Z]-[A-Z]{3}-[0-9]{4}-[A-Z]-[0-9]{2}-[0-9]-[0-9A-Z]"),
    (
        Profile::CanonSpec,
        "[0-9]{2}-[CE]-(ACT|EMG|MTR|EXP|ARC)-[0-9]{4}-\
         (PEO|PLACE|PROP|EVNT|AUTH|INFO|FACT|CONTEXT|ACTOR)-[0-9A-Z]{2}-[0-9A-Z]-[0-9A-Z]",
    ),
    (Profile::Gateway, "[0-9]{2}-[1-9]-[A-Z]{3}-[0-9]{4}-[PLTM]-[0-9A-Z]{2}-[0-9A-Z]-[0-9A-Z]"),
    (Profile::Router, "[0-9]{2}-[0-9]-[A-Z]{3}-[0-9]{4}-[A-Z]-[0-9]{6}-[0-9]+-[0-9]+"),
    (Profile::Express, "[A-Z0-9]{2}-[A-Z]-[A-Z]{3}-[0-9]{4}-[A-Z]-[A-Z0-9]{2}-[A-Z0-9]-[A-Z0-9]"),
];

static MODEL: LazyLock<Vec<(Profile, Regex)>> = LazyLock::new(|| {
    let whole = |(profile, pattern)| (profile, Regex::new(&format!(r"\A(?:{pattern})\z")).unwrap());
    PATTERNS.map(whole).into()
});

fn modelled(text: &str) -> Profiles {
    let short = text.len() <= MAX_LEN;
    let fit = MODEL.iter().filter(|(_, pattern)| short && pattern.is_match(text));
    fit.map(|(profile, _)| *profile).collect()
}

/// An id of any profile.
fn ids() -> impl Strategy<Value = String> {
    let patterns = PATTERNS.map(|(_, pattern)| string_regex(pattern).unwrap());
    proptest::strategy::Union::new(patterns)
}

/// An id in which something was changed, up to three times.
fn mutated() -> impl Strategy<Value = String> {
    let change = (0..6_u8, any::<Index>(), any::<Index>(), symbol(), ids());
    (ids(), prop::collection::vec(change, 1..=3)).prop_map(|(id, changes)| {
        let change =
            |id: String, (kind, at, other, symbol, donor): (u8, Index, Index, char, String)| {
                changed(&id, kind, (at, other), symbol, &donor)
            };
        changes.into_iter().fold(id, change)
    })
}

fn symbol() -> impl Strategy<Value = char> {
    prop_oneof![8 => select(b"ACEFLMPTXZ0123569-".as_slice()).prop_map(char::from), 1 => any::<char>()]
}

fn changed(id: &str, kind: u8, (at, other): (Index, Index), symbol: char, donor: &str) -> String {
    let mut symbols: Vec<char> = id.chars().collect();
    if symbols.is_empty() {
        return symbol.into();
    }
    let (one, two) = (at.index(symbols.len()), other.index(symbols.len()));
    match kind {
        0 => symbols[one] = symbol,
        1 => symbols.insert(one, symbol),
        2 => drop(symbols.remove(one)),
        3 => symbols.swap(one, two),
        4 => symbols.truncate(one),
        _ => {
            let mut parts: Vec<&str> = id.split('-').collect();
            let donors: Vec<&str> = donor.split('-').collect();
            let place = at.index(parts.len());
            parts[place] = donors[place.min(donors.len() - 1)];
            return parts.join("-");
        }
    }
    symbols.into_iter().collect()
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![3 => ids(), 6 => mutated(), 1 => any::<String>(), 1 => "[A-Z0-9-]{0,40}"]
}

fn sets() -> impl Strategy<Value = Profiles> {
    prop::collection::vec(select(Profile::ALL.as_slice()), 0..13).prop_map(Profiles::from_iter)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_048))]

    #[test]
    fn a_text_is_of_a_profile_exactly_if_it_matches_the_profiles_pattern(text in texts()) {
        let fit = modelled(&text);
        for profile in Profile::ALL {
            let read = parse(&text, profile.into());
            prop_assert_eq!(read.is_ok(), fit.contains(profile), "{} {:?}", profile, read);
        }
        prop_assert_eq!(detect(&text), fit.iter().next());
        prop_assert_eq!(validate_format(&text), fit.contains(Profile::ClientV1));
    }

    #[test]
    fn the_first_accepted_profile_is_taken_and_another_is_told(text in texts(), accepted in sets()) {
        let fit = modelled(&text);
        let first = fit.iter().find(|profile| accepted.contains(*profile));
        match (parse(&text, accepted), first, fit.iter().next()) {
            (Ok(id), Some(profile), _) => {
                prop_assert_eq!((id.as_str(), id.profile()), (&*text, profile));
            }
            (Err(error), None, Some(detected)) => {
                prop_assert_eq!(error, Error::Profile { detected, accepted });
            }
            (Err(error), None, None) => {
                let is_profile = matches!(error, Error::Profile { .. });
                prop_assert!(!is_profile, "{error:?}");
            }
            (other, first, _) => prop_assert!(false, "{other:?} but {first:?}"),
        }
    }

    #[test]
    fn express_alone_shares_texts_with_other_profiles(text in texts()) {
        let fit = modelled(&text);
        let shared = [Profile::ClientV1, Profile::HybridTechnical, Profile::HybridLegal];
        let alone = fit.without(Profile::Express);
        prop_assert!(alone.iter().count() <= 1, "{fit}");
        if fit.contains(Profile::Express) {
            prop_assert!(alone.iter().all(|profile| shared.contains(&profile)), "{fit}");
        }
    }

    #[test]
    fn an_error_points_at_what_stands_there(text in texts(), accepted in sets()) {
        let Err(error) = parse(&text, accepted) else { return Ok(()) };
        prop_assert!(error.to_string().is_ascii() || !text.is_ascii());
        match error {
            Error::Empty => prop_assert!(text.is_empty()),
            Error::TooLong { length } => {
                prop_assert_eq!(length, text.len());
                prop_assert!(length > MAX_LEN);
            }
            Error::NonAscii { at, found }
            | Error::Whitespace { at, found }
            | Error::Lowercase { at, found }
            | Error::Character { at, found, .. }
            | Error::FieldTooLong { at, found, .. } => {
                prop_assert!(text[at..].starts_with(found), "{error:?}");
            }
            Error::Incomplete { length, .. } => prop_assert_eq!(length, text.len()),
            Error::Profile { detected, .. } => prop_assert_eq!(detect(&text), Some(detected)),
            other => prop_assert!(false, "{other:?}"),
        }
    }

    #[test]
    fn the_first_byte_that_cannot_be_is_the_one_that_is_told(text in "[A-Z0-9-]{0,24}", id in ids(), cut in 0..22_usize) {
        // A client-v1 id up to `cut`, and anything after that.
        let text = format!("{}{text}", &id[..cut.min(id.len())]);
        let form = "AA-A-AAA-9999-A-99-A-#".bytes();
        let fits = |(form, byte): &(u8, u8)| match form {
            b'A' => byte.is_ascii_uppercase(),
            b'9' => byte.is_ascii_digit(),
            b'#' => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            _ => *byte == b'-',
        };
        let first = form.zip(text.bytes()).take_while(fits).count();
        match parse(&text, Profiles::CLIENT_V1) {
            Err(Error::Character { at, .. } | Error::FieldTooLong { at, .. }) => prop_assert_eq!(at, first),
            Err(Error::Incomplete { length, .. }) => prop_assert_eq!(length, first),
            Err(Error::Empty | Error::TooLong { .. } | Error::Profile { .. }) | Ok(_) => {}
            Err(other) => prop_assert!(false, "{other:?}"),
        }
    }

    #[test]
    fn check_digits_of_any_length_are_those_of_the_rule(symbols in "[A-Z0-9-]{0,200}") {
        let value = |symbol: char| symbol.to_digit(36);
        let rest = symbols.chars().filter_map(value).fold(0, |rest, value| {
            (rest * if value < 10 { 10 } else { 100 } + value) % 97
        });
        prop_assert_eq!(chittyid::check_digits(&symbols).map(u32::from), Some((98 - rest) % 97));
    }

    #[test]
    fn fields_put_together_are_the_text(text in ids()) {
        let id = parse(&text, Profiles::ALL);
        prop_assume!(id.is_ok());
        let id = id.unwrap();
        if let Some(f) = id.fields() {
            let again = format!(
                "{}-{}-{}-{:04}-{}-{}-{}-{}",
                f.version, f.generation, f.location, f.sequence, f.entity, f.year_month, f.category,
                f.extension
            );
            prop_assert_eq!(again, text);
        } else {
            prop_assert_eq!(id.profile(), Profile::Legacy);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_wrong_symbol_and_no_swap_of_neighbours_keeps_a_canonical_id_valid(
        id in "03-[1-9]-[A-Z]{3}-[0-9]{4}-[PLTEA]-[0-9]{2,4}-[0-5]",
    ) {
        let accepted = Profiles::from(Profile::Canonical03).with(Profile::Canonical03Short);
        let id = format!("{id}-{:02}", chittyid::check_digits(&id).unwrap());
        prop_assert_eq!(parse(&id, accepted).unwrap().checksum(), ChecksumStatus::Valid);
        let valid = |bytes: &[u8]| {
            let read = parse(std::str::from_utf8(bytes).unwrap(), accepted);
            read.is_ok_and(|id| id.checksum() == ChecksumStatus::Valid)
        };
        let bytes = id.as_bytes();
        for at in 0..bytes.len() {
            let mut wrong = bytes.to_vec();
            for symbol in (0..=127).filter(|symbol| *symbol != bytes[at]) {
                wrong[at] = symbol;
                prop_assert!(!valid(&wrong), "{} at {at} in {id}", char::from(symbol));
            }
            let mut swapped = bytes.to_vec();
            if at > 0 && bytes[at] != bytes[at - 1] {
                swapped.swap(at, at - 1);
                prop_assert!(!valid(&swapped), "{at} in {id}");
            }
        }
    }
}
