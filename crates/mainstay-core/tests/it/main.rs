//! Integration tests of the decisions.
