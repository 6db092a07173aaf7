//! Sessions: connections that are accepted and kept track of.

mod addresses;
mod ask;
mod config;
mod connection;
mod greet;
mod handler;
mod held;
mod hub;
mod journal;
mod metadata;
mod peer;
mod peers;
mod perform;
mod presence;
mod restore;
mod standalone;
mod tally;
mod token;
mod upgrade;
mod upkeep;

pub(crate) use addresses::{Addresses, network};
pub(crate) use ask::NotDescribed;
pub use config::{LimitsConfig, Messages, RetryConfig, SessionsConfig};
pub(crate) use greet::Owner;
pub use handler::{Handled, Handler, Session};
pub(crate) use held::{Held, take};
pub use hub::SessionsError;
pub(crate) use hub::unix_ms;
pub(crate) use hub::{Hub, NotDone};
pub(crate) use peer::Fault;
pub use peer::SendError;
pub(crate) use standalone::{Standalone, Told};
pub(crate) use tally::Flow;
pub(crate) use upgrade::{connect, handshake, switching};
pub(crate) use upkeep::Upkeep;
