//! The command as people use it: the real program, real sockets, real signals.

#![cfg(test)]

mod call;
mod config;
mod exec;
mod help;
mod hold;
mod nginx;
mod program;
mod serve;
mod server;
