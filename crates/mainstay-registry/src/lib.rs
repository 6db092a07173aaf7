//! The table of sessions: what happened goes in, what to do comes out.
//!
//! A [`Registry`] keeps a million sessions in columns: 32 bytes that every frame touches, 32 that
//! beats touch, and what only queries read apart from them. There is no timer for a session; one
//! column of deadlines is swept. It reads no clock and does no IO: `now` and random bits are
//! arguments, and [`Effect`]s say what to store, whom to ask and which connection to close.
//!
//! What it promises:
//!
//! * a session that was registered is told to be *gone* exactly once, whatever happens;
//! * the events of a session are numbered without a gap, and their places in the history never go
//!   back, even when the system's clock does;
//! * the connection with the highest generation wins, and one that lost changes nothing any more;
//! * counts are exact at any time.

mod admission;
mod clock;
mod config;
mod counts;
mod effect;
mod event;
mod id;
mod lifecycle;
mod measured;
mod names;
mod packed;
mod query;
mod record;
mod registry;
mod shard;
mod silence;
mod table;
mod watch;

pub use admission::{Admitted, Beat, Beats, Interval, Key, Refusal, Registration, Reserved};
pub use clock::Origin;
pub use config::RegistryConfig;
pub use counts::{Counts, CountsByName};
pub use effect::{Alarm, CloseReason, Effect};
pub use event::{Event, EventId, EventKind};
pub use id::{NotAnId, SessionId};
pub use measured::Measured;
pub use query::{Cursor, Memory, NotACursor, Page, Query};
pub use record::{Checkpoint, Record};
pub use registry::{Registry, SHARDS, SweepReport};
pub use silence::Silence;
pub use watch::Bar;
