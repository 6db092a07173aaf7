//! What stores promise, asked of each of them.

#[cfg(test)]
mod child;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod defaults;
#[cfg(test)]
mod format;
#[cfg(test)]
mod full;
#[cfg(test)]
mod killed;
#[cfg(test)]
mod open;
#[cfg(test)]
mod rows;
#[cfg(test)]
mod same;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod writer;
