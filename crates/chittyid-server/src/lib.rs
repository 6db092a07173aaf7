//! A ChittyID authority: it gives ids, each once, keeps what it gave, and answers the API that
//! ChittyID clients know.
//!
//! It is made of a store and a configuration, and answers as routes that somebody mounts:
//! `mainstay serve` does.
//!
//! ```
//! use std::sync::Arc;
//!
//! use chittyid_server::{Authority, AuthorityConfig, authority_routes};
//! use mainstay_store::{MemoryStore, Store, StoreConfig, Writer};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
//! let writer = Arc::new(Writer::start(store.clone(), &StoreConfig::default())?);
//! let authority = Authority::new(AuthorityConfig::default(), store, writer)?;
//! let routes: axum::Router = authority_routes(Arc::new(authority));
//! # drop(routes);
//! # Ok(()) }
//! ```
//!
//! Whoever mounts the routes says who asks: see [`Caller`].

mod authority;
mod caller;
mod config;
mod gateway;
mod http;

pub use authority::{
    AuditPage, Authority, Clock, Entry, KEY_MAX, Left, Mint, MintError, Minted, NAME_MAX, Request,
    Verdict,
};
pub use caller::{Caller, key_hash};
pub use config::{Audited, AuthorityConfig, ChittyIdConfig, IssuedProfile};
pub use gateway::{Gateway, gateway_routes};
pub use http::authority_routes;
