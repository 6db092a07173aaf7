use std::time::Duration;

/// A duration of up to 71 minutes in two bytes: exact below 4 ms, to one part in 2048 above.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Packed(u16);

impl Packed {
    /// Nothing measured.
    pub(crate) const NONE: Self = Self(0);

    /// At least a microsecond, since zero says that nothing was measured.
    pub(crate) fn from_us(us: u32) -> Self {
        let us = us.max(1);
        if us < 4_096 {
            return Self(us.to_le_bytes().first_chunk().copied().map_or(0, u16::from_le_bytes));
        }
        let exponent = 20 - us.leading_zeros();
        // Rounded to the nearest; one that rounds up to the next power is the first of that.
        let half = (1 << exponent) >> 1;
        let mantissa = (us.saturating_add(half) >> exponent).min(4_096);
        let code = 4_096 + (exponent - 1) * 2_048 + (mantissa - 2_048);
        Self(u16::try_from(code).unwrap_or(u16::MAX))
    }

    pub(crate) fn from_duration(duration: Duration) -> Self {
        Self::from_us(u32::try_from(duration.as_micros()).unwrap_or(u32::MAX))
    }

    pub(crate) fn us(self) -> Option<u32> {
        let code = u32::from(self.0);
        match code {
            0 => None,
            1..4_096 => Some(code),
            _ => {
                let (exponent, mantissa) = ((code - 4_096) / 2_048 + 1, (code - 4_096) % 2_048);
                let us = u64::from(mantissa + 2_048) << exponent;
                Some(u32::try_from(us).unwrap_or(u32::MAX))
            }
        }
    }

    pub(crate) fn duration(self) -> Option<Duration> {
        self.us().map(|us| Duration::from_micros(u64::from(us)))
    }

    /// Moved towards `sample` by a share of `1 / 2^shift`.
    pub(crate) fn blended(self, sample_us: u32, shift: u32) -> Self {
        let old = self.us().unwrap_or(0);
        Self::from_us((old - (old >> shift)).saturating_add(sample_us >> shift))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_durations_are_exact_and_nothing_stays_nothing() {
        assert_eq!(Packed::NONE.us(), None);
        for us in 1..4_096 {
            assert_eq!(Packed::from_us(us).us(), Some(us));
        }
        assert_eq!(Packed::from_us(0).us(), Some(1));
    }

    proptest::proptest! {
        #[test]
        fn longer_ones_are_exact_to_one_in_2048_and_keep_their_order(us: u32, more: u32) {
            let (low, high) = (us.min(more), us.max(more));
            let found = |us| Packed::from_us(us).us().unwrap();
            proptest::prop_assert!(u64::from(found(us).abs_diff(us.max(1))) * 2_048 <= u64::from(us.max(1)));
            proptest::prop_assert!(Packed::from_us(low) <= Packed::from_us(high));
            proptest::prop_assert!(found(low) <= found(high));
        }
    }
}
