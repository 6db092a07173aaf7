//! Tests of the authority from the outside.
