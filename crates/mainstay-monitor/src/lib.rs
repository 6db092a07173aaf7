//! What measurements mean: whether a series rises, what few samples prove, and when to alert.
//!
//! * [`trend`] says whether latency, connections or errors go up or down, and is seldom wrong on
//!   series that do neither;
//! * [`alert`] is the machine from a condition that holds to an alert that is resolved, with
//!   severities, acknowledgements, flapping and restarts;
//! * [`notify`] says who is told what of alerts, and when;
//! * [`wilson`] says between which bounds a share lies of which only some samples are known.
//!
//! It reads no clock and does no IO. **The server does not use it yet.**

pub mod alert;
pub mod notify;
pub mod trend;
pub mod wilson;
