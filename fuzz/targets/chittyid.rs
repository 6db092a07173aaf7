//! Any text is an id or refused with a reason that points into it; what is one reads back as the same.

#![no_main]

use chittyid::{Error, MAX_LEN, Profile, Profiles, detect, parse, validate_format};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let detected = detect(text);
    assert_eq!(validate_format(text), parse(text, Profiles::CLIENT_V1).is_ok());
    for profile in Profile::ALL {
        match parse(text, profile.into()) {
            Ok(id) => {
                assert_eq!((id.as_str(), id.profile()), (text, profile));
                assert_eq!(id.fields().is_none(), profile == Profile::Legacy);
                let _known = id.checksum();
                assert!(detected.is_some_and(|first| first <= profile));
            }
            Err(error) => check(text, error),
        }
    }
});

fn check(text: &str, error: Error) {
    assert!(error.to_string().len() < 256);
    match error {
        Error::Empty => assert!(text.is_empty()),
        Error::TooLong { length } => assert!(length == text.len() && length > MAX_LEN),
        Error::NonAscii { at, found }
        | Error::Whitespace { at, found }
        | Error::Lowercase { at, found }
        | Error::Character { at, found, .. }
        | Error::FieldTooLong { at, found, .. } => assert!(text[at..].starts_with(found)),
        Error::Incomplete { length, .. } => assert_eq!(length, text.len()),
        Error::Profile { detected, accepted } => {
            assert_eq!(detect(text), Some(detected));
            assert!(!accepted.contains(detected));
        }
        other => panic!("{other:?}"),
    }
}
