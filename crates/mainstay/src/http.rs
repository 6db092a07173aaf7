//! HTTP: what statuses, headers and transport errors mean.

mod hint;
mod outcome;

pub use hint::{retry_after, retry_after_millis};
pub use outcome::{is_idempotent, status_outcome, transport_outcome};
