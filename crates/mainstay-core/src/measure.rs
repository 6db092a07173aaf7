//! Measurements in fixed memory: averages, distributions and sums over a sliding window.

pub mod ewma;
pub mod histogram;
pub mod window;
