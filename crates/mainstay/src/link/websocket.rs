//! WebSocket connections that an application opens once and uses for months.
//!
//! [`WebSocket::open`] gives back a handle to send with and an [`Incoming`] to receive from; both
//! outlive every single connection. Under it is a [`Link`](super::Link), which dials, watches and
//! dials again; this module adds what is special about WebSockets:
//!
//! * **Messages survive a gap.** What is sent while there is no connection waits in an outbox that is
//!   bounded by count, bytes and age. The sender is told: sent, buffered, dropped or rejected; and
//!   can wait for what became of it ([`WebSocket::flushed`]). Order is kept. Nothing that was on its
//!   way when a connection broke is sent twice.
//! * **First things first.** On every connection the application's [`Handshake`] comes first, then
//!   the [`Subscriptions`], then what waits.
//! * **Dead peers are noticed.** After 15 s without a byte the peer is pinged, and 5 s later given
//!   up. After the machine has slept, at once.
//! * **The end is understood.** Close codes and refused upgrades decide whether and when it is
//!   dialled again ([`Ending`]); credentials are asked for anew before every attempt
//!   ([`Provider`]).
//! * **Requests end once.** With their reply, or with a definite error ([`Requests`]).
//! * **A thousand links are polite.** A limit on handshakes is shared by the whole process
//!   ([`HandshakeLimiter`]).
//!
//! | seed 003 | here |
//! |---|---|
//! | `createConnection`, `sendMessage`, `onMessage` | [`WebSocket::open`], [`WebSocket::send`], [`Incoming`] or [`WebSocket::on_message`] |
//! | `ConnectionState` | [`ReadyState`](super::ReadyState) in [`LinkView::ready`](super::LinkView) |

mod address;
mod config;
mod connection;
mod ending;
mod handle;
pub(super) mod layer;
mod limiter;
mod line;
mod message;
mod opening;
mod provide;
mod pump;
mod reach;
mod receipt;
mod requests;
mod socket;
mod stats;
mod subscriptions;
mod targets;
mod transport;
mod unpanicked;

pub use config::{Classify, Ending, Guard, IncomingConfig, Slow, WebSocketConfig};
pub use connection::{
    ConnectionOptions, SendJsonError, WebSocketConnection, create_connection, send_message,
};
pub(super) use ending::closed_as;
pub use handle::{
    Incoming, Missed, Outgoing, RejectReason, Rejected, SendError, SendStatus, WebSocket,
};
pub use limiter::{HandshakeConfig, HandshakeLimiter};
pub use mainstay_core::link::{OutboxConfig, Overflow, Reaction, Seq, Wait};
pub use message::{Message, Utf8Bytes};
pub(super) use opening::Said;
pub use opening::{Handshake, Opening};
pub use provide::{Ask, Offer, ProvideError, Provider};
pub use receipt::Receipt;
pub(super) use receipt::Receipts;
pub use requests::{Repeat, RequestError, Requests, RequestsConfig};
pub use stats::SocketStats;
pub use subscriptions::{SUBSCRIPTIONS_MAX, Subscriptions};
