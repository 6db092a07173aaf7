//! What a monitor promises, through its public face.

#[cfg(test)]
mod alerts;
#[cfg(test)]
mod defaults;
#[cfg(test)]
mod engine;
#[cfg(test)]
mod explaining;
#[cfg(test)]
mod flags;
#[cfg(test)]
mod model;
#[cfg(test)]
mod notify;
#[cfg(test)]
mod overloading;
#[cfg(test)]
mod rates;
#[cfg(test)]
mod restart;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod series;
#[cfg(test)]
mod told;
#[cfg(test)]
mod trends;
#[cfg(test)]
mod world;
