//! Integration tests of the decisions.

#[cfg(feature = "serde")]
mod defaults;
#[cfg(feature = "serde")]
mod limits_serde;
