//! Integration tests of the drivers.

mod link;
