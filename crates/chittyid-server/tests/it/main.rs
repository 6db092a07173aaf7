//! The authority from the outside: real stores, real HTTP.

#![cfg(test)]

mod answers;
mod asking;
mod child;
mod config;
mod defaults;
mod failing;
mod gateway;
mod limits;
mod minting;
mod model;
mod numbers;
mod once;
mod record;
mod served;
mod stopping;
