//! Policies: small values that answer one question each.

pub mod backoff;
pub mod budget;
pub mod bulkhead;
pub mod outcome;
pub mod pressure;
pub mod rate;
