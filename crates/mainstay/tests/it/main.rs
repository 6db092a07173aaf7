//! Integration tests of the drivers.
