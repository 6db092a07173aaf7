//! The proxy between a real client and a real echo server on loopback.

#[cfg(test)]
mod faults;
