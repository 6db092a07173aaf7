//! What the libraries record, for the page. Numbers are atomics, so that recording takes no lock and
//! memory does not grow with what is recorded, whether or not anybody ever asks for the page.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, SharedString, Unit};

use super::buckets::{Buckets, NUMBERS, SECONDS};
use super::page::{Kind, Page};

/// The most series of one family: what is beyond is not recorded.
const SERIES_MAX: usize = 10_000;

/// What is said of the families that the libraries record.
const KNOWN: [(&str, Kind, &str); 17] = [
    ("chittyid_minted_total", Kind::Counter, "Ids that were minted."),
    ("chittyid_sequence_left_lowest", Kind::Gauge, "Ids left of the sequence with the fewest."),
    ("chittyid_sequence_left_ratio_lowest", Kind::Gauge, "The lowest share of ids that is left."),
    ("chittyid_validated_total", Kind::Counter, "Ids that were validated, by outcome."),
    ("mainstay_breaker_open", Kind::Gauge, "1 when the breaker of a gate is open."),
    ("mainstay_gate_admitted_total", Kind::Counter, "Calls that a gate let through."),
    ("mainstay_gate_rejected_total", Kind::Counter, "Calls that a gate turned away."),
    ("mainstay_operation_attempts", Kind::Histogram, "Attempts of operations that ended."),
    ("mainstay_operation_seconds", Kind::Histogram, "How long operations took, with retries."),
    ("mainstay_operations_total", Kind::Counter, "Operations that ended, by how."),
    (
        "mainstay_otlp_dropped_total",
        Kind::Counter,
        "Spans and points that no collector got, by why.",
    ),
    ("mainstay_otlp_exported_total", Kind::Counter, "Spans and points that a collector took."),
    ("mainstay_otlp_failures_total", Kind::Counter, "Exports that came to nothing, with retries."),
    ("mainstay_retry_failures_total", Kind::Counter, "Attempts that failed, by kind of failure."),
    ("mainstay_runtime_lag_seconds", Kind::Gauge, "How late our own timer last fired."),
    (LAGGED, Kind::Counter, "Times that a listener to a stream was too slow."),
    (LOST, Kind::Counter, "What listeners to streams missed because they were too slow."),
];

pub(super) const LAGGED: &str = "mainstay_stream_lagged_total";
pub(super) const LOST: &str = "mainstay_stream_lost_total";

static INSTALLED: Mutex<Option<Arc<Recorder>>> = Mutex::new(None);

/// The process's recorder, installed the first time.
pub(crate) fn recorder() -> Result<Arc<Recorder>, String> {
    let mut slot = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(recorder) = &*slot {
        return Ok(recorder.clone());
    }
    let recorder = Arc::<Recorder>::default();
    metrics::set_global_recorder(recorder.clone()).map_err(|error| error.to_string())?;
    *slot = Some(recorder.clone());
    Ok(recorder)
}

/// Everything that was recorded.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    families: Mutex<BTreeMap<String, Recorded>>,
}

#[derive(Debug, Default)]
struct Recorded {
    help: Option<String>,
    series: Option<Series>,
}

type Named = Vec<(String, String)>;

#[derive(Debug)]
enum Series {
    Counters(BTreeMap<Named, Arc<AtomicU64>>),
    Gauges(BTreeMap<Named, Arc<AtomicU64>>),
    Histograms(BTreeMap<Named, Arc<Buckets>>),
}

impl Recorder {
    /// Writes all families whose names are free.
    #[expect(clippy::cast_precision_loss, reason = "counters beyond 2^53 may be off by one")]
    pub(super) fn write(&self, page: &mut Page) {
        for (name, Recorded { help, series }) in &*self.families() {
            let Some(series) = series else { continue };
            if page.has(name) {
                continue;
            }
            let known = KNOWN.iter().find(|(known, ..)| known == name).map(|(_, _, help)| *help);
            let help = known.or(help.as_deref()).unwrap_or("Recorded by the application.");
            match series {
                Series::Counters(counters) => {
                    let mut family = page.family(name, Kind::Counter, help);
                    for (labels, counter) in counters {
                        let value = counter.load(Ordering::Relaxed) as f64;
                        family.sample(&borrowed(labels), value);
                    }
                }
                Series::Gauges(gauges) => {
                    let mut family = page.family(name, Kind::Gauge, help);
                    for (labels, gauge) in gauges {
                        let value = f64::from_bits(gauge.load(Ordering::Relaxed));
                        family.sample(&borrowed(labels), value);
                    }
                }
                Series::Histograms(histograms) => {
                    let mut family = page.family(name, Kind::Histogram, help);
                    for (labels, buckets) in histograms {
                        family.spread(&borrowed(labels), &buckets.spread());
                    }
                }
            }
        }
    }

    fn families(&self) -> MutexGuard<'_, BTreeMap<String, Recorded>> {
        self.families.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn describe(&self, kind: Kind, name: &KeyName, help: &SharedString) {
        let name = family_name(name.as_str(), kind);
        self.families().entry(name).or_default().help = Some(help.to_string());
    }
}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, name: KeyName, _: Option<Unit>, help: SharedString) {
        self.describe(Kind::Counter, &name, &help);
    }

    fn describe_gauge(&self, name: KeyName, _: Option<Unit>, help: SharedString) {
        self.describe(Kind::Gauge, &name, &help);
    }

    fn describe_histogram(&self, name: KeyName, _: Option<Unit>, help: SharedString) {
        self.describe(Kind::Histogram, &name, &help);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let mut families = self.families();
        let family = families.entry(family_name(key.name(), Kind::Counter)).or_default();
        let series = family.series.get_or_insert_with(|| Series::Counters(BTreeMap::new()));
        match series {
            Series::Counters(counters) => {
                of(counters, key, Arc::default).map_or_else(Counter::noop, Counter::from_arc)
            }
            Series::Gauges(_) | Series::Histograms(_) => Counter::noop(),
        }
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let mut families = self.families();
        let family = families.entry(family_name(key.name(), Kind::Gauge)).or_default();
        let series = family.series.get_or_insert_with(|| Series::Gauges(BTreeMap::new()));
        match series {
            Series::Gauges(gauges) => {
                of(gauges, key, Arc::default).map_or_else(Gauge::noop, Gauge::from_arc)
            }
            Series::Counters(_) | Series::Histograms(_) => Gauge::noop(),
        }
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let bounds = if key.name().ends_with("_seconds") { SECONDS } else { NUMBERS };
        let mut families = self.families();
        let family = families.entry(family_name(key.name(), Kind::Histogram)).or_default();
        let series = family.series.get_or_insert_with(|| Series::Histograms(BTreeMap::new()));
        match series {
            Series::Histograms(all) => of(all, key, || Arc::new(Buckets::new(bounds)))
                .map_or_else(Histogram::noop, Histogram::from_arc),
            Series::Counters(_) | Series::Gauges(_) => Histogram::noop(),
        }
    }
}

/// The series with these labels; none when there are too many.
fn of<T>(
    all: &mut BTreeMap<Named, Arc<T>>,
    key: &Key,
    new: impl FnOnce() -> Arc<T>,
) -> Option<Arc<T>> {
    let mut labels: Named = key
        .labels()
        .map(|label| (valid(label.key(), false), label.value().to_owned()))
        .filter(|(name, _)| name != "le")
        .collect();
    labels.sort();
    labels.dedup_by(|(one, _), (other, _)| one == other);
    if let Some(found) = all.get(&labels) {
        return Some(found.clone());
    }
    (all.len() < SERIES_MAX).then(|| all.entry(labels).or_insert_with(new).clone())
}

fn borrowed(labels: &Named) -> Vec<(&str, &str)> {
    labels.iter().map(|(name, value)| (&**name, &**value)).collect()
}

/// What a family is called on the page.
fn family_name(name: &str, kind: Kind) -> String {
    let name = valid(name, true);
    match kind {
        Kind::Counter if name.ends_with("_total") => name,
        Kind::Counter => format!("{name}_total"),
        Kind::Gauge | Kind::Histogram => name.strip_suffix("_total").unwrap_or(&name).to_owned(),
    }
}

/// `name` with an underscore for all that the formats do not take.
fn valid(name: &str, colons: bool) -> String {
    let is_valid = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colons && c == ':');
    let name: String = name.chars().map(|c| if is_valid(c) { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) || name.is_empty() {
        return format!("_{name}");
    }
    name
}
