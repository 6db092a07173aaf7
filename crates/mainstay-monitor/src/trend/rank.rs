//! Tests and estimates on ranks: an outlier weighs as much as any other value.

/// What Mann and Kendall's test says of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kendall {
    /// Pairs that rise minus pairs that fall.
    pub s: f64,
    /// The variance of `s` if every order were equally likely, ties counted.
    pub variance: f64,
}

impl Kendall {
    /// How many deviations `s` is from none, with continuity correction; above zero is up. Zero for
    /// a series without two different values.
    #[must_use]
    pub fn z(&self) -> f64 {
        deviations(self.s, 1.0, self.variance)
    }
}

/// What Mann and Whitney's test says of two samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Whitney {
    /// Pairs where the later is greater minus half of all pairs; an equal pair is half a one.
    pub excess: f64,
    /// The variance of `excess` if every split were equally likely, ties counted.
    pub variance: f64,
}

impl Whitney {
    /// How many deviations `excess` is from none, with continuity correction; above zero, the later
    /// sample is greater. Zero when all values are equal.
    #[must_use]
    pub fn z(&self) -> f64 {
        deviations(self.excess, 0.5, self.variance)
    }
}

fn deviations(statistic: f64, correction: f64, variance: f64) -> f64 {
    let beyond = (statistic.abs() - correction).max(0.0);
    if variance > 0.0 { (beyond / variance.sqrt()).copysign(statistic) } else { 0.0 }
}

/// Mann and Kendall's test (1945, 1975) of values in the order of time.
///
/// ```
/// use mainstay_monitor::trend::mann_kendall;
///
/// assert!(mann_kendall(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]).z() > 3.0);
/// ```
#[must_use]
pub fn mann_kendall(values: &[f64]) -> Kendall {
    let mut s = 0.0;
    for (at, earlier) in values.iter().enumerate() {
        for later in &values[at + 1..] {
            s += sign(later - earlier);
        }
    }
    let n = values.len() as f64;
    let spread = |n: f64| n * (n - 1.0) * (2.0 * n + 5.0);
    let tied: f64 = ties(values.to_vec()).map(spread).sum();
    Kendall { s, variance: (spread(n) - tied) / 18.0 }
}

/// Mann and Whitney's test (1947) of a later sample against an earlier one.
///
/// ```
/// use mainstay_monitor::trend::mann_whitney;
///
/// assert!(mann_whitney(&[1.0, 2.0, 3.0, 4.0, 5.0], &[6.0, 7.0, 8.0, 9.0]).z() > 2.0);
/// ```
#[must_use]
pub fn mann_whitney(earlier: &[f64], later: &[f64]) -> Whitney {
    let mut excess = 0.0;
    for new in later {
        for old in earlier {
            excess += sign(new - old) / 2.0;
        }
    }
    let (a, b) = (earlier.len() as f64, later.len() as f64);
    let n = a + b;
    if n < 2.0 {
        return Whitney { excess, variance: 0.0 };
    }
    let tied: f64 = ties([earlier, later].concat()).map(|t| t * t * t - t).sum();
    Whitney { excess, variance: a * b / 12.0 * (n + 1.0 - tied / (n * (n - 1.0))) }
}

/// The slope of Theil (1950) and Sen (1968): the median of the slopes of all pairs of points.
///
/// Points are (place, value), the places all different. Zero for fewer than two points.
///
/// ```
/// use mainstay_monitor::trend::theil_sen;
///
/// assert_eq!(theil_sen(&[(0.0, 1.0), (1.0, 3.0), (2.0, 99.0), (3.0, 7.0), (4.0, 9.0)]), 2.0);
/// ```
#[must_use]
pub fn theil_sen(points: &[(f64, f64)]) -> f64 {
    let mut slopes = Vec::with_capacity(points.len() * points.len().saturating_sub(1) / 2);
    for (at, (x, y)) in points.iter().enumerate() {
        slopes.extend(points[at + 1..].iter().map(|(later, high)| (high - y) / (later - x)));
    }
    median(&mut slopes)
}

/// The middle of `values`, or the mean of the two in the middle; zero of none. Reorders them.
#[must_use]
pub fn median(values: &mut [f64]) -> f64 {
    let half = values.len() / 2;
    if values.is_empty() {
        return 0.0;
    }
    let even = values.len().is_multiple_of(2);
    let (below, middle, _) = values.select_nth_unstable_by(half, f64::total_cmp);
    let middle = *middle;
    if even {
        let under = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        f64::midpoint(under, middle)
    } else {
        middle
    }
}

/// How many values each group of equal ones has.
fn ties(mut values: Vec<f64>) -> impl Iterator<Item = f64> {
    values.sort_unstable_by(f64::total_cmp);
    let groups: Vec<f64> = values.chunk_by(|a, b| a == b).map(|group| group.len() as f64).collect();
    groups.into_iter()
}

/// −1, 0 or 1; unlike [`f64::signum`], of zero too.
fn sign(value: f64) -> f64 {
    if value == 0.0 { 0.0 } else { value.signum() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_series_have_known_answers() {
        // n(n−1)(2n+5)/18 without ties; 10 pairs rise of 10.
        let up = mann_kendall(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!((up.s, up.variance), (10.0, 50.0 / 3.0));
        assert!((up.z() - 9.0 / (50.0_f64 / 3.0).sqrt()).abs() < 1e-12);
        // One tied pair takes 2·1·9 = 18 from the sum.
        let tied = mann_kendall(&[1.0, 1.0, 2.0]);
        assert_eq!((tied.s, tied.variance), (2.0, (3.0 * 2.0 * 11.0 - 18.0) / 18.0));
        let flat = mann_kendall(&[4.0; 30]);
        assert_eq!((flat.s, flat.variance, flat.z()), (0.0, 0.0, 0.0));
        let whitney = mann_whitney(&[1.0, 2.0, 3.0], &[4.0, 5.0]);
        assert_eq!((whitney.excess, whitney.variance), (3.0, 3.0));
        assert_eq!(mann_whitney(&[7.0; 22], &[7.0; 8]).z(), 0.0);
        for (mut values, expected) in
            [(vec![], 0.0), (vec![3.0], 3.0), (vec![9.0, 1.0], 5.0), (vec![5.0, 1.0, 9.0], 5.0)]
        {
            assert_eq!(median(&mut values), expected);
        }
    }

    #[test]
    fn too_few_values_have_no_direction() {
        for few in [&[][..], &[1.0], &[1.0, 2.0]] {
            assert!(mann_kendall(few).z().abs() < 0.1, "{few:?}");
            assert!(mann_whitney(few, &[]).z().abs() < 0.1, "{few:?}");
        }
        assert_eq!(theil_sen(&[(3.0, 4.0)]), 0.0);
    }

    /// All orders of `values`, equal values told apart.
    fn orders(values: &[f64]) -> Vec<Vec<f64>> {
        if values.is_empty() {
            return vec![Vec::new()];
        }
        let mut all = Vec::new();
        for at in 0..values.len() {
            let mut rest = values.to_vec();
            let first = rest.remove(at);
            all.extend(orders(&rest).into_iter().map(|rest| [vec![first], rest].concat()));
        }
        all
    }

    fn moments(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
        let n = values.clone().count() as f64;
        let mean = values.clone().sum::<f64>() / n;
        (mean, values.map(|value| (value - mean).powi(2)).sum::<f64>() / n)
    }

    fn few(most: usize) -> impl Strategy<Value = Vec<f64>> {
        // Few different values: ties are the rule.
        prop::collection::vec((0_u8..4).prop_map(f64::from), 2..=most)
    }

    proptest! {
        #[test]
        fn the_variances_are_those_of_all_orders(values in few(6), cut in 1_usize..5) {
            let all = orders(&values);
            let (mean, variance) = moments(all.iter().map(|order| mann_kendall(order).s));
            prop_assert!(mean.abs() < 1e-9);
            prop_assert!((variance - mann_kendall(&values).variance).abs() < 1e-9);
            let cut = cut.min(values.len() - 1);
            let split = |order: &Vec<f64>| mann_whitney(&order[..cut], &order[cut..]).excess;
            let (mean, variance) = moments(all.iter().map(split));
            let ours = mann_whitney(&values[..cut], &values[cut..]).variance;
            prop_assert!(mean.abs() < 1e-9);
            prop_assert!((variance - ours).abs() < 1e-9, "{} {}", variance, ours);
        }

        #[test]
        fn s_counts_pairs(values in few(30)) {
            let mut s = 0_i32;
            for later in 0..values.len() {
                for earlier in 0..later {
                    s += i32::from(values[later] > values[earlier]);
                    s -= i32::from(values[later] < values[earlier]);
                }
            }
            prop_assert_eq!(mann_kendall(&values).s, f64::from(s));
            let reversed: Vec<f64> = values.iter().rev().copied().collect();
            prop_assert_eq!(mann_kendall(&reversed).s, -f64::from(s));
        }

        #[test]
        fn the_median_is_the_middle_of_the_sorted(mut values in prop::collection::vec(-1e3..1e3, 1..40)) {
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let n = sorted.len();
            let middle = (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0;
            prop_assert!((median(&mut values) - middle).abs() < 1e-9);
        }

        #[test]
        fn half_of_all_slopes_lie_on_each_side(
            points in prop::collection::btree_map(0_u8..30, -100_i32..100, 2..30), tilt in -9_i32..9,
        ) {
            let points: Vec<(f64, f64)> =
                points.into_iter().map(|(x, y)| (f64::from(x), f64::from(y))).collect();
            let slope = theil_sen(&points);
            let mut sides = (0_usize, 0_usize, 0_usize);
            for (at, (x, y)) in points.iter().enumerate() {
                for (later, high) in &points[at + 1..] {
                    let one = (high - y) / (later - x);
                    sides.0 += usize::from(one < slope - 1e-9);
                    sides.1 += usize::from(one > slope + 1e-9);
                    sides.2 += 1;
                }
            }
            prop_assert!(sides.0 * 2 <= sides.2 && sides.1 * 2 <= sides.2, "{sides:?}");
            let tilt = f64::from(tilt);
            let tilted: Vec<_> = points.iter().map(|(x, y)| (*x, y + tilt * x)).collect();
            prop_assert!((theil_sen(&tilted) - slope - tilt).abs() < 1e-9);
        }
    }
}
