//! Who is told what of alerts, and when: from what changes to as few notices as people need.
//!
//! A [`Dispatcher`] hears of every change of an alert ([`Standing`]) and answers with
//! [`Notification`]s when they are due. It sends nothing.
//!
//! * **Groups.** Alerts whose labels of [`DispatchConfig::group_by`] agree are told together, to each
//!   receiver by itself.
//! * **When.** The first notice of a group comes `group_wait` after its first alert
//!   (`group_wait_critical` for a critical one), so that what fails together is told together. What
//!   comes later is told `group_interval` after the notice before; a severity that rises, and a new
//!   critical alert, after `group_wait_critical`.
//! * **Again.** As long as something fires it is told again every `repeat` (`repeat_critical`), with
//!   how long it has lasted ([`What::Still`]).
//! * **Never twice.** What a receiver was told of each alert is remembered, over restarts too
//!   ([`Snapshot`]): without news nothing is told.
//! * **Muted** alerts (acknowledged, silenced, inhibited, in maintenance) are not told. The end of what
//!   was told is told even if it is muted by then: somebody has been waiting for it.
//! * **Flapping** alerts are told once as that and once when they have settled, not in pairs. Only a
//!   severity beyond what was told is told in between.
//! * **Escalation.** A receiver with [`Route::after`] is told of what has fired and not been muted for
//!   that long.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use mainstay_core::time::Instant;
//! use mainstay_monitor::alert::Severity;
//! use mainstay_monitor::notify::{Dispatcher, DispatchConfig, Route, Standing, Status, What};
//!
//! let route = Route::new("team");
//! let mut dispatcher = Dispatcher::new(&[route], &DispatchConfig::default());
//! let now = Instant::from_millis(0);
//! dispatcher.alert(now, Standing {
//!     id: 7,
//!     rule: Arc::from("HIGH_LATENCY"),
//!     labels: Arc::default(),
//!     incident: 1,
//!     severity: Severity::High,
//!     status: Status::Firing,
//!     muted: false,
//!     flapping: false,
//!     since_unix_ms: 1_795_255_827_021,
//!     summary: Arc::from("p95 of 5 m is 1203 ms, above 1000 ms"),
//!     value: Some(1203.0),
//!     threshold: Some(1000.0),
//!     runbook: None,
//! });
//! assert!(dispatcher.due(now).is_empty(), "it gathers for 30 s");
//! let told = dispatcher.due(now.after(Duration::from_secs(30)));
//! assert_eq!(told[0].alerts[0].what, What::Fired);
//! ```

mod config;
mod dispatcher;
mod entry;
mod line;
mod notification;
mod route;
mod snapshot;
mod standing;

pub use config::DispatchConfig;
pub use dispatcher::Dispatcher;
pub use notification::{Notification, Told, What};
pub use route::{Route, matches};
pub use snapshot::Snapshot;
pub use standing::{Condition, Standing, Status};
