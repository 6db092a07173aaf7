//! What is known of the process, of its configuration and of who listens to it.

use std::sync::atomic::Ordering;
use std::time::SystemTime;

use super::page::{Kind, Page};
use super::recorder::{LAGGED, LOST};
use crate::state::{STREAMS_MAX, Shared};

/// A listener to a stream was too slow and missed so many.
pub(crate) fn lagged(stream: &'static str, missed: u64) {
    metrics::counter!(LAGGED, "stream" => stream).increment(1);
    metrics::counter!(LOST, "stream" => stream).increment(missed);
}

/// Makes the series of streams, so that they are there before anybody is slow.
pub(super) fn prepare() {
    for stream in ["events", "messages"] {
        metrics::counter!(LAGGED, "stream" => stream).increment(0);
        metrics::counter!(LOST, "stream" => stream).increment(0);
    }
}

/// Writes what the page says of the process.
pub(super) fn process(page: &mut Page, shared: &Shared) {
    let help = "1; the version is a label.";
    page.family("mainstay_build_info", Kind::Gauge, help)
        .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    let help = "How long the server has run.";
    let uptime = shared.started.elapsed().as_secs_f64();
    page.one("mainstay_uptime_seconds", Kind::Gauge, help, uptime);
    let good = if shared.last_reload_good.load(Ordering::Relaxed) { 1.0 } else { 0.0 };
    let help = "1 when the configuration that was read last is in force.";
    page.one("mainstay_config_last_reload_successful", Kind::Gauge, help, good);
    let applied = shared.applied_at().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let help = "When the configuration in force was put in force, in Unix time.";
    let name = "mainstay_config_last_reload_timestamp_seconds";
    page.one(name, Kind::Gauge, help, applied.as_secs_f64());
    let listeners = STREAMS_MAX.saturating_sub(shared.streams.available_permits());
    let listeners = f64::from(u32::try_from(listeners).unwrap_or(u32::MAX));
    page.one("mainstay_stream_listeners", Kind::Gauge, "Who listens to streams.", listeners);
}
