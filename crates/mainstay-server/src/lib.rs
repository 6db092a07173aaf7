//! The service: holds the links of a configuration file, watches them, and answers an API and a
//! metrics page.
//!
//! ```no_run
//! use mainstay_server::Server;
//! use mainstay_server::config::{Config, Environment, Flags};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::load(&Flags::default(), &Environment::new())?;
//! let server = Server::bind(&config).await?;
//! server.run(async { tokio::time::sleep(std::time::Duration::from_secs(60)).await }).await;
//! # Ok(()) }
//! ```
//!
//! It prints nothing and never ends the process: whoever runs it does.

mod accept;
mod api;
mod audit;
pub mod auth;
pub mod config;
mod dashboard;
mod engine;
mod live;
mod metrics;
pub mod monitor;
mod mount;
pub mod notify;
#[cfg(feature = "otlp")]
pub mod otlp;
mod product;
pub mod push;
mod server;
pub mod session;
mod state;
mod status_page;
pub mod tls;
pub mod webhook;

pub use engine::{Applied, ApplyError};
pub use mainstay::core;
pub use mainstay_registry as registry;
pub use mainstay_store as store;
pub use mainstay_wire::Raw;
pub use mount::Mount;
pub use product::{Caller, Ground, Product, ProductError};
pub use server::{Ended, Handle, Server, StartError};
