//! Durations as people write them: `"30s"`, `"1m30s"`, `"250ms"`.
//!
//! Use it on a field with `#[serde(with = "mainstay_core::config::duration")]`.

use alloc::format;
use alloc::string::{String, ToString};
use core::time::Duration;

use super::ConfigError;

const UNITS: [(&str, u64); 6] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];
const ALLOWED: &str = "a number with a unit, such as \"250ms\", \"30s\", \"1m30s\" or \"2h\"";

/// Reads a duration such as `"1m30s"`; whole numbers with the units ns, us, ms, s, m, h.
///
/// # Errors
///
/// [`ConfigError`] (field `duration`) on anything else, and on more than 584 years.
pub fn parse(text: &str) -> Result<Duration, ConfigError> {
    let bad = || ConfigError::new("duration", text, ALLOWED);
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(bad());
    }
    let mut total = 0_u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let number: u64 = rest[..digits].parse().map_err(|_| bad())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit = UNITS.iter().find(|(name, _)| *name == &rest[..letters]).ok_or_else(bad)?;
        rest = &rest[letters..];
        total = number.checked_mul(unit.1).and_then(|n| total.checked_add(n)).ok_or_else(bad)?;
    }
    Ok(Duration::from_nanos(total))
}

/// Writes a duration so that [`parse`] reads the same one back.
#[must_use]
pub fn text(duration: Duration) -> String {
    let nanos = crate::time::nanos(duration);
    if nanos == 0 {
        return "0s".to_string();
    }
    let unit = UNITS.iter().rev().find(|(_, size)| nanos.is_multiple_of(*size));
    unit.map_or_else(String::new, |(name, size)| format!("{}{name}", nanos / size))
}

#[cfg(feature = "serde")]
mod serialised {
    use super::{Duration, String, parse, text};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Serialises a duration as text.
    ///
    /// # Errors
    ///
    /// Those of the serialiser.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&text(*duration))
    }

    /// Deserialises a duration from text.
    ///
    /// # Errors
    ///
    /// When the text is no duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
#[cfg(feature = "serde")]
pub use serialised::{deserialize, serialize};

/// The same for an optional field: absent means none.
#[cfg(feature = "serde")]
pub mod option {
    use super::{Duration, String, parse, text};
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    /// Serialises an optional duration as text.
    ///
    /// # Errors
    ///
    /// Those of the serialiser.
    pub fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        duration.map(text).serialize(serializer)
    }

    /// Deserialises an optional duration from text.
    ///
    /// # Errors
    ///
    /// When the text is no duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let found = Option::<String>::deserialize(deserializer)?;
        found.map(|text| parse(&text)).transpose().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        assert_eq!(parse("30s").unwrap(), Duration::from_secs(30));
        assert_eq!(parse("1m30s").unwrap(), Duration::from_secs(90));
        assert_eq!(parse("250ms").unwrap(), Duration::from_millis(250));
        for bad in ["", "5", "s", "5 s", "-1s", "1.5s", "99999999999999h", "5x"] {
            assert!(parse(bad).is_err(), "{bad:?} was taken");
        }
    }

    proptest::proptest! {
        #[test]
        fn writes_what_it_reads(nanos: u64) {
            let duration = Duration::from_nanos(nanos);
            proptest::prop_assert_eq!(parse(&text(duration)).unwrap(), duration);
        }

        #[test]
        fn any_text_is_taken_or_refused_without_a_panic(text: String) {
            drop(parse(&text));
        }
    }
}
