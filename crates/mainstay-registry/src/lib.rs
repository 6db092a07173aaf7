//! The table of sessions: what happened goes in, what to do comes out.

mod event;
mod id;
mod record;

pub use event::{Event, EventId, EventKind};
pub use id::{NotAnId, SessionId};
pub use record::{Checkpoint, Record};
