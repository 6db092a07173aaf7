//! Integration tests of the drivers.

mod link;

mod gate;
mod hedge;
mod operations;
mod retry;
