//! What outlives the process: sessions, their history, and whatever else must not be lost.
//!
//! A [`Store`] takes batches of [`Change`]s, each batch whole or not at all, and answers what was
//! kept. [`RedbStore`] keeps one file; [`MemoryStore`] keeps nothing past the process. A
//! [`Writer`] in front of a store commits what many callers submit at the same time together, and
//! tells each when it is safe.
//!
//! ```
//! use std::sync::Arc;
//!
//! use mainstay_store::{Area, Change, RedbStore, Store, StoreConfig, Writer};
//!
//! # let folder = std::env::temp_dir().join(format!("mainstay-doc-{}", std::process::id()));
//! const ALERTS: Area = Area::new("alerts");
//! let config = StoreConfig::default();
//! let store: Arc<dyn Store> = Arc::new(RedbStore::open(&folder, &config)?);
//! let writer = Writer::start(Arc::clone(&store), &config)?;
//!
//! let change = Change::put_value(ALERTS, b"disk", b"firing");
//! writer.submit_blocking(vec![change])?.wait()?; // or `.await` both
//! assert_eq!(store.value(ALERTS, b"disk")?.as_deref(), Some(&b"firing"[..]));
//! writer.close();
//! # std::fs::remove_dir_all(&folder).ok();
//! # Ok::<(), mainstay_store::StoreError>(())
//! ```

mod change;
mod check;
mod config;
mod error;
mod memory;
pub mod redb;
mod retain;
pub mod row;
mod store;
mod writer;

pub use change::{Area, Change};
pub use config::{Durability, StoreConfig};
pub use error::{Conflict, StoreError};
pub use memory::MemoryStore;
pub use redb::RedbStore;
pub use retain::retain;
pub use row::beats::{Beat, Packed};
pub use store::{Dropped, EventKey, KeyValue, Position, Restored, Stats, Store};
pub use writer::ticket::Ticket;
pub use writer::{Refused, Submit, Writer, WriterStats};
