//! Values of flags.

use std::num::NonZeroU32;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use mainstay::core::config::{LONGEST, Ratio, duration as text};
use mainstay::core::policy::backoff::Jitter;

pub(crate) fn duration(value: &str) -> Result<Duration, String> {
    let duration = text::parse(value).map_err(|error| format!("allowed: {}", error.allowed))?;
    if duration.is_zero() || duration > LONGEST {
        return Err("allowed: 1ns to a year".into());
    }
    Ok(duration)
}

pub(super) fn ratio(value: &str) -> Result<Ratio, String> {
    let number: f64 = value.parse().map_err(|_| "allowed: a number such as 1.5".to_owned())?;
    Ratio::try_from(number).map_err(|error| format!("allowed: {}", error.allowed))
}

pub(super) fn jitter(value: &str) -> Result<Jitter, String> {
    match value {
        "none" => Ok(Jitter::None),
        "full" => Ok(Jitter::Full),
        "equal" => Ok(Jitter::Equal),
        share => ratio(share)
            .ok()
            .filter(|share| *share <= Ratio::ONE)
            .map(Jitter::Ratio)
            .ok_or_else(|| "allowed: none, full, equal, or a share from 0 to 1".into()),
    }
}

/// A number of bytes such as `500`, `64k` or `2M`: thousands of 1024.
pub(crate) fn bytes(value: &str) -> Result<NonZeroU32, String> {
    let (digits, unit) = match value.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1 << 10),
        None => value.strip_suffix('M').map_or((value, 1), |digits| (digits, 1 << 20)),
    };
    let number = digits.parse::<u32>().ok().and_then(|number| number.checked_mul(unit));
    number
        .and_then(NonZeroU32::new)
        .ok_or_else(|| "allowed: a number such as 500, 64k or 2M".into())
}

fn number(value: &str, fits: impl Fn(f64) -> bool, allowed: &str) -> Result<f64, String> {
    let number = value.parse::<f64>().ok().filter(|number| number.is_finite() && fits(*number));
    number.ok_or_else(|| format!("allowed: {allowed}"))
}

/// A number above 0.
pub(super) fn positive(value: &str) -> Result<f64, String> {
    number(value, |number| number > 0.0, "a number above 0, such as 100 or 0.5")
}

/// A number from 0.
pub(super) fn not_negative(value: &str) -> Result<f64, String> {
    number(value, |number| number >= 0.0, "a number from 0, such as 10 or 0.1")
}

/// A share from 0 to 1.
pub(super) fn share(value: &str) -> Result<f64, String> {
    number(value, |number| (0.0..=1.0).contains(&number), "a share from 0 to 1, such as 0.1")
}

pub(super) fn method(value: &str) -> Result<Method, String> {
    let method = Method::from_bytes(value.to_ascii_uppercase().as_bytes());
    method.map_err(|_| "allowed: a method such as GET or POST".into())
}

/// A header. Its value may be a secret and is in no message.
pub(super) fn header(value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let allowed = || "allowed: \"Name: value\"".to_owned();
    let (name, value) = value.split_once(':').ok_or_else(allowed)?;
    let name = HeaderName::try_from(name.trim()).map_err(|_| allowed())?;
    let mut value = HeaderValue::try_from(value.trim()).map_err(|_| allowed())?;
    value.set_sensitive(true);
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_has_names_and_shares() {
        assert_eq!(jitter("0.2"), Ok(Jitter::Ratio(Ratio::percent(20))));
        assert_eq!(jitter("equal"), Ok(Jitter::Equal));
        assert!(jitter("1.1").is_err() && jitter("some").is_err() && jitter("NaN").is_err());
    }

    #[test]
    fn numbers_stay_within_their_bounds() {
        assert_eq!((positive("0.5"), not_negative("0"), share("1")), (Ok(0.5), Ok(0.0), Ok(1.0)));
        for bad in ["NaN", "inf", "-1", "x", ""] {
            assert!(positive(bad).is_err() && not_negative(bad).is_err(), "{bad}");
        }
        assert!(positive("0").is_err() && share("1.01").is_err());
    }

    #[test]
    fn bytes_have_units() {
        let read = |text| bytes(text).map(NonZeroU32::get);
        assert_eq!((read("1"), read("64k"), read("2M")), (Ok(1), Ok(65_536), Ok(2 << 20)));
        for bad in ["", "0", "k", "-1", "1.5k", "4096M", "1 k"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_header_has_a_name_and_a_value() {
        assert_eq!(header("A: b:c").unwrap().1, "b:c");
        for bad in ["A", ": b", "A b: c", "A: \n"] {
            assert!(header(bad).is_err() || bad == "A: \n", "{bad:?}");
        }
    }
}
