//! Watches links, gates, operations, caches and the machine: a summary, trends, and alerts.
//!
//! A [`Monitor`] looks every ten seconds at what it was given, and judges it by the default rules
//! ([`mainstay_monitor::rules::defaults`]) or others. Alerts are told on [`Monitor::subscribe`],
//! listed by [`Monitor::alerts`], and acknowledged by [`Monitor::acknowledge`]. It stores nothing
//! and notifies nobody: `mainstay serve` does that.
//!
//! ```
//! use std::sync::Arc;
//! use mainstay::link::{LinkManager, ManagerConfig};
//! use mainstay::monitor::{Monitor, MonitorConfig, Watched};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), mainstay::core::config::ConfigError> {
//! let links = LinkManager::new(ManagerConfig::default())?;
//! let watched = Watched { links: Some(Arc::new(links)), ..Watched::default() };
//! let monitor = Monitor::start(watched, MonitorConfig::default())?;
//! monitor.cycle();
//! assert_eq!(monitor.summary().sentence, "0 connected · no alerts");
//! assert!(monitor.alerts().is_empty());
//! # Ok(())
//! # }
//! ```

mod collect;
mod program;
mod sources;
pub mod system;

pub use collect::{Collected, Collector, GROUP_LINKS, GROUP_OPERATIONS, days_until};
pub use program::{Monitor, MonitorConfig, Watched};
pub use sources::{CacheFigures, Sources};

pub use mainstay_monitor as engine;
