//! The session protocol `mainstay.v1`: its frames as text, and what its close codes mean.
//!
//! One frame is one JSON object in one WebSocket text message. This crate turns one into a [`Frame`]
//! and back; it opens no socket and knows no clock. What the numbers in the frames are for is
//! decided by [`mainstay_core::session::stream`].
//!
//! * Unknown fields are ignored and an unknown frame is [`Decoded::Unknown`], so that a newer peer
//!   can talk to us.
//! * Everything else that is not as it should be is a [`DecodeError`] that names the field or the
//!   place. It never shows what was there: payloads and tokens do not get into logs.
//! * Payloads stay text. They are checked to be JSON and otherwise not looked into.
//!
//! ```
//! use mainstay_wire::{Decoded, FRAME_MAX, Frame, Message, Raw, decode, encode};
//! use mainstay_core::session::stream::Seq;
//!
//! let text = r#"{"t":"msg","s":7,"d":{"price":"1.10"},"since":"a newer version"}"#;
//! let Decoded::Known(frame) = decode(text, FRAME_MAX)? else { panic!("`msg` is known") };
//! let payload = Raw::new(r#"{"price":"1.10"}"#)?;
//! assert_eq!(frame, Frame::Message(Message { seq: Some(Seq(7)), payload }));
//!
//! let mut out = String::new();
//! encode(&frame, &mut out);
//! assert_eq!(out, r#"{"t":"msg","s":7,"d":{"price":"1.10"}}"#);
//! # Ok::<(), mainstay_wire::DecodeError>(())
//! ```

mod close;
mod decode;
mod encode;
mod frame;
mod raw;
mod secret;

pub use close::{CloseCode, RETRY_MAX, Verdict, close_codes_as_markdown, reaction};
pub use decode::{DecodeError, Decoded, Problem, decode};
pub use encode::encode;
pub use frame::{
    Ack, Auth, Beat, Beats, Bye, Client, Describe, Fault, Frame, Hello, Limits, Message, Ping,
    Pong, Resume, Retry, Schedule, Suspend, View, Welcome,
};
pub use raw::{Meta, Raw};
pub use secret::Secret;

/// The name of the protocol, as `Sec-WebSocket-Protocol` carries it.
pub const SUBPROTOCOL: &str = "mainstay.v1";

/// The version that [`Hello`] states.
pub const VERSION: u32 = 1;

/// The longest frame a peer takes unless it says otherwise: 16 KiB.
pub const FRAME_MAX: usize = 16 << 10;

/// The largest [`Hello::meta`]: 4 KiB.
pub const META_MAX: usize = 4 << 10;

/// How deep a frame may nest, itself counted: 64 levels. Whoever reads a payload can do so by
/// recursion.
pub const NESTING_MAX: usize = 64;
