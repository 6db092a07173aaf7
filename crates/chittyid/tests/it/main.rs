//! Integration tests of the formats of ids.

#[cfg(test)]
mod builders;
#[cfg(test)]
mod corpus;
#[cfg(all(test, feature = "serde"))]
mod data;
#[cfg(test)]
mod entities;
#[cfg(test)]
mod model;
#[cfg(test)]
mod page;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod vectors;
