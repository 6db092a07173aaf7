use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, number_data_point,
};
use prost::Message as _;

use super::resource::{resource, scope, text};
use crate::metrics::{Gathered, Kind, Measured, Spread};

/// Sums are told as they are since the start, not since the last time.
const CUMULATIVE: i32 = AggregationTemporality::Cumulative as i32;

/// Since when sums count, and when they were read; in nanoseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) start: u64,
    pub(super) now: u64,
}

/// A request to export these metrics, and how many points it has.
pub(super) fn request(service_name: &str, families: &[Gathered], times: Times) -> (Vec<u8>, usize) {
    let families = families.iter().filter(|family| !family.points.is_empty());
    let count = families.clone().map(|family| family.points.len()).sum();
    let metrics = families.map(|family| metric(family, times)).collect();
    let scope = ScopeMetrics { scope: scope(), metrics, ..ScopeMetrics::default() };
    let resource = resource(service_name);
    let resource =
        ResourceMetrics { resource, scope_metrics: vec![scope], ..ResourceMetrics::default() };
    let request = ExportMetricsServiceRequest { resource_metrics: vec![resource] };
    (request.encode_to_vec(), count)
}

fn metric(family: &Gathered, times: Times) -> Metric {
    let (mut numbers, mut histograms) = (Vec::new(), Vec::new());
    for (labels, measured) in &family.points {
        let attributes = labels.iter().map(|(name, value)| text(name, value)).collect();
        match measured {
            Measured::Number(value) => numbers.push(number(attributes, *value, times)),
            Measured::Spread(spread) => histograms.push(histogram(attributes, spread, times)),
        }
    }
    let aggregation_temporality = CUMULATIVE;
    let data = match family.kind {
        Kind::Gauge => Data::Gauge(Gauge { data_points: numbers }),
        Kind::Counter => {
            Data::Sum(Sum { data_points: numbers, aggregation_temporality, is_monotonic: true })
        }
        Kind::Histogram => {
            Data::Histogram(Histogram { data_points: histograms, aggregation_temporality })
        }
    };
    Metric {
        name: family.name.clone(),
        description: family.help.clone(),
        unit: unit(&family.name).to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn number(attributes: Vec<KeyValue>, value: f64, times: Times) -> NumberDataPoint {
    NumberDataPoint {
        attributes,
        start_time_unix_nano: times.start,
        time_unix_nano: times.now,
        value: Some(number_data_point::Value::AsDouble(value)),
        ..NumberDataPoint::default()
    }
}

fn histogram(attributes: Vec<KeyValue>, spread: &Spread, times: Times) -> HistogramDataPoint {
    HistogramDataPoint {
        attributes,
        start_time_unix_nano: times.start,
        time_unix_nano: times.now,
        count: spread.counts.iter().fold(0, |sum, count| sum.saturating_add(*count)),
        sum: Some(spread.sum),
        bucket_counts: spread.counts.clone(),
        explicit_bounds: spread.bounds.to_vec(),
        ..HistogramDataPoint::default()
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
