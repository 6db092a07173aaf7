//! Integration tests of the frames and close codes.

#[cfg(test)]
mod close;
#[cfg(test)]
mod cut;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod page;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod refusals;
