use super::resource;
use super::wire::Message;
use crate::metrics::{Gathered, Kind, Measured, Spread};

/// Sums are told as they are since the start, not since the last time.
const CUMULATIVE: u64 = 2;

/// Since when sums count, and when they were read; in nanoseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) start: u64,
    pub(super) now: u64,
}

/// A request to export these metrics, and how many points it has.
pub(super) fn request(service_name: &str, families: &[Gathered], times: Times) -> (Vec<u8>, usize) {
    let mut count = 0;
    let body = resource::around(service_name, |scope| {
        for family in families.iter().filter(|family| !family.points.is_empty()) {
            count += family.points.len();
            scope.message(2, |metric| write(metric, family, times));
        }
    });
    (body, count)
}

fn write(metric: &mut Message, family: &Gathered, times: Times) {
    metric.text(1, &family.name);
    metric.text(2, &family.help);
    metric.text(3, unit(&family.name));
    let points = |data: &mut Message| {
        for (labels, measured) in &family.points {
            data.message(1, |point| match measured {
                Measured::Number(value) => number(point, labels, *value, times),
                Measured::Spread(spread) => histogram(point, labels, spread, times),
            });
        }
    };
    match family.kind {
        Kind::Gauge => metric.message(5, points),
        Kind::Counter => metric.message(7, |sum| {
            points(sum);
            sum.number(2, CUMULATIVE);
            sum.number(3, 1);
        }),
        Kind::Histogram => metric.message(9, |histogram| {
            points(histogram);
            histogram.number(2, CUMULATIVE);
        }),
    }
}

fn number(point: &mut Message, labels: &[(String, String)], value: f64, times: Times) {
    point.eight_bytes(2, times.start);
    point.eight_bytes(3, times.now);
    point.double_always(4, value);
    attributes(point, 7, labels);
}

fn histogram(point: &mut Message, labels: &[(String, String)], spread: &Spread, times: Times) {
    point.eight_bytes(2, times.start);
    point.eight_bytes(3, times.now);
    let count = spread.counts.iter().fold(0_u64, |sum, count| sum.saturating_add(*count));
    point.eight_bytes(4, count);
    point.double_always(5, spread.sum);
    point.packed(6, spread.counts.iter().copied());
    point.packed(7, spread.bounds.iter().map(|bound| bound.to_bits()));
    attributes(point, 9, labels);
}

fn attributes(point: &mut Message, field: u64, labels: &[(String, String)]) {
    for (name, value) in labels {
        resource::text(point, field, name, value);
    }
}

/// The unit that a name ends in, in the letters of UCUM.
fn unit(name: &str) -> &'static str {
    let stem = name.strip_suffix("_total").unwrap_or(name);
    match stem.rsplit('_').next() {
        Some("seconds") => "s",
        Some("bytes") => "By",
        Some("ratio") => "1",
        Some(_) | None => "",
    }
}
