use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mainstay_core::config::ConfigError;
use mainstay_core::policy::breaker::State;
use mainstay_core::policy::gate::GateConfig;

use super::{Gate, GateView};
use crate::event::Events;

/// How many gates a registry holds unless told otherwise.
pub const CAPACITY: usize = 1024;

/// Named gates, as many as fit. Clones share them.
///
/// When it is full, a gate that is closed and that nobody else holds makes room, the one used least
/// recently first. A gate whose breaker is not closed never goes silently: what it knows would be
/// lost.
#[derive(Clone, Debug)]
pub struct Gates {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    capacity: usize,
    events: Events,
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    gates: HashMap<Arc<str>, (Gate, u64)>,
    uses: u64,
}

/// Why a registry gives no gate.
#[derive(Debug)]
#[non_exhaustive]
pub enum RegistryError {
    /// The configuration makes no sense.
    Config(ConfigError),
    /// All places are taken by gates in use or not closed. Raise the capacity, or use fewer names.
    Full {
        /// How many places there are.
        capacity: usize,
    },
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(_) => f.write_str("the gate's configuration makes no sense"),
            Self::Full { capacity } => write!(
                f,
                "all {capacity} gates are in use or not closed: raise the capacity or use fewer names"
            ),
        }
    }
}

impl std::error::Error for RegistryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(error) => Some(error),
            Self::Full { .. } => None,
        }
    }
}

impl Gates {
    /// A registry of up to 1 024 gates that tell their events to `events`.
    #[must_use]
    pub fn new(events: Events) -> Self {
        Self::with_capacity(events, CAPACITY)
    }

    /// A registry of up to `capacity` gates (at least one).
    #[must_use]
    pub fn with_capacity(events: Events, capacity: usize) -> Self {
        let (capacity, slots) = (capacity.max(1), Mutex::default());
        Self { inner: Arc::new(Inner { capacity, events, slots }) }
    }

    /// The gate called `name`, made under `config` if there is none yet. A gate that exists keeps
    /// its own configuration; [`Gate::reload`] changes it.
    ///
    /// # Errors
    ///
    /// [`RegistryError`] when the configuration makes no sense or there is no room.
    pub fn get_or_create(&self, name: &str, config: &GateConfig) -> Result<Gate, RegistryError> {
        let mut slots = self.lock();
        slots.uses += 1;
        let use_now = slots.uses;
        if let Some((gate, last_use)) = slots.gates.get_mut(name) {
            *last_use = use_now;
            return Ok(gate.clone());
        }
        if slots.gates.len() >= self.inner.capacity && !slots.evict() {
            return Err(RegistryError::Full { capacity: self.inner.capacity });
        }
        let gate = Gate::with_events(name, config, self.inner.events.clone())
            .map_err(RegistryError::Config)?;
        slots.gates.insert(Arc::clone(gate.name()), (gate.clone(), use_now));
        Ok(gate)
    }

    /// The gate called `name`, if there is one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Gate> {
        self.lock().gates.get(name).map(|(gate, _)| gate.clone())
    }

    /// All gates, by name.
    #[must_use]
    pub fn list(&self) -> Vec<Gate> {
        let mut all: Vec<Gate> = self.lock().gates.values().map(|(gate, _)| gate.clone()).collect();
        all.sort_by(|one, two| one.name().cmp(two.name()));
        all
    }

    /// What all gates look like now, by name.
    #[must_use]
    pub fn views(&self) -> Vec<GateView> {
        self.list().iter().map(Gate::view).collect()
    }

    /// Resets the breaker called `name`; answers whether there is one.
    pub fn reset(&self, name: &str) -> bool {
        let gate = self.get(name);
        gate.inspect(Gate::reset).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.inner.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Gates {
    fn default() -> Self {
        Self::new(Events::new())
    }
}

impl Slots {
    /// Makes room; answers whether it could.
    fn evict(&mut self) -> bool {
        let idle =
            self.gates.values().filter(|(gate, _)| gate.is_idle() && gate.state() == State::Closed);
        let oldest = idle.min_by_key(|(_, last_use)| *last_use);
        let Some(name) = oldest.map(|(gate, _)| Arc::clone(gate.name())) else { return false };
        tracing::debug!(gate = %name, "idle gate makes room for another");
        self.gates.remove(&name).is_some()
    }
}
