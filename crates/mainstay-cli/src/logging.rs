//! Log lines on standard error.

use mainstay_server::config::{LogConfig, LogFormat};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{Layer, Registry};

/// Reads levels such as `info` or `info,mainstay=debug`.
pub(crate) fn filter(level: &str) -> Result<Targets, String> {
    level.parse().map_err(|_| {
        format!(
            "log.level is {level:?}, allowed: off, error, warn, info, debug, trace, or levels by \
             target such as \"info,mainstay=debug\""
        )
    })
}

/// Begins to log, and to record `spans` where there is somebody who wants them.
pub(crate) fn start<L>(config: &LogConfig, spans: Option<L>) -> Result<(), String>
where
    L: Layer<Registry> + Send + Sync,
{
    let filter = filter(&config.level)?;
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(spans);
    let started = match config.format {
        LogFormat::Text => registry.with(layer.with_ansi(false).with_filter(filter)).try_init(),
        LogFormat::Json => {
            registry.with(layer.json().flatten_event(true).with_filter(filter)).try_init()
        }
    };
    started.map_err(|error| error.to_string())
}
