//! Connections that hold: retried operations and links that heal themselves.
//!
//! All decisions are made in [`mainstay_core`]; this crate owns the clock, the sockets and the
//! tasks, and carries them out under tokio.

pub mod blocking;
#[cfg(feature = "cache")]
pub mod cache;
pub mod classify;
pub mod clock;
pub mod event;
pub mod fallback;
pub mod gate;
#[cfg(feature = "http")]
pub mod http;
pub mod lag;
pub mod link;
pub mod monitor;
pub mod operations;
pub mod rates;
pub mod retry;
#[cfg(any(feature = "http", feature = "websocket"))]
pub mod retry_after;
#[cfg(feature = "tower")]
pub mod tower;
pub mod trace;

pub use mainstay_core as core;

/// Compiles the programs in the README and runs the first.
#[cfg(doctest)]
#[cfg(all(feature = "http", feature = "websocket"))]
#[doc = include_str!("../../../README.md")]
#[derive(Debug)]
pub struct Readme;
