//! Policies: small values that answer one question each.

pub mod adaptive_limit;
pub mod backoff;
pub mod breaker;
pub mod budget;
pub mod bulkhead;
pub mod call;
pub mod gate;
pub mod hedge;
pub mod outcome;
pub mod preset;
pub mod pressure;
pub mod rate;
pub mod throttle;
