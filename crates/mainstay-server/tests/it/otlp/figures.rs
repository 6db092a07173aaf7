use mainstay_server::Server;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint};

use super::collector::{Collector, Mode, attribute, until};
use super::{spec, with};
use crate::running::{Running, run};

/// A server that exports its metrics.
async fn serving(collector: &Collector) -> Running {
    let config = with(spec(collector), "");
    run(Server::bind(&config).await.unwrap())
}

fn find<'a>(export: &'a [Metric], name: &str) -> Option<&'a Metric> {
    export.iter().find(|metric| metric.name == name)
}

fn value(point: &NumberDataPoint) -> f64 {
    match point.value.unwrap() {
        Value::AsDouble(value) => value,
        Value::AsInt(_) => panic!("ours are doubles"),
    }
}

/// The points of a sum, which only grows and is told as a whole.
fn sum(metric: &Metric) -> Vec<NumberDataPoint> {
    let Some(Data::Sum(sum)) = &metric.data else { panic!("{metric:?}") };
    assert!(sum.is_monotonic && sum.aggregation_temporality == 2);
    sum.data_points.clone()
}

#[tokio::test]
async fn the_figures_of_the_page_arrive_and_sums_only_grow() {
    let collector = Collector::start(Mode::Take).await;
    let running = serving(&collector).await;
    let (count, name) = (metrics::counter!("figures_total", "of" => "test"), "figures_total");
    count.increment(3);
    metrics::histogram!("figures_seconds").record(0.02);
    metrics::histogram!("figures_seconds").record(30.0);
    let arrived = |least: f64| {
        let exports = collector.exports();
        exports
            .iter()
            .any(|export| find(export, name).is_some_and(|metric| value(&sum(metric)[0]) >= least))
    };
    until("the first figure", || arrived(3.0)).await;
    count.increment(4);
    until("the second", || arrived(7.0)).await;
    running.end().await;
    let exports = collector.exports();
    let points: Vec<NumberDataPoint> =
        exports.iter().filter_map(|export| Some(sum(find(export, name)?).remove(0))).collect();
    let values: Vec<f64> = points.iter().map(value).collect();
    assert!(values.is_sorted() && values[0] == 3.0 && values.ends_with(&[7.0]), "{values:?}");
    for pair in points.windows(2) {
        assert_eq!(pair[0].start_time_unix_nano, pair[1].start_time_unix_nano, "one series");
        assert!(pair[0].time_unix_nano < pair[1].time_unix_nano);
    }
    assert_eq!(attribute(&points[0].attributes, "of").as_deref(), Some("test"));
    let last = exports.last().unwrap();
    let histogram = find(last, "figures_seconds").unwrap();
    assert_eq!(histogram.unit, "s");
    let Some(Data::Histogram(histogram)) = &histogram.data else { panic!("{histogram:?}") };
    assert_eq!(histogram.aggregation_temporality, 2);
    let point = &histogram.data_points[0];
    assert_eq!((point.count, point.sum), (2, Some(30.02)));
    assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
    assert_eq!((point.explicit_bounds[2], point.bucket_counts[2]), (0.025, 1));
    assert_eq!(point.bucket_counts.last(), Some(&1), "above all bounds");
    let info = find(last, "mainstay_build_info").unwrap();
    let Some(Data::Gauge(gauge)) = &info.data else { panic!("{info:?}") };
    assert_eq!(value(&gauge.data_points[0]), 1.0);
}

#[tokio::test]
async fn all_that_stands_on_the_page_is_exported_with_who_it_is_of() {
    let collector = Collector::start(Mode::Take).await;
    let running = serving(&collector).await;
    let host = format!("Host: {}", running.address);
    until("the first export", || !collector.exports().is_empty()).await;
    let page = running.get("/metrics", &host).await;
    running.end().await;
    let exports = collector.exports();
    let last = exports.last().unwrap();
    let families = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let mut seen = 0;
    for family in families {
        // What has no series yet has none there either.
        let has_samples = page.lines().any(|line| line.starts_with(family));
        assert!(!has_samples || find(last, family).is_some(), "{family}");
        seen += 1;
    }
    assert!(seen > 40, "{seen}");
    let resources = collector.resources();
    let said = |key| attribute(&resources[0].attributes, key);
    assert_eq!(said("service.name").as_deref(), Some("mainstay"));
    assert_eq!(said("service.version").as_deref(), Some(env!("CARGO_PKG_VERSION")));
    assert_eq!(said("service.instance.id").map(|id| id.len()), Some(36));
    assert!(resources.iter().all(|resource| *resource == resources[0]), "one process");
}
