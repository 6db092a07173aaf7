//! Links over real sockets on loopback, and over a scripted transport in paused time.

#[cfg(all(feature = "http", feature = "websocket"))]
mod certificates;
mod dns;
mod dnsmasq;
#[cfg(all(feature = "http", feature = "websocket"))]
mod grpc;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "http")]
mod http_check;
#[cfg(feature = "http")]
mod http_endpoints;
mod manager;
mod scripted;
#[cfg(feature = "http")]
mod seed_000;
mod tcp;
