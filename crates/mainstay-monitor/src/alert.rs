//! When to alert, and when to stop: one alert of one rule, as a machine.
//!
//! ```text
//!               condition holds               held for `for`
//!  ┌► INACTIVE ────────────────► PENDING ─────────────────────► FIRING ◄──────────┐
//!  │     ▲                         │ ▲ (at once when `for` is 0)   │              │
//!  │     │ clear, or given up      │ │                             │ clear        │ holds
//!  │     └─────────────────────────┘ │ holds                       ▼              │
//!  │                                 │          clear for        KEEP ────────────┘
//!  └────────────────────────────── RESOLVED ◄───────────────────── (`keep_firing_for`; none when 0)
//!       known for `keep_resolved`
//! ```
//!
//! * **Severity** is a ladder of edges. A level is entered beyond its `enter` and left behind its
//!   `exit`; between them nothing changes. A level becomes the alert's severity when it has held for
//!   `for`, also while firing; it falls at once.
//! * **Few samples** decide nothing: fewer than `min_samples` neither raise nor clear, and of a share
//!   the Wilson bound, not the share itself, must be beyond `enter`.
//! * **No data** is an alert of its own ([`Effect::NoDataBegan`]), told after `no_data_after`
//!   evaluations that kept the last state. What was pending is then given up; what fires goes on.
//! * **Acknowledged**, **silenced** and **flapping** are flags: they change no state and stop no
//!   evaluation. An effect is always given out; whoever notifies looks at the flags.
//! * **Flapping** is judged as Nagios does: of the last 21 levels each change counts, newer ones more
//!   (0.75 to 1.25); it begins at 30 % and ends at 20 %.
//! * **After a restart** what fires goes on firing and is not told again. Waits continue where they
//!   were unless the outage was longer than `outage_max`, and leave at least `grace`.
//!
//! ```
//! use std::time::Duration;
//! use mainstay_core::time::Instant;
//! use mainstay_monitor::alert::{Alert, Edge, Effect, Input, Observation, Rule, RuleConfig, Severity};
//!
//! let rule = Rule::new(&RuleConfig {
//!     high: Some(Edge { enter: 0.05, exit: 0.03 }),
//!     ..RuleConfig::default()
//! })?;
//! let mut alert = Alert::new();
//! let failing = Input::Observed(Observation::Share { part: 100, whole: 1_000 });
//! assert!(alert.handle(Instant::default(), &rule, failing.clone()).is_empty(), "pending");
//! let later = Instant::default().after(Duration::from_secs(120));
//! let effects = alert.handle(later, &rule, failing);
//! assert_eq!(effects, [Effect::Fired { incident: 1, severity: Severity::High }]);
//! # Ok::<(), mainstay_core::config::ConfigError>(())
//! ```

mod flags;
mod flapping;
mod machine;
mod restart;
mod rule;
mod span;

pub use flags::{Acknowledgement, NOTE_MAX, Silence, WHO_MAX};
pub use machine::{Alert, Effect, Ended, Input, State};
pub use restart::Snapshot;
pub use rule::{Edge, Observation, Rule, RuleConfig, Severity, Side};
