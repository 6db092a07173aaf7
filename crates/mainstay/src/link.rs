//! Connections you open that heal themselves, over real sockets.
//!
//! [`Link::open`] gives a [`Transport`] to one task, which dials it, watches it and dials it again
//! as [`mainstay_core::link`] decides. The handle is cheap to clone; when the last clone goes, the
//! connection is closed and the task ends.
//!
//! ```no_run
//! use mainstay::link::{Link, LinkOptions, TcpTransport};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let link = Link::open(LinkOptions::new("feed"), TcpTransport::new("127.0.0.1:9000"))?;
//! let removable = link.on("reconnecting", |event| println!("{}", event.what.name()))?;
//! link.connect().await?;
//! assert!(link.view().healthy);
//! removable.remove();
//! link.shutdown().await;
//! # Ok(()) }
//! ```
//!
//! | seed | here |
//! |---|---|
//! | `connect()`, `disconnect()`, `performHealthCheck()`, `reset()` | [`Link::connect`], [`Link::disconnect`], [`Link::check_now`], [`Link::reset`] |
//! | `getState()`, `getStats()` | [`Link::view`], [`Link::stats`] |
//! | `on`, `off` | [`Link::on`], [`Listener::remove`] |
//! | `getSharedConnectionManager`, `resetSharedConnectionManager` | [`SharedLink`] |
//! | `ConnectionResilienceManager` | [`LinkManager`] |

#[cfg(any(feature = "http", feature = "websocket"))]
mod certificate;
mod desk;
mod dns;
mod driver;
mod event;
mod handle;
#[cfg(feature = "http")]
mod http;
mod listener;
mod log;
mod manager;
#[cfg(feature = "http")]
mod pool;
#[cfg(feature = "websocket")]
pub mod session;
mod shared;
#[cfg(feature = "websocket")]
mod stream;
mod tcp;
#[cfg(feature = "websocket")]
mod tls;
mod transport;
mod wake;
#[cfg(feature = "websocket")]
pub mod websocket;

pub use dns::{DnsConfig, DnsTransport, DnsView, RecordType};
pub use event::LinkEvent;
pub use handle::{ConnectError, Link, LinkOptions};
#[cfg(feature = "http")]
pub use http::{Bearer, HttpCheck, HttpConfig, HttpProbe, HttpStep, HttpTransport};
pub use listener::{LISTENERS_MAX, ListenError, Listener};
pub use mainstay_core::link::{
    CircuitConfig, EndpointStrategy, EndpointView, EndpointsConfig, Event as What, FailReason,
    Generation, HealthConfig, HealthOverrides, LinkConfig, LinkOverrides, LinkStats, LinkView,
    ReadyState, ReconnectConfig, ReconnectOverrides, StateName, SuspendReason,
};
pub use manager::{LinkManager, ManageError, ManagerConfig};
#[cfg(feature = "http")]
pub use pool::PoolStats;
pub use shared::{SharedError, SharedLink};
#[cfg(feature = "websocket")]
pub use stream::{Alpn, Identity, Proxy, Roots, StreamConfig, TlsConfig};
pub use tcp::{TcpProbe, TcpTransport};
#[cfg(feature = "websocket")]
pub use tls::{TlsProbeConfig, TlsTransport};
pub use transport::{DialError, Transport};
