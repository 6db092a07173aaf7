//! What is exported, as a collector that reads the protocol by its published description sees it.

mod collector;
mod failing;
mod figures;
mod spans;

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mainstay_server::config::{Config, OtlpSpec};
use mainstay_server::otlp::Traces;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::prelude::*;

use crate::running::config;
use collector::Collector;

/// What was logged.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// A configuration that says `text`, and exports.
fn with(otlp: OtlpSpec, text: &str) -> Config {
    let mut config = config(text);
    config.otlp = Some(otlp);
    config
}

/// Quick enough for a test.
fn spec(collector: &Collector) -> OtlpSpec {
    OtlpSpec {
        batch_within: Duration::from_millis(20),
        interval: Duration::from_millis(100),
        ..OtlpSpec::new(collector.url())
    }
}

/// Exports spans of this thread, whose log is kept too.
fn exporting(spec: &OtlpSpec) -> (Traces, Log, DefaultGuard) {
    let (traces, log) = (Traces::start(spec).unwrap(), Log::default());
    let lines = tracing_subscriber::fmt::layer().json().with_writer(log.clone());
    let lines = lines.with_filter(LevelFilter::DEBUG);
    let guard = tracing_subscriber::registry().with(traces.layer()).with(lines).set_default();
    (traces, log, guard)
}
