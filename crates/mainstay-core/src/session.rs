//! A connection you accept and keep track of, and what outlives each single socket of it.

pub mod heartbeat;
pub mod quality;
pub mod status;
pub mod stream;
