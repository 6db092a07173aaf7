//! The decisions of connection resilience, without the connections.
//!
//! Nothing here reads a clock, draws a random number, opens a socket or starts a task. A caller (a
//! *driver*) tells every machine what happened and when, and carries out what the machine answers.
//! So the same breaker runs under tokio, in a simulator with a million copies, and in a test that
//! writes time as a literal.
//!
//! 64-bit atomics are required: breakers, budgets and limits are shared between threads without a
//! lock.

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod bits;
pub mod config;
pub mod detect;
pub mod link;
pub mod measure;
pub mod policy;
pub mod session;
mod sync;
pub mod time;
pub mod trace;
