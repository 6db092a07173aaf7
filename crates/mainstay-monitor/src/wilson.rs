//! Between which bounds a share lies of which only some samples are known.
//!
//! One failure of two calls is no failure rate of one half. Wilson's score interval (1927) says what
//! rates could well have given what was seen; it holds for few samples and at both ends, where the
//! usual `p ± z·√(p(1−p)/n)` does not.

/// The standard normal quantile of an interval that holds the share in 95 of 100 cases.
pub const Z_95: f64 = 1.959_963_984_540_054;

/// The least share, 0 to 1, that could well have given `part` of `whole`.
///
/// `z` is the confidence as a standard normal quantile, from 0 on; usually [`Z_95`]. 0 when `whole`
/// is zero: nothing is known. More `part` than `whole` counts as all.
///
/// ```
/// use mainstay_monitor::wilson::{Z_95, lower};
///
/// assert!(lower(1, 2, Z_95) < 0.1, "one of two proves little");
/// assert!(lower(500, 1_000, Z_95) > 0.46);
/// ```
#[must_use]
pub fn lower(part: u64, whole: u64, z: f64) -> f64 {
    if part == 0 { 0.0 } else { score(part, whole, z, -1.0) }
}

/// The greatest share, 0 to 1, that could well have given `part` of `whole`.
///
/// `z` as in [`lower`]. 1 when `whole` is zero.
///
/// ```
/// use mainstay_monitor::wilson::{Z_95, upper};
///
/// assert!(upper(0, 10, Z_95) > 0.25, "ten without a failure prove little");
/// assert!(upper(0, 1_000, Z_95) < 0.004);
/// ```
#[must_use]
pub fn upper(part: u64, whole: u64, z: f64) -> f64 {
    if part >= whole { 1.0 } else { score(part, whole, z, 1.0) }
}

#[expect(clippy::cast_precision_loss, reason = "counts above 2⁵³ need no exact bound")]
fn score(part: u64, whole: u64, z: f64, side: f64) -> f64 {
    if whole == 0 {
        return if side < 0.0 { 0.0 } else { 1.0 };
    }
    let (part, n) = (part.min(whole) as f64, whole as f64);
    let (p, zz) = (part / n, z.max(0.0).powi(2));
    let spread = z.max(0.0) * (p * (1.0 - p) / n + zz / (4.0 * n * n)).sqrt();
    ((p + zz / (2.0 * n) + side * spread) / (1.0 + zz / n)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_bounds_are_those_of_published_tables() {
        // Newcombe 1998, table I: Wilson's score method without continuity correction.
        let table = [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0000, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ];
        for (part, whole, low, high) in table {
            assert!((lower(part, whole, Z_95) - low).abs() < 5e-5, "{part} of {whole}");
            assert!((upper(part, whole, Z_95) - high).abs() < 5e-5, "{part} of {whole}");
        }
    }

    #[test]
    fn nothing_known_excludes_nothing_and_the_ends_are_exact() {
        assert_eq!((lower(0, 0, Z_95), upper(0, 0, Z_95)), (0.0, 1.0));
        assert_eq!((lower(3, 0, Z_95), upper(3, 0, Z_95)), (0.0, 1.0));
        assert_eq!((lower(0, 9, Z_95), upper(9, 9, Z_95)), (0.0, 1.0));
        assert_eq!((lower(7, 9, 0.0), upper(7, 9, 0.0)), (7.0 / 9.0, 7.0 / 9.0));
        assert_eq!((lower(10, 9, Z_95), upper(10, 9, Z_95)), (lower(9, 9, Z_95), 1.0));
        assert_eq!(lower(7, 9, -1.0), 7.0 / 9.0, "a negative confidence is none");
        assert!(lower(u64::MAX, u64::MAX, Z_95) > 0.999_999);
    }

    proptest! {
        #[test]
        fn each_bound_is_where_what_was_seen_is_z_deviations_away(
            whole in 1_u64..100_000, share in 0_u64..=1_000, z in 0.1_f64..4.0,
        ) {
            let part = whole * share / 1_000;
            let (n, p) = (whole as f64, part as f64 / whole as f64);
            let (low, high) = (lower(part, whole, z), upper(part, whole, z));
            prop_assert!(0.0 <= low && low <= p && p <= high && high <= 1.0);
            for bound in [low, high] {
                let distance = z * (bound * (1.0 - bound) / n).sqrt();
                prop_assert!(((p - bound).abs() - distance).abs() < 1e-9, "{bound}");
            }
        }

        #[test]
        fn the_bounds_mirror_each_other_and_narrow_with_samples(
            whole in 1_u64..10_000, share in 0_u64..=1_000,
        ) {
            let part = whole * share / 1_000;
            let mirrored = 1.0 - upper(whole - part, whole, Z_95);
            prop_assert!((lower(part, whole, Z_95) - mirrored).abs() < 1e-12);
            let wide = upper(part, whole, Z_95) - lower(part, whole, Z_95);
            let narrow = upper(part * 4, whole * 4, Z_95) - lower(part * 4, whole * 4, Z_95);
            prop_assert!(narrow < wide);
            if part < whole {
                prop_assert!(lower(part, whole, Z_95) < lower(part + 1, whole, Z_95));
            }
        }
    }
}
