//! What a collector of OpenTelemetry gets while the program serves.

#[cfg(feature = "otlp")]
use std::time::Duration;

use mainstay_server::config::Config;
#[cfg(feature = "otlp")]
use mainstay_server::otlp::{OtlpError, OtlpSpec, Traces};

use crate::exit::Failure;
#[cfg(feature = "otlp")]
use crate::exit::chain;
use crate::logging;

/// The export of spans, if there is one. Metrics are exported by the server itself.
#[derive(Debug)]
pub(crate) struct Exported {
    /// With how long what waits may take at the end.
    #[cfg(feature = "otlp")]
    traces: Option<(Traces, Duration)>,
}

impl Exported {
    /// Begins to log, and to export as the configuration says.
    #[cfg(feature = "otlp")]
    pub(crate) fn start(config: &Config) -> Result<Self, Failure> {
        let start = |otlp: &OtlpSpec| {
            let traces = Traces::start(otlp)?;
            Ok((traces, otlp.timeout.min(config.server.shutdown_deadline / 4)))
        };
        let wanted = config.otlp.as_ref().filter(|otlp| otlp.traces);
        let traces = wanted.map(start).transpose();
        let traces = traces.map_err(|error: OtlpError| Failure::environment(chain(&error)))?;
        let spans = traces.as_ref().map(|(traces, _)| traces.layer());
        logging::start(&config.log, spans).map_err(Failure::usage)?;
        Ok(Self { traces })
    }

    /// Begins to log.
    #[cfg(not(feature = "otlp"))]
    pub(crate) fn start(config: &Config) -> Result<Self, Failure> {
        let nobody = None::<tracing_subscriber::layer::Identity>;
        logging::start(&config.log, nobody).map_err(Failure::usage)?;
        Ok(Self {})
    }

    /// Exports what waits.
    pub(crate) async fn stop(self) {
        #[cfg(feature = "otlp")]
        if let Some((traces, within)) = self.traces {
            let _left: usize = traces.stop(within).await;
        }
    }
}
