//! The server as a library: bound, asked, told another configuration, stopped.

#[cfg(test)]
mod admin;
#[cfg(test)]
mod api;
#[cfg(test)]
mod defaults;
#[cfg(test)]
mod exposition;
#[cfg(test)]
mod live;
#[cfg(test)]
mod monitoring;
#[cfg(test)]
mod notices;
#[cfg(test)]
mod objectives;
#[cfg(feature = "otlp")]
#[cfg(test)]
mod otlp;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod probes;
#[cfg(test)]
mod product;
#[cfg(test)]
mod pushes;
#[cfg(test)]
mod running;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod shown;
