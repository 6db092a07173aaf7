//! The last 30 minutes of one signal, and what they say.

use super::noise::{autocorrelation, damping};
use super::rank::{mann_kendall, mann_whitney, median, theil_sen};
use super::{Class, MINUTES, MINUTES_MIN, Minute, RECENT, SAMPLES_MIN, Signal};

/// Beyond which |z| a ramp is taken to be one: 1 % on each side.
const RAMP_Z: f64 = 2.326;
/// The same of a shift: 0.5 % on each side.
const SHIFT_Z: f64 = 2.576;
/// How much a latency, or the odds of an error, must change over the series.
const RAMP_FACTOR: f64 = 1.15;
/// How much its median must have changed.
const SHIFT_FACTOR: f64 = 1.20;
/// How much a count must change, as a share of what it was.
const COUNT_SHARE: f64 = 0.10;
/// How much a count must change.
const COUNT_MIN: f64 = 5.0;
/// How many times the median residual a move must be to be none of the noise's.
const DWARFS: f64 = 12.0;
/// How many deviations the failures themselves must differ by: 5 %, one-sided.
const ERRORS_Z: f64 = 1.645;

/// One minute that counts.
#[derive(Clone, Copy, Debug)]
struct Cell {
    /// Logarithm of seconds, count, or logit.
    value: f32,
    failed: u32,
    calls: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Series {
    signal: Signal,
    cells: [Option<Cell>; MINUTES],
    /// Where the next minute goes, which is where the oldest is.
    next: usize,
}

impl Series {
    pub(super) const fn new(signal: Signal) -> Self {
        Self { signal, cells: [None; MINUTES], next: 0 }
    }

    pub(super) const fn signal(&self) -> Signal {
        self.signal
    }

    pub(super) fn push(&mut self, minute: Minute) {
        self.cells[self.next] = cell(self.signal, minute);
        self.next = (self.next + 1) % MINUTES;
    }

    /// What this evaluation says, whatever earlier ones said.
    pub(super) fn class(&self) -> Class {
        let points = self.points();
        if points.len() < MINUTES_MIN {
            return Class::Unknown;
        }
        let up = self.ramp(&points) + self.shift(&points);
        let class = match up {
            1.. => Class::Rising,
            0 => Class::Stable,
            ..0 => Class::Falling,
        };
        if self.signal == Signal::Errors && !self.failures_agree(class) {
            return Class::Stable;
        }
        class
    }

    /// Where the line through the series is at its newest minute, and its slope per minute.
    pub(super) fn line(&self) -> Option<(f64, f64)> {
        let points = self.points();
        let (last, _) = points.last()?;
        let slope = theil_sen(&points);
        let mut starts: Vec<f64> = points.iter().map(|(at, value)| value - slope * at).collect();
        Some((median(&mut starts) + slope * last, slope))
    }

    /// The minutes that count, oldest first, with their places.
    fn points(&self) -> Vec<(f64, f64)> {
        let ordered = self.ordered().enumerate();
        ordered.filter_map(|(at, cell)| Some((at as f64, f64::from(cell?.value)))).collect()
    }

    fn ordered(&self) -> impl Iterator<Item = Option<Cell>> {
        let (newer, older) = self.cells.split_at(self.next);
        older.iter().chain(newer).copied()
    }

    /// 1 when the series climbs, −1 when it falls, else 0.
    fn ramp(&self, points: &[(f64, f64)]) -> i8 {
        let slope = theil_sen(points);
        let mut starts: Vec<f64> = points.iter().map(|(at, value)| value - slope * at).collect();
        let start = median(&mut starts);
        let residuals: Vec<_> =
            points.iter().map(|(at, value)| (*at, value - slope * at - start)).collect();
        let mut values: Vec<f64> = points.iter().map(|(_, value)| *value).collect();
        let (Some(first), Some(last)) = (points.first(), points.last()) else { return 0 };
        let moved = slope * (last.0 - first.0);
        let z = mann_kendall(&values).z() / wandering(&residuals, moved);
        let level = median(&mut values);
        verdict(z, RAMP_Z, self.matters(moved, level, RAMP_FACTOR))
    }

    /// 1 when the latest minutes are above the others, −1 when below, else 0.
    fn shift(&self, points: &[(f64, f64)]) -> i8 {
        let edge = (MINUTES - RECENT) as f64;
        let (earlier, later): (Vec<_>, Vec<_>) = points.iter().partition(|(at, _)| *at < edge);
        // Half of each stretch, or its median says nothing.
        if earlier.len() * 2 < MINUTES - RECENT || later.len() * 2 < RECENT {
            return 0;
        }
        let values = |points: &[(f64, f64)]| -> Vec<f64> { points.iter().map(|p| p.1).collect() };
        let (earlier, later) = (values(&earlier), values(&later));
        let (before, after) = (median(&mut earlier.clone()), median(&mut later.clone()));
        let level = |at: f64| if at < edge { before } else { after };
        let residuals: Vec<_> =
            points.iter().map(|(at, value)| (*at, value - level(*at))).collect();
        let moved = after - before;
        let z = mann_whitney(&earlier, &later).z() / wandering(&residuals, moved);
        verdict(z, SHIFT_Z, self.matters(moved, before, SHIFT_FACTOR))
    }

    /// Whether a change of `moved` is one that people care about.
    fn matters(&self, moved: f64, level: f64, factor: f64) -> bool {
        match self.signal {
            Signal::Latency | Signal::Errors => moved.abs() > factor.ln(),
            Signal::Connections => {
                moved.abs() >= COUNT_MIN && moved.abs() >= COUNT_SHARE * level.abs()
            }
        }
    }

    /// Whether the failures of the newer half differ from those of the older half as `class` says.
    ///
    /// The logit of a minute without failures depends on its calls alone: without this, traffic that
    /// ebbs away would look like errors that grow.
    fn failures_agree(&self, class: Class) -> bool {
        let mut halves = [(0.0, 0.0); 2];
        for (at, cell) in self.ordered().enumerate() {
            let Some(cell) = cell else { continue };
            let half = &mut halves[usize::from(at * 2 >= MINUTES)];
            *half = (half.0 + f64::from(cell.failed), half.1 + f64::from(cell.calls));
        }
        let [(old_failed, old), (new_failed, new)] = halves;
        let both = (old_failed + new_failed) / (old + new);
        let deviation = (both * (1.0 - both) * (1.0 / old + 1.0 / new)).sqrt();
        let z = (new_failed / new - old_failed / old) / deviation;
        match class {
            Class::Rising => z > ERRORS_Z,
            Class::Falling => z < -ERRORS_Z,
            Class::Stable | Class::Unknown => true,
        }
    }
}

/// What to divide a z by, because the noise itself may have made a move of `moved`.
///
/// It cannot have made one that dwarfs it. Without this, a smooth curve would be called stable: what
/// bends away from a straight line is correlated, however small it is.
fn wandering(residuals: &[(f64, f64)], moved: f64) -> f64 {
    let mut distances: Vec<f64> = residuals.iter().map(|(_, value)| value.abs()).collect();
    let dwarfed = moved.abs() > DWARFS * median(&mut distances);
    if dwarfed { 1.0 } else { damping(autocorrelation(residuals)) }
}

/// Neither estimate can be far on the other side of its test: that many pairs cannot.
fn verdict(z: f64, beyond: f64, matters: bool) -> i8 {
    match (matters && z.abs() > beyond, z > 0.0) {
        (false, _) => 0,
        (true, true) => 1,
        (true, false) => -1,
    }
}

fn cell(signal: Signal, minute: Minute) -> Option<Cell> {
    let (value, failed, calls) = match (signal, minute) {
        (Signal::Latency, Minute::Latency { value, samples }) if samples >= SAMPLES_MIN => {
            (value.as_secs_f64().max(1e-9).ln(), 0, 0)
        }
        (Signal::Connections, Minute::Connections(count)) => (f64::from(count), 0, 0),
        (Signal::Errors, Minute::Errors { failed, calls }) if calls >= SAMPLES_MIN => {
            let failed = failed.min(calls);
            let share = (f64::from(failed) + 0.5) / (f64::from(calls) + 1.0);
            ((share / (1.0 - share)).ln(), failed, calls)
        }
        (
            Signal::Latency | Signal::Connections | Signal::Errors,
            Minute::Nothing
            | Minute::Latency { .. }
            | Minute::Connections(_)
            | Minute::Errors { .. },
        ) => return None,
    };
    #[expect(clippy::cast_possible_truncation, reason = "seven digits are more than is measured")]
    let value = value as f32;
    Some(Cell { value, failed, calls })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// 22 minutes around 100 ms, then these.
    fn class(latest: [u64; RECENT]) -> Class {
        let mut series = Series::new(Signal::Latency);
        for minute in 0..22 {
            series.push(latency(100 + minute % 2));
        }
        for millis in latest {
            series.push(if millis == 0 { Minute::Nothing } else { latency(millis) });
        }
        series.class()
    }

    fn latency(millis: u64) -> Minute {
        Minute::Latency { value: Duration::from_millis(millis), samples: SAMPLES_MIN }
    }

    #[test]
    fn a_shift_needs_half_of_the_latest_minutes() {
        assert_eq!(class([200, 0, 0, 200, 0, 0, 0, 200]), Class::Stable);
        assert_eq!(class([200, 0, 0, 200, 0, 0, 200, 200]), Class::Rising);
        assert_eq!(class([50, 0, 0, 50, 0, 0, 50, 50]), Class::Falling);
    }

    #[test]
    fn the_oldest_minute_gives_way_to_the_newest() {
        let mut series = Series::new(Signal::Connections);
        for count in 0..70 {
            series.push(Minute::Connections(count));
        }
        let points: Vec<(f64, f64)> =
            (0_u32..30).map(|at| (f64::from(at), f64::from(at + 40))).collect();
        assert_eq!(series.points(), points);
        assert_eq!(series.line(), Some((69.0, 1.0)));
    }
}
