//! Links over real sockets on loopback, and over a scripted transport in paused time.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod scripted;
mod tcp;
