//! Sessions of real clients.

mod talking;
