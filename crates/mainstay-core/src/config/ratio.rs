use core::fmt;

use super::ConfigError;

/// A share, exact to one part in a million, so that 1 % and 100 % compare without rounding.
///
/// Written as a plain number in configuration files (`0.5` is one half) and never NaN. The type
/// holds 0 to 1000; each configuration narrows that to what makes sense for it.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ratio(u32);

impl Ratio {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The whole.
    pub const ONE: Self = Self(1_000_000);

    /// `percent` hundredths.
    #[must_use]
    pub const fn percent(percent: u32) -> Self {
        Self(percent.saturating_mul(10_000))
    }

    /// `ppm` parts per million.
    #[must_use]
    pub const fn from_ppm(ppm: u32) -> Self {
        Self(ppm)
    }

    /// Parts per million.
    #[must_use]
    pub const fn ppm(self) -> u32 {
        self.0
    }

    /// The share `part` has of `whole`; zero when `whole` is zero.
    #[must_use]
    pub fn of(part: u64, whole: u64) -> Self {
        if whole == 0 {
            return Self::ZERO;
        }
        let ppm = u128::from(part) * 1_000_000 / u128::from(whole);
        Self(u32::try_from(ppm).unwrap_or(u32::MAX))
    }

    /// Whether `part` of `whole` reaches this share (≥), without rounding.
    #[must_use]
    pub const fn reached_by(self, part: u32, whole: u32) -> bool {
        part as u64 * 1_000_000 >= self.0 as u64 * whole as u64
    }

    /// This share of `whole`, rounded down and held at [`u64::MAX`].
    #[must_use]
    pub fn times(self, whole: u64) -> u64 {
        let product = u128::from(whole) * u128::from(self.0) / 1_000_000;
        u64::try_from(product).unwrap_or(u64::MAX)
    }

    /// The ratio as a float, for people and metrics.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / 1_000_000.0
    }
}

impl TryFrom<f64> for Ratio {
    type Error = ConfigError;

    fn try_from(value: f64) -> Result<Self, ConfigError> {
        if !(0.0..=1000.0).contains(&value) {
            return Err(ConfigError::new("ratio", value, "0 to 1000"));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked above: at most 1e9, never negative or NaN"
        )]
        let ppm = (value * 1_000_000.0 + 0.5) as u32;
        Ok(Self(ppm))
    }
}

impl fmt::Debug for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_f64())
    }
}

#[cfg(feature = "serde")]
mod serialised {
    use super::Ratio;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    impl Serialize for Ratio {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_f64(self.as_f64())
        }
    }

    impl<'de> Deserialize<'de> for Ratio {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            Self::try_from(f64::deserialize(deserializer)?).map_err(D::Error::custom)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b27_one_and_a_hundred_per_cent_compare_exactly() {
        assert!(Ratio::percent(1).reached_by(1, 100));
        assert!(!Ratio::percent(1).reached_by(1, 101));
        assert!(Ratio::ONE.reached_by(7, 7));
        assert!(!Ratio::ONE.reached_by(6, 7));
    }

    #[test]
    fn b28_nan_negative_and_huge_ratios_are_refused() {
        for bad in [f64::NAN, -0.1, 1000.1, f64::INFINITY] {
            assert!(Ratio::try_from(bad).is_err(), "{bad}");
        }
        assert_eq!(Ratio::try_from(0.2).unwrap(), Ratio::percent(20));
    }
}
