//! Integration tests of the drivers.

#[cfg(test)]
#[cfg(feature = "cache")]
mod cache;
#[cfg(test)]
#[cfg(all(feature = "cache", feature = "http", feature = "websocket"))]
mod defaults;
#[cfg(test)]
mod gate;
#[cfg(test)]
mod hedge;
#[cfg(test)]
#[cfg(feature = "http")]
mod http;
#[cfg(test)]
mod link;
#[cfg(test)]
mod monitor;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod retry;
#[cfg(test)]
#[cfg(feature = "http")]
mod server;
#[cfg(test)]
#[cfg(feature = "websocket")]
mod session;
#[cfg(test)]
#[cfg(feature = "tower")]
mod tower;
#[cfg(test)]
#[cfg(feature = "http")]
mod trace;
#[cfg(test)]
#[cfg(feature = "websocket")]
mod websocket;
