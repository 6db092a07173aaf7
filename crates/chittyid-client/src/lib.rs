//! A client of a ChittyID authority: it mints, validates and watches, or says who must act.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use chittyid_client::{Client, ClientConfig, Verdict};
//!
//! // CHITTY_ID_TOKEN and CHITTYID_SERVICE_URL, as in seed 000.
//! let client = Client::new(ClientConfig::from_env()?)?;
//!
//! let id = client.generate_chitty_id("INFO", serde_json::json!({ "test": true })).await?;
//! match client.validate(id.as_str()).await {
//!     Verdict::Valid { .. } => println!("{id} was given by the service"),
//!     Verdict::Invalid { why } => println!("{id} is not valid: {why}"),
//!     Verdict::Unverified { why, .. } => println!("nobody knows: {why}"),
//!     _ => {}
//! }
//! println!("{}", serde_json::to_string(&client.get_service_health())?);
//! # Ok(()) }
//! ```
//!
//! **Service or fail.** No id is made here, and none is called valid that the service was not asked
//! about: a check of the form alone is the crate [`chittyid`], which connects to nothing.
//!
//! **A call** goes through a breaker, and within it through up to three attempts (seeds 000 and 002).
//! Connections that fail, timeouts, and the statuses 408, 425, 429, 500, 502, 503 and 504 are tried again, not before
//! a `Retry-After`. Every mint carries an `Idempotency-Key`, the same over its attempts. Time and
//! length of every answer are bounded, and no redirect is followed.
//!
//! **An id that is minted** must have an accepted profile: client-v1 alone by default, since services
//! in the real world give others ([`ClientConfig::interop`]), and an application should know.
//!
//! **The connection** is watched by health checks once there was a request
//! ([`Client::connection`], events and statistics of seed 000). It gates nothing unless
//! [`ClientConfig::fail_fast_when_disconnected`] is set.
//!
//! | seeds | here |
//! |---|---|
//! | `generateChittyID` | [`Client::generate_chitty_id`], [`Client::mint`], [`Client::mint_with`] |
//! | `mintBatch`, `validate`, `healthCheck` | [`Client::mint_batch`], [`Client::validate`], [`Client::health`] |
//! | `validateChittyIDFormat`, `isChittyID`, `extractEntityType`, `ENTITY_TYPES` | [`chittyid::validate_format`], [`chittyid::is_chittyid`], [`chittyid::extract_entity_type`], [`EntityType::ALL`] |
//! | `getServiceHealth`, `getConnectionStatus` | [`Client::get_service_health`], [`Client::connection_status`] |
//! | `getCircuitBreakerStatus`, `resetCircuitBreaker` | [`Client::circuit_breaker_status`], [`Client::reset_circuit_breaker`] |
//! | `getCacheStats`, `clearCache` | [`Client::cache_stats`], [`Client::clear_cache`] |
//! | `setResilienceEnabled` | [`Client::set_resilience_enabled`] |
//! | `ChittyIDConnectionManager` | [`Client::connect`], [`Client::disconnect`], [`Client::connection`] |

mod address;
mod batch;
mod breaker;
mod client;
mod config;
mod error;
mod key;
mod page;
mod reply;
mod request;
mod send;
mod service;
mod verdict;
mod watch;

pub use breaker::{CircuitBreakerNumbers, CircuitBreakerStatus};
pub use chittyid::{ChittyId, EntityType, Profile, Profiles};
pub use client::Client;
pub use config::{BreakerConfig, CacheConfig, ClientConfig, RetryConfig, WatchConfig};
pub use error::{Error, GenerationError, LimitedBy, Said, Unreachable, Who};
pub use key::{ApiKey, Credentials};
pub use page::Page;
pub use request::{Health, Info, Minted, Request};
pub use service::{Resilience, ServiceHealth};
pub use verdict::{CacheStats, Verdict};
pub use watch::{ConnectionDetails, ConnectionStats, ConnectionStatus};
