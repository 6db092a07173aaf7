//! Integration tests of the client: against a running authority, and against servers that misbehave.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod batches;
#[cfg(test)]
mod connection;
#[cfg(test)]
mod defaults;
#[cfg(test)]
mod generation;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod odd;
#[cfg(test)]
mod resilience;
#[cfg(test)]
mod service;
#[cfg(test)]
mod verdicts;
#[cfg(test)]
mod world;
