//! Connections that hold: retried operations and links that heal themselves.
//!
//! All decisions are made in [`mainstay_core`]; this crate owns the clock, the sockets and the
//! tasks, and carries them out under tokio.

pub mod clock;
pub mod event;
pub mod link;

pub use mainstay_core as core;
