//! Integration tests of the decisions.

#[cfg(feature = "serde")]
mod limits_serde;
