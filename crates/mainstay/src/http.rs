//! HTTP: what statuses, headers and transport errors mean, and a client that retries.

mod client;
mod outcome;

pub use crate::retry_after::{retry_after, retry_after_millis};
pub use client::{Client, ClientError, RequestError, builder};
pub(crate) use outcome::is_tls;
pub use outcome::{is_idempotent, status_outcome, transport_outcome};
