//! Spans and metrics for a collector of [OpenTelemetry](https://opentelemetry.io), by OTLP over HTTP.
//!
//! A server that has an [`OtlpSpec`] sends its metrics by itself. Its spans are recorded by a layer of
//! `tracing-subscriber`, which belongs to the program, so the program begins and ends that:
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use mainstay_server::config::OtlpSpec;
//! use mainstay_server::otlp::Traces;
//! use tracing_subscriber::prelude::*;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let traces = Traces::start(&OtlpSpec::new("http://127.0.0.1:4318"))?;
//! tracing_subscriber::registry().with(traces.layer()).try_init()?;
//! // … and at the end:
//! traces.stop(Duration::from_secs(2)).await;
//! # Ok(()) }
//! ```
//!
//! A collector that is down or slow holds nothing up: spans wait in a queue of bounded length, and what
//! finds it full is dropped and counted (`mainstay_otlp_dropped_total`).

mod layer;
mod points;
mod post;
mod queue;
mod report;
mod resource;
mod span;
mod traces;

use std::error::Error;
use std::fmt;

use axum::http::HeaderName;
use mainstay::core::config::ConfigError;

pub use crate::config::OtlpSpec;
pub(crate) use report::{Report, Reporting};
pub use traces::Traces;

pub(crate) const EXPORTED: &str = "mainstay_otlp_exported_total";
pub(crate) const DROPPED: &str = "mainstay_otlp_dropped_total";
pub(crate) const FAILURES: &str = "mainstay_otlp_failures_total";

/// Why nothing can be exported.
#[derive(Debug)]
#[non_exhaustive]
pub enum OtlpError {
    /// What is exported cannot be counted: the process has a recorder of metrics that is not ours.
    Metrics(String),
    /// The HTTP library could not start, such as without any trusted certificate.
    Http(reqwest::Error),
    /// The value of a header cannot be sent: whoever configured it must act.
    Header(HeaderName),
    /// A time makes no sense: whoever configured it must act.
    Config(ConfigError),
}

impl fmt::Display for OtlpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metrics(why) => write!(f, "what is exported cannot be counted: {why}"),
            Self::Http(_) => f.write_str("no client for the collector can be made"),
            Self::Header(name) => write!(f, "the value for the header {name} cannot be sent"),
            Self::Config(_) => f.write_str("the times of the export make no sense"),
        }
    }
}

impl Error for OtlpError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Metrics(_) | Self::Header(_) => None,
            Self::Http(error) => Some(error),
            Self::Config(error) => Some(error),
        }
    }
}
