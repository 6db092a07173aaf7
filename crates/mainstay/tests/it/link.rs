//! Links over real sockets on loopback, and over a scripted transport in paused time.

#[cfg(feature = "http")]
mod http;
mod manager;
mod scripted;
#[cfg(feature = "http")]
mod seed_000;
mod tcp;
