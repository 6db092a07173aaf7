//! What a monitor promises, through its public face.

#[cfg(test)]
mod rates;
#[cfg(test)]
mod trends;
