//! Integration tests of the drivers.

#[cfg(test)]
mod gate;
#[cfg(test)]
mod hedge;
#[cfg(test)]
mod link;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod retry;
