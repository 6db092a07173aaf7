//! Policies: small values that answer one question each.

pub mod backoff;
pub mod breaker;
pub mod call;
pub mod outcome;
pub mod pressure;
