//! Whether something drifts in a long run: the server's memory, its answers.

use std::time::Duration;

use mainstay::core::config::Ratio;
use serde_json::{Value, json};

use super::process::Use;
use super::tally::{Latencies, Snapshot};

/// Samples over the whole time.
const SAMPLES: u32 = 60;
/// The shortest time between two.
const SHORTEST: Duration = Duration::from_secs(1);
/// Samples without which nothing is said.
const ENOUGH: usize = 6;
/// Growth over the time that is called one, as a share of what there was …
const GROWTH: f64 = 0.10;
/// … and in bytes.
const GROWTH_BYTES: f64 = 4.0 * 1024.0 * 1024.0;

/// A look at a moment.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Duration,
    resident: Option<u64>,
    descriptors: Option<u64>,
    open: i64,
    /// Of the round trips since the last sample.
    median: Option<Duration>,
    slow: Option<Duration>,
}

/// All looks.
#[derive(Debug, Default)]
pub(super) struct Soak {
    every: Duration,
    next: Duration,
    samples: Vec<Sample>,
    before: Latencies,
}

/// What all looks together say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Trend {
    /// Bytes that the server grew over the time, by the line of least squares.
    pub(super) growth: f64,
    /// Bytes in the middle of that line.
    pub(super) mean: f64,
    /// The median of slow answers in the first third, and in the last.
    pub(super) slow: Option<(Duration, Duration)>,
    pub(super) over: Duration,
}

impl Soak {
    /// Looks at a run of that length.
    pub(super) fn new(during: Duration) -> Self {
        let every = (during / SAMPLES).max(SHORTEST);
        Self { every, next: Duration::ZERO, ..Self::default() }
    }

    /// Takes a look, if it is time for one; `at` counts from when all clients had begun.
    pub(super) fn look(&mut self, at: Duration, counts: &Snapshot, used: Option<Use>) {
        if at < self.next {
            return;
        }
        self.next = at + self.every;
        let since = counts.round_trip.since(&self.before);
        self.before = counts.round_trip.clone();
        self.samples.push(Sample {
            at,
            resident: used.map(|used| used.resident),
            descriptors: used.map(|used| used.descriptors),
            open: counts.open,
            median: since.quantile(Ratio::from_ppm(500_000)),
            slow: since.quantile(Ratio::from_ppm(990_000)),
        });
    }

    /// What the looks say; the first tenth is left out, in which buffers and caches fill.
    pub(super) fn trend(&self) -> Option<Trend> {
        let settled = &self.samples[self.samples.len() / 10..];
        let points: Vec<(f64, f64)> = settled
            .iter()
            .filter_map(|sample| Some((sample.at.as_secs_f64(), sample.resident? as f64)))
            .collect();
        if points.len() < ENOUGH {
            return None;
        }
        let (slope, mean) = line(&points);
        let over = settled.last()?.at.saturating_sub(settled.first()?.at);
        let third = settled.len() / 3;
        let slow = |part: &[Sample]| median(part.iter().filter_map(|sample| sample.slow).collect());
        let slow = slow(&settled[..third]).zip(slow(&settled[settled.len() - third..]));
        Some(Trend { growth: slope * over.as_secs_f64(), mean, slow, over })
    }

    /// All looks.
    pub(super) fn json(&self) -> Value {
        let us = |value: Option<Duration>| value.map(|value| value.as_secs_f64() * 1e6);
        let samples = self.samples.iter().map(|sample| {
            json!({
                "at_s": sample.at.as_secs_f64(), "rss_bytes": sample.resident,
                "descriptors": sample.descriptors, "open": sample.open,
                "p50_us": us(sample.median), "p99_us": us(sample.slow),
            })
        });
        Value::Array(samples.collect())
    }
}

impl Trend {
    /// Whether the server grows by more than chance.
    pub(super) fn grows(&self) -> bool {
        self.growth > GROWTH_BYTES && self.growth > GROWTH * self.mean
    }

    /// Bytes an hour.
    pub(super) fn per_hour(&self) -> f64 {
        self.growth / self.over.as_secs_f64().max(1.0) * 3600.0
    }
}

/// Slope and mean of the line of least squares.
fn line(points: &[(f64, f64)]) -> (f64, f64) {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let above: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    let below: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    (if below > 0.0 { above / below } else { 0.0 }, y)
}

fn median(mut all: Vec<Duration>) -> Option<Duration> {
    all.sort_unstable();
    all.get(all.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn soaked(resident: impl Fn(u64) -> u64) -> Trend {
        let mut soak = Soak::new(Duration::from_secs(60));
        for second in 0..=60 {
            let used = Use {
                resident: resident(second),
                cpu: Duration::ZERO,
                descriptors: 9,
                at: Instant::now(),
            };
            soak.look(Duration::from_secs(second), &Snapshot::default(), Some(used));
        }
        soak.trend().expect("there are enough looks")
    }

    #[test]
    fn a_server_that_grows_is_told_from_one_that_breathes() {
        let leak = soaked(|second| (50 << 20) + (second << 20));
        assert!(leak.grows(), "{leak:?}");
        assert!((leak.growth / f64::from(54 << 20) - 1.0).abs() < 0.01, "{leak:?}");
        assert!((leak.per_hour() / (3600.0 * 1024.0 * 1024.0) - 1.0).abs() < 0.01, "{leak:?}");
        let breath = soaked(|second| (50 << 20) + ((second % 7) << 20));
        assert!(!breath.grows(), "{breath:?}");
        let warm = soaked(|second| if second < 5 { 10 << 20 } else { 80 << 20 });
        assert!(!warm.grows(), "{warm:?}");
    }

    #[test]
    fn too_few_looks_say_nothing() {
        let mut soak = Soak::new(Duration::from_secs(60));
        soak.look(Duration::ZERO, &Snapshot::default(), None);
        assert_eq!(soak.trend(), None);
    }
}
