//! What a registry promises, through its public face.

#[cfg(test)]
mod beats;
#[cfg(test)]
mod defaults;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod model;
#[cfg(test)]
mod plain;
#[cfg(test)]
mod restart;
#[cfg(test)]
mod silence;
#[cfg(test)]
mod sizes;
#[cfg(test)]
mod threads;
#[cfg(test)]
mod world;
