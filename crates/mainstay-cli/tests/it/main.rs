//! The command as people use it: the real program, real sockets, real signals.

#![cfg(test)]

mod alerts;
mod authority;
mod call;
mod clients;
mod config;
mod exec;
mod fault;
mod flaky;
mod help;
mod hold;
mod id;
mod key;
mod killed;
mod load;
mod nginx;
mod otlp;
mod peer;
mod program;
mod serve;
mod server;
mod sessions;
mod survive;
mod tls;
mod ws;
mod wss;
