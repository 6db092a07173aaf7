//! What measurements mean: series and their trends, what few samples prove, and when to alert.
//!
//! * [`series`] keeps what was measured for two years in little room, and merges it without
//!   averaging percentiles;
//! * [`trend`] says whether latency, connections or errors go up or down, and is seldom wrong on
//!   series that do neither;
//! * [`rules`] says what is watched and when it is too much: default rules, packs, objectives;
//! * [`engine`] evaluates them: one alert for each thing a rule is about, with windows, inhibition,
//!   maintenance and restarts;
//! * [`alert`] is the machine of one alert, from a condition that holds to one that is resolved;
//! * [`board`] is all of it in one value, with the [`summary`] at a glance;
//! * [`overload`] says whether this machine is overloaded, by its own lag first;
//! * [`notify`] says who is told what of alerts, and when;
//! * [`wilson`] says between which bounds a share lies of which only some samples are known.
//!
//! It reads no clock and does no IO.

pub mod alert;
pub mod board;
pub mod engine;
pub mod notify;
pub mod overload;
pub mod rules;
pub mod series;
pub mod summary;
pub mod trend;
pub mod wilson;
