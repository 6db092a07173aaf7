//! Many times of the same work, as a line of a table.

use std::time::Duration;

/// How long pieces of work took, in order, and all of them together.
pub struct Took {
    each: Vec<Duration>,
    all: Duration,
}

impl Took {
    pub fn new(mut each: Vec<Duration>, all: Duration) -> Self {
        each.sort_unstable();
        Self { each, all }
    }

    /// The time that so many of a thousand stayed under.
    pub fn at(&self, thousandths: usize) -> Duration {
        let place = (self.each.len() * thousandths).div_ceil(1_000).max(1) - 1;
        self.each.get(place).copied().unwrap_or_default()
    }

    pub fn a_second(&self) -> f64 {
        self.each.len() as f64 / self.all.as_secs_f64()
    }

    /// Name, how many a second, median and 99th percentile in milliseconds.
    pub fn line(&self, name: &str) -> String {
        let ms = |thousandths| self.at(thousandths).as_secs_f64() * 1e3;
        format!("| {name} | {:.0} | {:.2} | {:.2} |\n", self.a_second(), ms(500), ms(990))
    }
}
