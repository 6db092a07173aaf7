//! How much a minute resembles the one before it: such series wander, and look like trends.

use super::rank::median;

/// The lag-1 autocorrelation of residuals, 0 to 0.85.
///
/// Residuals are (place, value) in the order of places; only neighbouring places are compared. What
/// is further out than three times the median distance from zero counts as just that far; the bias
/// of short series is corrected by (n·r + 1) / (n − 4). Zero for fewer than five residuals, or when
/// all are zero.
///
/// ```
/// use mainstay_monitor::trend::autocorrelation;
///
/// let wave = (0..30).map(|at| (f64::from(at), (f64::from(at) / 4.0).sin()));
/// assert!(autocorrelation(&wave.collect::<Vec<_>>()) > 0.8);
/// ```
#[must_use]
pub fn autocorrelation(residuals: &[(f64, f64)]) -> f64 {
    let n = residuals.len() as f64;
    if n < 5.0 {
        return 0.0;
    }
    let mut distances: Vec<f64> = residuals.iter().map(|(_, value)| value.abs()).collect();
    // When more than half are zero, there is no usual distance to judge the others by.
    let usual = median(&mut distances);
    let limit = if usual > 0.0 { 3.0 * usual } else { f64::MAX };
    let value = |residual: &(f64, f64)| residual.1.clamp(-limit, limit);
    let neighbours = residuals.windows(2).filter(|pair| pair[1].0 - pair[0].0 == 1.0);
    let products: f64 = neighbours.map(|pair| value(&pair[0]) * value(&pair[1])).sum();
    let squares: f64 = residuals.iter().map(|residual| value(residual).powi(2)).sum();
    if squares == 0.0 {
        return 0.0;
    }
    ((n * (products / squares) + 1.0) / (n - 4.0)).clamp(0.0, 0.85)
}

/// What to divide a z by when the autocorrelation is `rho`: √((1 + ρ) / (1 − ρ)).
#[must_use]
pub fn damping(rho: f64) -> f64 {
    ((1.0 + rho) / (1.0 - rho)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(values: &[f64]) -> Vec<(f64, f64)> {
        values.iter().enumerate().map(|(at, value)| (at as f64, *value)).collect()
    }

    #[test]
    fn an_alternating_series_counts_as_none_and_a_constant_side_as_the_most() {
        let mut values = [1.0; 30];
        assert_eq!(autocorrelation(&places(&values)), 0.85);
        for value in values.iter_mut().step_by(2) {
            *value = -1.0;
        }
        assert_eq!(autocorrelation(&places(&values)), 0.0);
        assert_eq!(autocorrelation(&places(&[0.0; 30])), 0.0);
        assert_eq!(autocorrelation(&places(&[1.0; 4])), 0.0);
    }

    #[test]
    fn the_bias_is_corrected_and_an_outlier_is_cut() {
        // Σ products 1·1 − 1·1 − 1·1 … by hand: 1 1 −1 −1 1 1: 1 −1 1 −1 1 = 1, squares 6.
        let rho = autocorrelation(&places(&[1.0, 1.0, -1.0, -1.0, 1.0, 1.0]));
        assert_eq!(rho, ((6.0 * (1.0 / 6.0) + 1.0) / 2.0_f64).clamp(0.0, 0.85));
        let mut values = [1.0, 1.0, -1.0, -1.0, 1.0, 1.0, -1.0, -1.0, 1.0, 1.0, -1.0, -1.0];
        values[5] = 1e9;
        let cut = autocorrelation(&places(&values));
        values[5] = 3.0;
        assert_eq!(cut, autocorrelation(&places(&values)));
    }

    #[test]
    fn places_that_are_no_neighbours_are_not_compared() {
        let apart: Vec<_> = (0..20).map(|at| (f64::from(at) * 2.0, 1.0)).collect();
        assert_eq!(autocorrelation(&apart), 1.0 / 16.0, "only the bias is left");
        assert_eq!(damping(0.0), 1.0);
        assert_eq!(damping(0.6), 2.0);
    }
}
