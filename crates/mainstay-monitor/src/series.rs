//! What was measured, kept for two years in little room.
//!
//! A [`Cell`] sums up one stretch of time of one group (all sessions, one link, …). Ten-second cells
//! are merged into minutes, hours and days: counts are added, and latencies are histograms that are
//! added too, so that a percentile of a day is one of all its samples and not a mean of percentiles.
//!
//! | tier | a cell | kept |
//! |---|---|---|
//! | [`Tier::Fine`] | 10 s | 1 h |
//! | [`Tier::Minute`] | 1 min | 48 h |
//! | [`Tier::Hour`] | 1 h | 90 d |
//! | [`Tier::Day`] | 1 d | 2 y |
//!
//! A cell's place in storage is its number modulo the cells kept ([`Place`]), so that a new cell
//! writes over the one that is too old: at most [`CELLS`] cells a group, whatever happens.
//!
//! ```
//! use std::time::Duration;
//! use mainstay_monitor::series::{Cell, Collector, Tier};
//!
//! let mut collector = Collector::new();
//! let mut cell = Cell::default();
//! cell.succeeded(Duration::from_millis(20));
//! cell.failed();
//! let rows = collector.push(1_700_000_000_000, &cell);
//! assert_eq!(rows.len(), 4, "one of each tier");
//! assert_eq!((rows[3].tier, rows[3].cell.ok, rows[3].cell.fail), (Tier::Day, 1, 1));
//! ```

mod bytes;
mod cell;
mod latencies;
mod tier;

pub use bytes::NotACell;
pub use cell::Cell;
pub use latencies::Latencies;
pub use tier::{CELLS, Collector, Place, Row, Tier};
