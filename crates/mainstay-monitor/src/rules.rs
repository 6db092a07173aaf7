//! What is watched, and when it is too much: rules as data.
//!
//! A [`RuleSpec`] names a [`Signal`], the window it is looked at in, and a ladder of severities. It
//! makes one alert for each thing that the signal is about: for each link, each gate, or for all
//! sessions together. [`defaults`] are the rules that hold where nothing else is said; [`pack`] has
//! the thresholds that earlier systems named.

mod defaults;
mod packs;
mod signal;
mod slo;
mod spec;

pub use defaults::defaults;
pub use packs::{PACKS, pack};
pub use signal::{Info, Kind, Signal, UnknownSignal};
pub use slo::{Budget, Burn, BurnRate, SloSpec};
pub use spec::{Matcher, NoData, RULES_MAX, RuleSet, RuleSpec, Statistic, WINDOW_MAX};
