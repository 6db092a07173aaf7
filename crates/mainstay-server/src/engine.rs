//! What the server holds: the links of its configuration and the gates that guard them.

mod coupling;
mod held;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mainstay::core::config::ConfigError;
use mainstay::core::policy::breaker::State;
use mainstay::event::Events;
use mainstay::gate::Gate;
use mainstay::link::{Link, LinkManager, ManageError, ManagerConfig};

use crate::config::{Config, LINKS_MAX, LinkSpec};

pub(crate) use held::{Held, LastError};

/// The links and gates in force.
#[derive(Debug)]
pub(crate) struct Engine {
    manager: LinkManager,
    events: Events,
    book: Mutex<Book>,
    /// One change of the configuration at a time.
    applying: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Book {
    held: BTreeMap<String, Held>,
    gates: BTreeMap<String, Gate>,
}

/// What a new configuration changed, by name of the link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Links that were not there before.
    pub added: Vec<String>,
    /// Links that are gone.
    pub removed: Vec<String>,
    /// Links that lead elsewhere or authenticate differently: they were connected anew.
    pub replaced: Vec<String>,
    /// Links that behave differently and kept their connection.
    pub reconfigured: Vec<String>,
    /// Links that nothing happened to.
    pub kept: usize,
}

/// Why the links of a configuration could not be held.
#[derive(Debug)]
#[non_exhaustive]
pub enum ApplyError {
    /// A gate's or a link's configuration makes no sense.
    Config(ConfigError),
    /// A link could not be added.
    Manage(ManageError),
    /// The server is shutting down.
    Stopping,
    /// Others can reach the address it has, and the new configuration has no token.
    OpenToAll,
}

impl Engine {
    pub(crate) fn new(events: Events) -> Result<Self, ConfigError> {
        let config = ManagerConfig {
            // While one is replaced there are two of it.
            links_max: LINKS_MAX + 1,
            events: events.clone(),
            ..ManagerConfig::default()
        };
        Ok(Self {
            manager: LinkManager::new(config)?,
            events,
            book: Mutex::default(),
            applying: tokio::sync::Mutex::default(),
        })
    }

    pub(crate) const fn events(&self) -> &Events {
        &self.events
    }

    /// Holds what `config` says, and nothing else, without touching what has not changed.
    pub(crate) async fn apply(self: &Arc<Self>, config: &Config) -> Result<Applied, ApplyError> {
        let _one_at_a_time = self.applying.lock().await;
        let mut applied = Applied::default();
        for name in self.superfluous(config) {
            self.remove(&name).await;
            applied.removed.push(name);
        }
        for spec in &config.links {
            self.hold(spec, config, &mut applied).await?;
        }
        Ok(applied)
    }

    /// The links that `config` does not have.
    fn superfluous(&self, config: &Config) -> Vec<String> {
        let wanted = |name: &String| config.links.iter().any(|spec| spec.name == *name);
        self.book().held.keys().filter(|name| !wanted(name)).cloned().collect()
    }

    async fn hold(
        self: &Arc<Self>,
        spec: &LinkSpec,
        config: &Config,
        applied: &mut Applied,
    ) -> Result<(), ApplyError> {
        let name = &spec.name;
        let gate = || self.gate(spec, config).map_err(ApplyError::Config);
        let old = self.book().held.get(name).map(|held| held.spec.clone());
        match old {
            Some(old) if held::is_same_peer(&old, spec) => {
                let held_back = self.gate_called(name).is_some_and(|g| g.state() != State::Closed);
                let gate = gate()?;
                if let Some(link) = self.manager.get(name)
                    && old.config != spec.config
                {
                    link.reconfigure(&spec.config).map_err(ApplyError::Config)?;
                    applied.reconfigured.push(name.clone());
                } else {
                    applied.kept += 1;
                }
                if let Some(held) = self.book().held.get_mut(name) {
                    held.spec = spec.clone();
                    held.guard(gate.clone());
                }
                if let Some(link) = self.manager.get(name)
                    && held_back
                {
                    coupling::follow(&link, gate.as_ref());
                }
            }
            Some(_) => {
                // What its gate knew was about another peer.
                self.remove(name).await;
                self.add(spec, gate()?)?;
                applied.replaced.push(name.clone());
            }
            None => {
                self.add(spec, gate()?)?;
                applied.added.push(name.clone());
            }
        }
        Ok(())
    }

    fn add(self: &Arc<Self>, spec: &LinkSpec, gate: Option<Gate>) -> Result<(), ApplyError> {
        let (link, held) = held::open(&self.manager, spec)?;
        held.guard(gate);
        coupling::listen(&link, &held);
        self.book().held.insert(spec.name.clone(), held);
        if spec.connect {
            link.begin();
        }
        Ok(())
    }

    async fn remove(&self, name: &str) {
        {
            let mut book = self.book();
            book.held.remove(name);
            book.gates.remove(name);
        }
        self.manager.remove(name).await;
    }

    /// The gate that guards the link: kept and reloaded when it is there, made when it is not.
    fn gate(&self, spec: &LinkSpec, config: &Config) -> Result<Option<Gate>, ConfigError> {
        let policy = spec.policy.as_ref().and_then(|name| config.policy(name));
        let mut book = self.book();
        let Some(policy) = policy else {
            book.gates.remove(&spec.name);
            return Ok(None);
        };
        if let Some(gate) = book.gates.get(&spec.name) {
            gate.reload(&policy.gate)?;
            return Ok(Some(gate.clone()));
        }
        let gate = Gate::with_events(&spec.name, &policy.gate, self.events.clone())?;
        book.gates.insert(spec.name.clone(), gate.clone());
        Ok(Some(gate))
    }

    /// Every link with what belongs to it, by name.
    pub(crate) fn links(&self) -> Vec<(Link, Held)> {
        let held: Vec<Held> = self.book().held.values().cloned().collect();
        let with_link = |held: Held| Some((self.manager.get(&held.spec.name)?, held));
        held.into_iter().filter_map(with_link).collect()
    }

    /// The link of that name with what belongs to it.
    pub(crate) fn link(&self, name: &str) -> Option<(Link, Held)> {
        let held = self.book().held.get(name).cloned()?;
        Some((self.manager.get(name)?, held))
    }

    /// Every gate, by name.
    pub(crate) fn gates(&self) -> Vec<Gate> {
        self.book().gates.values().cloned().collect()
    }

    /// What each link depends on, by name.
    pub(crate) fn parents(&self) -> BTreeMap<String, Vec<String>> {
        let book = self.book();
        let depends = book.held.values().filter(|held| !held.spec.depends_on.is_empty());
        depends.map(|held| (held.spec.name.clone(), held.spec.depends_on.clone())).collect()
    }

    /// The gate of that name.
    pub(crate) fn gate_called(&self, name: &str) -> Option<Gate> {
        self.book().gates.get(name).cloned()
    }

    /// Tells the links what their gates' breakers do, until it is dropped.
    pub(crate) async fn couple(self: Arc<Self>) {
        coupling::run(&self).await;
    }

    /// Closes every link in good order.
    pub(crate) async fn shutdown(&self) {
        let _one_at_a_time = self.applying.lock().await;
        *self.book() = Book::default();
        self.manager.shutdown().await;
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Manage(error) => error.fmt(f),
            Self::Stopping => f.write_str("the server is shutting down"),
            Self::OpenToAll => f.write_str(
                "others can reach the address it listens on, and there is no token any more: \
                 set one, or restart it on 127.0.0.1",
            ),
        }
    }
}

impl std::error::Error for ApplyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(error) => Some(error),
            Self::Manage(error) => Some(error),
            Self::Stopping | Self::OpenToAll => None,
        }
    }
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (added, removed) = (self.added.len(), self.removed.len());
        let (replaced, changed) = (self.replaced.len(), self.reconfigured.len());
        let kept = self.kept;
        write!(
            f,
            "{added} added, {removed} removed, {replaced} replaced, {changed} reconfigured, \
             {kept} kept"
        )
    }
}
