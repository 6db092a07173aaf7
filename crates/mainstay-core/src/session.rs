//! A connection you accept and keep track of, and what outlives each single socket of it.

pub mod quality;
pub mod status;
pub mod stream;
