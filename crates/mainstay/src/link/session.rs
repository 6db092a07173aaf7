//! Messages that a server acknowledges, over connections that break: the client's end of the session
//! protocol `mainstay.v1`.
//!
//! A bare [`WebSocket`](super::websocket::WebSocket) can say that a message left this process. Only
//! the peer can say that it was *processed*, and so both ends have to speak a protocol. With it:
//!
//! * **Nothing is lost and nothing comes twice.** Messages are numbered, held until they are
//!   acknowledged, and sent again, in order, over the next connection. What comes twice is dropped by
//!   its number.
//! * **What cannot be known is said to be unknown.** If the server has forgotten the session, what
//!   was written and not acknowledged may have been processed or not. It is not sent again by itself:
//!   [`Event::Restarted`] gives it back. What was never written goes out in the new session.
//! * **Senders wait.** What is held is bounded in messages and bytes ([`SessionConfig::stream`]).
//! * **Processed means processed.** A message that came is acknowledged when the application asks
//!   for the next one, or says [`done`](SessionIncoming::done); not when it arrives.
//! * **No message can wedge the session.** One that the server does not take at all is refused before
//!   it gets a number; one over which the server closes the connection again and again is given back.
//!
//! ```no_run
//! use mainstay::link::LinkOptions;
//! use mainstay::link::session::{Event, Raw, SessionConfig, SessionLink};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let config = SessionConfig::new("wss://example.org/v1/connect", "till", "1.0");
//! let (session, mut incoming) = SessionLink::open(LinkOptions::websocket("till"), config)?;
//! session.connect().await?;
//! let order = session.send(&Raw::new(r#"{"order":7}"#)?).await?;
//! println!("{:?}", session.delivered(order).await);
//! while let Some(event) = incoming.recv().await {
//!     match event {
//!         Event::Message(received) => println!("{}", received.payload.as_str()),
//!         Event::Restarted(restarted) => println!("unknown: {}", restarted.unknown.len()),
//!         Event::Missed(_) | Event::Fault(_) => {}
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! How it decides is in [`mainstay_core::session::stream`], what it says in `docs/protocol.md`.

mod book;
mod config;
mod greet;
mod handle;
mod inbox;
mod incoming;
mod restart;
mod shared;
mod trouble;
mod view;

pub use config::SessionConfig;
pub use handle::{Fate, SendError, SessionLink};
pub use incoming::{Event, Received, SessionIncoming};
pub use mainstay_core::link::Seq;
pub use mainstay_core::session::stream::StreamConfig;
pub use mainstay_wire::{Client, DecodeError, Fault, Meta, Raw, Secret};
pub use restart::{Held, Restarted, Why};
pub use view::{SessionStats, SessionView};
